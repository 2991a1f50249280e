"""Finite scalar quantisation: no codebook at all, each number is rounded to one of a few values.

The one idea (Mentzer et al. 2023, "Finite Scalar Quantization: VQ-VAE Made Simple"): squash
channel i into an interval that holds L_i whole numbers and round. All combinations together are the
implied codebook of L_1 * L_2 * … codes. Nothing has to be learned, so nothing can collapse: no
codebook, no commitment loss, no restarts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .base import Bottleneck, Quantized, check_shape
from .steps import straight_through, to_grid, to_vectors
from .usage import batch_stats

MARGIN = 1e-3  # the bound lies this much outside the last value, so that it can be reached
MOST_LEVELS = 1000  # with more, the margin would be half a step and add a value


class FiniteScalarQuantizer(Bottleneck):
    """Round each of dim = len(levels) channels to `levels[i]` values in [-1, 1].

    levels : how many values each channel may take, for example (8, 5, 5, 5): 1000 codes

    The values of channel i are whole numbers divided by L // 2: for L = 5 they are -1, -0.5, 0,
    0.5, 1; for an even L, which has no middle, one side is shorter: -1, -0.5, 0, 0.5 for L = 4.
    Rounding passes the gradient straight through. The loss is always 0.
    """

    levels: Tensor
    basis: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        if not levels or min(levels) < 2 or max(levels) > MOST_LEVELS:
            raise ValueError(f"levels is {list(levels)}: need numbers from 2 to {MOST_LEVELS}")
        super().__init__(len(levels), (math.prod(levels),))
        self.codebook_size = math.prod(levels)
        self.register_buffer("levels", torch.tensor(list(levels)), persistent=False)
        basis = [math.prod(levels[:i]) for i in range(len(levels))]  # mixed radix, 1 comes first
        self.register_buffer("basis", torch.tensor(basis), persistent=False)

    def forward(self, z: Tensor) -> Quantized:
        """Quantise z (batch, dim, *positions); codes are (batch, 1, *positions)."""
        check_shape(z, self.dim)
        with torch.autocast(z.device.type, enabled=False):
            values = self.round(to_vectors(z.float()))  # (n, dim)
        codes = self.values_to_codes(values.detach())
        stats, out = batch_stats(self.count(codes)), to_grid(values, z.shape)
        codes = codes.reshape(z.shape[0], 1, *z.shape[2:])
        return Quantized(out.to(z.dtype), codes, out.new_zeros(()), stats)

    def codes_of(self, vectors: Tensor) -> Tensor:
        """Rows (n, dim) -> the numbers of the values they are rounded to, int64 (n,)."""
        return self.values_to_codes(self.round(vectors))

    def bound(self, z: Tensor) -> Tensor:
        """Squash z (n, dim) so that rounding gives exactly L whole numbers.

        tanh bounds to +-(L-1)/2. For an even L that would round to L-1 numbers and two halves, so
        the interval is moved down by a half; the shift inside the tanh keeps 0 at 0.
        """
        half_width = (self.levels - 1) * (1 + MARGIN) / 2
        offset = torch.where(self.levels % 2 == 0, 0.5, 0.0)
        shift = torch.atanh(offset / half_width)
        return torch.tanh(z + shift) * half_width - offset

    def round(self, z: Tensor) -> Tensor:
        """z (n, dim) -> the allowed values in [-1, 1] nearest to its bounded form."""
        bounded = self.bound(z)
        rounded = torch.round(bounded)
        if torch.is_grad_enabled() and bounded.requires_grad:
            rounded = straight_through(bounded, rounded)
        return rounded / (self.levels // 2)

    def values_to_codes(self, values: Tensor) -> Tensor:
        """Values (n, dim) in [-1, 1] -> code numbers, int64 (n,): digits in mixed radix."""
        half = self.levels // 2
        digits = torch.round(values * half).long() + half  # 0 … L-1
        return (digits * self.basis).sum(dim=-1)

    def vectors_of(self, codes: Tensor) -> Tensor:
        """Code numbers (n,) -> values (n, dim); undoes `values_to_codes`."""
        digits = codes.unsqueeze(-1) // self.basis % self.levels
        half = self.levels // 2
        return (digits - half).float() / half
