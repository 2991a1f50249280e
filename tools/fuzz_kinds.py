"""What `tools/fuzz.py` gives the package: damaged and forged input of seven kinds.

The one idea: a kind is two functions. One makes an input from chance, most of it sound enough that
the damage is met late; the other gives it to the package as a user does.
"""

import base64
import binascii
import gzip
import io
import json
import random
import re
import shutil
import tarfile
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
from vqlab.files import save_tensors

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "version2"
NUMBERS = [
    0, 1, -1, 2, 127, 128, 255, 256, 32768, 65536, 10**6, 2**31 - 1, 2**31, 2**32 - 1, 10**30,
]  # fmt: skip
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
