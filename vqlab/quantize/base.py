"""The bottleneck between an encoder and a decoder: what all kinds of it share.

The one idea: learning and using are two functions (as in EnCodec's `core_vq`). `forward` is for
training: vectors that carry a gradient, a loss, statistics. `encode` and `decode` are for use:
codes from vectors, vectors from codes, nothing else, and nothing that learns.

Notebook: 08
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import torch
from torch import Tensor, nn


@dataclass
class Quantized:
    """What a bottleneck returns in training, whichever bottleneck it is.

    z : Tensor (batch, dim, *positions), what the decoder gets
    codes : int64 Tensor (batch, stages, *positions), or None for a continuous bottleneck
    loss : 0-dim Tensor, to be added to the reconstruction loss
    stats : numbers about this batch, for example "perplexity", "used", "commitment"
    """

    z: Tensor
    codes: Tensor | None
    loss: Tensor
    stats: dict[str, Tensor | float] = field(default_factory=dict)


class Bottleneck(nn.Module, ABC):
    """Takes z_e (batch, channels, *positions) and gives z (batch, dim, *positions).

    dim : channels of what the decoder gets; `channels` of what the encoder gives are as many
    codebook_sizes : number of codes of each stage; empty where real numbers go through
    """

    def __init__(self, dim: int, codebook_sizes: Sequence[int] = ()) -> None:
        super().__init__()
        self.dim = dim
        self.channels = dim
        self.codebook_sizes = tuple(codebook_sizes)

    @property
    def stages(self) -> int:
        """Number of codes that a position has at most."""
        return len(self.codebook_sizes)

    @property
    def bits_per_position(self) -> float:
        """Nominal bits, log2(K) for each stage, before any entropy coding; inf without codes."""
        return sum(map(math.log2, self.codebook_sizes)) if self.codebook_sizes else math.inf

    @abstractmethod
    def forward(self, z: Tensor) -> Quantized:
        """Vectors for the decoder, with gradient, loss and statistics. May learn in training."""

    def encode(self, z: Tensor) -> Tensor:
        """Codes of z (batch, dim, *positions): int64 (batch, stages, *positions).

        Raises ValueError for a bottleneck without codes, and for a z of another shape.
        """
        self._refuse()

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (batch, stages, *positions) -> z (batch, dim, *positions), float32.

        Raises ValueError for a bottleneck without codes, and for codes that it does not have.
        """
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ValueError(
            f"a model with the bottleneck {type(self).__name__} has no codes: use a quantiser"
        )


def check_shape(z: Tensor, dim: int) -> None:
    """Raise ValueError unless z is (batch, dim, *positions) with at least one element."""
    if z.ndim < 3 or z.shape[1] != dim or not z.numel():
        raise ValueError(
            f"z has shape {tuple(z.shape)}, expected (batch, {dim}, *positions): the channel axis "
            "is the second one; use movedim(-1, 1) if yours is the last, and pass no empty batch"
        )


def check_codes(codes: Tensor, codebook_sizes: Sequence[int], *, left_out: bool = False) -> None:
    """Raise ValueError unless codes are (batch, 1 to len(codebook_sizes) stages, *positions) and
    every one lies in its codebook. With `left_out`, -1 ("no code here") may stand after the first
    stage."""
    if codes.ndim < 3 or not 1 <= codes.shape[1] <= len(codebook_sizes):
        raise ValueError(
            f"codes have shape {tuple(codes.shape)}, expected (batch, stages, *positions) "
            f"with 1 to {len(codebook_sizes)} stages"
        )
    if codes.is_floating_point() or codes.dtype == torch.bool:
        raise ValueError(f"codes are {codes.dtype}, expected integers (int64)")
    for stage in range(codes.shape[1]):
        size, seen = codebook_sizes[stage], codes[:, stage]
        lowest = -1 if left_out and stage > 0 else 0
        if seen.numel() and not lowest <= int(seen.min()) <= int(seen.max()) < size:
            raise ValueError(
                f"stage {stage + 1} has codes from {int(seen.min())} to {int(seen.max())}, "
                f"its codebook holds 0 to {size - 1}: are they from another model?"
            )
