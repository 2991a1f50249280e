"""Two processes that share each batch, against one that has all of it: is the model the same?

Small models of every kind are trained for some steps, once by one process and once by two under
`torchrun` (`python -m torch.distributed.run`), with the same seeds and the same batches. The table
says how far the weights (codebooks and their averages are among them) lie apart at the end, and
whether the two processes hold the same codebooks to the last bit. Only the order of additions
differs between the two, so a difference is rounding, or a choice that rounding has tipped.
The number of items is chosen so that each epoch ends with a batch of 1 or 3, fewer items than
processes or parts that differ in size.

    python benchmarks/ranks.py
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vqlab import metrics, models, processes, training
from vqlab.features import Features
from vqlab.files import load_tensors, save_tensors, write_whole
from vqlab.quantize import FiniteScalarQuantizer, VectorQuantizer
from vqlab.spectral import MelConfig

STEPS, BATCH = 30, 8
FEATURES = Features(MelConfig(n_fft=256, hop_length=160, n_mels=16), mean=-40.0, std=20.0)


@dataclass(frozen=True)
class Case:
    """A model, what it learns from, and other than usual options of `training.fit`."""

    title: str
    model: Callable[[], nn.Module]
    items: Callable[[int], Tensor]
    count: int
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    model: str
    steps: int
    difference: float
    identical: bool
    seconds_one: float
    seconds_two: float


def tones(n: int) -> Tensor:
    """Sounds (n, 3200) of two partials under a hump."""
    draw = torch.Generator().manual_seed(n)
    t = torch.arange(3200) / 16000
    pitch = 100 + 300 * torch.rand(n, 1, generator=draw)
    return 0.2 * torch.hann_window(3200) * sum(torch.sin(6.283 * k * pitch * t) for k in (1, 5))


def pictures(n: int) -> Tensor:
    """Smooth pictures (n, 1, 16, 16) with values of about -3 to 3."""
    draw = torch.Generator().manual_seed(n)
    coarse = torch.randn(n, 1, 4, 4, generator=draw)
    return nn.functional.interpolate(coarse, size=16, mode="bicubic")


def _picture_model(bottleneck: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        model = models.thesis(bottleneck(), units=16)
        for weight in model.parameters():  # larger than its own start, or one code would do for all
            weight.data.mul_(1.5)
        return model

    return make


def _speech(*, variable: bool = False) -> nn.Module:
    sizes: dict[str, Any] = {"n_mels": 16, "dim": 8, "codebook_size": 16, "width": 16}
    if not variable:
        return models.speech(**sizes, stages=3, decoder_blocks=1)
    model = models.variable_speech(
        **sizes, stages=4, encoder_blocks=1, decoder_blocks=1, fine_blocks=1
    )
    model.start(FEATURES.analyse(tones(30))[..., :20])
    return model


SOUND: dict[str, Any] = {"features": FEATURES}
AUGMENTED = SOUND | {"augment": training.shift_and_gain, "loss": training.loud_mel_loss}
CASES = {
    "ae": Case("autoencoder", _picture_model(lambda: models.Identity(3)), pictures, 17),
    "vae": Case(
        "variational autoencoder",
        _picture_model(lambda: models.Gaussian(3, beta=1e-3)),
        pictures,
        17,
    ),
    "vq": Case(
        "vector quantiser: k-means start, restarts",
        _picture_model(lambda: VectorQuantizer(3, 32, restart_below=0.5)),
        pictures,
        17,
    ),
    "gradient": Case(
        "vector quantiser learned by gradient",
        _picture_model(lambda: VectorQuantizer(3, 32, decay=None)),
        pictures,
        19,
    ),
    "fsq": Case(
        "finite scalars 5 x 5 x 4",
        _picture_model(lambda: FiniteScalarQuantizer([5, 5, 4])),
        pictures,
        19,
    ),
    "rvq": Case("residual quantiser, 3 stages, dropout", _speech, tones, 17, SOUND),
    "variable": Case(
        "residual quantiser of variable depth, augmentation",
        lambda: _speech(variable=True),
        tones,
        19,
        AUGMENTED,
    ),
}


def train(case: Case, steps: int | None, out: Path | None = None, **options: Any) -> Any:
    """Train the case's model, by however many processes there are; returns it and the run."""
    torch.manual_seed(processes.rank())  # the ranks start apart: fit must bring them together
    model = case.model()
    torch.manual_seed(0)
    if processes.is_main():
        model = case.model()
    options = {"report_every": steps} | case.options | options
    run = training.fit(
        model, case.items(case.count), case.items(11), out=out, steps=steps, batch_size=BATCH,
        learning_rate=1e-3, cosine=False, seed=1, device="cpu", progress=False, **options,
    )  # fmt: skip
    return model, run


def train_all(folder: Path, names: Sequence[str], steps: int) -> None:
    """Train the named cases; each rank leaves its weights and reports in `folder`."""
    for name in names:
        began = time.process_time()
        model, run = train(CASES[name], steps)
        metadata = {"history": json.dumps(run.history), "seconds": str(time.process_time() - began)}
        path = folder / f"{name}.{processes.rank()}of{processes.world_size()}.safetensors"
        save_tensors(model.state_dict(), path, metadata)


def compare(folder: Path, name: str, steps: int) -> Row:
    """The row of a case that was trained by one process and by two."""
    one, about_one = load_tensors(folder / f"{name}.0of1.safetensors")
    two, about_two = load_tensors(folder / f"{name}.0of2.safetensors")
    other, _ = load_tensors(folder / f"{name}.1of2.safetensors")
    return Row(
        CASES[name].title,
        steps,
        max(float((one[key].double() - two[key].double()).abs().max()) for key in one),
        all(torch.equal(two[key], other[key]) for key in two),
        float(about_one["seconds"]),
        float(about_two["seconds"]),
    )


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown."""
    columns = {
        "model": "model",
        "steps": "steps",
        "difference": "largest difference of a weight, two processes against one",
        "two": "weights and codebooks of the two",
        "one_s": "processor s, one process",
        "two_s": "each of two",
    }
    cells = [
        {
            "model": row.model,
            "steps": str(row.steps),
            "difference": f"{row.difference:.1e}",
            "two": "identical" if row.identical else "different",
            "one_s": f"{row.seconds_one:.1f}",
            "two_s": f"{row.seconds_two:.1f}",
        }
        for row in rows
    ]
    return metrics.markdown_table(columns, cells) + "\n"


def launch(number: int, arguments: Sequence[str]) -> None:
    """Run a Python script with its arguments in so many processes, one thread each."""
    many = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={number}"]
    command = [sys.executable, *(many if number > 1 else []), *arguments]
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--models", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--out", type=Path, default=Path("docs/results/ranks.md"))
    parser.add_argument("--save", type=Path, help="only train, and leave the weights here")
    arguments = parser.parse_args()
    if arguments.save:
        torch.set_num_threads(1)
        processes.start()
        train_all(arguments.save, arguments.models, arguments.steps)
        processes.barrier()
        processes.stop()
        return
    with tempfile.TemporaryDirectory() as folder:
        again = ["--models", *arguments.models, "--steps", str(arguments.steps), "--save", folder]
        for number in (1, 2):
            launch(number, [__file__, *again])
        rows = [compare(Path(folder), name, arguments.steps) for name in arguments.models]
    write_whole(arguments.out, table(rows).encode())
    print(table(rows), end="")


if __name__ == "__main__":
    main()
