"""The packed file, measured: sizes beside other formats, damage, an hour of sound.

    VQLAB_DATA=... python benchmarks/files.py --out docs/results/files

Writes `sizes.md` (the clips of `benchmarks/clips_words.txt`; Opus where `opusenc` is
installed), `damage.md` (every value of every byte, and every cut, of several files) and
`hour.md` (a sound of an hour, made of the bundled words, through the command line: peak memory
and time of each direction, beside ten minutes).
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch

import vqlab
from vqlab import audio, datasets, metrics
from vqlab.codec import packing
from vqlab.files import recordings_root, write_whole

from code_key import version_of  # isort: skip

CLIPS = Path(__file__).with_name("clips_words.txt")
RATES = (0.5, 0.75, 1.0, 1.65)


def sizes(folder: Path) -> str:
    """Bytes of the same clips in several formats, and how near the codes come to their ideal."""
    clips = metrics.clips_from_list(CLIPS, recordings_root(None))
    seconds = sum(len(item.waveform) / item.sample_rate for item in clips)
    total: dict[str, int] = {}
    codec = vqlab.load_pretrained()
    ideal = {kbps: 0.0 for kbps in RATES}
    payload = dict.fromkeys(RATES, 0)
    for item in clips:
        found = {"WAV, 16 bits": _written(folder / "a.wav", item.waveform)}
        found["FLAC, 16 bits"] = _written(folder / "a.flac", item.waveform)
        if shutil.which("opusenc"):
            opus = ["opusenc", "--quiet", "--bitrate", "6", folder / "a.wav", folder / "a.opus"]
            subprocess.run(opus, check=True, capture_output=True)
            found["Opus, 6 kbit/s"] = (folder / "a.opus").stat().st_size
        sound = codec.analysis(item.waveform)
        files = {kbps: sound.compress(kbps) for kbps in reversed(RATES)}  # one search serves all
        for kbps in RATES:
            data = files[kbps]
            found[f".vql, at most {kbps:g} kbit/s"] = len(data)
            codes, _, _ = codec.from_bytes(data)
            ideal[kbps] += codec.tables.cost(codes[0].numpy()).sum() / 8
            payload[kbps] += len(packing.unpack(data).payload)
        for name, size in found.items():
            total[name] = total.get(name, 0) + size
    lines = [
        "| format | bytes a clip | kbit/s | share of WAV |",
        "|---|--:|--:|--:|",
        *[
            f"| {name} | {size / len(clips):,.0f} | {8 * size / seconds / 1000:.2f} | "
            f"{100 * size / total['WAV, 16 bits']:.2f} % |"
            for name, size in total.items()
        ],
        "",
        f"{len(clips)} clips of {seconds / len(clips):.2f} s on average, whole files with headers. "
        f"Made with {version_of(codec)}.",
        "",
        "| .vql, at most | codes, bytes a clip | ideal length by the tables | codes / ideal |",
        "|---|--:|--:|--:|",
        *[
            f"| {kbps:g} kbit/s | {payload[kbps] / len(clips):.2f} | {ideal[kbps] / len(clips):.2f}"
            f" | {payload[kbps] / ideal[kbps]:.4f} |"
            for kbps in RATES
        ],
    ]
    return "\n".join(lines)


def damage() -> str:
    """Try every other value of every byte, and every cut; count what is not refused."""
    words = datasets.load("words", "test")
    rows, slowest = [], 0.0
    for n, kbps in enumerate(RATES):
        item = words[n * len(words) // len(RATES)]
        data = vqlab.compress(item.waveform, kbps=kbps)
        tried = missed = 0
        for place in range(len(data)):
            for value in range(256):
                if value != data[place]:
                    broken = data[:place] + bytes([value]) + data[place + 1 :]
                    tried += 1
                    started = time.perf_counter()
                    missed += _accepted(broken)
                    slowest = max(slowest, time.perf_counter() - started)
        cuts = sum(_accepted(data[:length]) for length in range(len(data)))
        rows.append(f"| {item.label}, {kbps:g} kbit/s | {len(data)} | {tried:,} | {missed} | "
                    f"{len(data)} | {cuts} |")  # fmt: skip
    return "\n".join([
        "| file | bytes | bytes changed, one at a time | not noticed | cuts | not noticed |",
        "|---|--:|--:|--:|--:|--:|", *rows, "",
        f"The slowest refusal took {1000 * slowest:.1f} ms.",
    ])  # fmt: skip


def hour(folder: Path) -> str:
    """Compress and decompress ten minutes and an hour in processes of their own."""
    words = datasets.load("words", "all").waveforms(progress=False).reshape(-1).numpy()
    rows = []
    for minutes in (10, 60):
        path = folder / f"{minutes}.wav"
        repeated = np.resize(words, 16000 * 60)
        with soundfile.SoundFile(path, "w", 16000, 1) as file:
            for _ in range(minutes):
                file.write(repeated)
        for verb, source, target in (
            ("compress", path, path.with_suffix(".vql")),
            ("decompress", path.with_suffix(".vql"), folder / "back.wav"),
        ):
            seconds, megabytes = _process([verb, source, target, "-f"])
            rows.append(f"| {verb}, {minutes} min | {seconds:.1f} | {60 * minutes / seconds:.0f} | "
                        f"{megabytes:.0f} |")  # fmt: skip
        same = soundfile.info(folder / "back.wav").frames == minutes * 60 * 16000
        size = path.with_suffix(".vql").stat().st_size
        rows[-1] += "" if same else " (wrong length)"
        print(f"{minutes} min: {size} bytes, {8 * size / 60 / minutes / 1000:.3f} kbit/s")
    return "\n".join([
        "| command | seconds | times real time | peak memory, MB |", "|---|--:|--:|--:|", *rows,
    ])  # fmt: skip


def _process(arguments: list) -> tuple[float, float]:
    """Seconds and peak resident memory in MB of one `python -m vqlab`, in a process of its own."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "vqlab", *map(str, arguments)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - started, used.ru_maxrss / 1000


def _accepted(data: bytes) -> bool:
    try:
        vqlab.decompress(data)
    except ValueError:
        return False
    return True


def _written(path: Path, waveform: torch.Tensor) -> int:
    audio.save(path, waveform.clamp(-1, 1), 16000)
    return path.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/results/files"))
    parser.add_argument("--only", choices=["sizes", "damage", "hour"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # of the processes started here
    arguments.out.mkdir(parents=True, exist_ok=True)
    machine = f"{arguments.threads} thread{'s' * (arguments.threads > 1)} of {platform.machine()}"
    with tempfile.TemporaryDirectory() as folder:
        parts = {
            "sizes": lambda: sizes(Path(folder)),
            "damage": damage,
            "hour": lambda: (
                f"{hour(Path(folder))}\n\nOn {machine}, Python "
                f"{platform.python_version()}, torch {torch.__version__}."
            ),
        }
        for name, part in parts.items():
            if arguments.only in (None, name):
                text = part()
                print(text)
                write_whole(arguments.out / f"{name}.md", (text + "\n").encode())


if __name__ == "__main__":
    main()
