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
MODEL_NAMES = {"D": "dim", "K": "codebook_size"}
"""Keys of a bottleneck that are written out in `vqlab.quantize`."""
MOST_RUNS = 10_000


@dataclass(frozen=True)
class Single:
    """One run: its name, and a grid with one value in each list."""

    name: str
    grid: Grid

    @property
    def bottleneck(self) -> Any:
        return self.grid.bottlenecks[0]

    @property
    def seed(self) -> int:
        return self.grid.training.seeds[0]

    @property
    def D(self) -> int:
        """Numbers a position."""
        fsq = isinstance(self.bottleneck, Fsq)
        return len(self.bottleneck.levels[0]) if fsq else self.bottleneck.D[0]

    def options(self) -> dict[str, Any]:
        """The bottleneck as `vqlab.models.bottleneck_of` takes it."""
        found: dict[str, Any] = {}
        for key, value in self.bottleneck.model_dump(exclude={"label", "seeds", "loss"}).items():
            if key == "start":
                found["kmeans_start"] = value == "kmeans"
            else:
                found[MODEL_NAMES.get(key, key)] = value[0] if key in LISTED else value
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
            lists_of_one = {key: [value] for key, value in chosen.items()}
            one = bottleneck.model_copy(update=lists_of_one | {"seeds": None})
            training = grid.training.model_copy(update={"seeds": [seed]})
            single = grid.model_copy(update={"bottlenecks": [one], "training": training})
            found[name] = Single(name, single)
    return list(found.values())


def _name(kind: str, label: str | None, chosen: dict[str, Any], seed: int) -> str:
    """Such as vq-D10-K512-s0, rvq-D16-K64-x3-s0, fsq-L8.5.5-s0, ae-wide-D2-s1."""
    parts = [kind] + ([label] if label else [])
    for key, value in chosen.items():
        letter = {"stages": "x", "levels": "L"}.get(key, key)
        parts.append(letter + (".".join(map(str, value)) if key == "levels" else str(value)))
    return "-".join([*parts, f"s{seed}"])
