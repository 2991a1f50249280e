"""What a GPU makes of the codec, beside the CPU: the first thing to run on a machine with one.

    python tools/gpu_check.py                        the fastest device, a table on the screen
    python tools/gpu_check.py --out docs/results/gpu.md

Codes and sound of the shipped codec, its training in bfloat16 with the throughput, both ways of
inversion, and the notebooks that train. Without a GPU it ends with a sentence, unless `--device
cpu` asks for a rehearsal, which compares the CPU with itself. Exit status 1: something differs too
much.
"""

import argparse
import copy
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

import vqlab
from vqlab import datasets, inversion, metrics, spectral, training
from vqlab.codec import Codec
from vqlab.features import Features
from vqlab.processes import default_device, usable_device

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ("04", "06", "07")
KBPS = 1.0

Row = tuple[str, str, str, str, bool]
"""What was done; on the CPU; on the device; what is allowed; whether it holds."""


def timed(work: Callable[[], object], device: str) -> float:
    """Seconds of the second of two runs, all that was asked of a GPU included."""
    for _ in range(2):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
    return time.perf_counter() - start


def clips() -> list[Tensor]:
    return [item.waveform for item in datasets.load("words", "test", limit=12)]


def coding(codec: Codec, there: Codec) -> list[Row]:
    """Codes at one quality, sound from equal codes, and the time of both."""
    equal, apart = [], []
    for clip in clips():
        quality = codec.quality_for(clip, KBPS)
        codes, gain_db = codec.encode(clip, quality=quality)
        equal.append(float((codes == there.encode(clip, quality=quality)[0]).float().mean()))
        heard = [each.decode(codes, len(clip), gain_db) for each in (codec, there)]
        apart.append(metrics.log_mel_distance(*heard))
    share, distance = sum(equal) / len(equal), max(apart)
    device = there.device.type
    clip = torch.cat(clips())
    seconds = [
        timed(lambda c=c: c.reconstruct(clip, kbps=KBPS), c.device.type) for c in (codec, there)
    ]
    return [
        ("codes equal to the CPU's", "", f"{share:.2%}", "98 %", share >= 0.98),
        ("sound of equal codes, dB apart", "", f"{distance:.3f}", "0.5", distance <= 0.5),
        (f"{len(clip) / 16000:.0f} s coded and decoded, s", f"{seconds[0]:.2f}",
         f"{seconds[1]:.2f} ({device})", "", True),
    ]  # fmt: skip


def learning(codec: Codec, device: str, steps: int) -> list[Row]:
    """The shipped network trained on from its weights: error and steps a second."""
    waveforms = training_waveforms(codec)
    found = []
    for where in ("cpu", device):
        model = copy.deepcopy(codec.model)
        run = training.fit(
            model, waveforms, waveforms[:16], features=codec.features, steps=steps,
            report_every=steps, learning_rate=1e-4, device=where, progress=False,
        )  # fmt: skip
        found.append((run.history[-1]["validation_error"], steps / run.seconds))
    (error, rate), (there, faster) = found
    return [
        (f"error after {steps} steps, dB", f"{error:.3f}", f"{there:.3f}", "5 %",
         abs(there / error - 1) < 0.05),
        ("steps of 16 seconds, a second", f"{rate:.2f}", f"{faster:.2f}", "", True),
    ]  # fmt: skip


def training_waveforms(codec: Codec) -> Tensor:
    words = datasets.load("words", "train", limit=64)
    return torch.stack([codec.normalise(item.waveform)[0] for item in words])


def inverting(features: Features, device: str) -> list[Row]:
    """Both ways from magnitudes to a waveform, by how well they hit the magnitudes."""
    sound = clips()[0][None]
    magnitude = spectral.stft(sound, features.config).abs()
    rows = []
    for name in ("griffin_lim", "gradient"):
        errors = []
        for where in ("cpu", device):
            back = getattr(inversion, name)(magnitude.to(where), features.config, n_iter=32).cpu()
            error = spectral.stft(back, features.config).abs() - magnitude
            errors.append(float(error.norm() / magnitude.norm()))
        near = abs(errors[1] - errors[0]) < 0.03
        rows.append((f"inversion, {name}, error", *(f"{e:.3f}" for e in errors), "0.03", near))
    return rows


def notebooks(names: tuple[str, ...]) -> list[Row]:
    """Notebooks run from a fresh kernel, on the fastest device as they choose it."""
    import notebooks as tool

    rows = []
    for path in tool.find(list(names)) if names else []:
        start = time.perf_counter()
        try:
            tool.execute(path)
            said, good = f"{time.perf_counter() - start:.0f} s", True
        except Exception as error:  # whatever a cell raises is what this is to find
            said, good = " ".join([type(error).__name__, *str(error).split()[-20:]]), False
        rows.append((f"notebook {path.stem[:2]}, all cells", "", said, "runs", good))
    return rows


def table(rows: list[Row], device: str) -> str:
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or device
    columns = ("what", "CPU", device, "allowed", "holds")
    cells = [dict(zip(columns, (*row[:4], "yes" if row[4] else "NO"), strict=True)) for row in rows]
    return (
        f"`python tools/gpu_check.py`: {name}, torch {torch.__version__}, vqlab "
        f"{vqlab.__version__}.\n\n"
        f"{metrics.markdown_table(dict(zip(columns, columns, strict=True)), cells)}\n"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", help="cuda, mps or, for a rehearsal, cpu")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--notebooks", nargs="*", default=NOTEBOOKS, metavar="NN")
    parser.add_argument("--out", type=Path, help="a file for the table")
    options = parser.parse_args(arguments)
    device = usable_device(options.device or default_device()).type
    if device == "cpu" and options.device is None:
        print("there is no GPU here; --device cpu rehearses on the CPU", file=sys.stderr)
        return 2
    codec, there = vqlab.load_pretrained(), vqlab.load_pretrained()
    there.model.to(device)
    rows = coding(codec, there) + inverting(codec.features, device)
    rows += learning(codec, device, options.steps) + notebooks(tuple(options.notebooks))
    text = table(rows, device)
    print(text, end="")
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    return int(not all(row[4] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
