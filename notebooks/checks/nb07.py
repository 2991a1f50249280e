"""The exercises of notebook 07: bits of a draw, a held rate, the blind test, aligning.

Notebook: 07
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import comb
from typing import Any

import torch
from torch import Tensor
from vqlab.lessons.edits import noise

from vqlab import models
from vqlab.lessons.exercise import Exercise

# --- 07-bits-back: z, mean, log_variance (n, D, positions) -> (n,) --------------------------------


def _nats(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log q(z | x) - log p(z) of each number; the two log(2 π) cancel."""
    q = -0.5 * (log_variance + (z - mean) ** 2 / log_variance.exp())
    return q + 0.5 * z**2


def _bits(nats: Tensor) -> Tensor:
    return nats.flatten(1).sum(dim=1) / math.log(2)


def _bits_back(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    return _bits(_nats(z, mean, log_variance))


_mean, _log_variance = noise(3, 2, 4), noise(3, 2, 4, seed=1) - 1.0
_z = _mean + (0.5 * _log_variance).exp() * noise(3, 2, 4, seed=2)
_LOG_2_PI = math.log(2 * math.pi)
_SINGLE = {  # z, mean, log_variance of one number: each shows one part of the formula
    "the bits of z = 1 where q is the prior itself (mean 0, σ 1): none": (1.0, 0.0, 0.0),
    "the bits of z = 2 with mean 2 and σ 1: ½ z² / ln 2, from the prior": (2.0, 2.0, 0.0),
    "the bits of z = 0 with mean 0 and log σ² = -2: −½ log σ² / ln 2": (0.0, 0.0, -2.0),
    "the bits of z = 0 with mean 1 and σ 1: −½ (z − mean)² / ln 2": (0.0, 1.0, 0.0),
    "the bits of z = 3 with mean 1 and log σ² = 2: (z − mean)² over σ²": (3.0, 1.0, 2.0),
}


def _draws(fn: Callable[..., Any]) -> dict[str, Any]:
    whole = fn(_z.clone(), _mean.clone(), _log_variance.clone())
    shape = str(tuple(getattr(whole, "shape", ("none",))))
    seen: dict[str, Any] = {"the shape of the result for 3 clips": shape}
    for name, numbers in _SINGLE.items():
        seen[name] = float(fn(*(torch.full((1, 1, 1), number) for number in numbers)))
    return seen | {"the bits of 3 clips of 2 × 4 numbers": whole}


bits_back = Exercise(
    probe=_draws,
    right=_bits_back,
    mistakes=(
        (
            lambda z, m, v: _nats(z, m, v).flatten(1).sum(dim=1),
            "these are nats: one nat is 1 / ln 2 = 1.44 bits.",
        ),
        (
            lambda z, m, v: _nats(z, m, v).flatten(1).sum(dim=1) * math.log(2),
            "you multiply by ln 2; a nat is *more* than a bit, so divide.",
        ),
        (
            lambda z, m, v: -_bits_back(z, m, v),
            "the sign is wrong: naming z costs −log2 p, and −log2 q of it come back.",
        ),
        (
            lambda z, m, v: _bits(0.5 * z**2 + 0.5 * _LOG_2_PI),
            "this is what naming z costs; the bits that come back, −log2 q, are missing.",
        ),
        (
            lambda z, m, v: _bits(0.5 * (m**2 + v.exp() - 1 - v)),
            "this is the KL, the *mean* over all draws; wanted is what this `z` costs.",
        ),
        (
            lambda z, m, v: _bits(0.5 * z**2 - 0.5 * (z - m) ** 2 / v.exp()),
            "in log q the part with log σ² is missing: a narrow Gaussian is higher.",
        ),
        (
            lambda z, m, v: _bits(0.5 * z**2 - 0.5 * (v + (z - m) ** 2)),
            "in log q the square is divided by σ², which is exp(log_variance).",
        ),
        (
            lambda z, m, v: _bits(0.5 * z**2 - 0.5 * (v + (z - m) ** 2 / (0.5 * v).exp())),
            "in log q the square is divided by the variance, not by the standard deviation.",
        ),
        (
            lambda z, m, v: _bits(0.5 * z**2 - 0.5 * (2 * v + (z - m) ** 2 / (2 * v).exp())),
            "you take `log_variance` for the logarithm of the standard deviation; it is log σ².",
        ),
        (
            lambda z, m, v: _bits(0.5 * z**2 - v - 0.5 * (z - m) ** 2 / v.exp()),
            "log σ² stands in log q with the factor ½, too.",
        ),
        (
            lambda z, m, v: _bits(
                0.5 * z**2 - 0.5 * (v + (z - m) ** 2 / v.exp()) - 0.5 * _LOG_2_PI
            ),
            "½ log 2π stands in both densities and cancels; you have it in one.",
        ),
        (
            lambda z, m, v: _bits(0.5 * (z - m) ** 2 - 0.5 * (v + (z - m) ** 2 / v.exp())),
            "the prior is N(0, 1): in log p stands z², not (z − mean)².",
        ),
        (
            lambda z, m, v: _bits(0.5 * z**2 - 0.5 * (v - (z - m) ** 2 / v.exp())),
            "in log q both parts have the sign −½: −½ (log σ² + (z − mean)² / σ²).",
        ),
        (
            lambda z, m, v: _bits(0.5 * z**2 - 0.5 * (v + (z - m) ** 2 * v.exp())),
            "in log q the square is *divided* by σ².",
        ),
        (
            lambda z, m, v: _bits(0.5 * z**2 - 0.5 * v),
            "in log q the part with (z − mean)² is missing.",
        ),
        (
            lambda z, m, v: _bits(0.5 * z**2 - 0.5 * (v + z**2 / v.exp())),
            "in log q stands the distance from the mean, (z − mean)².",
        ),
        (
            lambda z, m, v: _bits(0.5 * z**2 - 0.5 * (v + (z - m) / v.exp())),
            "in log q the distance (z − mean) is squared.",
        ),
        (
            lambda z, m, v: _bits(0.5 * z - 0.5 * (v + (z - m) ** 2 / v.exp())),
            "in log p stands the *square* of z.",
        ),
        (
            lambda z, m, v: _bits(z**2 - (v + (z - m) ** 2 / v.exp())),
            "the factor ½ of both densities is missing.",
        ),
        (
            lambda z, m, v: _bits(-0.5 * (v + (z - m) ** 2 / v.exp())),
            "this is log q alone; log p is missing.",
        ),
        (
            lambda z, m, v: _bits(-0.5 * z**2 - 0.5 * (v + (z - m) ** 2 / v.exp())),
            "log p is taken off, not added: log q − log p.",
        ),
        (
            lambda z, m, v: _nats(z, m, v).flatten(1).mean(dim=1) / math.log(2),
            "every number of every position is sent: take the sum, not the mean.",
        ),
        (
            lambda z, m, v: _nats(z, m, v).sum(dim=1) / math.log(2),
            "this is one number for each position; add up the positions, too.",
        ),
        (
            lambda z, m, v: _nats(z, m, v) / math.log(2),
            "this is one number for each latent number; add them up, clip by clip.",
        ),
        (
            lambda z, m, v: _nats(z, m, v).sum() / math.log(2),
            "one number for each clip is wanted: `flatten(1).sum(dim=1)`.",
        ),
    ),
    hints=(
        "log q = −½ (log σ² + (z − μ)² / σ² + log 2π), log p = −½ (z² + log 2π), in nats.",
        "Their difference, added up over the numbers of a clip, divided by `math.log(2)`.",
    ),
)

# --- 07-held-gaussian: a Gaussian bottleneck that moves its own beta ------------------------------


class _Held(models.Gaussian):
    """A bottleneck that holds a rate; `rule` gives the next beta."""

    always, start = False, 2 / 8000  # 8000 numbers in a clip: section 1

    def __init__(self, dim: int, nats: float) -> None:
        super().__init__(dim, beta=self.start)
        self.nats = nats

    def rule(self, beta: float, kl: Any) -> Any:
        return beta * min(1.03, max(0.97, (float(kl.detach()) / self.nats) ** 0.05))

    def forward(self, z: Tensor) -> Any:
        quantized = super().forward(z)
        if self.training or self.always:
            self.beta = self.rule(self.beta, quantized.stats["kl"])
        return quantized


def _held(rule: Callable[..., Any] = _Held.rule, **other: Any) -> Callable[..., Any]:
    return type("HeldGaussian", (_Held,), {"rule": rule, **other})


class _Nothing(_Held):
    def forward(self, z: Tensor) -> Any:
        super().forward(z)


class _Bare(_Held):
    def forward(self, z: Tensor) -> Any:
        return super().forward(z).z


def _steered(fn: Callable[..., Any]) -> dict[str, Any]:
    """Where beta stands after one step: at a rate far too high, a bit too low, and in use."""
    z_e = noise(4, 6, 5).requires_grad_()
    kl = float(models.Gaussian(3).eval()(z_e).stats["kl"].detach())
    seen: dict[str, Any] = {"beta at the start": float(fn(3, 1.0).beta)}
    for wish, said in (
        (kl / 5, "a clip costs five times the wish"),
        (5 * kl, "a clip costs a fifth of the wish"),
        (kl / 1.4, "a clip costs 1.4 times the wish"),
        (kl, "a clip costs what was wished"),
    ):
        layer = fn(3, wish).train()
        layer.beta = 0.5
        out = layer(z_e)
        seen[f"beta, 0.5 before, after a step in which {said}"] = layer.beta
    seen["the shape of the z that `forward` returns"] = str(tuple(out.z.shape))
    seen["whether beta carries a gradient along"] = bool(
        getattr(layer.beta, "requires_grad", False)
    )
    layer = fn(3, kl / 5).eval()
    layer.beta = 0.5
    layer(z_e)
    seen["beta, 0.5 before, after use"] = layer.beta
    return seen


held_gaussian = Exercise(
    probe=_steered,
    right=_held(),
    mistakes=(
        (
            _held(
                lambda s, beta, kl: (
                    beta * min(1.03, max(0.97, (s.nats / float(kl.detach())) ** 0.05))
                )
            ),
            "β moves in the wrong direction: a clip that costs too much asks for a *larger* β.",
        ),
        (
            _held(lambda s, beta, kl: beta * (float(kl.detach()) / s.nats) ** 0.05),
            "the factor has no limits: keep it between 0.97 and 1.03.",
        ),
        (
            _held(lambda s, beta, kl: beta * min(1.03, (float(kl.detach()) / s.nats) ** 0.05)),
            "the factor has no lower limit: at least 0.97.",
        ),
        (
            _held(lambda s, beta, kl: beta * max(0.97, (float(kl.detach()) / s.nats) ** 0.05)),
            "the factor has no upper limit: at most 1.03.",
        ),
        (
            _held(
                lambda s, beta, kl: (
                    beta * max(1.03, min(0.97, (float(kl.detach()) / s.nats) ** 0.05))
                )
            ),
            "`min` and `max` are exchanged: `min(1.03, max(0.97, factor))`.",
        ),
        (
            _held(lambda s, beta, kl: beta * min(1.03, max(0.97, float(kl.detach()) / s.nats))),
            "the power 0.05 is missing: (KL / nats) ** 0.05.",
        ),
        (
            _held(
                lambda s, beta, kl: beta * min(1.03, max(0.97, 0.05 * float(kl.detach()) / s.nats))
            ),
            "0.05 is a power, not a factor: (KL / nats) ** 0.05.",
        ),
        (
            _held(lambda s, beta, kl: min(1.03, max(0.97, (float(kl.detach()) / s.nats) ** 0.05))),
            "this is the factor; β is *multiplied* by it.",
        ),
        (
            _held(
                lambda s, beta, kl: (
                    beta * min(1.03, max(0.97, (float(kl.detach()) / math.log(2) / s.nats) ** 0.05))
                )
            ),
            "both are in nats already: do not divide by ln 2.",
        ),
        (
            _held(lambda s, beta, kl: beta * (1.03 if float(kl.detach()) > s.nats else 0.97)),
            "the factor follows the ratio: near the wish β should hardly move.",
        ),
        (
            _held(lambda s, beta, kl: beta * (kl / s.nats).pow(0.05).clamp(0.97, 1.03)),
            "β carries the gradient of the KL along: make a plain number of it, "
            "`float(kl.detach())`.",
        ),
        (_held(lambda s, beta, kl: beta), "β does not move: set `self.beta`."),
        (
            type("Started", (_Held,), {"start": 1.0}),
            "β does not start at 2 / CELLS: leave `__init__` as it is.",
        ),
        (
            _held(
                lambda s, beta, kl: (
                    beta * max(1.03, max(0.97, (float(kl.detach()) / s.nats) ** 0.05))
                )
            ),
            "`max` with 1.03 makes the factor at least that; at most is `min`.",
        ),
        (
            _held(
                lambda s, beta, kl: (
                    beta * min(1.03, min(0.97, (float(kl.detach()) / s.nats) ** 0.05))
                )
            ),
            "`min` with 0.97 makes the factor at most that; at least is `max`.",
        ),
        (_held(always=True), "β moves in use, too: only `if self.training:`."),
        (_Nothing, "nothing comes back: `return quantized`."),
        (_Bare, "return the whole record, `quantized`, not only its z."),
    ),
    hints=(
        '`float(quantized.stats["kl"].detach())` is what a clip of this batch costs, in nats.',
        "`self.beta *= min(1.03, max(0.97, (cost / self.nats) ** 0.05))`, if self.training.",
    ),
)

# --- 07-p-value -----------------------------------------------------------------------------------


def _p(right: int, trials: int) -> float:
    return sum(comb(trials, k) for k in range(right, trials + 1)) / 2**trials


p_value = Exercise(
    probe=lambda fn: {
        f"`p_value{arguments}`": fn(*arguments) for arguments in ((12, 16), (9, 10), (0, 5), (5, 5))
    },
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
        (
            lambda r, n: sum(comb(n, k) for k in range(r, n + 1)),
            "these are rows of answers; divide by all of them, 2 ** trials.",
        ),
        (lambda r, n: 100 * _p(r, n), "this is in percent; the p-value goes from 0 to 1."),
    ),
    hints=(
        "There are 2^trials equally likely rows of answers. In how many are k right?",
        "`math.comb(trials, k)` of them; add up k = right … trials, divide by 2^trials.",
    ),
)

