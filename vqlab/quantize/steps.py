"""The five steps of vector quantisation as plain functions, and what several codebooks need.

    to_vectors   (batch, dim, *positions) -> (n, dim)       one row per position
    distances    (n, dim), (K, dim)       -> (n, K)         squared distance to every code vector
    nearest      (n, K)                   -> (n,)           number of the closest one: the code
    lookup       (n,), (K, dim)           -> (n, dim)       the code vector itself
    to_grid      (n, dim)                 -> (batch, dim, *positions)

n = batch x positions. The layers of `quantize` are built of these (van den Oord et al. 2017,
section 3.1).

Notebook: 05
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def to_vectors(z: Tensor) -> Tensor:
    """Step 1: one row per position, (batch, dim, *positions) -> (n, dim).

    The channel axis must be moved to the end *before* reshaping: `z.reshape(-1, dim)` alone runs
    without an error and cuts each channel's map into pieces instead (`to_vectors_wrong_axes`).
    """
    return z.movedim(1, -1).reshape(-1, z.shape[1])


def to_vectors_wrong_axes(z: Tensor) -> Tensor:
    """The published mistake: (batch, dim, *positions) -> (n, dim) without moving the channel axis.

    The number of elements always fits, so nothing ever fails: see `WrongAxesVectorQuantizer`.
    """
    return z.reshape(-1, z.shape[1])


def distances(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Step 2: squared Euclidean distance of every vector to every code vector.

    vectors : Tensor (n, dim);  codebook : Tensor (K, dim);  returns Tensor (n, K), at least 0

    Written as |x|^2 - 2 x.e + |e|^2, one matrix product instead of an (n, K, dim) array.
    """
    x_squared = vectors.pow(2).sum(dim=1, keepdim=True)  # (n, 1)
    e_squared = codebook.pow(2).sum(dim=1)  # (K,)
    # Rounding can leave a distance of a vector to itself a little below 0.
    return (x_squared - 2 * vectors @ codebook.T + e_squared).clamp(min=0)


def nearest(distance: Tensor) -> Tensor:
    """Step 3: the number of the closest code vector, (n, K) -> int64 (n,); the first on a tie."""
    return distance.argmin(dim=1)


def one_hot(codes: Tensor, codebook_size: int) -> Tensor:
    """Codes (n,) as rows of zeros with a single one, float32 (n, K): for teaching, see `lookup`."""
    return F.one_hot(codes, codebook_size).to(torch.float32)


def lookup(codes: Tensor, codebook: Tensor) -> Tensor:
    """Step 4: the code vectors (n, dim) that belong to the codes.

    codes : int64 Tensor (n,), or the same as one-hot rows, float Tensor (n, K). Multiplying one-hot
    rows by the codebook picks out the same rows as indexing, at K times the work and memory.
    """
    if codes.is_floating_point():
        return codes @ codebook
    return F.embedding(codes, codebook)


def to_grid(vectors: Tensor, shape: Sequence[int]) -> Tensor:
    """Step 5: rows back to `shape` = (batch, dim, *positions); undoes `to_vectors`."""
    batch, dim, *positions = shape
    return vectors.reshape(batch, *positions, dim).movedim(-1, 1)


def straight_through(z_e: Tensor, z_q: Tensor) -> Tensor:
    """The value of `z_q` (to float rounding), with the gradient going to `z_e` as if it were z_e.

    Choosing the nearest code is a staircase: its gradient is zero almost everywhere. So the
    gradient that arrives at z_q is copied to z_e (van den Oord et al. 2017, section 3.2).
    """
    return z_e + (z_q - z_e).detach()


def nearest_codes(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Steps 2 and 3 at once: `nearest(distances(vectors, codebook))`, int64 (n,), but faster.

    |x|^2 is the same for every code, so it is left out, and the (n, K) table is made in slices that
    stay in the processor's cache. Where two codes are equally near to within float32 rounding, the
    choice between them may differ from the plain form.
    """
    e_squared = codebook.pow(2).sum(dim=1)  # (K,)
    # 2M numbers (8 MB) fit a CPU's cache; a GPU is better served by few large pieces.
    elements = 2**21 if vectors.device.type == "cpu" else 2**27
    rows = max(1, elements // len(codebook))
    parts = [
        torch.addmm(e_squared, part, codebook.T, alpha=-2).min(dim=1).indices  # faster than argmin
        for part in vectors.split(rows)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def extend_paths(
    residual: Tensor, paths: Tensor, codebook: Tensor, beam: int
) -> tuple[Tensor, Tensor]:
    """One step of a beam search: each path tries every code, the `beam` nearest sums go on.

    residual : Tensor (n, b, dim), what is left of each vector along b paths
    paths : int64 Tensor (n, b, stages), the codes chosen so far
    returns : both, with up to `beam` paths of one stage more, best first
    """
    n, b, dim = residual.shape
    size = len(codebook)
    # |r - e|^2 = |r|^2 - 2 r.e + |e|^2, for all paths and codes at once: (n, b * K)
    cross = (residual.reshape(-1, dim) @ codebook.T).reshape(n, b, size)
    # In place, as this table is by far the largest.
    squared = cross.mul_(-2).add_(residual.pow(2).sum(dim=2, keepdim=True))
    squared = squared.add_(codebook.pow(2).sum(dim=1))
    best = squared.reshape(n, -1).topk(min(beam, b * size), dim=1, largest=False).indices
    path, code = best // size, best % size
    kept = residual.gather(1, path[..., None].expand(-1, -1, dim))
    before = paths.gather(1, path[..., None].expand(-1, -1, paths.shape[2]))
    return kept - lookup(code, codebook), torch.cat([before, code[..., None]], dim=2)


@torch.no_grad()
def kmeans(vectors: Tensor, k: int) -> Tensor:
    """A codebook (k, dim) fitted to `vectors` (n, dim), n >= 1.

    k-means++ (Arthur & Vassilvitskii 2007) draws the starting centres far apart: each is a vector
    drawn with a probability in proportion to its squared distance from the centres before it. Then
    Lloyd's algorithm: assign each vector to its nearest centre, move the centre to the mean of its
    vectors, ten times. A small batch would be learned by heart, with nothing left for residual
    stages: so there are at most n / 4 centres, and noisy copies of them fill the rest, as spread
    out as the vectors are around their centres. Random choices follow `torch.manual_seed`.
    """
    vectors = vectors[torch.randperm(len(vectors), device=vectors.device)[: 16 * k]]
    n, dim = vectors.shape
    distinct = min(k, max(1, n // 4))
    centres = vectors[:1].repeat(distinct, 1)
    far = (vectors - centres[0]).pow(2).sum(dim=1)  # (n,) to the nearest centre so far
    for i in range(1, distinct):
        centres[i] = vectors[torch.multinomial(far + 1e-20, 1)]
        far = torch.minimum(far, (vectors - centres[i]).pow(2).sum(dim=1))
    for _ in range(10):
        codes = nearest_codes(vectors, centres)
        counts = torch.bincount(codes, minlength=distinct)[:, None]
        means = torch.zeros_like(centres).index_add_(0, codes, vectors) / counts.clamp(min=1)
        centres = torch.where(counts > 0, means, centres)
    if distinct == k:
        return centres
    spread = (vectors - centres[nearest_codes(vectors, centres)]).std(dim=0, correction=0)
    copies = centres[torch.arange(k - distinct, device=vectors.device) % distinct]
    return torch.cat([centres, copies + (spread + 1e-6) * torch.randn_like(copies)])
