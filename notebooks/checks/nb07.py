"""The exercises of notebook 07: bits of three bottlenecks, the blind test.

Notebook: 07
"""

from __future__ import annotations

import math
from math import comb

import torch
from torch import Tensor

from vqlab.lessons.exercise import Exercise, value_of


def _nats(mean: Tensor, log_variance: Tensor) -> Tensor:
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)


def _kl_bits(mean: Tensor, log_variance: Tensor, seconds: float) -> Tensor:
    return _nats(mean, log_variance).sum() / math.log(2) / seconds


_mean = torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.3, -1.0]])
_log_variance = torch.tensor([[-3.0, -1.0, -0.5], [0.0, -2.0, 0.2]])
kl_bits = Exercise(
    probe=value_of(_mean, _log_variance, 0.06),
    right=_kl_bits,
    mistakes=(
        (
            lambda m, v, s: _nats(m, v).sum() / s,
            "these are nats per second: one nat is 1 / ln 2 = 1.44 bits.",
        ),
        (
            lambda m, v, s: _nats(m, v).sum() * math.log(2) / s,
            "you multiply by ln 2; a nat is *more* than a bit, so divide.",
        ),
        (lambda m, v, s: _nats(m, v).sum() / math.log(2), "these are bits; divide by `seconds`."),
        (
            lambda m, v, s: _nats(m, v).sum(dim=0).mean() / math.log(2) / s,
            "you average over the positions. Every position is sent: add them all.",
        ),
        (
            lambda m, v, s: _nats(m, v).mean() / math.log(2) / s,
            "you take the mean; every number of every position is sent: take the sum.",
        ),
        (
            lambda m, v, s: 2 * _kl_bits(m, v, s),
            "the factor 1/2 of the divergence is missing.",
        ),
        (
            lambda m, v, s: _kl_bits(m, 2 * v, s),
            "you take `log_variance` for the logarithm of the deviation; exp of it is σ² already.",
        ),
    ),
    hints=(
        "Notebook 04: KL = ½ (μ² + σ² − 1 − log σ²) for each number, in nats.",
        "Sum it over all numbers and positions, divide by `math.log(2)`, then by `seconds`.",
    ),
)


def _three(positions: float, D: int, kl: float, K: int) -> tuple[float, float, float]:
    return 32 * D * positions, kl / math.log(2) * positions, math.log2(K) * positions


three_rates = Exercise(
    probe=lambda fn: (fn(50, 16, 4.0, 512), fn(25.0, 8, 10.0, 1024)),
    right=_three,
    mistakes=(
        (
            lambda p, D, kl, K: (4 * D * p, *_three(p, D, kl, K)[1:]),
            "a 32-bit float has 4 bytes, but 32 bits.",
        ),
        (
            lambda p, D, kl, K: (32 * p, *_three(p, D, kl, K)[1:]),
            "the autoencoder sends D numbers at every position.",
        ),
        (
            lambda p, D, kl, K: (32 * D * p, kl * p, math.log2(K) * p),
            "the VAE's part is in nats: divide by ln 2.",
        ),
        (
            lambda p, D, kl, K: (32 * D * p, D * kl / math.log(2) * p, math.log2(K) * p),
            "`kl` is already the sum over the D numbers of a position.",
        ),
        (
            lambda p, D, kl, K: (*_three(p, D, kl, K)[:2], D * math.log2(K) * p),
            "one code names a whole vector: the VQ's bits do not depend on D.",
        ),
        (
            lambda p, D, kl, K: (*_three(p, D, kl, K)[:2], K * p),
            "K codes are told apart by log2(K) bits, not by K bits.",
        ),
        (
            lambda p, D, kl, K: (*_three(p, D, kl, K)[:2], math.log(K) * p),
            "the VQ's part has the natural logarithm; bits need the logarithm to base 2.",
        ),
        (
            lambda p, D, kl, K: tuple(rate / p for rate in _three(p, D, kl, K)),
            "these are bits per position; how many positions has a second?",
        ),
    ),
    hints=(
        "First the bits of one position in each of the three, then times the positions a second.",
        "32 · D, kl / ln 2, and log2(K) bits.",
    ),
)


def _p(right: int, trials: int) -> float:
    return sum(comb(trials, k) for k in range(right, trials + 1)) / 2**trials


p_value = Exercise(
    probe=lambda fn: (fn(12, 16), fn(9, 10), fn(0, 5), fn(5, 5)),
    right=_p,
    mistakes=(
        (
            lambda r, n: comb(n, r) / 2**n,
            "this is the chance of *exactly* so many; more right answers would count too.",
        ),
        (
            lambda r, n: _p(r, n) - comb(n, r) / 2**n,
            "the sum begins one too late: `right` itself belongs to it.",
        ),
        (
            lambda r, n: sum(comb(n, k) for k in range(r + 1)) / 2**n,
            "this adds up `right` *or fewer*; wanted is `right` or more.",
        ),
        (lambda r, n: min(1.0, 2 * _p(r, n)), "both tails: here only many right answers count."),
        (lambda r, n: 1 - _p(r, n), "this is the chance of fewer right answers."),
        (
            lambda r, n: sum(comb(n, k) for k in range(r, n)) / 2**n,
            "the sum ends one too early: `range` leaves its end out, so n + 1.",
        ),
        (lambda r, n: 0.5**r, "this is the chance that `right` given trials all come out right."),
    ),
    hints=(
        "There are 2^trials equally likely rows of answers. In how many are k right?",
        "`math.comb(trials, k)` of them; add up k = right … trials, divide by 2^trials.",
    ),
)


def _fewest(trials: int, level: float = 0.05) -> int | None:
    return next((right for right in range(trials + 1) if _p(right, trials) < level), None)


fewest = Exercise(
    probe=lambda fn: [fn(trials) for trials in (16, 10, 5, 100, 4)],
    right=_fewest,
    mistakes=(
        (
            lambda n: (_fewest(n) or 0) - 1 if _fewest(n) else None,
            "one too few: this is the largest number that a guesser still reaches too often.",
        ),
        (
            lambda n: _fewest(n) or n,
            "of 4 trials a guesser gets all right once in 16, 0.0625: there `None` is the answer.",
        ),
        (
            lambda n: next((k for k in range(n // 2, n + 1) if comb(n, k) / 2**n < 0.05), None),
            "this looks at *exactly* so many right; use the p-value, which counts more right, too.",
        ),
        (
            lambda n: _fewest(n, 0.025),
            "this asks for a p-value below 0.025; here only many right answers count, so 0.05.",
        ),
        (
            lambda n: math.ceil(0.95 * n),
            "95 % right answers are not a p-value of 0.05.",
        ),
    ),
    hints=(
        "Try right = 0, 1, 2, … in turn. The p-value falls; where is it below 0.05 first?",
        "`next((right for right in range(trials + 1) if p_value(right, trials) < 0.05), None)`",
    ),
)


EXERCISES = {
    "kl-bits": kl_bits,
    "three-rates": three_rates,
    "p-value": p_value,
    "fewest": fewest,
}
