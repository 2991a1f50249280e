"""A codec word by word, by the level of the recording, and by kind of speech: for its card.

All clips of Speech Commands' test split that are at hand, and the first five seconds of sentences
of every kind by speakers kept out of training, each coded with half a second of silence on both
sides, at two rates of the stored file. Noise (20 dB below the speech) and rooms are added to
LibriSpeech's sentences, and the decoded sound is compared with what the codec got.

    python benchmarks/card.py
    python benchmarks/card.py --weights runs/voice/codec.safetensors --split validation --out runs
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

import vqlab
from vqlab import audio, datasets, metrics
from vqlab.audio import loudest
from vqlab.codec import Codec
from vqlab.datasets import recordings, speech_commands
from vqlab.files import write_whole
from vqlab.metrics.summary import score_clip

sys.path.append(str(Path(__file__).resolve().parents[1] / "tools"))
from crops import Surroundings  # noqa: E402  isort: skip

from code_key import version_of  # noqa: E402  isort: skip
from coders import Ours  # noqa: E402  isort: skip

RATE = 16000
PAD = RATE // 2
FEWEST = 5  # clips of a word; rarer ones are put together
EACH = 2  # sentences of a speaker
NOISE = "exercise_bike"  # which no weights learned from
NOISE_DB = -20.0  # against the loudest 0.4 s of the speech
LEVELS = {"under -30 dBFS": -30.0, "-30 to -20 dBFS": -20.0, "over -20 dBFS": 0.0}


def score(codec: Codec, clips: Sequence[datasets.Item], kbps: float) -> list[dict[str, Any]]:
    """A row of measures for each clip, coded at the quality that its own file allows."""
    coder = Ours("vqlab", codec, kbps)
    bar = tqdm(clips, f"scoring at {kbps:g}", leave=False)
    return [score_clip(item, coder.code(item.waveform).waveform, PAD) for item in bar]


def level(item: datasets.Item) -> str:
    """Which of LEVELS the loudest 0.4 s of the recording are in."""
    found = loudest(item.waveform, item.sample_rate)
    return next(name for name, most in LEVELS.items() if found <= most)


def sentences(name: str, split: str) -> list[datasets.Item]:
    """The first five seconds of up to EACH sentences of every speaker."""
    try:
        found = datasets.load(name, split, seconds=None)
    except (FileNotFoundError, ValueError) as error:  # not here, or nobody in this split
        print(f"without {name}: {error}")
        return []
    chosen: list[int] = []
    for row, speaker in enumerate(found.speakers):
        if sum(found.speakers[other] == speaker for other in chosen) < EACH:
            chosen.append(row)
    items = [found[row] for row in chosen]
    return [dataclasses.replace(item, waveform=item.waveform[: 5 * RATE]) for item in items]


def kinds(split: str) -> tuple[list[str], list[datasets.Item]]:
    """Clips of every kind of speech, and which kind each is."""
    read = sentences("librispeech", split)
    torch.manual_seed(0)
    room = Surroundings(torch.zeros(8 * RATE), microphones=0, rooms=1, noisy=0, talkers=0)
    reverberant = [dataclasses.replace(i, waveform=room(i.waveform[None])[0]) for i in read]
    pairs = [("sentences read", item) for item in read]
    pairs += [("the same in noise", item) for item in noisy(read)]
    pairs += [("the same in rooms", item) for item in reverberant]
    for name in [name for name in recordings.LAYOUTS if name != "librispeech"]:
        pairs += [(kind_of(name, item.label), item) for item in sentences(name, split)]
    return [kind for kind, _ in pairs], [item for _, item in pairs]


def kind_of(name: str, label: str) -> str:
    """The kind of speech under a label of a set."""
    if name == "speechocean762":
        return "children" if label == "children" else "English as a second language"
    if name == "voice_datasets" and not label.startswith("en"):
        return "other languages"
    return "other sentences"


def noisy(items: Sequence[datasets.Item]) -> list[datasets.Item]:
    """The items with recorded noise NOISE_DB below the loudest 0.4 s of each."""
    folder = speech_commands.find() / "_background_noise_"
    path = next(path for path in folder.glob(f"{NOISE}.*"))
    noise, _ = audio.load(path, sample_rate=RATE)
    made = []
    for n, item in enumerate(items):
        piece = noise[n * RATE :][: len(item.waveform)]
        strength = 10 ** ((loudest(item.waveform, RATE) + NOISE_DB) / 20) / piece.std()
        made.append(dataclasses.replace(item, waveform=item.waveform + strength * piece))
    return made


def table(groups: Sequence[str], scored: dict[float, list[dict[str, Any]]], heading: str) -> str:
    """A line for each group, with STOI and PESQ-wb at each rate."""
    columns = {"group": heading, "n": "clips"}
    lines = {name: {"group": name, "n": groups.count(name)} for name in dict.fromkeys(groups)}
    for kbps, rows in scored.items():
        for measure, title in (("stoi", "STOI"), ("pesq_wb", "PESQ-wb")):
            columns[f"{measure} {kbps}"] = f"{title} at {kbps:g}"
            for name, line in lines.items():
                own = [row for row, group in zip(rows, groups, strict=True) if group == name]
                found = metrics.summarise(own, metrics=[measure])[measure]
                line[f"{measure} {kbps}"] = _cell(found, 3 if measure == "stoi" else 2)
    return metrics.markdown_table(columns, sorted(lines.values(), key=lambda line: -line["n"]))


def _cell(found: metrics.Summary, digits: int) -> str:
    if not found.n:
        return "–"
    return f"{found.mean:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kbps", type=float, nargs="+", default=[0.75, 1.65])
    parser.add_argument("--weights", default="speech", help="a name, or a codec.safetensors")
    parser.add_argument("--split", choices=["test", "validation"], default="test")
    parser.add_argument("--out", type=Path, default=Path("docs/results/card"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    codec = vqlab.load_pretrained(arguments.weights)
    clips = list(datasets.load("speech_commands", arguments.split, words="all", seconds=None))
    labels = [item.label for item in clips]
    words = [word if labels.count(word) >= FEWEST else "other words" for word in labels]
    kind, spoken = kinds(arguments.split)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for sounds, tables in (
        (clips, {"words": (words, "word"), "levels": ([level(c) for c in clips], "recorded at")}),
        (spoken, {"kinds": (kind, "kind of speech")}),
    ):
        rates = sorted(arguments.kbps, reverse=True)  # one search serves all
        scored = {kbps: score(codec, sounds, kbps) for kbps in rates}
        scored = dict(reversed(scored.items()))
        for name, (groups, heading) in tables.items():
            text = table(groups, scored, heading)
            text += f"\n\nMeasured with {version_of(codec)}."
            print(text, "\n")
            write_whole(arguments.out / f"{name}.md", (text + "\n").encode())


if __name__ == "__main__":
    main()
