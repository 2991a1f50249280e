"""Points and codes in the plane: drag them, and the Voronoi cells and the loss follow.

Every code owns the part of the plane that is nearer to it than to any other code, its Voronoi cell
(Voronoi 1908); a point gets the code of the cell it lies in. The one idea: k-means (Lloyd 1982) and
a VQ layer are the same two moves, points choose codes, codes go to the mean of their points, and
here you make them by hand.

Notebook: 05
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import traitlets as t
from torch import Tensor

from vqlab.quantize import distances, nearest
from vqlab.widgets.base import Refused, Widget, assets

MOST = 64
"""Points, and codes, that a plane takes."""


class Voronoi(Widget):
    """Points (n, 2) and codes (K, 2) in the plane from -3 to 3, to be dragged.

    These follow every drag, and `points` and `codes` may be set:
    points, codes : lists of [x, y]
    assignment    : the number of the nearest code of each point (the first on a tie)
    loss          : the mean over all numbers of (point - its code) squared, as in a VQ layer

    Raises ValueError for other shapes, numbers that are not finite, or more than 64 of a kind.
    """

    _esm, _css = assets(__file__)
    _from_page = ("points", "codes")
    points = t.Any().tag(sync=True)
    codes = t.Any().tag(sync=True)
    assignment: t.List[int] = t.List().tag(sync=True)
    loss = t.Float().tag(sync=True)
    size = t.Float(3.0).tag(sync=True)

    def __init__(self, points: Any, codes: Any) -> None:
        self._start = _pairs(points, "points"), _pairs(codes, "codes")
        self._seed = 0
        super().__init__(points=self._start[0], codes=self._start[1])
        self._follow()

    @t.validate("points", "codes")
    def _valid(self, proposal: Any) -> list[list[float]]:
        return _pairs(proposal["value"], proposal["trait"].name)

    @t.observe("points", "codes")
    def _follow(self, _: Any = None) -> None:
        if not self.points or not self.codes:
            return  # in the middle of __init__
        points, codes = self._tensors()
        chosen = nearest(distances(points, codes))
        self.assignment = chosen.tolist()
        self.loss = float((points - codes[chosen]).square().mean())

    def _tensors(self) -> tuple[Tensor, Tensor]:
        return tuple(torch.tensor(x, dtype=torch.float64) for x in (self.points, self.codes))  # type: ignore[return-value]

    def step(self) -> float:
        """One step of k-means: each code goes to the mean of its points. Returns the loss.

        A code without points stays where it is.
        """
        points, codes = self._tensors()
        chosen = torch.tensor(self.assignment)
        for k in chosen.unique().tolist():
            codes[k] = points[chosen == k].mean(dim=0)
        self.codes = codes.tolist()
        return self.loss

    def reseed(self, seed: int | None = None, *, what: str = "codes") -> None:
        """New places by chance for the "codes" or the "points"; without a seed others each time."""
        if what not in ("codes", "points"):
            raise ValueError(f"what is {what[:40]!r}, it must be 'codes' or 'points'")
        self._seed += 1
        chance = np.random.default_rng(self._seed if seed is None else seed)
        places = chance.uniform(-0.9, 0.9, (len(getattr(self, what)), 2)) * self.size
        setattr(self, what, places.round(2).tolist())

    def reset(self) -> None:
        """Points and codes back to where they began."""
        self.points, self.codes = self._start

    def asked(self, content: dict[str, Any]) -> None:
        what = content.get("do")
        if what == "step":
            self.step()
        elif what == "reset":
            self.reset()
        else:
            self.reseed(what=str(what))

    def sentence(self) -> str:
        counts = np.bincount(self.assignment, minlength=len(self.codes))
        unused = [str(k) for k in np.flatnonzero(counts == 0)]
        idle = f", without points: code {', '.join(unused)}" if unused else ""
        return (
            f"{len(self.points)} points and {len(self.codes)} codes in the plane, loss "
            f"{self.loss:.3f}{idle}; with a running kernel you can drag them"
        )


def _pairs(values: Any, name: str) -> list[list[float]]:
    try:
        pairs = np.asarray(values if len(values) <= MOST else (), dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise Refused(f"{name} must be pairs of numbers: {error}") from None
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs):
        raise Refused(f"{name} must be (n, 2) with n from 1 to {MOST}")
    if not np.isfinite(pairs).all():
        raise Refused(f"{name} holds numbers that are NaN or infinite")
    return pairs.tolist()
