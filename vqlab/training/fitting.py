"""Training: one loop for every model of the series.

`fit` draws batches in an order fixed by the seed, lowers the learning rate along a cosine
(Loshchilov and Hutter 2017), measures the validation error at intervals, and writes checkpoints
that hold everything a later call needs to go on exactly where this one stopped: weights,
optimiser, random state, position in the epoch. Checkpoints are safetensors, never pickles. Several
processes share each batch and learn what one would (`vqlab.processes`).

Notebook: 06
"""

from __future__ import annotations

import dataclasses
import math
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import ConcatDataset
from tqdm.std import tqdm

from .. import processes
from ..features import Features
from ..files import load_tensors, save_tensors
from ..quantize import Quantized
from .batches import (
    error_of,
    own_part,
    validate,
)
from .runs import Meter, Run, append_report, copy_state, open_folder, save_checkpoint


def mel_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error of the values and of their differences along time and frequency.

    The differences keep edges sharp that the values alone would blur. Both arguments
    `(..., n_mels, frames)`; returns a scalar.
    """
    error = output - target
    along_time = error.diff(dim=-1).abs().mean()
    along_frequency = error.diff(dim=-2).abs().mean()
    return error.abs().mean() + along_time + along_frequency


def loud_mel_loss(output: Tensor, target: Tensor) -> Tensor:
    """`mel_loss` in which loud frames count more, up to thirteen times as much as silence.

    A frame's weight is 0.2 + 0.8 times its loudness (the mean of `exp(x)` over its bands, see
    `vqlab.models.loudness`) relative to the batch's mean, cut off at 3. Both arguments
    `(batch, n_mels, frames)`, normalised decibels; returns a scalar.
    """
    loud = target.exp().mean(dim=-2, keepdim=True)  # (batch, 1, frames)
    first, every = processes.share(len(loud))
    mean = processes.mean_over_ranks(loud.mean(), len(loud) / every)
    weight = 0.2 + 0.8 * (loud / mean).clamp(max=3.0)
    error = output - target
    along_time = (error.diff(dim=-1).abs() * weight[..., 1:]).mean()
    along_frequency = (error.diff(dim=-2).abs() * weight).mean()
    return (error.abs() * weight).mean() + along_time + along_frequency


def shift_and_gain(batch: Tensor) -> Tensor:
    """Augmentation: each waveform moved by up to 0.1 of its length and changed by about 3 dB.

    `batch (n, samples)`; what is moved out at one end is lost, zeros come in at the other.
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
    """The device of that name (None: the fastest). Raises `ValueError` if it is not here."""
    try:
        device = default_device() if name is None else torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):  # torch raises one or another
        raise ValueError(
            f"the device {str(name)!r} is not here: leave it out for the fastest, "
            f"{str(default_device())!r}"
        ) from None
    local, here = processes.local_rank(), torch.cuda.device_count()
    if device.type == "cuda" and local >= here:
        raise ValueError(
            f"process {local} of this machine has no GPU, there are {here}: start at most {here}"
        )
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
        whatever the network takes. Anything with a length whose items are tensors will do, so a
        set that does not fit into memory can be read item by item.
    minutes, steps : give one. `steps` is exactly repeatable; with `minutes` (of `clock`)
        the number of steps, and so the result, depends on the machine's speed.
    batch_size : items of a step, those of all processes together.
    loss : of output and target; `mel_loss` with `features`, else the mean squared error.
        A mean over the items, whatever it is of each.
    clip_norm : gradients longer than this are shortened to it (None: left as they are).
    bfloat16 : the network computes in bfloat16 on a CPU too, as it always does on CUDA: faster on
        a processor made for it (avx512_bf16). Quantisers and the loss stay in float32. The
        optimiser then changes all weights in one pass.
    augment : changes a batch of training items, before `features`.
    start : a name for the weights that `model` begins with, if they are not fresh; a run is gone
        on with only by the same name.
    out : folder for checkpoints and reports. If it holds a run with the same settings, the
        training goes on where that stopped; with other settings it is refused.
    on_report : called with the run after each report, for live pictures (by rank 0 alone).

    Several processes: after `vqlab.processes.start`, each calls this with the same
    arguments, and `out` on a disk that all see; rank 0 writes there. They begin with rank 0's
    weights. Each takes its part of every batch; gradients, codebooks and reports are of the whole
    batch, random numbers are drawn for the whole batch (`augment` gets all of it on every rank),
    so that the result is that of one process, but for rounding. Only BatchNorm sees its own rank's
    part. A batch with fewer items than there are ranks is computed by each of them alone.

    ctrl-C (in Jupyter: interrupt) ends it after the current step and keeps what was learned; a
    second ctrl-C does not wait for the step, unless there are several processes.
    Raises `ValueError` for an empty set, a missing budget, a device that is not here, or a folder
    with other settings, and `FloatingPointError` if the loss is no longer a finite number.
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
        "start": start, "bfloat16": bfloat16,
        "parameters": sum(p.numel() for p in model.parameters()),
    }  # fmt: skip
    folder = Path(out) if out is not None else None
    run = Run(folder, settings)
    torch.manual_seed(seed)
    model.to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=bfloat16 or None)
    if folder is not None:
        open_folder(run, folder, model, optimizer)
        if run.step != processes.from_main(run.step):
            raise ValueError(
                f"{folder} holds {run.step} steps for process {processes.rank()}, another number "
                "for process 0: give a folder on a disk that all machines share"
            )
    processes.copy_from_main(model)
    best = copy_state(model) if not run.history else None
    lowest = run.best["validation_error"] if run.history else math.inf
    per_epoch = math.ceil(len(train) / batch_size)
    meter = Meter(model)
    show = progress and processes.is_main()
    bar = tqdm(total=1.0, disable=not show, bar_format=_BAR, mininterval=0.5)
    started = clock() - run.seconds

    def report() -> None:
        nonlocal best, lowest
        run.seconds = clock() - started
        error = validate(model, validation, features, batch_size)
        run.history.append(
            {"step": run.step, "epoch": run.step / per_epoch, "seconds": round(run.seconds, 2)}
            | meter.take()
            | {"validation_error": error, "learning_rate": optimizer.param_groups[0]["lr"]}
        )
        if error < lowest:
            lowest, best = error, copy_state(model)
            if folder is not None and processes.is_main():
                save_tensors(best, folder / "best.safetensors", {"step": str(run.step)})
        if folder is not None and processes.is_main():
            append_report(folder, run.history[-1])
            save_checkpoint(run, folder, model, optimizer)
        if on_report is not None:
            if processes.world_size() == 1:
                on_report(run)
            elif _interrupted_by(on_report, run):
                interrupts.seen = True
            model.train()  # whoever listens to the model puts it into evaluation mode

    interrupts = _Interrupts()
    try:
        while True:
            run.stopped, seconds = _agreed(interrupts.seen, clock() - started)
            done = run.share_done(seconds)
            if run.stopped or done >= 1:
                break
            if cosine:
                lr = learning_rate * 0.5 * (1 + math.cos(math.pi * done))
                optimizer.param_groups[0]["lr"] = lr * min(1.0, (run.step + 1) / 50)
            batch, weight, whole = own_part(train, run.step, batch_size, seed, augment)
            x = batch.to(device)
            x = features.analyse(x) if features else x
            with processes.alone() if whole else nullcontext():
                objective, error, quantized = _losses(model, x, loss, features, bfloat16)
            means = processes.mean_over_ranks(torch.stack([objective.detach(), error]), weight)
            if not torch.isfinite(means[0]):
                raise FloatingPointError(
                    f"the loss became {means[0].item()} at step {run.step}: lower the learning "
                    f"rate ({learning_rate}) and start again from the last checkpoint"
                )
            optimizer.zero_grad(set_to_none=True)
            objective.backward()
            processes.sum_gradients(model.parameters(), weight)
            if clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            optimizer.step()
            if whole:
                processes.copy_from_main(model)  # its codebook learned without the others'
            run.step += 1
            meter.add(means[0], means[1], quantized, weight)
            bar.n = min(1.0, run.share_done(clock() - started))
            bar.set_postfix_str(meter.line(run, features), refresh=False)
            bar.update(0)
            if run.step % report_every == 0:
                report()
    except KeyboardInterrupt:
        if processes.world_size() > 1:
            raise  # not in step with the others, so no common end is possible
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
    processes.barrier()  # whoever goes on finds rank 0's files
    return run


