"""Make the bundled spoken words: ten command words by about sixty synthetic voices.

A maintainer's tool; nobody needs it to use the project, because its result is in `data/words`.
It asks three speech engines from Debian for each word (espeak-ng, which computes its sound from
formants; flite and festival, whose voices were made from recordings of people), and then treats
the result as a real recording would be treated by the world: a microphone, a small room, a level,
background noise, a place in one second. The layout is that of Speech Commands (Warden 2018,
arXiv:1804.03209): `word/speaker_nohash_take.flac` with validation and testing lists, split by
voice.

Everything random is drawn from `--seed`, so two runs give the same bytes, as long as the engines,
numpy, scipy and libsndfile (which writes FLAC) have the same versions. `--check` measures what
was made: how many words Debian's pocketsphinx understands, levels, clipping. `--audition` makes
every voice, also the rejected ones, and prints what is understood of each.

    apt-get install espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k \\
        festvox-us-slt-hts pocketsphinx pocketsphinx-en-us
    python tools/make_words.py                # writes data/words
    python tools/make_words.py --check        # measures it, writes data/words/CHECK.md

Notebook: 06 (the words are the default data set of the series)
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr
from scipy import signal

WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
RATE = 16_000  # samples a second, and samples in a clip
LONGEST = int(0.84 * RATE)  # a longer word is asked for again, faster
# Two words that espeak-ng says unclearly: speed, and the intonations that help (by measurement).
HABITS = {"up": (1.22, ("!", "?")), "down": (0.97, ("", "!"))}
PEAK = 10 ** (-1.2 / 20)  # never above -1 dBFS, with a little room for rounding
ENGINES = {"espeak-ng": "espeak-ng", "flite": "flite", "festival": "festival"}


@dataclass(frozen=True)
class Voice:
    """One speaker: an engine's voice with its own rate, pitch and length of the vocal tract.

    `rate` is in the engine's unit: words a minute for espeak-ng, a factor on speed for the
    others. `pitch` is 0 to 99 for espeak-ng, hertz for the others. `tract` above 1 moves all
    resonances up, as a shorter vocal tract does (the sound is resampled, rate and pitch
    being corrected for it beforehand).
    """

    split: str
    engine: str
    voice: str
    variant: str
    rate: float
    pitch: float
    takes: int = 1
    tract: float = 1.0

    @property
    def speaker(self) -> str:
        """Eight hexadecimal digits, as in Speech Commands."""
        name = f"{self.engine}/{self.voice}/{self.variant}"
        return hashlib.sha256(name.encode()).hexdigest()[:8]


def _recorded(
    split: str, engine: str, voice: str, tract: float, pitch: float, rate: float
) -> Voice:
    takes = 2 if tract == 1.0 else 1  # two of the voices as they are
    return Voice(split, engine, voice, f"tract {tract:g}", rate, pitch, takes=takes, tract=tract)


def _formant(split: str, *rows: str) -> list[Voice]:
    voices = []
    for row in rows:
        accent, variant, rate, pitch = row.split()
        voices.append(Voice(split, "espeak-ng", accent, variant, float(rate), float(pitch)))
    return voices


# The people behind the recorded voices stay in one split: kal (Kevin Lenzo) and slt, each in two
# engines, in train; awb in validation; rms and ked in test. So does every espeak-ng variant.
VOICES: list[Voice] = [
    _recorded("train", "flite", "slt", 1.0, 175, 1.0),
    _recorded("train", "flite", "slt", 0.9, 150, 1.0),
    _recorded("train", "flite", "slt", 1.1, 215, 0.95),
    _recorded("train", "flite", "kal16", 1.0, 100, 1.0),
    _recorded("train", "flite", "kal16", 1.12, 128, 1.0),
    _recorded("train", "flite", "kal16", 0.93, 88, 1.0),
    _recorded("train", "festival", "kal_diphone", 1.06, 115, 1.0),
    _recorded("train", "festival", "cmu_us_slt_arctic_hts", 1.0, 180, 1.0),
    _recorded("train", "festival", "cmu_us_slt_arctic_hts", 1.07, 200, 0.95),
    _recorded("validation", "flite", "awb", 1.0, 130, 1.0),
    _recorded("validation", "flite", "awb", 1.12, 165, 1.0),
    _recorded("test", "flite", "rms", 1.0, 95, 1.0),
    _recorded("test", "flite", "rms", 1.15, 135, 1.0),
    _recorded("test", "festival", "ked_diphone", 1.0, 105, 1.0),
    _recorded("test", "festival", "ked_diphone", 1.1, 130, 1.0),
    *_formant(
        "train",
        "en-us f1 145 55",
        "en-us f3 140 50",
        "en-gb-scotland f5 140 50",
        "en-gb linda 135 50",
        "en-us belinda 140 45",
        "en-us anika 140 50",
        "en-gb Annie 135 50",
        "en-gb steph 135 50",
        "en-us-nyc m1 145 50",
        "en-us m5 150 45",
        "en-gb m6 145 50",
        "en-us m7 150 40",
        "en-gb adam 150 45",
        "en-us Alex 150 50",
        "en-us-nyc Andy 145 50",
        "en-gb-x-gbclan antonio 140 45",
        "en-gb benjamin 140 45",
        "en-gb-x-rp caleb 145 50",
        "en-029 Denis 145 50",
        "en-gb-x-gbclan Diogo 150 45",
        "en-gb-x-gbcwmd ed 145 45",
        "en-gb edward2 150 40",
        "en-gb-x-gbcwmd grandpa 140 40",
        "en-029 Hugo 140 50",
        "en-gb-x-rp john 150 45",
        "en-gb-scotland klatt 145 50",
        "en-029 klatt3 140 50",
        "en-gb-x-gbcwmd klatt5 140 50",
        "en-us klatt6 145 50",
        "en-gb max 145 55",
        "en-us paul 150 50",
        "en-gb pedro 145 50",
        "en-gb Storm 145 45",
    ),
    *_formant(
        "validation",
        "en-gb f2 140 50",
        "en-us steph3 135 50",
        "en-gb iven4 140 45",
        "en-us-nyc klatt2 140 50",
        "en-us Mario 145 45",
        "en-gb-x-rp michel 145 50",
        "en-gb-scotland victor 140 45",
    ),
    *_formant(
        "test",
        "en-us f4 135 50",
        "en-gb Andrea 140 50",
        "en-gb-x-gbclan klatt4 140 50",
        "en-gb-scotland miguel 145 45",
        "en-us-nyc mike 145 45",
        "en-gb-x-gbcwmd pablo 140 45",
    ),
]

# Left out after an audition: under 60 % understood, or no speaking voice (the last three).
DROPPED: list[Voice] = _formant(
    "dropped",
    "en-gb-x-gbclan grandma 140 45",
    "en-gb-x-rp Alicia 140 50",
    "en-gb-scotland kaukovalta 140 50",
    "en-us-nyc zac 140 50",
    "en-gb-x-gbclan marcelo 140 50",
    "en-gb-scotland gustave 140 50",
    "en-gb-x-gbcwmd Marco 140 50",
    "en-us-nyc Lee 140 50",
    "en-us travis 140 50",
    "en-us-nyc Demonic 140 50",
    "en-gb whisper 140 50",
    "en-gb whisperf 140 50",
    "en-us croak 140 50",
)


def _run(command: Sequence[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{command[0]} failed: {result.stderr.strip() or result.returncode}")


def speak(voice: Voice, text: str, rate: float, pitch: float, folder: Path) -> np.ndarray:
    """What the engine says, 16 kHz mono float64, before any treatment.

    `rate` and `pitch` are in the engine's units (see `Voice`).
    """
    out = folder / "raw.wav"
    out.unlink(missing_ok=True)
    if voice.engine == "espeak-ng":
        name = voice.voice if voice.variant == "-" else f"{voice.voice}+{voice.variant}"
        _run(
            [
                "espeak-ng",
                "-v",
                name,
                "-s",
                f"{rate:.0f}",
                "-p",
                f"{pitch:.0f}",
                "-w",
                str(out),
                text,
            ]
        )
    elif voice.engine == "flite":
        stretch, hertz = voice.tract / rate, pitch / voice.tract
        _run(
            [
                "flite",
                "-voice",
                voice.voice,
                "--setf",
                f"duration_stretch={stretch:.4f}",
                "--setf",
                f"int_f0_target_mean={hertz:.2f}",
                "-t",
                text,
                "-o",
                str(out),
            ]
        )
    else:
        stretch, hertz = voice.tract / rate, pitch / voice.tract
        lines = [
            f"(voice_{voice.voice})",
            f"(Parameter.set 'Duration_Stretch {stretch:.4f})",
            f"(set! int_lr_params '((target_f0_mean {hertz:.2f}) (target_f0_std 14)"
            " (model_f0_mean 170) (model_f0_std 34)))",
        ]
        if voice.voice.endswith("_hts"):  # takes speed and half tones, not the parameters above
            half_tones = 12 * np.log2(hertz / 175.0)
            lines.append(
                "(set! hts_engine_params (append hts_engine_params"
                f' \'(("-r" {1 / stretch:.4f}) ("-fm" {half_tones:.3f}))))'
            )
        lines.append(f'(utt.save.wave (utt.synth (Utterance Text "{text}")) "{out}" \'riff)')
        script = folder / "say.scm"
        script.write_text("\n".join(lines) + "\n")
        _run(["festival", "--batch", str(script)])
    if not out.exists():
        raise RuntimeError(f"{voice.engine} said nothing for {text!r} with voice {voice.voice}")
    samples, rate_in = soundfile.read(out, dtype="float64", always_2d=True)
    return soxr.resample(samples.mean(axis=1), rate_in * voice.tract, RATE, quality="VHQ")


def envelope(samples: np.ndarray, frame: int = 80) -> np.ndarray:
    """Root mean square of consecutive frames of `frame` samples (5 ms)."""
    padded = np.pad(samples, (0, -len(samples) % frame))
    return np.sqrt(np.mean(padded.reshape(-1, frame) ** 2, axis=1))


def trim(samples: np.ndarray, below_db: float = 42.0, margin: int = 160) -> np.ndarray:
    """Cut silence off both ends, keep 10 ms around the word, fade those in and out."""
    loud = np.flatnonzero(envelope(samples) > envelope(samples).max() * 10 ** (-below_db / 20))
    start, stop = max(loud[0] * 80 - margin, 0), min((loud[-1] + 1) * 80 + margin, len(samples))
    word = samples[start:stop].copy()
    ramp = np.sin(np.linspace(0, np.pi / 2, 80)) ** 2
    word[:80] *= ramp
    word[-80:] *= ramp[::-1]
    return word


def active_rms(samples: np.ndarray) -> float:
    """RMS of the 20 ms frames that lie within 25 dB of the loudest one: the level of the word."""
    frames = envelope(samples, 320)
    active = frames[frames > frames.max() * 10 ** (-25 / 20)]
    return float(np.sqrt(np.mean(active**2)))


def noise(rng: np.random.Generator, colour: str, length: int) -> np.ndarray:
    """White or pink noise (power falling with frequency above 40 Hz), RMS 1."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    if colour == "pink":
        spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(length, 1 / RATE), 40.0))
    samples = np.fft.irfft(spectrum, length)
    return samples / np.sqrt(np.mean(samples**2))


