"""A grid of trainings as a list of single runs, each with a name that can be read.

The one idea: a run is a grid with one value in each list. So the configuration that is kept in a
run's folder is a file like any other, and training it again gives the same run.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

from .schema import Fsq, Grid

LISTED = ("D", "K", "stages", "levels")
MOST_RUNS = 10_000


@dataclass(frozen=True)
class Single:
    """One run. D, K and stages are None where its bottleneck has none; K of FSQ is implied."""

    name: str
    grid: Grid
    bottleneck: Any
    seed: int

    @property
    def D(self) -> int:
        """Numbers a position."""
        if isinstance(self.bottleneck, Fsq):
            return len(self.bottleneck.levels[0])
        return self.bottleneck.D[0]

    @property
    def K(self) -> int | None:
        """Codes of a stage."""
        return self.bottleneck.K[0] if self.bottleneck.kind in ("vq", "rvq") else None

    @property
    def stages(self) -> int | None:
        """Codebooks in a row."""
        return self.bottleneck.stages[0] if self.bottleneck.kind == "rvq" else None

    def options(self) -> dict[str, Any]:
        """The bottleneck as `vqlab.models.bottleneck_of` takes it."""
        names = {"D": "dim", "K": "codebook_size"}
        found: dict[str, Any] = {}
        for key, value in self.bottleneck.model_dump().items():
            if key == "start":
                found["kmeans_start"] = value == "kmeans"
            elif key not in ("label", "seeds", "loss"):  # which are not the model's
                found[names.get(key, key)] = value[0] if key in LISTED else value
        return found


def singles(grid: Grid) -> list[Single]:
    """The runs of a grid, in the file's order; D changes slowest, then K, stages, seed.

    Raises ValueError if two would have the same name.
    """
    found: dict[str, Single] = {}
    lists = [
        {key: getattr(one, key) for key in LISTED if hasattr(one, key)}
        | {"seeds": one.seeds or grid.training.seeds}
        for one in grid.bottlenecks
    ]
    count = sum(math.prod(map(len, each.values())) for each in lists)
    if count > MOST_RUNS:
        raise ValueError(f"the grid has {count:,} runs, at most {MOST_RUNS:,} are allowed")
    for bottleneck, each in zip(grid.bottlenecks, lists, strict=True):
        for *values, seed in itertools.product(*each.values()):
            chosen = dict(zip(each, values, strict=False))  # all but the seed
            name = _name(bottleneck.kind, bottleneck.label, chosen, seed)
            if name in found:
                raise ValueError(
                    f"two runs are named {name}: take one away, or give one of the bottlenecks a "
                    "label"
                )
            one = bottleneck.model_copy(
                update={key: [value] for key, value in chosen.items()} | {"seeds": None}
            )
            training = grid.training.model_copy(update={"seeds": [seed]})
            single = grid.model_copy(update={"bottlenecks": [one], "training": training})
            found[name] = Single(name, single, one, seed)
    return list(found.values())


def _name(kind: str, label: str | None, chosen: dict[str, Any], seed: int) -> str:
    """Such as vq-D10-K512-s0, rvq-D16-K64-x3-s0, fsq-L8.5.5-s0, ae-wide-D2-s1."""
    parts = [kind] + ([label] if label else [])
    for key, value in chosen.items():
        if key == "levels":
            parts.append("L" + ".".join(map(str, value)))
        else:
            parts.append(f"{'x' if key == 'stages' else key}{value}")
    return "-".join([*parts, f"s{seed}"])