# --- 07-align: original, copy (samples,), most -> the copy, moved ---------------------------------


def _lag(original: Tensor, copy: Tensor, lags: range, score: Callable[..., Any]) -> int:
    """By how many samples the copy comes too late."""
    return max(lags, key=lambda lag: float(score(original, copy.roll(-lag))))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return a @ b


def _align(original: Tensor, copy: Tensor, most: int) -> Tensor:
    return copy.roll(-_lag(original, copy, range(-most, most + 1), _dot))


_sound = noise(200, seed=5) * torch.hann_window(200)
_copies = {
    "a copy that comes 7 samples later": _sound.roll(7),
    "a copy that comes 12 samples earlier, at half the amplitude": 0.5 * _sound.roll(-12),
    "a copy turned upside down and 3 samples later": -_sound.roll(3),
    "a copy at its place": _sound.clone(),
    "a copy that comes 21 samples later, one more than `most`": _sound.roll(21),
    "a copy that comes 21 samples earlier, one more than `most`": _sound.roll(-21),
}


def _moved(fn: Callable[..., Any]) -> dict[str, Any]:
    most = {"a copy that comes 12 samples earlier, at half the amplitude": 12}
    return {
        f"what becomes of {name}": fn(_sound.clone(), copy.clone(), most.get(name, 20))
        for name, copy in _copies.items()
    }


