"""Training: one loop for every model of the series.

`fit` draws batches in an order fixed by the seed, lowers the learning rate along a cosine
(Loshchilov and Hutter 2017), measures the validation error at intervals, and writes checkpoints
from which a later call goes on exactly where this one stopped. Several processes share each batch
and learn what one would (`vqlab.processes`).

Notebook: 07, 11
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import processes
from ..features import Features
from ..files import locked
from .loop import Loop
from .losses import mel_loss
from .runs import Run


def fit(
    model: nn.Module,
    train: Tensor | Sequence[Tensor],
    validation: Tensor | Sequence[Tensor],
    *,
    features: Features | None = None,
    out: str | Path | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    batch_size: int = 16,
    learning_rate: float = 5e-4,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
    cosine: bool = True,
    clip_norm: float | None = 1.0,
    bfloat16: bool = False,
    seed: int = 0,
    device: str | torch.device | None = None,
    report_every: int = 100,
    start: str | None = None,
    on_report: Callable[[Run], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
    progress: bool = True,
) -> Run:
    """Train `model` on `train` and return the `Run`; the model keeps its best weights.

    train, validation : n items of one shape: waveforms `(n, samples)` with `features`, or
        whatever the network takes. Anything with a length whose items are tensors will do.
    minutes, steps : give one. `steps` is exactly repeatable; what `minutes` (of `clock`) lead to
        depends on the machine's speed.
    batch_size : items of a step, those of all processes together.
    loss : of output and target, a mean over the items; `mel_loss` with `features`, else the mean
        squared error.
    clip_norm : gradients longer than this are shortened to it (None: left as they are).
    bfloat16 : the network computes in bfloat16 on a CPU too, as it always does on CUDA: faster on
        a processor made for it (avx512_bf16). Quantisers and the loss stay in float32.
    augment : changes a batch of training items, before `features`.
    start : a name for the weights that `model` begins with, if they are not fresh; a run is gone
        on with only by the same name.
    out : folder for checkpoints and reports, of one process at a time. If it holds a run with the
        same settings, or another learning rate, the training goes on where that stopped; with
        other settings it is refused.
    on_report : called with the run after each report, for live pictures (by rank 0 alone).

    Several processes: after `vqlab.processes.start`, each calls this with the same arguments, and
    `out` on a disk that all see. The result is that of one process that begins as rank 0 does, but
    for rounding; only BatchNorm sees its own rank's part.

    ctrl-C (in Jupyter: interrupt) ends it after the current step and keeps what was learned, but
    which weights are best is for reports to say; a second ctrl-C does not wait for the step, unless
    there are several processes.
    Raises `ValueError` for an empty set, a missing budget, a device that is not here, a folder with
    other settings or of another process, and `FloatingPointError` if the loss or a gradient is no
    longer a finite number; the model then has its best weights, and the folder the last report's.
    """
    if (minutes is None) == (steps is None):
        raise ValueError("give either minutes or steps: how long to train")
    numbers = {"steps": steps, "minutes": minutes, "batch_size": batch_size}
    for name, value in (numbers | {"report_every": report_every}).items():
        if value is not None and not value > 0:
            raise ValueError(f"{name} is {value}: it must be more than 0")
    for name, items in (("training", train), ("validation", validation)):
        if len(items) == 0:
            raise ValueError(f"the {name} set is empty: check its split, words and folder")
    device = processes.usable_device(device)
    loss = loss or (mel_loss if features else F.mse_loss)
    settings = {
        "minutes": minutes, "steps": steps, "batch_size": batch_size, "cosine": cosine,
        "learning_rate": learning_rate, "clip_norm": clip_norm, "seed": seed, "items": len(train),
        "loss": getattr(loss, "__name__", str(loss)),
        "augment": getattr(augment, "__name__", None),
        "features": dataclasses.asdict(features) if features else None,
        "start": start, "bfloat16": bfloat16,
        "parameters": sum(p.numel() for p in model.parameters()),
    }  # fmt: skip
    folder = Path(out) if out is not None else None
    run = Run(folder, settings)
    torch.manual_seed(seed)
    model.to(device).train()
    with locked(folder, wait=False) if folder and processes.is_main() else nullcontext():
        loop = Loop(
            model, train, validation, run, features=features, loss=loss, augment=augment,
            device=device, report_every=report_every, on_report=on_report, clock=clock,
        )  # fmt: skip
        loop.go(show=progress and processes.is_main())
        processes.barrier()  # whoever goes on finds rank 0's files
    return run
