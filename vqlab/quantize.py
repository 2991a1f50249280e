"""Quantisers: the names everybody imports, and residual quantisation, which stacks codebooks.

One codebook of K = 2**30 entries cannot be stored, three of 1024 can. The one idea of residual
quantisation (Zeghidour et al. 2021, "SoundStream", section III.C): a second codebook codes what the
first left over, a third what the second left over, and so on; the sum is passed on. Leaving out the
last stages lowers the rate. The five steps live in `quantize_steps`, the layer with one codebook in
`vector_quantizer`, rounding without a codebook in `fsq`, counting in `codebook_stats`.

Notebook: 05, 07
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .codebook_stats import CodebookStats, batch_perplexity
from .fsq import FiniteScalarQuantizer
from .quantize_steps import (
    Quantized,
    check_codes,
    check_shape,
    distances,
    kmeans,
    lookup,
    nearest,
    nearest_codes,
    one_hot,
    straight_through,
    to_grid,
    to_vectors,
    to_vectors_wrong_axes,
)
from .vector_quantizer import VectorQuantizer, WrongAxesVectorQuantizer

__all__ = [
    "CodebookStats",
    "FiniteScalarQuantizer",
    "Quantized",
    "ResidualQuantizer",
    "VectorQuantizer",
    "WrongAxesVectorQuantizer",
    "batch_perplexity",
    "distances",
    "kmeans",
    "lookup",
    "nearest",
    "nearest_codes",
    "one_hot",
    "straight_through",
    "to_grid",
    "to_vectors",
    "to_vectors_wrong_axes",
]


class ResidualQuantizer(nn.Module):
    """Several codebooks in a row; each codes what those before it left over.

    dim, codebook_size, beta, decay, kmeans_start, restart_below : of each stage's `VectorQuantizer`
    stages : number of codebooks; a position costs stages * log2(K) bits
    dropout : probability that an item of a training batch uses fewer stages, a number drawn evenly
        from 1 … stages-1 (SoundStream's quantiser dropout). It makes the first stages good on their
        own, so that one model serves several rates.

    z = sum of the stages' code vectors. Stage i sees the residual z_e - z_q1 - … , which keeps the
    gradient to z_e; the loss is the sum of the stages' losses. An item that drops a stage neither
    moves that stage's codebook nor counts in its loss.
    """

    def __init__(
        self,
        dim: int,
        codebook_size: int,
        stages: int,
        *,
        dropout: float = 0.0,
        beta: float = 0.25,
        decay: float | None = 0.99,
        kmeans_start: bool = True,
        restart_below: float = 0.03,
    ) -> None:
        super().__init__()
        if stages < 1:
            raise ValueError(f"stages is {stages}, must be at least 1")
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout is {dropout}, a probability in [0, 1]")
        self.dim = dim
        self.stages = stages
        self.dropout = dropout
        self.layers = nn.ModuleList(
            VectorQuantizer(
                dim,
                codebook_size,
                beta=beta,
                decay=decay,
                kmeans_start=kmeans_start,
                restart_below=restart_below,
            )
            for _ in range(stages)
        )
        self.codebook_sizes = (codebook_size,) * stages

    @property
    def bits_per_position(self) -> float:
        """Sum of log2(K) over all stages: nominal bits of one position."""
        return sum(math.log2(size) for size in self.codebook_sizes)

    def forward(self, z: Tensor, stages: int | None = None) -> Quantized:
        """Quantise z (batch, dim, *positions) with the first `stages` stages (None: all).

        codes are (batch, stages, *positions), complete even for training items that dropped stages;
        `z` leaves the dropped ones out. Giving `stages` switches the dropout off.
        Raises ValueError for a wrong channel axis or a number of stages this layer does not have.
        """
        check_shape(z, self.dim)
        if stages is not None and not 1 <= stages <= self.stages:
            raise ValueError(f"stages is {stages}, this quantiser has 1 to {self.stages}")
        layers = self.layers[: stages or self.stages]
        depth = self._draw_depth(z) if stages is None else None
        with torch.autocast(z.device.type, enabled=False):
            z_e = z.float()
            residual = to_vectors(z_e)  # (n, dim)
            z_q = torch.zeros_like(residual)
            all_codes, losses, stats = [], [], []
            for i, layer in enumerate(layers):
                keep = None
                if depth is not None and i > 0:  # everyone uses the first stage
                    keep = (depth > i).repeat_interleave(len(residual) // len(depth))  # (n,)
                step, codes, loss, stat = layer.quantize(residual, keep)  # type: ignore[operator]
                step = step.detach()
                residual = residual - step
                z_q = z_q + (step if keep is None else step * keep[:, None])
                all_codes.append(codes.reshape(z.shape[0], *z.shape[2:]))
                losses.append(loss)
                stats.append(stat)
            out = to_grid(z_q, z.shape)
            if torch.is_grad_enabled() and z.requires_grad:
                out = straight_through(z_e, out)
        summary: dict[str, Tensor | float] = {}
        for name in stats[0]:  # the mean over stages, and each stage by its number from 1
            values = torch.stack([torch.as_tensor(stat[name]) for stat in stats])
            summary[name] = values.mean()
            summary |= {f"{name}_{i}": value for i, value in enumerate(values, start=1)}
        codes = torch.stack(all_codes, dim=1)
        return Quantized(out.to(z.dtype), codes, torch.stack(losses).sum(), summary)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (batch, s, *positions) with s <= stages -> z (batch, dim, *positions), float32.

        Fewer stages than the layer has give a coarser z at a lower rate.
        Raises ValueError for more stages or codes outside 0 … K-1.
        """
        check_codes(codes, self.codebook_sizes)
        shape = (codes.shape[0], self.dim, *codes.shape[2:])
        z_q = torch.zeros(codes[:, 0].numel(), self.dim, device=codes.device)
        for i in range(codes.shape[1]):
            z_q = z_q + lookup(codes[:, i].reshape(-1), self.layers[i].codebook)  # type: ignore
        return to_grid(z_q, shape)

    def _draw_depth(self, z: Tensor) -> Tensor | None:
        """Number of stages for each item of the batch, int64 (batch,); None when all use all."""
        if not self.training or self.dropout == 0 or self.stages == 1:
            return None
        depth = torch.randint(1, self.stages, (len(z),), device=z.device)
        full = torch.rand(len(z), device=z.device) >= self.dropout
        return torch.where(full, self.stages, depth)
