"""The exercises of notebook 05: the five steps, the copied gradient, the losses, EMA, perplexity.

Each entry is data: a probe on small fixed numbers, the reference, the mistakes people make with
the hint that fits each, and general hints. The inputs are chosen so that the published mistake
(reshape without moving the channel axis) raises nothing: height x width equals dim.

Notebook: 05
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vqlab import quantize
from vqlab.lessons.exercise import Exercise, value_of

# --- 05-to-vectors: (batch, dim, *positions) -> (n, dim) ------------------------------------------

_grid = torch.arange(48, dtype=torch.float32).reshape(3, 4, 2, 2)  # height * width = dim = 4


def _on_frames_and_pictures(fn: Callable[..., Any]) -> Any:
    """One-dimensional positions (frames) and two-dimensional ones (pictures) in one outcome."""
    return {
        "the result for a picture (3, 4, 2, 2)": fn(_grid.clone()),
        "the result for frames (3, 4, 4)": fn(_grid.reshape(3, 4, 4).clone()),
    }


to_vectors = Exercise(
    probe=_on_frames_and_pictures,
    right=quantize.to_vectors,
    mistakes=(
        (
            lambda z: z.reshape(-1, z.shape[1]),
            "the shape is right and the values are not: without moving the channel axis each row "
            "is a piece of one channel's picture. This is the published mistake. Move axis 1 to "
            "the end, then reshape.",
        ),
        (
            lambda z: z.transpose(0, 1).reshape(-1, z.shape[1]),
            "you exchange channel and batch; the channel axis must become the last one.",
        ),
        (
            lambda z: z.transpose(0, 1).flatten(1),
            "this is (dim, n): one row for each channel. One row for each vector is wanted.",
        ),
        (lambda z: z.movedim(1, -1), "the channels are last now; what is left is the reshape."),
        (
            lambda z: z.transpose(1, -1).reshape(-1, z.shape[1]),
            "you exchange two axes, which reorders the positions of a picture; `movedim(1, -1)` "
            "leaves the others in order.",
        ),
        (
            lambda z: z.permute(0, 2, 3, 1).reshape(-1, z.shape[1]),
            "`permute(0, 2, 3, 1)` serves pictures only; `movedim(1, -1)` serves any number of "
            "position axes.",
        ),
    ),
    hints=(
        "A vector is all channels of one position. Which axis must come last?",
        "`z.movedim(1, -1)` makes it (batch, *positions, dim).",
        "Then `.reshape(-1, dim)`, with dim read from `z.shape[1]`.",
    ),
)

# --- 05-distances: (n, dim), (K, dim) -> (n, K) ---------------------------------------------------

_points = torch.tensor([[1.0, 2.0], [-1.0, 0.5], [3.0, -2.0]])
_codes = torch.tensor([[0.0, 0.0], [2.0, 1.0], [-2.0, 1.5], [1.0, -3.0]])


def _parts(x: Tensor, e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Squared length of each vector (n, 1), products (n, K), squared length of each code (K,)."""
    return x.pow(2).sum(1, keepdim=True), x @ e.T, e.pow(2).sum(1)


def _combined(a: float, b: float, c: float) -> Callable[[Tensor, Tensor], Tensor]:
    def fn(x: Tensor, e: Tensor) -> Tensor:
        xx, xe, ee = _parts(x, e)
        return a * xx + b * xe + c * ee

    return fn


distances = Exercise(
    probe=value_of(_points, _codes),
    right=quantize.distances,
    mistakes=(
        (torch.cdist, "this is the distance; its square is wanted (leave out the root)."),
        (
            lambda x, e: quantize.distances(x, e).pow(2),
            "squared twice: the sum of squares is the squared distance already.",
        ),
        (
            lambda x, e: torch.cdist(x, e, p=1),
            "you add absolute differences; square each difference before you add.",
        ),
        (_combined(1, -1, 1), "the middle term needs its 2: |x - e|^2 = |x|^2 - 2 x.e + |e|^2."),
        (_combined(1, 2, 1), "the middle term has the wrong sign: |x|^2 - 2 x.e + |e|^2."),
        (
            _combined(1, -2, 0),
            "|e|^2 is missing. It differs from code to code, so without it long codes win.",
        ),
        (
            _combined(0, -2, 1),
            "|x|^2 is missing. The nearest code stays the same, but these are not distances.",
        ),
        (
            lambda x, e: quantize.distances(e, x),
            "this is (K, n); one row for each vector is wanted: (n, K).",
        ),
        (
            lambda x, e: (x[:, None] - e).pow(2).mean(-1),
            "you take the mean over the dimensions; the squared distance is their sum.",
        ),
    ),
    hints=(
        "Multiply out: |x - e|^2 = |x|^2 - 2 x.e + |e|^2. Three terms, three lines.",
        "`x @ codebook.T` holds all products x.e at once, shape (n, K).",
        "|x|^2 as a column: `x.pow(2).sum(dim=1, keepdim=True)`, shape (n, 1); |e|^2 as a row.",
    ),
)

