"""Give the package damaged and forged input, and see that each is taken or refused in a sentence.

    python tools/fuzz.py                              all kinds, 60 s each
    python tools/fuzz.py --seconds 20 --seed 3 vql archive --out docs/results/fuzz.md
    python tools/fuzz.py --races 100                  two processes at once, so many times

Seconds are of the processor. Each kind runs in a process of its own, which may take no more than
`MOST` bytes beyond what it has when it begins. Whatever is neither taken nor refused with one line
(another exception, no memory, a crash) is a finding: its input is kept in `--keep`, and the exit
status is 1. The same seed gives the same inputs, as long as the kind's seeds are the same.
"""

import argparse
import base64
import binascii
import gzip
import io
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

import vqlab
from vqlab import audio, widgets
from vqlab.codec import Codec
from vqlab.datasets import archives
from vqlab.experiments import build, folders, grid, reading
from vqlab.files import load_tensors, save_tensors
from vqlab.training.runs import LAST

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "version2"
MOST = 2 << 30
LONGEST = 400  # characters of a sentence, without the path of what was read
NUMBERS = [
    0,
    1,
    -1,
    2,
    127,
    128,
    255,
    256,
    32768,
    65536,
    10**6,
    2**31 - 1,
    2**31,
    2**32 - 1,
    10**30,
]
WORDS = [*map(str, NUMBERS), "1e308", ".nan", "NaN", "Infinity", "true", "null", '""', "[]", "{}"]

Make = Callable[[random.Random], Any]
Take = Callable[[Any], None]


# Inputs


def bent(data: bytes, chance: random.Random) -> bytes:
    """A few changes to bytes: flipped, cut out, doubled, cut off, numbers at the edge."""
    out = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        if not out:
            break
        # Headers are short and come first: half of the changes go there.
        at = chance.randrange(min(len(out), chance.choice([64, 1024, len(out)])))
        size = chance.choice([1, 2, 4, 8, 512])
        match chance.randrange(6):
            case 0:
                out[at] ^= 1 << chance.randrange(8)
            case 1:
                out[at : at + size] = chance.randbytes(size)
            case 2:
                del out[at : at + size]
            case 3:
                out[at:at] = out[at : at + size]
            case 4:
                number = chance.choice(NUMBERS) % (1 << 32)
                out[at : at + 4] = number.to_bytes(4, chance.choice(["little", "big"]))
            case 5:
                del out[chance.randrange(len(out)) :]
    return bytes(out)


def reworded(text: str, chance: random.Random) -> str:
    """A text with some of its numbers and words replaced, or some lines taken away or doubled."""
    for _ in range(chance.choice([1, 1, 2, 4])):
        found = list(re.finditer(r"-?\b[\w.]+\b", text))
        if not found:
            break
        place = chance.choice(found)
        if chance.random() < 0.75:
            new = chance.choice([*WORDS, chance.choice(found)[0]])
            text = text[: place.start()] + new + text[place.end() :]
        else:
            lines = text.splitlines(keepends=True)
            at = chance.randrange(len(lines))
            lines[at : at + 1] = chance.choice([[], [lines[at]] * 2, [chance.choice(lines)]])
            text = "".join(lines)
    return text


def with_crc(data: bytes) -> bytes:
    return data[:-2] + binascii.crc_hqx(data[:-2], 0).to_bytes(2, "big")


def with_header(data: bytes, chance: random.Random) -> bytes:
    """A safetensors file whose header says something else."""
    size = int.from_bytes(data[:8], "little")
    header = reworded(data[8 : 8 + size].decode(), chance).encode()
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def with_checksums(tar: bytes) -> bytes:
    """A tar archive whose headers have the checksums of what they hold."""
    out = bytearray(tar)
    for at in range(0, len(out) - 511, 512):
        if out[at + 257 : at + 262] == b"ustar":
            out[at + 148 : at + 156] = b" " * 8
            out[at + 148 : at + 156] = b"%06o\0 " % sum(out[at : at + 512])
    return bytes(out)


