"""How much of a codebook is in use: of one batch, and of a whole epoch.

A codebook of K entries is worth log2(K) bits a position only if its entries are used about
equally often. With p_k the share of code k, the entropy H = -sum p_k log2 p_k counts the bits that
the codes really carry, and the perplexity 2**H is the size of the evenly used codebook that would
carry the same. It is 1 when one code does everything (collapse) and K when all share the work.

Notebook: 06
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def count_codes(codes: Tensor, codebook_size: int) -> Tensor:
    """How often each code occurs, as float32 (codebook_size,); `codes` int64 of any shape.

    Counting needs no one-hot matrix: that would be vectors x codebook_size numbers, 268 MB for the
    65,536 vectors of one batch of pictures and 1024 codes.
    """
    return torch.bincount(codes.reshape(-1), minlength=codebook_size).to(torch.float32)


def entropy_bits(counts: Tensor) -> Tensor:
    """Entropy in bits (0-dim) of the distribution with `counts` (K,); 0 when there are none."""
    shares = counts / counts.sum().clamp(min=1)
    return torch.special.entr(shares).sum() / math.log(2)


def batch_stats(counts: Tensor) -> dict[str, Tensor]:
    """What a bottleneck tells of a batch's `counts` (K,): perplexity, and number of codes used."""
    return {"perplexity": 2 ** entropy_bits(counts), "used": (counts > 0).sum().float()}


def batch_perplexity(codes: Tensor, codebook_size: int) -> Tensor:
    """Perplexity (0-dim, between 1 and codebook_size) of the codes (n,) of one batch.

    It depends on the size of the batch: 400 vectors cannot show more than 400 of 1024 codes, and
    neighbouring vectors of the same sound are alike. At step 11,750 in the log of the shipped
    weights, the mean over the 16 stages is 112 for a batch, and 477 over 250 batches together.
    Judge a codebook by `CodebookStats`, not by this number.
    """
    return 2 ** entropy_bits(count_codes(codes, codebook_size))


class CodebookStats:
    """Use of the codebooks over everything seen since `reset`, stage by stage.

    Call `update(codes)` for each batch of an epoch, then read `used`, `entropy_bits` and
    `perplexity`, which do not depend on the size of the batches, as `batch_perplexity` does.
    """

    def __init__(self, codebook_sizes: Sequence[int]) -> None:
        self.codebook_sizes = tuple(codebook_sizes)
        self.reset()

    def reset(self) -> None:
        """Forget all counts, for the next epoch."""
        self.counts = [torch.zeros(size, dtype=torch.int64) for size in self.codebook_sizes]

    def update(self, codes: Tensor) -> None:
        """Count `codes` (batch, stages, *positions), int64; fewer stages than codebooks are fine,
        and -1 is no code.

        Raises ValueError for more stages than codebooks.
        """
        if codes.ndim < 2 or codes.shape[1] > len(self.counts):
            raise ValueError(
                f"codes of shape {tuple(codes.shape)} do not fit {len(self.counts)} codebook(s): "
                "expected (batch, stages, *positions) with no more stages than codebooks"
            )
        for stage in range(codes.shape[1]):
            seen = codes[:, stage].reshape(-1)
            seen = seen[seen >= 0]
            self.counts[stage] += torch.bincount(seen, minlength=self.codebook_sizes[stage]).cpu()

    @property
    def used(self) -> list[int]:
        """Number of different codes seen, per stage."""
        return [int((counts > 0).sum()) for counts in self.counts]

    @property
    def entropy_bits(self) -> list[float]:
        """Entropy of the codes in bits a position, per stage: at most log2 of the codebook size."""
        return [float(entropy_bits(counts.double())) for counts in self.counts]

    @property
    def perplexity(self) -> list[float]:
        """2 ** entropy, per stage: the size of an evenly used codebook with the same entropy."""
        return [2.0**bits for bits in self.entropy_bits]