# --- 05-nearest: (n, K) -> (n,) -------------------------------------------------------------------

_d = torch.tensor([[4.0, 1.0, 9.0], [0.5, 2.0, 0.1], [3.0, 8.0, 7.0]])

nearest = Exercise(
    probe=value_of(_d),
    right=quantize.nearest,
    mistakes=(
        (
            lambda d: d.argmax(dim=1),
            "you take the largest distance; the nearest code has the smallest.",
        ),
        (
            lambda d: d.argmin(dim=0),
            "you search down each column (dim 0), so each code picks a vector. Each vector must "
            "pick a code: search along dim 1.",
        ),
        (lambda d: d.argmin(), "without `dim` you get one number for the whole table."),
        (
            lambda d: d.min(dim=1).values,
            "these are the smallest distances; their positions are wanted.",
        ),
        (lambda d: d.min(dim=1), "`min` returns values and positions; only the positions."),
        (
            lambda d: d.argmin(dim=1, keepdim=True),
            "(n, 1) instead of (n,): leave out `keepdim`.",
        ),
    ),
    hints=(
        "Each row belongs to one vector. Where in the row is the smallest number?",
        "`Tensor.argmin(dim=...)` returns positions.",
    ),
)

# --- 05-lookup: indices (n,), codebook (K, dim) -> (n, dim), by a one-hot matrix ------------------

_square_codes = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 17]])


def _hot(i: Tensor, e: Tensor) -> Tensor:
    return F.one_hot(i, e.shape[0]).float()


lookup = Exercise(
    probe=value_of(torch.tensor([2, 0, 2, 1]), _square_codes),
    right=quantize.lookup,
    mistakes=(
        (
            lambda i, e: _hot(i, e) @ e.T,
            "you multiply with the transposed codebook, so a column is picked. A code is a row.",
        ),
        (
            lambda i, e: e @ _hot(i, e),
            "the order is reversed: (n, K) times (K, dim) gives (n, dim).",
        ),
        (
            lambda i, e: _hot(i, e).T @ e,
            "the one-hot matrix is transposed: row i of it must hold the 1 of vector i.",
        ),
        (lambda i, e: _hot(i, e), "this is the one-hot matrix; multiply it with the codebook."),
        (lambda i, e: _hot(i, e) * e, "`*` multiplies value by value; `@` multiplies matrices."),
        (
            lambda i, e: F.one_hot(i, e.shape[0]) @ e,
            "`one_hot` returns whole numbers and the codebook holds floats: use `.float()`.",
        ),
    ),
    hints=(
        "Row i of the one-hot matrix is 0 everywhere but at the code of vector i.",
        "`F.one_hot(indices, K).float()` has shape (n, K); the codebook has shape (K, dim).",
    ),
)

# --- 05-vq-loss: values and gradients -------------------------------------------------------------


def _value_and_gradients(fn: Callable[..., Any], *options: Any) -> dict[str, Any]:
    """Value, and what flows back: nan at z_e where no path leads to it, 0 where paths cancel."""
    z_e = torch.tensor([[0.9, 1.2], [-0.4, 0.1]], requires_grad=True)
    z_q = torch.tensor([[1.0, 1.0], [0.0, 0.0]], requires_grad=True)
    result = fn(z_e, z_q, *options)
    if not isinstance(result, Tensor):
        return {"the value": result}
    weights = torch.tensor([[1.0, 2.0], [3.0, 4.0]]) if result.ndim else torch.tensor(1.0)
    if result.requires_grad and result.shape in ((), z_e.shape):
        (result * weights).sum().backward()
    no_path = torch.full((2, 2), math.nan)
    return {
        "the value": result,
        "the gradient that reaches z_e": no_path if z_e.grad is None else z_e.grad,
        "the gradient that reaches z_q": torch.zeros(2, 2) if z_q.grad is None else z_q.grad,
    }


