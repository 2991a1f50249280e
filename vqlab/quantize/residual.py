"""Residual quantisation: several codebooks in a row, each for what those before it left over.

One codebook of K = 2**30 entries cannot be stored, three of 1024 can. The one idea (Zeghidour et
al. 2021, "SoundStream", section III.C): a second codebook codes what the first left over, a third
what the second left over, and so on; the sum is passed on. Leaving out the last stages lowers the
rate.

Notebook: 05
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from .. import processes
from .base import Bottleneck, Quantized, check_shape
from .codebook import VectorQuantizer
from .steps import extend_paths, straight_through, to_grid, to_vectors

LOUDEST = 1.5
"""Loudness, in the unit of `vqlab.models.loudness`, at which `quality` counts stages."""
STAGES_PER_LOUDNESS = 4
"""A position whose loudness is lower by 1 gets so many stages fewer."""
QUALITY_STEPS = 8
"""Steps of `quality` that make one stage."""


@dataclass(frozen=True)
class Paths:
    """What a beam search found: the best codes for each number of stages.

    depth : int64 (batch, *positions), how many stages were searched
    best : for 1, 2, … stages: of the positions with so many, the codes with the nearest sum, in
        order, (positions, stages); numbers as small as the codebook allows
    """

    depth: Tensor
    best: Sequence[Tensor]

    def codes(self, depth: Tensor) -> Tensor:
        """Codes int64 (batch, stages, *positions), -1 beyond a depth.

        depth : int64 (batch, *positions), nowhere more than what was searched
        """
        rows, stages = depth.reshape(-1), len(self.best)
        found = torch.full((len(rows), stages), -1, device=depth.device)
        for n, best in enumerate(self.best, start=1):
            here = rows == n
            found[here, :n] = best[here[self.depth.reshape(-1) >= n]].long()
        return to_grid(found, (len(depth), stages, *depth.shape[1:]))


class ResidualQuantizer(Bottleneck):
    """Several codebooks in a row, and a depth that follows from the first.

    dim, codebook_size, options : of each stage's `VectorQuantizer`
    stages : number of codebooks; a position costs stages * log2(K) bits
    dropout : probability that an item of a training batch uses fewer stages, a number drawn evenly
        from 1 … stages-1 (SoundStream's quantiser dropout). It makes the first stages good on their
        own, so that one model serves several rates.

    z = sum of the stages' code vectors. Stage i sees the residual z_e - z_q1 - … , which keeps the
    gradient to z_e; the loss is the sum of the stages' losses. A position that drops a stage
    neither moves that stage's codebook nor counts in its loss.

    Positions may differ in their number of stages, their *depth* (Chae et al. 2024, "Variable
    Bitrate Residual Vector Quantization for Audio Coding"): silence needs few, a vowel many. Here
    the depth follows from the code of the first stage, which tells how loud a position is: `depth`
    says how, `loudness (K,)` is what was learned about each code, and a decoder that has the first
    codes knows all depths. Codes that are left out are -1.
    """

    beam = 8
    """Partial sums that `search` keeps from stage to stage."""
    layers: Sequence[VectorQuantizer]
    loudness: Tensor

    def __init__(
        self,
        dim: int,
        codebook_size: int,
        stages: int,
        *,
        dropout: float = 0.0,
        **options: Any,
    ) -> None:
        if stages < 1:
            raise ValueError(f"stages is {stages}, must be at least 1")
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout is {dropout}, a probability in [0, 1]")
        super().__init__(dim, (codebook_size,) * stages)
        self.dropout = dropout
        layers = nn.ModuleList(
            VectorQuantizer(dim, codebook_size, **options) for _ in range(stages)
        )
        self.layers = cast(Any, layers)
        # Without anything learned every code counts as loudest: all positions get equal depth.
        self.register_buffer("loudness", torch.full((codebook_size,), LOUDEST))

    def in_turn(self) -> Sequence[Any]:
        return self.layers

    def depth(self, first: Tensor, quality: int) -> Tensor:
        """Number of stages, 1 … stages, for each code of the first stage; int64, shaped as `first`.

        quality : `QUALITY_STEPS` times the number of stages of the loudest positions. Whole
        numbers decide, made from the float16 values that are stored: equal on every machine.
        """
        loudness = self.loudness.cpu().half().double()  # not every device has doubles
        steps = (QUALITY_STEPS * STAGES_PER_LOUDNESS * (loudness - LOUDEST)).round().long()  # (K,)
        depth = (quality + steps[first.cpu()]) // QUALITY_STEPS
        return depth.clamp(1, self.stages).to(first.device)

    @torch.no_grad()
    def start(self, z: Tensor) -> None:
        """Fit each stage's codebook by k-means to what the stages before it leave of z.

        z (batch, dim, *positions): many more positions than one batch of training has. With several
        processes give each the same z; `training.fit` begins with what rank 0 made of it.
        """
        residual = to_vectors(z.float())
        for layer in self.layers:
            layer.start(residual)
            residual = residual - layer.vectors_of(layer.codes_of(residual))

    def forward(
        self,
        z: Tensor,
        stages: int | Tensor | None = None,
        loudness: Tensor | None = None,
    ) -> Quantized:
        """Quantise z (batch, dim, *positions).

        stages : use the first so many stages (None: all), or int64 (batch, *positions), a depth for
            each position. Giving it switches the dropout off.
        loudness : Tensor (batch, *positions). In training, each code of the first stage learns how
            loud its positions are, and most items drop stages by it.

        codes are (batch, stages, *positions): -1 where a depth that was given leaves a stage out,
        complete even for what training dropped; `z` leaves the dropped ones out.
        Raises ValueError for a wrong channel axis or a number of stages this layer does not have.
        """
        check_shape(z, self.dim)
        if isinstance(stages, int) and not 1 <= stages <= self.stages:
            raise ValueError(f"stages is {stages}, this quantiser has 1 to {self.stages}")
        used = stages if isinstance(stages, int) else self.stages
        depth = stages if isinstance(stages, Tensor) else None
        if stages is None:
            depth = self._draw_depth(z, loudness)
        rows = None if depth is None else depth.reshape(-1)  # (n,)
        with torch.autocast(z.device.type, enabled=False):
            z_e = z.float()
            residual = to_vectors(z_e)  # (n, dim)
            z_q = torch.zeros_like(residual)
            all_codes, losses, stats = [], [], []
            for i, layer in enumerate(self.layers[:used]):
                # Everyone uses the first stage.
                keep = None if rows is None or i == 0 else rows > i
                step, codes, loss, stat = layer.quantize(residual, keep)
                step = step.detach()
                residual = residual - step
                z_q = z_q + (step if keep is None else step * keep[:, None])
                if isinstance(stages, Tensor) and keep is not None:
                    codes = codes.where(keep, -1)
                all_codes.append(codes)
                losses.append(loss)
                stats.append(stat)
            if self.training and loudness is not None:
                self._learn_loudness(all_codes[0], loudness)
            out = to_grid(z_q, z.shape)
            if torch.is_grad_enabled() and z.requires_grad:
                out = straight_through(z_e, out)
        codes = to_grid(torch.stack(all_codes, dim=1), (len(z), used, *z.shape[2:]))
        means = {name: torch.stack([stat[name] for stat in stats]).mean() for name in stats[0]}
        return Quantized(out.to(z.dtype), codes, torch.stack(losses).sum(), means)

    def search(self, z: Tensor, depth: Tensor) -> Tensor:
        """Codes (batch, stages, *positions) of `paths` at `depth`, -1 beyond it."""
        return self.paths(z, depth).codes(depth)

    @torch.no_grad()
    def paths(self, z: Tensor, depth: Tensor) -> Paths:
        """The codes with the nearest sums for every number of stages up to `depth`.

        Taking the nearest code in every stage is greedy: a code that is a little farther away can
        leave a residual that the next stages code better. So the `beam` best partial sums are kept
        from stage to stage (beam search). What is best after some stages does not depend on whether
        the search goes on. The first stage stays greedy, because depths follow from it.
        """
        check_shape(z, self.dim)
        pieces = zip(to_vectors(z.float()).split(1024), depth.reshape(-1).split(1024), strict=True)
        found = [self._search_rows(rows, left) for rows, left in pieces]
        return Paths(depth, [torch.cat(rows) for rows in zip(*found, strict=True)])

    def _search_rows(self, rows: Tensor, depth: Tensor) -> list[Tensor]:
        """For 1, 2, … stages the best codes (positions that deep, stages) of rows (n, dim)."""
        small = torch.int16 if max(self.codebook_sizes) <= 2**15 else torch.int32
        first = self.layers[0].codes_of(rows)
        residual = (rows - self.layers[0].vectors_of(first)).unsqueeze(1)  # (n, paths, dim)
        paths = first.reshape(-1, 1, 1)  # (n, paths, stages so far)
        best = [paths[:, 0].to(small)]
        for stage in range(1, self.stages):
            more = depth > stage
            depth, residual, paths = depth[more], residual[more], paths[more]
            if not len(depth):
                deeper = range(stage + 1, self.stages + 1)
                return best + [first.new_empty(0, stages, dtype=small) for stages in deeper]
            residual, paths = extend_paths(residual, paths, self.layers[stage].table(), self.beam)
            best.append(paths[:, 0].to(small))
        return best

    def _draw_depth(self, z: Tensor, loudness: Tensor | None) -> Tensor | None:
        """Depth of each position, int64 (batch, *positions); None when all use all stages."""
        n, shape = len(z), (-1, *[1] * (z.ndim - 2))
        if not self.training and loudness is not None:
            return self._depth_by(loudness, z.new_zeros(n))
        if not self.training or self.dropout == 0 or self.stages == 1:
            return None
        # Drawn for the items of all ranks, so that they stay in step, of which mine are taken.
        first, every = processes.share(n)
        mine = slice(first, first + n)
        even = torch.randint(1, self.stages, (every,), device=z.device)[mine]
        full = torch.rand(every, device=z.device)[mine] >= self.dropout
        even = torch.where(full, self.stages, even).reshape(shape).expand(n, *z.shape[2:])
        if loudness is None:
            return even
        # From one stage for the loudest to all stages for what is a good deal softer.
        top = torch.rand(every, device=z.device)[mine] * (self.stages + 3) - self.stages + 1
        by_loudness = torch.rand(every, device=z.device)[mine] < 0.75
        return torch.where(by_loudness.reshape(shape), self._depth_by(loudness, top), even)

    def _depth_by(self, loudness: Tensor, top: Tensor) -> Tensor:
        """Depth by measured loudness; the loudest get `stages + top` (batch,), cut off at both."""
        top = top.reshape(-1, *[1] * (loudness.ndim - 1)) + self.stages
        depth = (top + STAGES_PER_LOUDNESS * (loudness - LOUDEST)).floor()
        return depth.clamp(1, self.stages).long()

    @torch.no_grad()
    def _learn_loudness(self, first: Tensor, loudness: Tensor) -> None:
        """Move each code's loudness a tenth to the mean of its positions; `first` (n,)."""
        counts = self.count(first)
        sums = torch.zeros_like(self.loudness).index_add_(0, first, loudness.reshape(-1).float())
        sums = processes.sum_over_ranks(sums)
        found = sums / counts.clamp(min=1)
        self.loudness.copy_(torch.where(counts > 0, self.loudness.lerp(found, 0.1), self.loudness))
