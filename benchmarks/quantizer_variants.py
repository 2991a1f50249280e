"""Other ways to quantise: another gradient, another codebook, another meaning of "nearest".

A residual quantiser is a list of *stages*, each coding what those before it left over. A stage has

    quantize(vectors (n, dim), keep) -> z_q (n, dim), codes (n,), loss, stats
    codes_of(vectors (n, dim))       -> codes (n,)
    vectors_of(codes (n,))           -> z_q (n, dim)

and its `dim` and `codebook_size`. `VectorQuantizer` is one; here are three more, and
`ResidualStack`, which makes a bottleneck of any list of them. The one idea: each published variant
changes one thing about the plain layer, so that thing is all that is written here.

    rotate_to             the gradient    Fifty et al. 2024, "Restructuring Vector Quantization with
                                          the Rotation Trick"
    SimVectorQuantizer    the codebook    Zhu et al. 2024, "Addressing Representation Collapse in
                                          Vector Quantized Models with One Linear Layer" (SimVQ)
    CosineQuantizer       "nearest"       Yu et al. 2021, "Vector-quantized Image Modeling with
                                          Improved VQGAN"; Kumar et al. 2023, "High-Fidelity Audio
                                          Compression with Improved RVQGAN" (DAC)
    FiniteScalarStage     no codebook     Mentzer et al. 2023, "Finite Scalar Quantization"

Notebook: 09
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqlab.quantize.base import Bottleneck, Quantized, check_shape
from vqlab.quantize.codebook import VectorQuantizer
from vqlab.quantize.scalar import FiniteScalarQuantizer
from vqlab.quantize.steps import (
    nearest_codes,
    straight_through,
    to_grid,
    to_vectors,
)
from vqlab.quantize.usage import batch_stats

Stats = dict[str, Tensor]
Step = tuple[Tensor, Tensor, Tensor, Stats]
"""What a stage's `quantize` returns: z_q (n, dim), codes (n,), loss and stats."""

SHORT = 1e-6  # a vector shorter than this has no direction that could be trusted


def rotate_to(z_e: Tensor, z_q: Tensor) -> Tensor:
    """The value of `z_q`, with the gradient going to `z_e` as if a rotation had made z_q of it.

    z_e, z_q : Tensor (n, dim), one vector a row, in contrast to `straight_through`

    For each row there is a rotation R, in the plane of both vectors, with z_q = lambda R z_e and
    lambda = |z_q| / |z_e|. Both are held constant, so the gradient g at z_q arrives at z_e as
    lambda R^T g: turned and scaled, it keeps its angle to the vector. `straight_through` copies g
    as it is, whether z_q lies near z_e or on its other side. With the unit vectors e, q and
    r = (e + q) / |e + q| (Fifty et al. 2024, section 4.2):

        R = I - 2 r r^T + 2 q e^T

    which takes two dot products a row and no dim x dim matrix. For opposite vectors r is left out,
    and R is a reflection. A z_e of no length (below 1e-6) has no direction: its gradient is copied.
    """
    with torch.no_grad():
        length = z_e.norm(dim=-1, keepdim=True)  # (n, 1)
        e = F.normalize(z_e, dim=-1)
        q = F.normalize(z_q, dim=-1)
        # Where e + q is hardly more than rounding error, r shrinks to 0 instead of being noise.
        r = F.normalize(e + q, dim=-1, eps=1e-4)
        scale = z_q.norm(dim=-1, keepdim=True) / length.clamp(min=SHORT)
    along_r = (z_e * r).sum(dim=-1, keepdim=True)  # (n, 1)
    along_e = (z_e * e).sum(dim=-1, keepdim=True)
    rotated = scale * (z_e - 2 * along_r * r + 2 * along_e * q)
    rotated = torch.where(length < SHORT, z_e, rotated)
    return straight_through(rotated, z_q)  # it is z_q but for rounding: now in value exactly