def _vq_loss(z_e: Tensor, z_q: Tensor, beta: float) -> Tensor:
    return F.mse_loss(z_q, z_e.detach()) + beta * F.mse_loss(z_e, z_q.detach())


def _as_learners_call_it(fn: Callable[..., Any]) -> dict[str, Any]:
    return _value_and_gradients(fn, 0.25)


vq_loss = Exercise(
    probe=_as_learners_call_it,
    right=_vq_loss,
    mistakes=(
        (
            lambda a, b, beta: beta * F.mse_loss(b, a.detach()) + F.mse_loss(a, b.detach()),
            "the value is right, the gradients are not: beta stands on the codebook's term (or "
            "the two stops are exchanged). beta weighs the term that moves the encoder.",
        ),
        (
            lambda a, b, beta: (1 + beta) * F.mse_loss(a, b),
            "both stop-gradients are missing: each term moves both z_e and the codebook.",
        ),
        (
            lambda a, b, beta: F.mse_loss(b, a) + beta * F.mse_loss(a, b.detach()),
            "the stop-gradient on z_e is missing in the codebook loss.",
        ),
        (
            lambda a, b, beta: F.mse_loss(b, a.detach()) + beta * F.mse_loss(a, b),
            "the stop-gradient on z_q is missing in the commitment loss.",
        ),
        (
            lambda a, b, beta: F.mse_loss(b, a.detach()) + F.mse_loss(a, b.detach()),
            "beta is missing.",
        ),
        (
            lambda a, b, beta: (b - a.detach()).pow(2).sum() + beta * (a - b.detach()).pow(2).sum(),
            "you take sums; take means, so that the loss does not grow with the batch.",
        ),
        (
            lambda a, b, beta: F.mse_loss(b, a.detach()),
            "this is the codebook loss; the commitment loss is missing.",
        ),
        (
            lambda a, b, beta: beta * F.mse_loss(a, b.detach()),
            "this is the commitment loss; the codebook loss is missing.",
        ),
    ),
    hints=(
        "Two terms with the same value: one pulls the codes, the other pulls the encoder.",
        "sg[t] is `t.detach()`. Codebook loss: mean of (z_q - sg[z_e])^2.",
        "Commitment loss: beta times the mean of (z_e - sg[z_q])^2.",
    ),
)

# --- 05-ema-update: counts (K,), sums (K, dim), vectors, indices, decay -> counts, sums, codebook -


def _batch_sums(x: Tensor, i: Tensor, k: int) -> tuple[Tensor, Tensor]:
    hot = F.one_hot(i, k).float()
    return hot.sum(0), hot.T @ x


def _ema(n: Tensor, m: Tensor, x: Tensor, i: Tensor, decay: float) -> tuple[Tensor, ...]:
    count, total = _batch_sums(x, i, len(n))
    n, m = decay * n + (1 - decay) * count, decay * m + (1 - decay) * total
    return n, m, m / n[:, None]


def _ema_wrong(kind: str) -> Callable[..., tuple[Tensor, ...]]:
    """Variants of `_ema`, each with one thing wrong."""

    def fn(n: Tensor, m: Tensor, x: Tensor, i: Tensor, decay: float) -> tuple[Tensor, ...]:
        count, total = _batch_sums(x, i, len(n))
        new = 1.0 if kind == "no weight" else 1 - decay
        if kind == "means":
            total = total / count.clamp(min=1)[:, None]
        if kind == "exchanged":
            decay, new = 1 - decay, decay
        counts, sums = decay * n + new * count, decay * m + new * total
        if kind == "sums kept":
            sums = m
        if kind == "counts kept":
            counts = n
        return counts, sums, sums if kind == "not divided" else sums / counts[:, None]

    return fn


