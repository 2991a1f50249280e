"""The vector quantiser: one codebook, learned from moving averages or by gradient, kept alive.

The one idea (van den Oord et al. 2017, "Neural Discrete Representation Learning"): the encoder
gives a vector z_e at every position, the codebook holds K vectors e_k, and what is passed on is
z_q = e_k for the nearest k, so that a position costs log2(K) bits. Choosing has no gradient; it is
copied from z_q to z_e (`straight_through`). Each code vector is the moving average of the vectors
that chose it (appendix A.1). A code that nobody chooses stays behind, so a k-means start (Zeghidour
et al. 2021, "SoundStream") and random restarts (Dhariwal et al. 2020, "Jukebox") keep all in use.

Notebook: 07, 08, 11
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import processes
from .base import Bottleneck, Quantized, check_shape
from .steps import kmeans, lookup, nearest_codes, straight_through, to_vectors_wrong_axes
from .usage import batch_stats

EPSILON = 1e-5  # Laplace smoothing of the EMA counts
USE_DECAY = 0.99  # how slowly use is forgotten where the codebook itself has no decay


class VectorQuantizer(Bottleneck):
    """One codebook of `codebook_size` vectors of length `dim`; any number of position axes.

    dim : length of the vectors, the channel axis of z
    codebook_size : K, so a position costs log2(K) bits
    beta : weight of the commitment loss
    decay : of the moving averages the codebook is made of (van den Oord et al. 2017, appendix A.1);
        None for a codebook learned by gradient
    kmeans_start : start from k-means on the first training batch, else uniform in +-1/K
    restart_below : a code whose moving count falls below this share of the mean count is put on a
        random vector of the batch; 0 for never. A share, because the mean count is n / K: with 800
        vectors a batch and K = 1024 it is 0.8, and no fixed number suits both that and 16,384
        and 512.

    The loss is a mean over all elements (`F.mse_loss`), not a sum over `dim`:
        decay given:  beta * |z_e - sg[e]|^2                      (the averages move the codebook)
        decay None:   |sg[z_e] - e|^2 + beta * |z_e - sg[e]|^2    with sg = stop-gradient
    All arithmetic is in float32, under autocast too; z comes back in the input's dtype.
    The codebook, its averages and whether it has started are in `state_dict`: resuming is exact.
    In training, several processes (`vqlab.processes`) learn one codebook: counts, sums, the k-means
    start and the restarts are those of all their vectors, as in one process with the whole batch.
    """

    codebook: Tensor
    started: Tensor
    ema_count: Tensor
    ema_sum: Tensor

    def __init__(
        self,
        dim: int,
        codebook_size: int,
        *,
        beta: float = 0.25,
        decay: float | None = 0.99,
        kmeans_start: bool = True,
        restart_below: float = 0.03,
    ) -> None:
        super().__init__(dim, (codebook_size,))
        if dim < 1 or codebook_size < 2:
            raise ValueError(f"need dim >= 1 and codebook_size >= 2, got {dim} and {codebook_size}")
        if decay is not None and not 0 <= decay < 1:
            raise ValueError(f"decay is {decay}, must be in [0, 1), or None to learn by gradient")
        if not 0 <= restart_below < 1:
            raise ValueError(f"restart_below is {restart_below}, must be a share in [0, 1)")
        self.codebook_size = codebook_size
        self.beta = beta
        self.decay = decay
        self.restart_below = restart_below
        codebook = torch.empty(codebook_size, dim).uniform_(-1 / codebook_size, 1 / codebook_size)
        if decay is None:
            self.codebook = nn.Parameter(codebook)
        else:
            self.register_buffer("codebook", codebook)
            self.register_buffer("ema_sum", codebook.clone())  # sum of the vectors of each code
        self.register_buffer("ema_count", torch.ones(codebook_size))  # number of them
        self.register_buffer("started", torch.tensor(not kmeans_start))

    def forward(self, z: Tensor) -> Quantized:
        """Quantise z (batch, dim, *positions); codes are (batch, 1, *positions)."""
        check_shape(z, self.dim)
        with torch.autocast(z.device.type, enabled=False):
            z_e = z.float()
            z_q, codes, loss, stats = self.quantize(self._to_vectors(z_e))
            z_q = self._to_grid(z_q.detach(), z.shape)  # only the loss moves a gradient codebook
            if torch.is_grad_enabled() and z.requires_grad:
                z_q = straight_through(z_e, z_q)
        codes = codes.reshape(z.shape[0], 1, *z.shape[2:])
        return Quantized(z_q.to(z.dtype), codes, loss, stats)

    def codes_of(self, vectors: Tensor) -> Tensor:
        """Rows (n, dim) -> the numbers of their nearest code vectors, int64 (n,)."""
        return nearest_codes(vectors, self.table())

    def vectors_of(self, codes: Tensor) -> Tensor:
        """Codes (n,) -> their code vectors (n, dim)."""
        return lookup(codes, self.table())

    def quantize(
        self, vectors: Tensor, keep: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """Quantise rows (n, dim), float32: returns z_q (n, dim), codes (n,), loss and stats.

        keep : bool Tensor (n,); only these rows count in the loss and move the codebook (quantiser
        dropout). In training the codebook moves *after* the rows were quantised with it.
        """
        detached = vectors.detach()
        seen = detached if keep is None else detached[keep]
        # Of all ranks: one that sees nothing itself learns all the same, and waits for no one.
        number = processes.share(len(seen))[1] if self.training else len(seen)
        if self.training and not processes.sum_over_ranks(seen.sum()).isfinite():
            number = 0  # what is no number must not get into the codebook
        if self.training and number and not self.started:
            self.start(processes.gather_rows(seen))
            processes.copy_from_main(self)  # equal vectors, but perhaps not equal machines
        with torch.no_grad():
            codes = self.codes_of(detached)
        z_q = self.vectors_of(codes)
        rows = slice(None) if keep is None else keep
        loss, commitment = self._loss(vectors[rows], z_q[rows])
        if keep is not None and self.training and processes.world_size() > 1:
            # Ranks count by their rows in the batch's mean, here it must be by those kept.
            every = processes.share(len(vectors))[1]
            loss = loss * (len(seen) * every / (len(vectors) * max(1, number)))
        counts = self.count(codes[rows])
        if self.training and number:
            self._update(seen, codes[rows], counts)
        return z_q, codes, loss, batch_stats(counts) | {"commitment": commitment.detach()}

    def table(self) -> Tensor:
        """The code vectors e_k that codes stand for, (codebook_size, dim)."""
        return self.codebook

    # Learning

    def _loss(self, z_e: Tensor, z_q: Tensor) -> tuple[Tensor, Tensor]:
        if not len(z_e):  # every item dropped this stage: the mean of nothing would be NaN
            zero = z_e.sum()
            return zero, zero
        commitment = F.mse_loss(z_e, z_q.detach())  # moves only the encoder
        loss = self.beta * commitment
        if self.decay is None:
            loss = loss + F.mse_loss(z_q, z_e.detach())  # moves only the codebook
        return loss, commitment

    @torch.no_grad()
    def start(self, vectors: Tensor) -> None:
        """Put the code vectors on the k-means centres of `vectors` (n, dim), float32."""
        every = torch.arange(self.codebook_size, device=vectors.device)
        fair = self.ema_count.new_full((), len(vectors) / self.codebook_size)
        self._place(every, kmeans(vectors, self.codebook_size), self._trial(fair))
        self.started.fill_(True)

    def _trial(self, fair: Tensor) -> Tensor:
        """The count a fresh code begins with, from the mean count `fair` of a code (0-dim).

        Twice the limit of a restart is time for ln 2 / -ln 0.99 = 70 batches to prove itself (more
        after a k-means start from far more vectors than a batch has, which counts those). It is
        little on purpose: a code with little weight of its own quickly follows the vectors that
        choose it, and codes which the encoder leaves behind in its first steps are soon replaced;
        with the full share they would wait for ln `restart_below` / ln 0.99 batches.
        """
        return fair * (2 * self.restart_below if self.restart_below > 0 else 1.0)

    @torch.no_grad()
    def _update(self, vectors: Tensor, codes: Tensor, counts: Tensor) -> None:
        """Move averages and codebook, then restart dead codes. `counts` are those of all ranks."""
        self.ema_count.lerp_(counts, 1 - (USE_DECAY if self.decay is None else self.decay))
        if self.decay is not None:
            sums = torch.zeros_like(self.ema_sum).index_add_(0, codes, vectors)
            self.ema_sum.lerp_(processes.sum_over_ranks(sums), 1 - self.decay)
            total = self.ema_count.sum()
            # Laplace smoothing keeps the division finite; the total stays what it was.
            smoothed = (self.ema_count + EPSILON) / (total + self.codebook_size * EPSILON) * total
            self.codebook.copy_(self.ema_sum / smoothed[:, None])
        if self.restart_below > 0:
            self._restart(vectors)

    @torch.no_grad()
    def _restart(self, vectors: Tensor) -> None:
        """Put hardly used codes on random vectors of the batch, each vector at most once."""
        fair = self.ema_count.mean()
        dead = (self.ema_count < self.restart_below * fair).nonzero().squeeze(1)
        if not len(dead):
            return
        chosen = processes.draw_rows(vectors, len(dead))
        # When there are more dead codes than vectors the rest waits for the next batch.
        dead = dead[torch.randperm(len(dead), device=dead.device)[: len(chosen)]]
        self._place(dead, chosen, self._trial(fair))

    @torch.no_grad()
    def _place(self, where: Tensor, vectors: Tensor, count: Tensor) -> None:
        """Set codes and averages together: a sum not belonging to its code would drag it back."""
        self.codebook[where] = vectors
        self.ema_count[where] = count
        if self.decay is not None:
            self.ema_sum[where] = vectors * count


class WrongAxesVectorQuantizer(VectorQuantizer):
    """The layer with the axis mistake of a published tutorial, kept to be seen and heard.

    It reshapes (batch, dim, height, width) to (-1, dim) without moving the channel axis. Nothing
    fails and the loss falls, but at height x width = dim (32 x 8 = 256 in the tutorial) each
    "vector" is the whole map of one channel: the codes describe channels, not positions, and code
    (h, w) has nothing to do with the sound at h, w.
    """

    _to_vectors = staticmethod(to_vectors_wrong_axes)
    _to_grid = staticmethod(torch.reshape)  # type: ignore[assignment]