def room(rng: np.random.Generator, rt60: float, direct_db: float) -> np.ndarray:
    """Impulse response of a small room: the direct sound, then noise that decays by 60 dB in rt60.

    `direct_db` is how much stronger the direct sound is than all of the echo (energy).
    """
    time = np.arange(int(rt60 * RATE)) / RATE
    echo = rng.standard_normal(len(time)) * 10 ** (-3 * time / rt60)
    echo[: int(0.002 * RATE)] = 0  # the first wall is at least a hand's breadth away
    echo = signal.sosfilt(signal.butter(1, 5000, fs=RATE, output="sos"), echo)
    echo *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(echo**2))
    echo[0] += 1.0
    return echo


def microphone(samples: np.ndarray, low_cut: float, tilt_db: float) -> np.ndarray:
    """A cheap microphone: nothing below `low_cut` hertz, treble tilted by `tilt_db`."""
    samples = signal.sosfilt(signal.butter(2, low_cut, "high", fs=RATE, output="sos"), samples)
    treble = signal.sosfilt(signal.butter(1, 2000, "high", fs=RATE, output="sos"), samples)
    return samples + (10 ** (tilt_db / 20) - 1) * treble


def make_clip(voice: Voice, word: str, take: int, seed: int, folder: Path) -> np.ndarray:
    """One second with the word in it, int16 `(16000,)`.

    Room and microphone belong to the speaker; rate, pitch, level, place and noise vary by take.
    """
    home = np.random.default_rng([seed, int(voice.speaker, 16)])
    rt60, direct_db = home.uniform(0.05, 0.30), home.uniform(6.0, 16.0)
    low_cut, tilt_db = home.uniform(50, 140), home.uniform(-4.0, 4.0)
    usual_level, usual_snr = home.uniform(-28.0, -18.0), home.uniform(26.0, 42.0)
    colour = home.choice(["pink", "pink", "pink", "white"])
    echo_seed = int(home.integers(2**32))

    rng = np.random.default_rng([seed, int(voice.speaker, 16), WORDS.index(word), take])
    rate = voice.rate * rng.uniform(0.92, 1.08)
    pitch = voice.pitch * rng.uniform(0.92, 1.08)
    text = word
    if voice.engine == "espeak-ng":  # its intonation follows the punctuation
        speed, endings = HABITS.get(word, (1.0, ("", "", "!", "?")))
        rate, text = rate * speed, word + str(rng.choice(endings))
    for _ in range(5):
        spoken = trim(speak(voice, text, rate, pitch, folder))
        if len(spoken) <= LONGEST:
            break
        rate *= 1.02 * len(spoken) / LONGEST
    else:
        raise RuntimeError(f"{voice} says {word!r} in {len(spoken) / RATE:.2f} s however fast")

    start = int((RATE - len(spoken)) * rng.triangular(0.08, 0.5, 0.92))
    clip = np.zeros(RATE)
    clip[start : start + len(spoken)] = spoken
    echo = room(np.random.default_rng(echo_seed), rt60, direct_db)
    clip = signal.fftconvolve(clip, echo)[:RATE]
    clip = microphone(clip, low_cut, tilt_db)
    level_db = float(np.clip(usual_level + rng.uniform(-3.0, 3.0), -30.0, -14.0))
    clip *= min(10 ** (level_db / 20) / active_rms(clip), 0.97 * PEAK / np.abs(clip).max())
    if rng.random() < 0.2:  # a clean take: only what the electronics hiss
        floor = 10 ** (-74 / 20)
    else:
        snr_db = float(np.clip(usual_snr + rng.uniform(-4.0, 4.0), 20.0, 45.0))
        floor = active_rms(clip) * 10 ** (-snr_db / 20)
    clip += floor * noise(rng, str(colour), RATE)
    clip *= min(1.0, PEAK / np.abs(clip).max())
    dither = rng.uniform(-0.5, 0.5, RATE) + rng.uniform(-0.5, 0.5, RATE)
    return np.round(clip * 32767 + dither).astype(np.int16)


