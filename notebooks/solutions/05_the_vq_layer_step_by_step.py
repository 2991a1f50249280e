"""Solutions to the exercises of notebook 05. Each function is named like its stub."""

import torch
import torch.nn.functional as F

from vqlab import quantize


def to_vectors(z):
    """(batch, dim, *positions) -> (n, dim): the channel axis goes last, then all else is one."""
    return z.movedim(1, -1).reshape(-1, z.shape[1])


def distances(vectors, codebook):
    """|x - e|^2 = |x|^2 - 2 x.e + |e|^2, without a table of size n x K x dim."""
    lengths = vectors.pow(2).sum(dim=1, keepdim=True)  # (n, 1)
    products = vectors @ codebook.T  # (n, K)
    return lengths - 2 * products + codebook.pow(2).sum(dim=1)  # (n, K)


def nearest(distances):
    """(n, K) -> (n,): the position of the smallest number in each row."""
    return distances.argmin(dim=1)


def lookup(indices, codebook):
    """(n,), (K, dim) -> (n, dim): a one-hot row picks one row of the codebook."""
    one_hot = F.one_hot(indices, codebook.shape[0]).float()  # (n, K)
    return one_hot @ codebook


def straight_through(z_e, z_q):
    """The value of z_q; the gradient goes to z_e unchanged."""
    return z_e + (z_q - z_e).detach()


def vq_loss(z_e, z_q, beta):
    """Codebook loss moves the codes, commitment loss moves the encoder."""
    codebook_loss = F.mse_loss(z_q, z_e.detach())
    commitment_loss = F.mse_loss(z_e, z_q.detach())
    return codebook_loss + beta * commitment_loss


def ema_update(counts, sums, vectors, indices, decay):
    """Running count and running sum of each code; their quotient is the code."""
    one_hot = F.one_hot(indices, len(counts)).float()  # (n, K)
    counts = decay * counts + (1 - decay) * one_hot.sum(0)
    sums = decay * sums + (1 - decay) * one_hot.T @ vectors
    return counts, sums, sums / counts[:, None]


def perplexity(indices, K):
    """exp of the entropy: the number of equally frequent codes that would be as hard to guess."""
    p = torch.bincount(indices, minlength=K) / len(indices)
    p = p[p > 0]
    return torch.exp(-(p * p.log()).sum())


def two_stages(vectors, first, second):
    """The second codebook quantises what the first left over."""
    coarse = first[quantize.nearest(quantize.distances(vectors, first))]
    rest = vectors - coarse
    return coarse + second[quantize.nearest(quantize.distances(rest, second))]