ema_update = Exercise(
    probe=value_of(
        torch.tensor([2.0, 1.0, 4.0]),
        torch.tensor([[2.0, 4.0], [1.0, -1.0], [8.0, 0.0]]),
        torch.tensor([[1.0, 3.0], [2.0, 2.0], [0.0, -2.0]]),
        torch.tensor([0, 0, 1]),
        0.9,
    ),
    right=_ema,
    mistakes=(
        (_ema_wrong("sums kept"), "the sums are not updated, only the counts."),
        (_ema_wrong("counts kept"), "the counts are not updated, only the sums."),
        (
            _ema_wrong("not divided"),
            "a code is a mean: divide the sums by the counts, row by row (`counts[:, None]`).",
        ),
        (
            _ema_wrong("exchanged"),
            "the weights are exchanged: the decay belongs to the old value, 1 - decay to the new.",
        ),
        (_ema_wrong("no weight"), "the new part lacks its weight 1 - decay."),
        (
            _ema_wrong("means"),
            "you add the batch's means; add its sums, and divide only at the end.",
        ),
    ),
    hints=(
        "How many vectors chose each code? What is their sum? One-hot answers both.",
        "`hot.sum(0)` counts; `hot.T @ vectors` adds up, shape (K, dim).",
        "counts = decay * counts + (1 - decay) * new counts; the same for the sums; then divide.",
    ),
)

# --- 05-perplexity and 05-two-stages --------------------------------------------------------------


def _entropy(i: Tensor, k: int, log: Callable[[Tensor], Tensor] = torch.log) -> Tensor:
    p = torch.bincount(i, minlength=k) / len(i)
    return -(p[p > 0] * log(p[p > 0])).sum()


perplexity = Exercise(
    probe=value_of(torch.tensor([0, 0, 0, 1, 1, 4, 4, 2]), 6),
    right=quantize.batch_perplexity,
    mistakes=(
        (
            lambda i, k: len(i.unique()),
            "this counts the codes that occur at all; perplexity weighs how often they occur.",
        ),
        (_entropy, "this is the entropy in nats; perplexity is exp of it."),
        (
            lambda i, k: _entropy(i, k, torch.log2),
            "this is the entropy in bits; perplexity is 2 to the power of it.",
        ),
        (
            lambda i, k: _entropy(i, k, torch.log2).exp(),
            "the bases do not match: exp goes with log, 2** goes with log2.",
        ),
        (lambda i, k: 2 ** _entropy(i, k), "the bases do not match: 2** goes with log2."),
        (lambda i, k: (-_entropy(i, k)).exp(), "the sign of the entropy is lost: -sum of p log p."),
        (
            lambda i, k: torch.tensor(math.nan),
            "0 * log 0 gives nan. A code that never occurs adds nothing: leave it out.",
        ),
    ),
    hints=(
        "First the share p of each code: `torch.bincount(indices, minlength=K) / n`.",
        "Entropy: minus the sum of p log p over the codes with p > 0; then exp.",
    ),
)


def _q(x: Tensor, e: Tensor) -> Tensor:
    return e[quantize.nearest(quantize.distances(x, e))]


_coarse = torch.tensor([[0.0, 0.0], [4.0, 4.0]])
_fine = torch.tensor([[0.5, 0.0], [-0.5, 0.5], [0.0, -0.5]])

two_stages = Exercise(
    probe=value_of(torch.tensor([[0.6, 0.2], [3.4, 4.3], [4.1, 3.4]]), _coarse, _fine),
    right=lambda x, a, b: _q(x, a) + _q(x - _q(x, a), b),
    mistakes=(
        (
            lambda x, a, b: _q(x, a) + _q(x, b),
            "the second stage sees the vector again; give it what the first stage left over.",
        ),
        (
            lambda x, a, b: _q(x, a) + _q(_q(x, a) - x, b),
            "the rest has the wrong sign: vector minus first code.",
        ),
        (lambda x, a, b: _q(x - _q(x, a), b), "you return the second stage alone; add the first."),
        (lambda x, a, b: _q(x, a), "this is the first stage alone."),
        (
            lambda x, a, b: _q(_q(x, a), b),
            "you quantise the first code; quantise the rest, vector minus first code.",
        ),
    ),
    hints=(
        "What is left of a vector after the first code is taken away?",
        "`quantize.nearest(quantize.distances(x, codebook))` gives codes, `codebook[codes]` rows.",
    ),
)

EXERCISES = {
    "to-vectors": to_vectors,
    "distances": distances,
    "nearest": nearest,
    "lookup": lookup,
    "vq-loss": vq_loss,
    "ema-update": ema_update,
    "perplexity": perplexity,
    "two-stages": two_stages,
}