def _clip_names(voice: Voice) -> list[str]:
    return [f"{word}/{voice.speaker}_nohash_{t}.flac" for word in WORDS for t in range(voice.takes)]


def write_tables(out: Path, voices: Iterable[Voice]) -> None:
    """Write the two split lists and `speakers.csv`."""
    voices = list(voices)
    for split, file in (("validation", "validation_list.txt"), ("test", "testing_list.txt")):
        names = sorted(name for v in voices if v.split == split for name in _clip_names(v))
        (out / file).write_text("".join(f"{name}\n" for name in names))
    order = ("train", "validation", "test", "dropped")
    with open(out / "speakers.csv", "w", newline="") as table_file:
        table = csv.writer(table_file, lineterminator="\n")
        table.writerow(["speaker", "engine", "voice", "variant", "rate", "pitch", "split"])
        for v in sorted(voices, key=lambda v: (order.index(v.split), v.engine, v.voice, v.variant)):
            row = [v.speaker, v.engine, v.voice, v.variant, f"{v.rate:g}", f"{v.pitch:g}", v.split]
            table.writerow(row)


def write_set(out: Path, voices: Sequence[Voice], seed: int) -> int:
    """Write clips, lists and `speakers.csv` of `voices` into `out`; return the clip count.

    A clip depends on the seed, its voice, word and take only, not on the other voices.
    """
    for word in WORDS:
        shutil.rmtree(out / word, ignore_errors=True)
        (out / word).mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        for voice in voices:
            for name in _clip_names(voice):
                word, take = name.split("/")[0], int(name[-6])
                clip = make_clip(voice, word, take, seed, Path(scratch))
                soundfile.write(
                    out / name, clip, RATE, subtype="PCM_16", format="FLAC", compression_level=1.0
                )
    write_tables(out, voices)
    return sum(len(_clip_names(voice)) for voice in voices)


