"""Training: one loop for every model of the series.

:func:`fit` draws batches in an order fixed by the seed, lowers the learning rate along a cosine
(Loshchilov and Hutter 2017), measures the validation error at intervals, and writes checkpoints
that hold everything a later call needs to go on exactly where this one stopped: weights,
optimiser, random state, position in the epoch. Checkpoints are safetensors, never pickles.

Notebook: 06
"""

from __future__ import annotations

import dataclasses
import math
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import ConcatDataset
from tqdm.std import tqdm

from .checkpoints import load_tensors, save_tensors
from .features import Features
from .quantize import CodebookStats
from .runs import Run, append_report, copy_state, open_folder, save_checkpoint


def mel_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error of the values and of their differences along time and frequency.

    The differences keep edges sharp that the values alone would blur. Both arguments
    ``(..., n_mels, frames)``; returns a scalar.
    """
    error = output - target
    along_time = error.diff(dim=-1).abs().mean()
    along_frequency = error.diff(dim=-2).abs().mean()
    return error.abs().mean() + along_time + along_frequency


def loud_mel_loss(output: Tensor, target: Tensor) -> Tensor:
    """:func:`mel_loss` in which loud frames count more, up to thirteen times as much as silence.

    A frame's weight is 0.2 + 0.8 times its loudness (the mean of ``exp(x)`` over its bands, see
    :func:`vqlab.models.loudness`) relative to the batch's mean, cut off at 3. Both arguments
    ``(batch, n_mels, frames)``, normalised decibels; returns a scalar.
    """
    loud = target.exp().mean(dim=-2, keepdim=True)  # (batch, 1, frames)
    weight = 0.2 + 0.8 * (loud / loud.mean()).clamp(max=3.0)
    error = output - target
    along_time = (error.diff(dim=-1).abs() * weight[..., 1:]).mean()
    along_frequency = (error.diff(dim=-2).abs() * weight).mean()
    return (error.abs() * weight).mean() + along_time + along_frequency


def shift_and_gain(batch: Tensor) -> Tensor:
    """Augmentation: each waveform moved by up to 0.1 of its length and changed by about 3 dB.

    ``batch (n, samples)``; what is moved out at one end is lost, zeros come in at the other.
    """
    n, samples = batch.shape
    most = samples // 10
    starts = torch.randint(0, 2 * most + 1, (n, 1))
    index = starts + torch.arange(samples)
    moved = F.pad(batch, (most, most)).gather(1, index)
    return moved * 10 ** (torch.randn(n, 1) * 3 / 20)


def join(sets: Sequence[Tensor | Sequence[Tensor]]) -> Tensor | Sequence[Tensor]:
    """Several sets of waveforms as one: a tensor if all are tensors."""
    if all(isinstance(items, Tensor) for items in sets):
        return torch.cat(list(sets))  # type: ignore[arg-type]
    return ConcatDataset(sets)  # type: ignore[arg-type, return-value]


def default_device() -> torch.device:
    """The fastest device at hand: CUDA, Apple's MPS, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def usable_device(name: str | torch.device | None) -> torch.device:
    """The device of that name (None: the fastest). Raises ``ValueError`` if it is not here."""
    try:
        device = default_device() if name is None else torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):  # torch raises one or another
        raise ValueError(
            f"the device {str(name)!r} is not here: leave it out for the fastest, "
            f"{str(default_device())!r}"
        ) from None
    return device


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
    seed: int = 0,
    device: str | torch.device | None = None,
    report_every: int = 100,
    start: str | None = None,
    on_report: Callable[[Run], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
    progress: bool = True,
) -> Run:
    """Train ``model`` on ``train`` and return the :class:`Run`; the model keeps its best weights.

    train, validation : n items of one shape: waveforms ``(n, samples)`` with ``features``, or
        whatever the network takes. Anything with a length whose items are tensors will do, so a
        set that does not fit into memory can be read item by item.
    minutes, steps : give one. ``steps`` is exactly repeatable; with ``minutes`` (of ``clock``)
        the number of steps, and so the result, depends on the machine's speed.
    loss : of output and target; :func:`mel_loss` with ``features``, else the mean squared error.
    clip_norm : gradients longer than this are shortened to it (None: left as they are).
    augment : changes a batch of training items, before ``features``.
    start : a name for the weights that ``model`` begins with, if they are not fresh; a run is gone
        on with only by the same name.
    out : folder for checkpoints and reports. If it holds a run with the same settings, the
        training goes on where that stopped; with other settings it is refused.
    on_report : called with the run after each report, for live pictures.

    ctrl-C (in Jupyter: interrupt) ends it after the current step and keeps what was learned; a
    second ctrl-C does not wait for the step.
    Raises ``ValueError`` for an empty set, a missing budget, a device that is not here, or a folder
    with other settings, and ``FloatingPointError`` if the loss is no longer a finite number.
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
    device = usable_device(device)
    loss = loss or (mel_loss if features else F.mse_loss)
    settings = {
        "minutes": minutes, "steps": steps, "batch_size": batch_size, "cosine": cosine,
        "learning_rate": learning_rate, "clip_norm": clip_norm, "seed": seed, "items": len(train),
        "loss": getattr(loss, "__name__", str(loss)),
        "augment": getattr(augment, "__name__", None),
        "features": dataclasses.asdict(features) if features else None,
        "start": start,
        "parameters": sum(p.numel() for p in model.parameters()),
    }  # fmt: skip
    folder = Path(out) if out is not None else None
    run = Run(folder, settings)
    torch.manual_seed(seed)
    model.to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    if folder is not None:
        open_folder(run, folder, model, optimizer)
    best = copy_state(model) if not run.history else None
    lowest = run.best["validation_error"] if run.history else math.inf
    per_epoch = math.ceil(len(train) / batch_size)
    meter = _Meter(model)
    bar = tqdm(total=1.0, disable=not progress, bar_format=_BAR, mininterval=0.5)
    started = clock() - run.seconds

    def report() -> None:
        nonlocal best, lowest
        run.seconds = clock() - started
        error = evaluate(model, validation, features=features, batch_size=batch_size)
        run.history.append(
            {"step": run.step, "epoch": run.step / per_epoch, "seconds": round(run.seconds, 2)}
            | meter.take()
            | {"validation_error": error, "learning_rate": optimizer.param_groups[0]["lr"]}
        )
        if error < lowest:
            lowest, best = error, copy_state(model)
            if folder is not None:
                save_tensors(best, folder / "best.safetensors", {"step": str(run.step)})
        if folder is not None:
            append_report(folder, run.history[-1])
            save_checkpoint(run, folder, model, optimizer)
        if on_report is not None:
            on_report(run)
            model.train()  # whoever listens to the model puts it into evaluation mode

    interrupts = _Interrupts()
    try:
        while not interrupts.seen and (done := _share_done(run, clock() - started)) < 1:
            if cosine:
                lr = learning_rate * 0.5 * (1 + math.cos(math.pi * done))
                optimizer.param_groups[0]["lr"] = lr * min(1.0, (run.step + 1) / 50)
            batch = _batch(train, run.step, per_epoch, batch_size, seed)
            batch = augment(batch) if augment else batch
            x = batch.to(device)
            x = features.analyse(x) if features else x
            with torch.autocast("cuda", dtype=torch.bfloat16, enabled=device.type == "cuda"):
                output, quantized = model(x)
            output = output.float()  # under autocast it is not
            value = loss(output, x) + quantized.loss
            if not torch.isfinite(value):
                raise FloatingPointError(
                    f"the loss became {value.item()} at step {run.step}: lower the learning rate "
                    f"({learning_rate}) and start again from the last checkpoint"
                )
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            if clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            optimizer.step()
            run.step += 1
            with torch.no_grad():
                error = features.error_db(output, x) if features else F.mse_loss(output, x)
            meter.add(value.detach(), error, quantized)
            bar.n = min(1.0, _share_done(run, clock() - started))
            bar.set_postfix_str(meter.line(run, features), refresh=False)
            bar.update(0)
            if run.step % report_every == 0:
                report()
        run.stopped = interrupts.seen
    except KeyboardInterrupt:
        run.stopped = True
    finally:
        interrupts.end()
        bar.close()
    if not run.history or run.history[-1]["step"] != run.step:
        report()
    if best is None and folder is not None:  # resumed, and never better since
        best = load_tensors(folder / "best.safetensors")[0]
    assert best is not None
    model.load_state_dict({name: tensor.to(device) for name, tensor in best.items()})
    model.eval()
    return run


@torch.no_grad()
def evaluate(
    model: nn.Module,
    items: Tensor | Sequence[Tensor],
    *,
    features: Features | None = None,
    batch_size: int = 16,
) -> float:
    """Mean error of ``model`` over ``items``: decibels with ``features``, else squared error.

    The model is put into evaluation mode for it and left in the mode it had.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    total = 0.0
    for first in range(0, len(items), batch_size):
        rows = range(first, min(first + batch_size, len(items)))
        x = _rows(items, rows).to(device)
        x = features.analyse(x) if features else x
        output, _ = model(x)
        error = features.error_db(output, x) if features else F.mse_loss(output, x)
        total += float(error) * len(rows)
    model.train(was_training)
    return total / len(items)


