"""Codes priced by what surrounds them: small networks of whole numbers in place of tables.

The one idea: what predicts the next code compresses it (notebook 12), if writer and reader find
exactly the same frequencies. So all numbers here are whole, and held in float64 where they are
multiplied, exact below 2**53 in any order of summing. `docs/file-format.md` has every step.
A network as a model for coding: M. Mahoney, "Fast Text Compression with Neural Networks", 2000.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

STEPS = 32
"""A logit lower by so much halves a code's weight."""
HALVINGS = np.array([round(2 ** (22 - step / STEPS)) for step in range(STEPS)])
FLOOR = 2**18  # weight that all codes share beforehand, so that none costs less than
LEAST_BITS = 0.08  # which is a little below log2(1 + FLOOR / 2**22)
TYPES = {
    "windows": torch.int16, "tables": torch.int8, "bias": torch.int32, "out": torch.int8,
    "out_bias": torch.int32, "shift": torch.uint8,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Net:
    """The network of one stage; all arrays are whole numbers.

    windows : (slots, 3), what a slot sees around a position: a stage, and the first and the last
        position, counted from its own. A network sees stages before its own, the first one itself.
    tables : (slots, K, hidden), what a slot adds for each code; of several the mean, rounded down
    bias, out, out_bias, shift : (hidden,), (K, hidden), (K,), (); of a logit, in 2**-shift of it

    hidden = max(0, bias + sum of the slots), logit = floor((out hidden + out_bias) / 2**shift)
    """

    windows: np.ndarray
    tables: np.ndarray
    bias: np.ndarray
    out: np.ndarray
    out_bias: np.ndarray
    shift: np.ndarray

    def weights(self, codes: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Weight of every code at `positions (n,)`: int64 (n, K).

        codes : (stages, positions), of which only what the windows see is used, -1 where none
        """
        hidden = np.tile(self.bias, (len(positions), 1))
        for (row, first, last), table in zip(self.windows, self.tables, strict=True):
            around = positions[:, None] + np.arange(first, last + 1)  # (n, window)
            inside = (around >= 0) & (around < codes.shape[1])
            seen = np.where(inside, codes[row, around.clip(0, codes.shape[1] - 1)], -1)
            present = seen >= 0
            total = (table[seen] * present[..., None]).sum(axis=1)  # (n, hidden)
            hidden += total // np.maximum(present.sum(axis=1), 1)[:, None]
        exact = np.maximum(hidden, 0).astype(np.float64) @ self.out.T.astype(np.float64)
        logits = (exact.astype(np.int64) + self.out_bias) >> self.shift
        below = logits.max(axis=1, keepdims=True) - logits
        fallen = HALVINGS[below % STEPS] >> np.minimum(below // STEPS, 31)
        return fallen + FLOOR // fallen.shape[1]


def to_tensors(nets: Sequence[Net]) -> dict[str, Tensor]:
    """The networks as tensors to store."""
    return {
        f"net_{stage}.{name}": torch.as_tensor(getattr(net, name)).to(kind)
        for stage, net in enumerate(nets)
        for name, kind in TYPES.items()
    }


def taken_from(tensors: dict[str, Tensor], prefix: str, codebook_sizes: Sequence[int]) -> list[Net]:
    """The inverse of `to_tensors`, their names after a `prefix`; takes them out of `tensors`.

    Raises `ValueError` for other sizes, and for windows that see what a reader does not know yet.
    """
    names = [name for name in tensors if name.startswith(f"{prefix}net_")]
    mine, nets = {name: tensors.pop(name) for name in names}, []
    for stage in range(len(mine) // len(TYPES)):
        made = {
            name: mine[f"{prefix}net_{stage}.{name}"].to(kind).numpy().astype(np.int64)
            for name, kind in TYPES.items()
        }
        (size, hidden), (rows, first, last) = made["out"].shape, made["windows"].T
        known = (0 <= rows) & (rows < max(stage, 1)) & ((stage > 0) | (last < 0))
        good = known & (-64 <= first) & (first <= last) & (last <= 64) & (made["shift"] <= 40)
        shapes = [(len(rows), size, hidden), (hidden,), (size,), ()]
        fit = [made[name].shape for name in ("tables", "bias", "out_bias", "shift")] == shapes
        if not (good.all() and fit and {size} == {*codebook_sizes} and 1 <= hidden <= 1024):
            raise ValueError("its networks of contexts do not fit its codebooks")
        nets.append(Net(**made))
    return nets