def recognise(paths: Sequence[Path]) -> list[str]:
    """The word pocketsphinx hears in each file, of the ten; "" where it hears none.

    The clip gets 0.3 s of its own background's level before and after it, because the recogniser
    expects a pause there.
    """
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for i, path in enumerate(paths):
            samples, rate = soundfile.read(path, dtype="float64")
            if rate != RATE:
                raise ValueError(f"{path} has {rate} samples a second; {RATE} are needed.")
            floor = np.percentile(envelope(samples, 320), 5)
            before, after = rng.standard_normal((2, int(0.3 * RATE))) * floor
            padded = np.concatenate([before, samples, after])
            soundfile.write(folder / f"{i:05d}.wav", padded, RATE, subtype="PCM_16")
        grammar = folder / "words.gram"
        grammar.write_text(f"#JSGF V1.0;\ngrammar words;\npublic <w> = {' | '.join(WORDS)};\n")
        control = folder / "files.txt"
        control.write_text("".join(f"{i:05d}\n" for i in range(len(paths))))
        model = Path("/usr/share/pocketsphinx/model/en-us")
        _run(
            [
                "pocketsphinx_batch",
                "-hmm",
                str(model / "en-us"),
                "-dict",
                str(model / "cmudict-en-us.dict"),
                "-jsgf",
                str(grammar),
                "-adcin",
                "yes",
                "-adchdr",
                "44",
                "-cepdir",
                str(folder),
                "-cepext",
                ".wav",
                "-ctl",
                str(control),
                "-hyp",
                str(folder / "heard.txt"),
                "-logfn",
                os.devnull,
            ]
        )
        lines = (folder / "heard.txt").read_text().splitlines()
    matches = [match for line in lines if (match := re.match(r"(.*)\((\d+) .*\)", line))]
    heard = {int(match[2]): match[1].strip() for match in matches}
    return [heard.get(i, "") for i in range(len(paths))]