class SimVectorQuantizer(VectorQuantizer):
    """SimVQ: the codebook is `codebook @ W`, the codes C drawn once and frozen, W learned.

    With an ordinary codebook only the codes that were chosen move; those never chosen stay where
    no vector is. Here each chosen code moves W, and with it all codes (Zhu et al. 2024, section 4):

        e_k = (C W)_k        C (K, dim) normal with deviation 1 / sqrt(dim),  W (dim, dim)

    The loss is that of a codebook learned by gradient, |sg[z_e] - e|^2 + beta |z_e - sg[e]|^2.
    No averages, no k-means start and no restart.
    """

    def __init__(self, dim: int, codebook_size: int, *, beta: float = 0.25) -> None:
        super().__init__(
            dim, codebook_size, beta=beta, decay=None, kmeans_start=False, restart_below=0.0
        )
        nn.init.normal_(self.codebook, std=dim**-0.5)
        self.codebook.requires_grad_(False)
        self.linear = nn.Linear(dim, dim, bias=False)  # its weight is W^T

    def table(self) -> Tensor:
        """C W, (codebook_size, dim)."""
        return self.linear(self.codebook)


class CosineQuantizer(nn.Module):
    """DAC's stage: codes of few dimensions, compared by their angle, learned by gradient.

    dim, codebook_size, beta : as in `VectorQuantizer`
    code_dim : length of the code vectors; a linear map leads in, another out (DAC has them with
        weight normalisation, here they are plain)
    kmeans_start, restart_below : as in `VectorQuantizer`; DAC has neither, and draws its codes from
        a normal distribution

    Fewer dimensions leave fewer corners in which a code could lie unused; the angle takes the
    length of the vectors, which grows and shrinks in training, out of the choice:

        z = W_in z_e      k = argmax_k cos(z, e_k)      z_q = W_out e_k

    The loss, in code_dim dimensions, is |sg[z] - e|^2 + beta |z - sg[e]|^2. The decoder's gradient
    goes through both maps; z_q is to be passed on with it (`ResidualStack(…, estimator=None)`).
    """

    def __init__(
        self,
        dim: int,
        codebook_size: int,
        *,
        code_dim: int = 8,
        beta: float = 0.25,
        kmeans_start: bool = False,
        restart_below: float = 0.0,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.codebook_size = codebook_size
        self.project_in = nn.Linear(dim, code_dim)
        self.codes = _ByAngle(
            code_dim,
            codebook_size,
            beta=beta,
            decay=None,
            kmeans_start=kmeans_start,
            restart_below=restart_below,
        )
        nn.init.normal_(self.codes.codebook)
        self.project_out = nn.Linear(code_dim, dim)

    def quantize(self, vectors: Tensor, keep: Tensor | None = None) -> Step:
        """Quantise rows (n, dim); only the rows in `keep` count in the loss."""
        z = self.project_in(vectors)  # (n, code_dim)
        e, codes, loss, stats = self.codes.quantize(z, keep)
        return self.project_out(straight_through(z, e.detach())), codes, loss, stats

    def codes_of(self, vectors: Tensor) -> Tensor:
        """Rows (n, dim) -> codes (n,)."""
        return self.codes.codes_of(self.project_in(vectors))

    def vectors_of(self, codes: Tensor) -> Tensor:
        """Codes (n,) -> z_q (n, dim)."""
        return self.project_out(self.codes.vectors_of(codes))


class _ByAngle(VectorQuantizer):
    """A codebook in which the nearest code is that at the smallest angle."""

    def codes_of(self, vectors: Tensor) -> Tensor:
        # |x - e|^2 = 2 - 2 cos(x, e) between vectors of length 1.
        return nearest_codes(F.normalize(vectors, dim=1), F.normalize(self.table(), dim=1))


class FiniteScalarStage(FiniteScalarQuantizer):
    """Finite scalar quantisation as a stage: a linear map in, rounding, a linear map out.

    Without maps every residual would be rounded on the same grid. z_q carries the decoder's
    gradient (`ResidualStack(…, estimator=None)`).
    """

    def __init__(self, levels: Sequence[int], dim: int) -> None:
        super().__init__(levels)
        self.dim = dim
        self.project_in = nn.Linear(dim, len(levels))
        self.project_out = nn.Linear(len(levels), dim)

    def quantize(self, vectors: Tensor, keep: Tensor | None = None) -> Step:
        """Quantise rows (n, dim). Nothing is learned from a loss; `keep` picks what is counted."""
        values = self.round(self.project_in(vectors))  # (n, len(levels)), in [-1, 1]
        codes = self.values_to_codes(values.detach())
        stats = batch_stats(self.count(codes if keep is None else codes[keep]))
        return self.project_out(values), codes, vectors.new_zeros(()), stats

    def codes_of(self, vectors: Tensor) -> Tensor:
        """Rows (n, dim) -> codes (n,)."""
        return super().codes_of(self.project_in(vectors))

    def vectors_of(self, codes: Tensor) -> Tensor:
        """Codes (n,) -> z_q (n, dim)."""
        return self.project_out(super().vectors_of(codes))


def quantize_residual(
    stages: Sequence[nn.Module],
    vectors: Tensor,
    *,
    estimator: Callable[[Tensor, Tensor], Tensor] | None = straight_through,
    depth: Tensor | None = None,
) -> Step:
    """Quantise rows (n, dim) with each stage in turn: the core of residual quantisation.

    depth : int64 Tensor (n,), how many stages each row uses (None: all). A row neither moves nor
        counts in a stage that it leaves out.
    estimator : how the gradient passes from the sum of the stages to `vectors`; None where the
        stages pass it on by themselves
    Returns z_q (n, dim); codes (n, stages), complete; the sum of the losses; and the means of the
    stats over the stages.
    """
    residual, z_q = vectors, torch.zeros_like(vectors)
    all_codes, losses, stats = [], [], []
    for i, stage in enumerate(stages):
        keep = None if depth is None or i == 0 else depth > i  # all use the first stage
        step, codes, loss, stat = stage.quantize(residual, keep)
        step = step.detach() if estimator else step
        step = step if keep is None else step * keep[:, None]
        residual = residual - step
        z_q = z_q + step
        all_codes.append(codes)
        losses.append(loss)
        stats.append(stat)
    if estimator and torch.is_grad_enabled() and vectors.requires_grad:
        z_q = estimator(vectors, z_q)
    means = {name: torch.stack([stat[name] for stat in stats]).mean() for name in stats[0]}
    return z_q, torch.stack(all_codes, dim=1), torch.stack(losses).sum(), means


class ResidualStack(Bottleneck):
    """A bottleneck made of any stages: each codes what those before it left over.

    stages : quantisers of the same `dim` that have `quantize`, `codes_of` and `vectors_of`
    estimator : `straight_through` or `rotate_to`, once, from z_e to the sum of all stages; None for
        stages with linear maps (`CosineQuantizer`, `FiniteScalarStage`), which must learn from the
        decoder and pass its gradient on

    `ResidualStack([stage])` is a bottleneck with one codebook. Zeghidour et al. 2021,
    "SoundStream", section III.C.
    """

    def __init__(
        self,
        stages: Sequence[nn.Module],
        *,
        estimator: Callable[[Tensor, Tensor], Tensor] | None = straight_through,
    ) -> None:
        dims = sorted({stage.dim for stage in stages})
        if len(dims) != 1:
            raise ValueError(f"the stages have dim {dims}: give one or more stages of equal dim")
        super().__init__(dims[0], [stage.codebook_size for stage in stages])
        self.estimator = estimator
        self.layers = nn.ModuleList(stages)

    def forward(self, z: Tensor) -> Quantized:
        """Quantise z (batch, dim, *positions); codes are (batch, stages, *positions).

        Raises ValueError when the channel axis of z is not `dim` long.
        """
        check_shape(z, self.dim)
        with torch.autocast(z.device.type, enabled=False):
            vectors = to_vectors(z.float())  # (n, dim)
            z_q, codes, loss, stats = quantize_residual(
                list(self.layers), vectors, estimator=self.estimator
            )
        codes = to_grid(codes, (z.shape[0], self.stages, *z.shape[2:]))
        return Quantized(to_grid(z_q, z.shape).to(z.dtype), codes, loss, stats)

    def in_turn(self) -> Sequence[nn.Module]:
        return list(self.layers)
