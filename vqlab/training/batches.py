"""Batches: which items a step sees, which of them this process computes, and errors over a set.

The order of the items depends on the seed and the epoch alone, never on what was drawn before: so
a training that goes on after an interruption sees the batches it would have seen, and several
processes (`vqlab.processes`) cut the same batch in parts without asking each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import processes
from ..features import Features
from ..quantize import CodebookStats


def batch_rows(n: int, step: int, batch_size: int, seed: int) -> list[int]:
    """Numbers of the items, of n, in a step's batch; an epoch's last batch may be short."""
    epoch, position = divmod(step, math.ceil(n / batch_size))
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed + 7919 * epoch))
    return order[position * batch_size : (position + 1) * batch_size].tolist()


def own_part(
    items: Any,
    step: int,
    batch_size: int,
    seed: int,
    augment: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Tensor, float, bool]:
    """This rank's part of a step's batch; how much it counts among the ranks; if it is the whole.

    With fewer items than ranks none can be empty-handed: each computes the whole batch by itself,
    which keeps their random states in step, and only rank 0's counts. `augment` gets the whole
    batch, so that every rank draws the same random numbers.
    """
    rows = batch_rows(len(items), step, batch_size, seed)
    whole = len(rows) < processes.world_size()
    mine = slice(0, len(rows)) if whole else processes.part(len(rows))
    own = augment(take(items, rows))[mine] if augment else take(items, rows[mine])
    weight = float(processes.is_main()) if whole else (mine.stop - mine.start) / len(rows)
    return own, weight, whole


def take(items: Any, rows: Iterable[int]) -> Tensor:
    """Items by number, as one tensor."""
    rows = list(rows)
    return items[rows] if isinstance(items, Tensor) else torch.stack([items[i] for i in rows])


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


def error_of(output: Tensor, x: Tensor, features: Features | None) -> Tensor:
    """Mean error of a batch: decibels with `features`, else squared error."""
    return features.error_db(output, x) if features else F.mse_loss(output, x)


@torch.no_grad()
def evaluate(
    model: nn.Module,
    items: Tensor | Sequence[Tensor],
    *,
    features: Features | None = None,
    batch_size: int = 16,
    stats: CodebookStats | None = None,
) -> float:
    """Mean error of `model` over `items`: decibels with `features`, else squared error.

    The model is put into evaluation mode for it and left in the mode it had. Several processes deal
    the batches out among them, and all get the same number; `stats` count the codes of each.
    """
    for layer in model.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            processes.copy_from_main(layer)  # each rank has averages of its own
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    total = torch.zeros((), dtype=torch.float64)
    for first in range(0, len(items), batch_size)[processes.rank() :: processes.world_size()]:
        rows = range(first, min(first + batch_size, len(items)))
        x = take(items, rows).to(device)
        x = features.analyse(x) if features else x
        output, quantized = model(x)
        if stats is not None:
            stats.update(quantized.codes)
        total += float(error_of(output, x, features)) * len(rows)
    model.train(was_training)
    return float(processes.sum_over_ranks(total)) / len(items)