def _losses(
    model: nn.Module,
    x: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    features: Features | None,
    bfloat16: bool,
) -> tuple[Tensor, Tensor, Quantized]:
    """What the step minimises, the error that is reported, and the bottleneck's record."""
    faster = bfloat16 or x.device.type == "cuda"
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=faster):
        output, quantized = model(x)
    output = output.float()  # under autocast it is not
    with torch.no_grad():
        error = error_of(output, x, features)
    return loss(output, x) + quantized.loss, error, quantized


def _agreed(interrupted: bool, seconds: float) -> tuple[bool, float]:
    """Whether any rank was interrupted, and rank 0's time: all go on, or stop, together."""
    told = torch.tensor([interrupted, seconds * processes.is_main()], dtype=torch.float64)
    anyone, agreed = processes.sum_over_ranks(told).tolist()
    return anyone > 0, agreed


def _interrupted_by(on_report: Callable[[Run], None], run: Run) -> bool:
    """Call it on rank 0; whether that was interrupted. Random states follow rank 0's."""
    interrupted = False
    if processes.is_main():
        try:
            on_report(run)
        except KeyboardInterrupt:
            interrupted = True
    processes.copy_random_state()
    return processes.from_main(interrupted)


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
        if processes.world_size() == 1:  # several must end together, at the step's end
            self.end()

    def end(self) -> None:
        if self.ours:
            signal.signal(signal.SIGINT, self.before)
