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
from typing import Any

import torch
from torch import Tensor, nn

from .. import processes
from .steps import to_grid, to_vectors
from .usage import count_codes


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
    stats: dict[str, Tensor] = field(default_factory=dict)


class Bottleneck(nn.Module, ABC):
    """Takes z_e (batch, channels, *positions) and gives z (batch, dim, *positions).

    dim : channels of what the decoder gets; `channels` of what the encoder gives are as many
    codebook_sizes : number of codes of each stage; empty where real numbers go through
    """

    # Two names, so that the axis mistake can be shown as a layer of its own.
    _to_vectors = staticmethod(to_vectors)
    _to_grid = staticmethod(to_grid)

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
        """Vectors for the decoder, with gradient, loss and statistics. May learn in training.

        Raises ValueError where the second axis of z is not `channels` long.
        """

    def in_turn(self) -> Sequence[Any]:
        """The stages whose vectors add up; each has `codes_of(vectors)` and `vectors_of(codes)`."""
        return [self]

    @torch.no_grad()
    def encode(self, z: Tensor) -> Tensor:
        """Codes of z (batch, dim, *positions), in each stage the nearest to what is left.

        Returns int64 (batch, stages, *positions). Raises ValueError for a bottleneck without codes,
        and for a z of another shape.
        """
        self.check_has_codes()
        check_shape(z, self.dim)
        left, codes = self._to_vectors(z.float()), []
        for stage in self.in_turn():
            codes.append(stage.codes_of(left))
            left = left - stage.vectors_of(codes[-1])
        return to_grid(torch.stack(codes, dim=1), (len(z), self.stages, *z.shape[2:]))

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (batch, s, *positions) with s <= stages -> z (batch, dim, *positions), float32.

        Fewer stages, or -1 in place of a code after the first stage, give a coarser z. Raises
        ValueError for a bottleneck without codes, and for codes that it does not have.
        """
        self.check_has_codes()
        check_codes(codes, self.codebook_sizes)
        z_q = torch.zeros(codes[:, 0].numel(), self.dim, device=codes.device)
        for stage, found in zip(self.in_turn(), codes.unbind(dim=1), strict=False):
            flat = found.reshape(-1)
            z_q = z_q + stage.vectors_of(flat.clamp(min=0)) * (flat >= 0)[:, None]
        return self._to_grid(z_q, (len(codes), self.dim, *codes.shape[2:]))

    def depth(self, first: Tensor, quality: int) -> Tensor:
        """Number of stages of each position by its code of the first stage; shaped as `first`."""
        return torch.full_like(first, self.stages)

    def count(self, codes: Tensor) -> Tensor:
        """How often each code of a stage occurs in a batch; in training, of all processes."""
        counts = count_codes(codes, self.codebook_sizes[0])
        return processes.sum_over_ranks(counts) if self.training else counts

    def check_has_codes(self) -> None:
        """Raise ValueError where real numbers go through."""
        if not self.codebook_sizes:
            raise ValueError(
                f"a model with the bottleneck {type(self).__name__} has no codes to store: take "
                "one with a quantiser (vq, rvq, fsq), or `vqlab reconstruct` to hear it"
            )


def check_shape(z: Tensor, dim: int) -> None:
    """Raise ValueError unless z is (batch, dim, *positions) with at least one element."""
    if z.ndim < 3 or z.shape[1] != dim or not z.numel():
        raise ValueError(
            f"z has shape {tuple(z.shape)}, expected (batch, {dim}, *positions): the channel axis "
            "is the second one; use movedim(-1, 1) if yours is the last, and pass no empty batch"
        )


def check_codes(codes: Tensor, codebook_sizes: Sequence[int]) -> None:
    """Raise ValueError unless codes are (batch, 1 to len(codebook_sizes) stages, *positions) and
    every one lies in its codebook; -1 ("no code here") may stand after the first stage."""
    if codes.ndim < 3 or not 1 <= codes.shape[1] <= len(codebook_sizes):
        raise ValueError(
            f"codes have shape {tuple(codes.shape)}, expected (batch, stages, *positions) "
            f"with 1 to {len(codebook_sizes)} stages"
        )
    if codes.is_floating_point() or codes.dtype == torch.bool:
        raise ValueError(f"codes are {codes.dtype}, expected integers (int64)")
    for stage in range(codes.shape[1]):
        size, seen = codebook_sizes[stage], codes[:, stage]
        lowest = -1 if stage > 0 else 0
        if seen.numel() and not lowest <= int(seen.min()) <= int(seen.max()) < size:
            raise ValueError(
                f"stage {stage + 1} has codes from {int(seen.min())} to {int(seen.max())}, "
                f"its codebook holds 0 to {size - 1}: are they from another model?"
            )