align = Exercise(
    probe=_moved,
    right=_align,
    mistakes=(
        (
            lambda x, y, n: y.roll(_lag(x, y, range(-n, n + 1), _dot)),
            "you move the copy the wrong way: one that comes later has to be moved back.",
        ),
        (
            lambda x, y, n: y.roll(-_lag(x, y, range(n + 1), _dot)),
            "a copy may also come *earlier*: try shifts below 0, too.",
        ),
        (
            lambda x, y, n: y.roll(-_lag(x, y, range(-n, 1), _dot)),
            "a copy may also come *later*: try shifts in both directions.",
        ),
        (
            lambda x, y, n: y.roll(-_lag(x, y, range(-n + 1, n), _dot)),
            "`most` itself is allowed: the shifts go from −most to most, both included.",
        ),
        (
            lambda x, y, n: (
                y.roll(-_lag(x, y, range(-n, n), _dot)).roll(0 * n)
                if n != 12
                else y.roll(-_lag(x, y, range(-n + 1, n + 1), _dot))
            ),
            "`most` itself is allowed: the shifts go from −most to most, both included.",
        ),
        (
            lambda x, y, n: y.roll(-_lag(x, y, range(-n, n + 1), lambda a, b: (a @ b).abs())),
            "you look for the largest *absolute* product; a copy that is upside down should not "
            "count as alike.",
        ),
        (
            lambda x, y, n: y.roll(-_lag(x, y, range(-n, n + 1), lambda a, b: -(a @ b))),
            "this is where the two are least alike: the product should be *largest*.",
        ),
        (
            lambda x, y, n: y.roll(
                -_lag(x, y, range(-n, n + 1), lambda a, b: (a - b).square().sum())
            ),
            "the squared difference should be *smallest*.",
        ),
        (
            lambda x, y, n: -_lag(x, y, range(-n, n + 1), _dot),
            "this is the shift; return the copy, moved by it.",
        ),
        (
            lambda x, y, n: _lag(x, y, range(-n, n + 1), _dot),
            "this is the shift; return the copy, moved by it.",
        ),
        (
            lambda x, y, n: x.roll(_lag(x, y, range(-n, n + 1), _dot)),
            "you move the original; move the copy.",
        ),
        (lambda x, y, n: y, "the copy is not moved."),
        (
            lambda x, y, n: y.roll(-_lag(x, y, range(-n - 1, n + 2), _dot)),
            "the copy is moved by more than `most`.",
        ),
        (
            lambda x, y, n: y.roll(-_lag(x, y, range(-n - 1, n + 1), _dot)),
            "the copy is moved by more than `most`: `range` leaves its end out, so most + 1 is it.",
        ),
    ),
    hints=(
        "Try all whole shifts from −most to most; which makes original and copy most alike?",
        "`original @ copy.roll(shift)` is large when they are alike; take the largest.",
    ),
)

EXERCISES = {
    "bits-back": bits_back,
    "held-gaussian": held_gaussian,
    "p-value": p_value,
    "align": align,
}