_BAR = "{l_bar}{bar}| {elapsed} {postfix}"


class _Interrupts:
    """Notes the first ctrl-C, so that the step in hand can end; a second acts at once."""

    def __init__(self) -> None:
        self.seen = False
        self.before = signal.getsignal(signal.SIGINT)
        main = threading.current_thread() is threading.main_thread()  # others may set no handler
        self.ours = main and self.before is signal.default_int_handler
        if self.ours:
            signal.signal(signal.SIGINT, self._note)

    def _note(self, *_: object) -> None:
        self.seen = True
        self.end()

    def end(self) -> None:
        if self.ours:
            signal.signal(signal.SIGINT, self.before)


class _Meter:
    """Means of the losses, and the codes seen, since the last report."""

    def __init__(self, model: nn.Module) -> None:
        sizes = getattr(getattr(model, "bottleneck", None), "codebook_sizes", ())
        self.stats = CodebookStats(sizes) if sizes else None
        self.sums: dict[str, float] = {}
        self.count = 0

    def add(self, loss: Tensor, error: Tensor, quantized: Any) -> None:
        self.count += 1
        values = {"loss": loss, "error": error}
        if self.stats is not None:
            self.stats.update(quantized.codes)
            values["perplexity"] = quantized.stats["perplexity"]
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)

    def means(self) -> dict[str, float]:
        return {name: value / self.count for name, value in self.sums.items()}

    def line(self, run: Run, features: Features | None) -> str:
        means = self.means()
        error = f"error {means['error']:.2f} dB" if features else f"error {means['error']:.4f}"
        codes = f", codes used {list(self.stats.used)}" if self.stats else ""
        return f"step {run.step}, loss {means['loss']:.3f}, {error}{codes}"

    def take(self) -> dict[str, Any]:
        """The means and codebook statistics; starts anew."""
        taken: dict[str, Any] = self.means() if self.count else {}
        if self.stats is not None:
            taken["used"] = [int(n) for n in self.stats.used]
            taken["entropy_bits"] = [float(h) for h in self.stats.entropy_bits]
            self.stats.reset()
        self.sums, self.count = {}, 0
        return taken


def _share_done(run: Run, seconds: float) -> float:
    if run.settings["steps"] is not None:
        return run.step / run.settings["steps"]
    return seconds / (60 * run.settings["minutes"])


def _batch(items: Any, step: int, per_epoch: int, batch_size: int, seed: int) -> Tensor:
    """The batch of a step; the order depends on seed and epoch alone, so it survives a resume."""
    epoch, position = divmod(step, per_epoch)
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(seed + 7919 * epoch))
    return _rows(items, order[position * batch_size : (position + 1) * batch_size].tolist())


def _rows(items: Any, rows: Any) -> Tensor:
    rows = list(rows)
    return items[rows] if isinstance(items, Tensor) else torch.stack([items[i] for i in rows])
