"""How long a grid of trainings would take on this machine, before anybody waits for it.

A step of the first and of the last run of each grid (an autoencoder, and the quantiser with most
codes) is timed on random numbers of the right shape, after one that does not count, in seconds of
the processor, and multiplied by the steps of the whole grid. `--share 16` times a sixteenth of a
batch and multiplies by sixteen: the pictures of `nsynth-full` do not fit into a small memory.

    python benchmarks/grid_cost.py mnist-full cifar10-full nsynth-full --share 16 --threads 1
"""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

import torch

from vqlab import datasets
from vqlab.experiments import build, reading
from vqlab.experiments.grid import Single, singles
from vqlab.experiments.schema import Grid, PictureSet, WordSet
from vqlab.metrics import markdown_table


def items_of(grid: Grid) -> int:
    """Training items: those the file asks for, or all that the set has here."""
    chosen = grid.dataset
    if chosen.train is not None:
        return chosen.train
    if isinstance(chosen, PictureSet):
        return len(datasets.load_pictures(chosen.name, "train", root=chosen.root))
    words = {"words": chosen.words or "all"} if isinstance(chosen, WordSet) else {}
    return len(datasets.load(chosen.name, "train", root=chosen.root, **words))


def shape_of(grid: Grid) -> tuple[int, ...]:
    """Channels, rows and columns of what the network takes; without channels where it has none."""
    if isinstance(grid.dataset, PictureSet):
        channels = 3 if grid.dataset.name in ("cifar10", "patches") else 1
        return channels, grid.dataset.size, grid.dataset.size
    features = build.features_of(grid)
    rows: tuple[int, ...] = (features.rows, features.frames)
    return (1, *rows) if features.picture else rows


def seconds_of_a_step(single: Single, batch: int) -> float:
    """Of the processor, for `batch` items: forward, backward, Adam."""
    x = torch.rand(batch, *shape_of(single.grid))
    model = build.build(single, x.shape[1]).train()
    optimizer, loss = torch.optim.Adam(model.parameters()), build.loss_of(single)
    for _ in range(2):
        start = time.process_time()
        output, quantized = model(x)
        optimizer.zero_grad(set_to_none=True)
        (loss(output, x) + quantized.loss).backward()
        optimizer.step()
        taken = time.process_time() - start
    return taken


def row_of(name: str, share: int) -> dict[str, Any]:
    grid = reading.read(reading.find(name))
    runs, batch = singles(grid), grid.training.batch
    steps = sum(run.grid.training.epochs * math.ceil(items_of(grid) / batch) for run in runs)
    part = max(1, batch // share)
    ends = [batch / part * seconds_of_a_step(run, part) for run in (runs[0], runs[-1])]
    hours = steps * sum(ends) / 2 / 3600
    return {"grid": name, "runs": str(len(runs)), "items": f"{items_of(grid):,}",
            "steps": f"{steps:,}", "seconds": f"{ends[0]:.3g} to {ends[1]:.3g}",
            "hours": f"{hours:,.1f}" if hours < 48 else f"{hours:,.0f} ({hours / 24:,.0f} days)",
            }  # fmt: skip


COLUMNS = {
    "grid": "grid", "runs": "runs", "items": "training items", "steps": "steps, all runs",
    "seconds": "processor seconds a step", "hours": "processor hours, estimated",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("grids", nargs="+", metavar="GRID", help="names of those that ship, files")
    parser.add_argument("--share", type=int, default=1, help="time only this part of a batch")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = [row_of(name, arguments.share) for name in arguments.grids]
    print(markdown_table(COLUMNS, rows))


if __name__ == "__main__":
    main()