def _share(pairs: Iterable[tuple[str, str]]) -> float:
    pairs = list(pairs)
    return 100 * sum(said == heard for said, heard in pairs) / max(len(pairs), 1)


def real_clips(root: Path) -> list[Path]:
    """The testing clips of the ten words in a Speech Commands folder below `root`."""
    for listing in sorted(root.glob("**/testing_list.txt")):
        names = [n for n in listing.read_text().split() if n.split("/")[0] in WORDS]
        if names and (listing.parent / names[0]).exists():
            return [listing.parent / n for n in names]
    raise FileNotFoundError(f"No testing_list.txt with clips of the ten words below {root}.")


def check(out: Path, real: Path | None) -> str:
    """Measure the set in `out`; return the report in Markdown."""
    with open(out / "speakers.csv", newline="") as file:
        speakers = {row["speaker"]: row for row in csv.DictReader(file)}
    paths = sorted(p for word in WORDS for p in (out / word).glob("*.flac"))
    said = [p.parent.name for p in paths]
    who = [speakers[p.name[:8]] for p in paths]
    pairs = list(zip(said, recognise(paths), strict=True))

    lines = [
        "# What was measured",
        "",
        "Written by `python tools/make_words.py --check`.",
        "",
        "## Words understood",
        "",
        "Debian's pocketsphinx (American English model), a grammar of the ten words, one pass",
        f"over all {len(paths)} clips. Guessing would give 10 %.",
        "",
    ]
    real_pairs: list[tuple[str, str]] = []
    if real is not None:
        found = real_clips(real)
        real_pairs = list(zip([p.parent.name for p in found], recognise(found), strict=True))
    head = "| word | clips | understood |" + (" real clips | understood |" if real_pairs else "")
    lines += [head, "|---|---|---|" + ("---|---|" if real_pairs else "")]
    means, real_means = [], []
    for word in WORDS:
        mine = [p for p in pairs if p[0] == word]
        means.append(_share(mine))
        row = f"| {word} | {len(mine)} | {means[-1]:.0f} % |"
        if real_pairs:
            theirs = [p for p in real_pairs if p[0] == word]
            real_means.append(_share(theirs))
            row += f" {len(theirs)} | {real_means[-1]:.0f} % |"
        lines.append(row)
    row = f"| mean of the words | {len(pairs)} | {np.mean(means):.1f} % |"
    if real_pairs:
        row += f" {len(real_pairs)} | {np.mean(real_means):.1f} % |"
    lines.append(row)
    if real_pairs:
        lines += ["", "The real clips are the testing clips of Speech Commands that were at hand."]
    lines += ["", "| part | voices | clips | understood |", "|---|---|---|---|"]
    parts = [("engine", engine) for engine in ENGINES]
    parts += [("split", split) for split in ("train", "validation", "test")]
    for key, value in parts:
        mine = [p for p, w in zip(pairs, who, strict=True) if w[key] == value]
        count = sum(row[key] == value for row in speakers.values())
        lines.append(f"| {value} | {count} | {len(mine)} | {_share(mine):.1f} % |")
    lines.append(f"| all | {len(speakers)} | {len(pairs)} | {_share(pairs):.1f} % |")

    by_voice = defaultdict(list)
    for path, pair in zip(paths, pairs, strict=True):
        by_voice[path.name[:8]].append(pair)
    ranked = sorted((_share(found), speaker) for speaker, found in by_voice.items())
    lines += ["", "The five voices least understood:", ""]
    for share, speaker in ranked[:5]:
        row_of = speakers[speaker]
        name = " ".join(row_of[k] for k in ("engine", "voice", "variant"))
        lines.append(f"- {speaker} ({name}, {row_of['split']}): {share:.0f} %")

    clips = [soundfile.read(p, dtype="int16")[0] for p in paths]
    peaks = [20 * np.log10(np.abs(c.astype(int)).max() / 32768) for c in clips]
    levels = [20 * np.log10(active_rms(c / 32768)) for c in clips]
    size = sum(p.stat().st_size for p in paths)
    low, mid, high = np.percentile(levels, [0, 50, 100])
    lines += [
        "",
        "## Levels",
        "",
        f"- Highest peak {max(peaks):.2f} dBFS, median {np.median(peaks):.1f} dBFS;"
        f" {sum(p > -0.1 for p in peaks)} clips reach full scale.",
        f"- Level of the word (RMS of its active 20 ms frames) {low:.1f} to {high:.1f} dBFS,"
        f" median {mid:.1f} dBFS.",
        f"- {len(paths)} clips, {len(speakers)} voices, {size / 1e6:.2f} MB"
        f" ({size / len(paths) / 1000:.1f} kB a clip).",
        "",
    ]
    return "\n".join(lines)