def tar_of(folder: str, format: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as tar:
        for name in ("a.wav", "b" * 120 + ".wav", "sub/c.wav"):
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mtime = 700, 1.5 if format == tarfile.PAX_FORMAT else 1
            tar.addfile(member, io.BytesIO(bytes(700)))
    return file.getvalue()


def junk(chance: random.Random, depth: int = 0) -> Any:
    """A value that JSON can carry."""
    plain = [None, True, chance.choice(NUMBERS), chance.random(), "", "a" * 1000, "reset", "tune"]
    match chance.randrange(8 if depth < 4 else 5):
        case 5:
            return [junk(chance, depth + 1) for _ in range(chance.randrange(4))]
        case 6:
            return {chance.choice(WORDS): junk(chance, depth + 1) for _ in range(3)}
        case 7:
            return [[chance.uniform(-3, 3)] * 2 for _ in range(chance.choice([0, 1, 64, 65, 1000]))]
    return chance.choice(plain)


# Kinds: each gives a function that makes an input and one that gives it to the package


def vql(folder: Path) -> tuple[Make, Take]:
    codec = Codec.load(GOLDEN / "codec.safetensors")
    seeds = [path.read_bytes() for path in sorted(GOLDEN.glob("*.vql"))]

    def make(chance: random.Random) -> bytes:
        data = bent(chance.choice(seeds), chance)
        return with_crc(data) if chance.random() < 0.8 else data

    def take(data: bytes) -> None:
        codes, samples, gain_db = codec.from_bytes(data)
        if samples < 16_000:
            codec.decode(codes, samples, gain_db, n_iter=1)

    return make, take


def sound(folder: Path) -> tuple[Make, Take]:
    samples = 0.3 * np.sin(np.arange(4000) / 9)
    seeds = []
    for kind, subtype in (
        ("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "IMA_ADPCM"), ("WAV", "GSM610"),
        ("RF64", "PCM_16"), ("W64", "PCM_16"), ("AIFF", "PCM_24"), ("AU", "PCM_16"),
        ("CAF", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"),
    ):  # fmt: skip
        file = io.BytesIO()
        soundfile.write(file, samples, 8000, format=kind, subtype=subtype)
        seeds.append(file.getvalue())
    path = folder / "a.wav"

    def take(data: bytes) -> None:
        path.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "is cut short", and the like
            audio.load(path)

    return lambda chance: bent(chance.choice(seeds), chance), take


def codec(folder: Path) -> tuple[Make, Take]:
    seed = (GOLDEN / "codec.safetensors").read_bytes()
    path = folder / "codec.safetensors"

    def make(chance: random.Random) -> bytes:
        return bent(seed, chance) if chance.random() < 0.2 else with_header(seed, chance)

    def take(data: bytes) -> None:
        path.write_bytes(data)
        Codec.load(path)

    return make, take


def run_folder(folder: Path) -> tuple[Make, Take]:
    single = grid.singles(reading.read(ROOT / "experiments" / "words-minimal.yaml"))[4]
    torch.manual_seed(0)
    save_tensors(build.build(single, 40).state_dict(), folder / "best.safetensors", {})
    (folder / folders.CONFIG).write_text(reading.write(single.grid))
    (folder / "run.json").write_text(json.dumps({"seed": 0, "remarks": ["a"], "finished": True}))
    (folder / "metrics.jsonl").write_text('{"epoch": 1, "error": 2.5}\n' * 3)
    seeds = {path.name: path.read_bytes() for path in folder.iterdir()}

    def make(chance: random.Random) -> dict[str, bytes]:
        name = chance.choice(sorted(seeds))
        if name.endswith("safetensors"):
            new = chance.choice([bent, with_header])(seeds[name], chance)
        else:
            new = reworded(seeds[name].decode(), chance).encode()
        return seeds | {name: new}

    def take(contents: dict[str, bytes]) -> None:
        for name, data in contents.items():
            if not (folder / name).is_file() or (folder / name).read_bytes() != data:
                (folder / name).write_bytes(data)
        folders.load_model(folder)
        folders.reports_of(folder)
        folders.remarks_in(folder)

    return make, take


def yaml(folder: Path) -> tuple[Make, Take]:
    seeds = [path.read_text() for path in sorted((ROOT / "experiments").glob("*.yaml"))]
    path = folder / "a.yaml"

    def make(chance: random.Random) -> bytes:
        text = reworded(chance.choice(seeds), chance).encode()
        return bent(text, chance) if chance.random() < 0.2 else text

    def take(data: bytes) -> None:
        path.write_bytes(data)
        grid.singles(reading.read(path))

    return make, take


def archive(folder: Path) -> tuple[Make, Take]:
    formats = (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
    seeds = [tar_of("set", format) for format in formats]
    path, target = folder / "a.tar.gz", folder / "set"
    outside = {folder, path}

    def make(chance: random.Random) -> bytes:
        data = with_checksums(bent(chance.choice(seeds), chance))
        data = gzip.compress(data, 1) if chance.random() < 0.5 else data
        return bent(data, chance) if chance.random() < 0.2 else data

    def take(data: bytes) -> None:
        path.write_bytes(data)
        try:
            archives.unpacked(path, "set", most_bytes=10_000, most_files=20)
        finally:
            if target.is_dir():
                assert sum(p.stat().st_size for p in target.rglob("*")) < 200_000
                shutil.rmtree(target)
            assert set(folder.iterdir()) <= outside, "something else was left"

    return make, take


def messages(folder: Path) -> tuple[Make, Take]:
    speech = vqlab.load_pretrained()
    time_ = np.arange(8000) / 16000
    tones = [torch.from_numpy(0.3 * np.sin(2 * np.pi * f * time_)).float() for f in (440, 450)]
    all_ = [
        widgets.voronoi([[0, 1], [2, 2], [1, -1]], [[0, 0], [1, 1]]),
        widgets.code_strip(speech, *speech.encode(tones[0], 2)),
        widgets.keyboard(speech, codes=[3, 1, 2]),
        widgets.recorder(),
        widgets.abx(*tones),
        widgets.trade_off(tones[0]),
    ]
    names = sorted({name for widget in all_ for name in widget.keys})
    wanted = ["do", "position", "stage", "code", "page", "samples", "source", "trial", "choice"]
    acts = "step reset codes points replace random undo hear tune page take clip answer restart"

    def make(chance: random.Random) -> tuple[int, str, Any]:
        which, kind = chance.randrange(len(all_)), chance.choice(["update", "custom"])
        keys = names if kind == "update" else wanted
        content: Any = {key: junk(chance) for key in chance.sample(keys, chance.randrange(5))}
        if kind == "custom" and chance.random() < 0.7:
            content["do"] = chance.choice(acts.split())
        if chance.random() < 0.1:
            content["samples"] = base64.b64encode(chance.randbytes(400)).decode()
        return which, kind, junk(chance) if chance.random() < 0.1 else content

    def take(message: tuple[int, str, Any]) -> None:
        which, kind, content = message
        if kind == "update":
            all_[which].set_state(content)
        else:
            all_[which]._handle_custom_msg(content, [])
        assert len(all_[which].notice) <= 300
        if notice := all_[which].notice:
            raise ValueError(notice)

    return make, take


KINDS = {
    "vql": vql, "sound": sound, "codec": codec, "run": run_folder, "yaml": yaml,
    "archive": archive, "messages": messages,
}  # fmt: skip


# Running


def outcome(take: Take, value: Any, folder: Path) -> str:
    """ "taken", "refused", or what went wrong."""
    try:
        take(value)
        return "taken"
    except (ValueError, OSError) as error:
        text = str(error).replace(f"{folder}{os.sep}", "")
        if text.strip() and "\n" not in text.strip() and len(text) <= LONGEST:
            return "refused"
        return f"{type(error).__name__}: no sentence: {text[:300]!r}"
    except BaseException as error:  # a finding, whatever it is
        return f"{type(error).__name__}: {str(error)[:300]}"


def child(kind: str, seconds: float, seed: int, keep: Path) -> dict[str, Any]:
    """Give inputs of one kind for so many seconds; the numbers of the table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        make, take = KINDS[kind](Path(name))
        chance = random.Random(f"{kind} {seed}")
        outcome(take, make(random.Random(0)), Path(name))  # what is imported late
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MOST
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        counts = {"taken": 0, "refused": 0}
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        slowest, found = 0.0, {}
        end = time.process_time() + seconds
        while (start := time.process_time()) < end:
            value = make(chance)
            start = time.process_time()
            said = outcome(take, value, Path(name))
            slowest = max(slowest, time.process_time() - start)
            counts[said if said in counts else "taken"] += said in counts
            if said not in counts and said not in found:
                keep.mkdir(parents=True, exist_ok=True)
                file = keep / f"{kind}-{seed}-{len(found)}"
                file.write_bytes(value if isinstance(value, bytes) else repr(value).encode())
                found[said] = str(file)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return counts | {"found": found, "slowest": slowest, "grown": grown}


def tried(kind: str, seconds: float, seed: int, keep: Path) -> dict[str, Any]:
    """`child` in a process of its own; a crash is a finding as well."""
    command = [sys.executable, __file__, "--child", kind, "--seconds", str(seconds)]
    command += ["--seed", str(seed), "--keep", str(keep)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    end = done.stderr.strip().splitlines()[-1:] or [f"ended with {done.returncode}"]
    return {"taken": 0, "refused": 0, "found": {end[0]: ""}, "slowest": 0.0, "grown": 0.0}


def table(results: dict[str, dict[str, Any]], seconds: float, seed: int) -> str:
    lines = [
        f"`python tools/fuzz.py --seconds {seconds:g} --seed {seed}`: {seconds:g} s of one "
        f"processor a kind, at most {MOST >> 30} GiB more memory than at the start.",
        "",
        "| input | tried | taken | refused in a sentence | else | slowest, s | memory, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, got in results.items():
        taken, refused, found = got["taken"], got["refused"], len(got["found"])
        lines.append(
            f"| {kind} | {taken + refused + found:,} | {taken:,} | {refused:,} | {found} | "
            f"{got['slowest']:.2f} | {got['grown']:.0f} |"
        )
    return "\n".join(lines) + "\n"


# Two at once

UNPACKER = """
import sys, warnings
from pathlib import Path
from vqlab.datasets.archives import unpacked
warnings.simplefilter("ignore")
for line in sys.stdin:
    place = unpacked(Path(line.strip()), "set", most_bytes=1 << 30, most_files=10_000)
    print(sum(1 for _ in place.rglob("*.wav")), flush=True)
"""
WRITER = """
import sys
from pathlib import Path
from vqlab.files import write_whole
for line in sys.stdin:
    write_whole(Path(line.strip()), sys.argv[1].encode() * 300_000)
    print("written", flush=True)
"""
TRAINER = """
import sys, torch
from vqlab import models, training
for line in sys.stdin:
    torch.manual_seed(0)
    data = torch.randn(8, 8, 20)
    model = models.speech(n_mels=8, dim=4, codebook_size=8, stages=1, width=8, decoder_blocks=1)
    try:
        run = training.fit(
            model, data, data, out=line.strip(), steps=20, report_every=5, batch_size=4,
            device="cpu", progress=False,
        )
        print(run.step, flush=True)
    except ValueError as error:
        print(error, flush=True)
"""


def both(code: str, arguments: tuple[str, str], places: list[Path]) -> list[list[str]]:
    """What two processes say that are told each place at once."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [
        subprocess.Popen([sys.executable, "-c", code, given], cwd=ROOT, **pipes)
        for given in arguments
    ]
    said = []
    for place in places:
        for one in started:
            one.stdin.write(f"{place}\n")
            one.stdin.flush()
        said.append([one.stdout.readline().strip() for one in started])
    for one in started:
        one.communicate()
    return said


def races(times: int, folder: Path) -> dict[str, int]:
    """How often two unpackers of an archive, two writers of a file, two trainings of a run left
    it whole; of the trainings one may be refused, in a sentence."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as tar:
        for n in range(500):
            member = tarfile.TarInfo(f"set/{n:03}.wav")
            member.size = 100
            tar.addfile(member, io.BytesIO(bytes(100)))
    places = []
    for n in range(times):
        places.append(folder / str(n) / "set.tar.gz")
        places[-1].parent.mkdir()
        places[-1].write_bytes(file.getvalue())
    said = both(UNPACKER, ("", ""), places)
    unpacked = sum(
        answers == ["500", "500"] and sorted(os.listdir(place.parent)) == ["set", "set.tar.gz"]
        for answers, place in zip(said, places, strict=True)
    )
    places = [folder / f"written {n}" for n in range(times)]
    said = both(WRITER, ("a", "b"), places)
    whole = {letter * 300_000 for letter in (b"a", b"b")}
    written = sum(
        answers == ["written"] * 2 and place.read_bytes() in whole
        for answers, place in zip(said, places, strict=True)
    )
    places = [folder / f"trained {n}" for n in range(times)]
    said = both(TRAINER, ("", ""), places)
    trained = sum(
        "20" in answers
        and all(a == "20" or a.startswith("another process works in") for a in answers)
        and [report["step"] for report in folders.reports_of(place)] == [5, 10, 15, 20]
        and bool(load_tensors(place / "best.safetensors") and load_tensors(place / LAST))
        for answers, place in zip(said, places, strict=True)
    )
    left = [path for path in folder.rglob("*.part")]
    return {
        "two unpackers": unpacked, "two writers": written, "two trainings": trained - len(left),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz"), help="where findings go")
    parser.add_argument("--out", type=Path, help="a file for the table")
    parser.add_argument("--races", type=int, metavar="TIMES")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.kinds) - KINDS.keys():
        parser.error(f"no kind {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    if options.child:
        print(json.dumps(child(options.child, options.seconds, options.seed, options.keep)))
        return 0
    text, failed = "", False
    if options.races:
        with tempfile.TemporaryDirectory() as name:
            for what, whole in races(options.races, Path(name)).items():
                text += f"{what} at once: whole {whole} of {options.races} times.\n"
                failed |= whole < options.races
    if options.kinds or not options.races:
        results = {}
        for kind in options.kinds or KINDS:
            results[kind] = tried(kind, options.seconds, options.seed, options.keep)
            for said, file in results[kind]["found"].items():
                print(f"{kind}: {said} {file}", file=sys.stderr)
            failed |= bool(results[kind]["found"])
        text += table(results, options.seconds, options.seed)
    print(text, end="")
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