def audition(seed: int) -> str:
    """Make every voice, the dropped ones too, in a scratch folder; tell what is understood."""
    voices = [replace(voice, takes=3) for voice in (*VOICES, *DROPPED)]
    with tempfile.TemporaryDirectory() as scratch:
        write_set(Path(scratch), voices, seed)
        paths = sorted(p for word in WORDS for p in Path(scratch, word).glob("*.flac"))
        found = defaultdict(list)
        for path, heard in zip(paths, recognise(paths), strict=True):
            found[path.name[:8]].append((path.parent.name, heard))
    lines = []
    for voice in sorted(voices, key=lambda v: _share(found[v.speaker])):
        wrong = " ".join(
            f"{said}>{heard or '-'}" for said, heard in found[voice.speaker] if said != heard
        )
        name = f"{voice.engine} {voice.voice} {voice.variant}"
        lines.append(f"{_share(found[voice.speaker]):5.0f} %  {voice.split:10s} {name}  {wrong}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = Path(__file__).resolve().parent.parent / "data" / "words"
    parser.add_argument("--out", type=Path, default=default, help="folder to write or to check")
    parser.add_argument("--seed", type=int, default=2018, help="everything random follows from it")
    parser.add_argument(
        "--check",
        action="store_true",
        help="measure what is in --out, write CHECK.md there, make nothing",
    )
    parser.add_argument(
        "--audition",
        action="store_true",
        help="print how well each voice is understood, write nothing",
    )
    parser.add_argument(
        "--real",
        type=Path,
        default=os.environ.get("VQLAB_DATA"),
        help="with --check: a folder with Speech Commands as a yardstick (default: VQLAB_DATA)",
    )
    options = parser.parse_args(arguments)
    needed = {"pocketsphinx_batch": "pocketsphinx"} if options.check else dict(ENGINES)
    if options.audition:
        needed["pocketsphinx_batch"] = "pocketsphinx"
    missing = [package for program, package in needed.items() if shutil.which(program) is None]
    if missing:
        print(
            f"Missing: {', '.join(missing)}; on Debian: apt-get install {' '.join(missing)}.",
            file=sys.stderr,
        )
        return 2
    try:
        if options.check:
            report = check(options.out, options.real)
            (options.out / "CHECK.md").write_text(report)
            print(report)
        elif options.audition:
            print(audition(options.seed))
        else:
            count = write_set(options.out, VOICES, options.seed)
            print(f"{count} clips of {len(VOICES)} voices in {options.out}")
    except (OSError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
