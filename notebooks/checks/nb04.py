"""The exercises of notebook 04: PCA, the VAE's bottleneck and its loss, slerp.

Notebook: 04
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from vqlab.lessons.edits import noise, seeded
from vqlab.lessons.latents import slerp as arc

from vqlab.lessons.exercise import Exercise

# --- 04-pca: x (n, d), D -> mean (d,), directions (d, D) ------------------------------------------


def _pca(kind: str = "right") -> Callable[[Tensor, int], tuple[Tensor, Tensor]]:
    """PCA, or a variant with one thing wrong."""

    def fn(x: Tensor, D: int) -> tuple[Tensor, Tensor]:
        mean = x.mean(dim=1 if kind == "mean of rows" else 0)
        centred = x if kind == "not centred" else x - x.mean(dim=0)
        rows = torch.linalg.svd(centred, full_matrices=False).Vh  # strongest first
        if kind == "two means":
            return x.mean(dim=0, keepdim=True), rows[:D].T
        if kind == "correlation":
            rows = torch.linalg.eigh(torch.corrcoef(x.T)).eigenvectors.T.flip(0)
        if kind == "rows of eigh":
            rows = torch.linalg.eigh(torch.cov(x.T)).eigenvectors.flip(0)
        if kind == "scaled":
            return mean, rows[:D].T * torch.linalg.svd(centred).S[:D]
        return mean, {"weakest": rows[-D:].T, "not turned": rows[:D], "all": rows.T}.get(
            kind, rows[:D].T
        )

    return fn


def _space(fn: Callable[..., Any]) -> Any:
    """What must not depend on the signs of the directions: mean, shape, norms, space."""
    mean, U = fn(_x.clone(), 2)
    seen = {"the mean": mean, "the shape of the directions": str(tuple(U.shape))}
    if U.ndim != 2:
        return seen
    return seen | {
        "Uᵀ U, which should be the identity": U.T @ U,
        "the projection U Uᵀ": U @ U.T,
        "the variance along the first direction": U[:, 0] @ torch.cov(_x.T) @ U[:, 0],
    }


_spread = torch.tensor([[3.0, 0, 0, 0], [1.0, 1, 0, 0], [0, 0.5, 0.7, 0], [0.2, 0, 0, 0.3]])
_x = noise(40, 4, seed=4) @ _spread + torch.tensor([5.0, -3.0, 2.0, 1.0])
pca = Exercise(
    probe=_space,
    right=_pca(),
    mistakes=(
        (
            _pca("weakest"),
            "you keep the *weakest* directions: `eigh` sorts the eigenvalues from small to large, "
            "`svd` from large to small.",
        ),
        (
            lambda x, D: (x.mean(dim=0), torch.linalg.eigh(torch.cov(x.T)).eigenvectors[:, -D:]),
            "these are the right directions in the wrong order: the strongest comes first "
            "(`.flip(1)`).",
        ),
        (
            _pca("rows of eigh"),
            "a direction is a *column* of the eigenvectors that `eigh` gives, not a row.",
        ),
        (
            _pca("not turned"),
            "the directions are the rows of Vh; they should be columns, (d, D): turn them (`.T`).",
        ),
        (
            _pca("not centred"),
            "subtract the mean before you look for directions; without it the mean is one too.",
        ),
        (_pca("all"), "these are all directions; keep the first D columns."),
        (
            _pca("scaled"),
            "the columns should have the norm 1: leave the singular values or eigenvalues away.",
        ),
        (_pca("mean of rows"), "the mean is over the rows of x (`dim=0`): d numbers, not n."),
        (_pca("two means"), "the mean should be (d,), without the axis of the rows."),
        (
            _pca("correlation"),
            "these are directions of the *correlation*; take the covariance, with the units of x.",
        ),
        (
            lambda x, D: _pca()(x, D)[::-1],
            "the two are exchanged: first the mean, then the directions.",
        ),
        (
            lambda x, D: _pca()(x, D)[1],
            "return two things: the mean and the directions.",
        ),
    ),
    hints=(
        "Three steps: the mean, the rows without it, and their directions, the strongest first.",
        "`torch.linalg.svd(x - mean, full_matrices=False).Vh` has the directions as rows, sorted.",
        "`return mean, Vh[:D].T`",
    ),
)

# --- 04-gaussian: encoder output (n, 2 D, positions) -> z, KL, both (n, D, positions) -------------


class _Gaussian(nn.Module):
    """The bottleneck of a VAE; `swaps` are parts of it that somebody writes otherwise."""

    swaps: dict[str, Callable[..., Any]] = {}

    def part(self, name: str, *values: Any) -> Any:
        return {**_PARTS, **self.swaps}[name](*values)

    def forward(self, z_e: Tensor) -> Any:
        mean, log_variance = self.part("split", z_e)
        kl = self.part("kl", mean, log_variance)
        z = self.part("draw", mean, log_variance) if self.part("when", self) else mean
        return self.part("back", z, kl)


def _sigma(log_variance: Tensor) -> Tensor:
    return (0.5 * log_variance).exp()


_PARTS: dict[str, Callable[..., Any]] = {
    "split": lambda z_e: z_e.chunk(2, dim=1),
    "kl": lambda m, v: 0.5 * (m**2 + v.exp() - 1 - v),
    "draw": lambda m, v: m + _sigma(v) * torch.randn_like(m),
    "when": lambda layer: layer.training,
    "back": lambda z, kl: (z, kl),
}


def _with(**swaps: Callable[..., Any]) -> Callable[..., Any]:
    """The module with parts of it replaced, as a class that can be made without arguments."""
    return type("Gaussian", (_Gaussian,), {"swaps": swaps})


def _drawn(fn: Callable[..., Any]) -> dict[str, Any]:
    """The KL, mean and spread of many draws, what flows back, and what comes out in use.

    Draws are judged by their moments, so that it does not matter how the noise is asked for.
    """
    layer, z_e = fn().train(), 0.5 * noise(3, 6, 5)
    z_e.requires_grad_()
    z, kl = layer(z_e)
    seen: dict[str, Any] = {name: _kl_of(fn, *numbers) for name, numbers in _SINGLE.items()}
    seen |= {"the KL of 3 × 3 × 5 numbers": kl, "the shape of z": str(tuple(z.shape))}
    mean, log_variance = z_e.detach().chunk(2, dim=1)
    many = layer(z_e.detach().repeat(8000, 1, 1))[0].unflatten(0, (8000, 3))
    seen["the mean of 8000 draws"] = _near(many.mean(dim=0), mean)
    spread = (0.5 * log_variance).exp()
    seen["the standard deviation of 8000 draws"] = _near(many.std(dim=0), spread)
    if z.requires_grad:
        z.sum().backward()
    found = torch.zeros_like(z_e) if z_e.grad is None else z_e.grad
    seen["the gradient that z sends to the mean"] = found[:, :3]
    wanted = 0.5 * (z.detach() - mean)  # z = mean + exp(½ log σ²) ε
    seen["what the gradient that z sends to log_variance lacks"] = found[:, 3:] - wanted
    return seen | {"z in use, after .eval()": fn().eval()(z_e.detach())[0]}


_SINGLE = {  # mean, log_variance of one number: each shows one part of the formula
    "the KL of mean 0 and σ 1, the prior itself": (0.0, 0.0),
    "the KL of mean 2 and σ 1, ½ μ²": (2.0, 0.0),
    "the KL of mean 0 and log σ² = 1, ½ (σ² − 1 − log σ²)": (0.0, 1.0),
}


def _kl_of(fn: Callable[..., Any], mean: float, log_variance: float) -> float:
    return float(fn().eval()(torch.tensor([[[mean], [log_variance]]]))[1])


def _near(found: Tensor, wanted: Tensor) -> Tensor:
    """`wanted` where what many draws say agrees with it; else what was found."""
    agrees = found.shape == wanted.shape and bool(((found - wanted).abs() < 0.1).all())
    return wanted if agrees else found


gaussian = Exercise(
    probe=lambda fn: seeded(lambda: _drawn(fn)),
    right=_with(),
    mistakes=(
        (
            _with(draw=lambda m, v: m + v.exp() * torch.randn_like(m)),
            "you multiply the noise with the variance; it is stretched by the *standard "
            "deviation*, exp(½ log σ²).",
        ),
        (
            _with(draw=lambda m, v: m + v * torch.randn_like(m)),
            "`log_variance` is a logarithm: the noise is stretched by exp(½ log σ²).",
        ),
        (
            _with(draw=lambda m, v: m + (0.5 * v) * torch.randn_like(m)),
            "the `exp` is missing: σ = exp(½ log σ²).",
        ),
        (
            _with(draw=lambda m, v: m + torch.randn_like(m)),
            "the noise is not stretched: multiply it with σ = exp(½ log σ²).",
        ),
        (
            _with(draw=lambda m, v: m + _sigma(v) * torch.rand_like(m)),
            "`rand` is uniform from 0 to 1; the noise is Gaussian: `randn`.",
        ),
        (
            _with(draw=lambda m, v: _sigma(v) * (m + torch.randn_like(m))),
            "σ stretches the noise only, not the mean.",
        ),
        (
            _with(draw=lambda m, v: torch.normal(m.detach(), _sigma(v).detach())),
            "the draws are right, but no gradient comes back through them: make z of mean, σ and "
            "noise.",
        ),
        (
            _with(draw=lambda m, v: m + (_sigma(v) * torch.randn_like(m)).detach()),
            "z is right, but no gradient flows back to log_variance: do not detach.",
        ),
        (
            _with(draw=lambda m, v: m + _sigma(v) * torch.randn(1)),
            "all numbers get the same noise: draw one for each, `torch.randn_like(mean)`.",
        ),
        (
            _with(draw=lambda m, v: m + _sigma(v) * torch.randn(m.shape[1:])),
            "all words of a batch get the same noise: draw in the shape of `mean`.",
        ),
        (
            _with(draw=lambda m, v: m),
            "z is the mean in training, too; there it is a draw: mean + σ · noise.",
        ),
        (
            _with(when=lambda layer: True),
            "z is a draw in use, too; after `.eval()` it is the mean (`if self.training:`).",
        ),
        (
            _with(when=lambda layer: not layer.training),
            "the two are exchanged: a draw in training, the mean in use.",
        ),
        (_with(kl=lambda m, v: m**2 + v.exp() - 1 - v), "the factor ½ of the KL is missing."),
        (
            _with(kl=lambda m, v: -0.5 * (m**2 + v.exp() - 1 - v)),
            "the sign of the KL is wrong: it is never below 0.",
        ),
        (
            _with(kl=lambda m, v: 0.5 * (m**2 + v - 1 - v.abs().log())),
            "the last D channels are the *logarithm* of the variance: the variance is its `exp()`.",
        ),
        (
            _with(kl=lambda m, v: 0.5 * (m**2 + _sigma(v) - 1 - v)),
            "in the KL stands the variance, exp(log σ²), without the ½.",
        ),
        (
            _with(kl=lambda m, v: 0.5 * (m**2 + (2 * v).exp() - 1 - 2 * v)),
            "in the KL you take the last channels for log σ; they are log σ².",
        ),
        (_with(kl=lambda m, v: 0.5 * (m**2 + v.exp() - v)), "the −1 of the KL is missing."),
        (
            _with(kl=lambda m, v: 0.5 * (m**2 + v.exp() - 1 + v)),
            "in the KL log σ² is taken off, not added.",
        ),
        (_with(kl=lambda m, v: 0.5 * (v.exp() - 1 - v)), "μ² is missing in the KL."),
        (_with(kl=lambda m, v: 0.5 * (m**2 + v.exp() - 1)), "log σ² is missing in the KL."),
        (_with(kl=lambda m, v: 0.5 * (m**2 - 1 - v)), "σ² is missing in the KL."),
        (
            _with(kl=lambda m, v: 0.5 * (m**2 + v.exp() + 1 - v)),
            "in the KL 1 is taken off, not added: it is 0 where σ is 1 and the mean 0.",
        ),
        (
            _with(kl=lambda m, v: 0.5 * (m**2 - v.exp() - 1 - v)),
            "in the KL σ² is added, not taken off.",
        ),
        (
            _with(draw=lambda m, v: m + _sigma(v)),
            "the noise is missing: σ is multiplied with a draw from `torch.randn_like(mean)`.",
        ),
        (
            _with(draw=lambda m, v: _sigma(v) * torch.randn_like(m)),
            "the mean is missing: z = mean + σ · noise.",
        ),
        (
            _with(kl=lambda m, v: 0.5 * (m + v.exp() - 1 - v)),
            "in the KL the mean is squared.",
        ),
        (
            _with(kl=lambda m, v: (0.5 * (m**2 + v.exp() - 1 - v)).flatten(1).sum(dim=1)),
            "leave the KL of each number as it is, (n, D, positions): the sum comes later.",
        ),
        (
            _with(kl=lambda m, v: (0.5 * (m**2 + v.exp() - 1 - v)).sum()),
            "leave the KL of each number as it is, (n, D, positions): the sum comes later.",
        ),
        (
            _with(split=lambda z_e: z_e.chunk(2, dim=1)[::-1]),
            "mean and log_variance are exchanged: the *first* D channels are the mean.",
        ),
        (
            _with(split=lambda z_e: (z_e[:, ::2], z_e[:, 1::2])),
            "the first D channels are the mean, the last D log_variance; you take every other one.",
        ),
        (
            _with(split=lambda z_e: z_e.chunk(2, dim=0)),
            "you split the words of the batch; the channels are axis 1.",
        ),
        (
            _with(split=lambda z_e: z_e.chunk(2, dim=-1)),
            "you split the positions; the channels are axis 1.",
        ),
        (_with(back=lambda z, kl: (kl, z)), "the two are exchanged: return z, then the KL."),
        (_with(back=lambda z, kl: z), "return two things: z and the KL."),
    ),
    hints=(
        "`mean, log_variance = z_e.chunk(2, dim=1)`: the first and the last D channels.",
        "z = μ + σ ε with σ = exp(½ log σ²) and ε from `torch.randn_like(mean)`, if self.training.",
        "KL: ½ (μ² + σ² − 1 − log σ²) for each number; σ² is `log_variance.exp()`.",
    ),
)

# --- 04-vae-loss: output, x (n, bands, frames), kl (n, D, positions), beta -> number --------------


def _loss(
    output: Tensor,
    x: Tensor,
    kl: Tensor,
    beta: float,
    *,
    half: float = 0.5,
    sum_squares: Callable[[Tensor], Tensor] = lambda e: e.flatten(1).sum(dim=1),
    sum_kl: Callable[[Tensor], Tensor] = lambda kl: kl.flatten(1).sum(dim=1),
    over_words: Callable[[Tensor], Tensor] = torch.mean,
    distance: Callable[[Tensor], Tensor] = torch.square,
) -> Tensor:
    return over_words(half * sum_squares(distance(output - x)) + beta * sum_kl(kl))


def _lossy(**changes: Any) -> Callable[..., Any]:
    return lambda output, x, kl, beta: _loss(output, x, kl, beta, **changes)


_output, _target, _kl = noise(3, 4, 5), noise(3, 4, 5, seed=1), noise(3, 2, 2, seed=2).square()


def _losses(fn: Callable[..., Any]) -> dict[str, Any]:
    x, kl = torch.zeros(2, 3, 2), torch.zeros(2, 4, 1)
    return {
        "the loss of an error of 1 in each of 6 numbers, KL 0: ½ · 6": fn(x + 1, x, kl, 2.5),
        "the loss of an error of 2 in each of 6 numbers, KL 0: ½ · 6 · 2²": fn(x - 2, x, kl, 2.5),
        "the loss without error, 3 nats in each of 4 numbers, β 1: 12": fn(x, x, kl + 3, 1.0),
        "the loss without error, 3 nats in each of 4 numbers, β 2: 24": fn(x, x, kl + 3, 2.0),
        "the loss of a batch of 3": fn(_output.clone(), _target.clone(), _kl.clone(), 2.5),
    }


vae_loss = Exercise(
    probe=_losses,
    right=_loss,
    mistakes=(
        (_lossy(half=1.0), "the ½ before the squared error is missing."),
        (
            _lossy(sum_squares=lambda e: e.flatten(1).mean(dim=1)),
            "you take the *mean* of a word's squares. β means what section 4 says only with their "
            "sum; with the mean the KL weighs thousands of times as much, and all collapses.",
        ),
        (
            _lossy(sum_kl=lambda kl: kl.flatten(1).mean(dim=1)),
            "independent numbers *add* their divergences; you take the mean of a word's KL.",
        ),
        (
            _lossy(
                sum_squares=lambda e: e.flatten(1).mean(dim=1),
                sum_kl=lambda kl: kl.flatten(1).mean(dim=1),
            ),
            "both parts are means over the numbers of a word; both should be sums, and the mean is "
            "over the words only.",
        ),
        (
            _lossy(over_words=torch.sum),
            "this is the sum over the words of the batch; take their mean.",
        ),
        (
            lambda o, x, kl, b: _loss(o, x, kl, 1.0),
            "β is missing: it stands before the KL.",
        ),
        (
            lambda o, x, kl, b: (
                b * 0.5 * (o - x).square().flatten(1).sum(1).mean() + kl.flatten(1).sum(1).mean()
            ),
            "β stands before the KL, not before the squared error.",
        ),
        (
            lambda o, x, kl, b: b * _loss(o, x, kl, 1.0),
            "β stands before the KL alone, not before both.",
        ),
        (
            lambda o, x, kl, b: _loss(o, x, kl, -b),
            "the KL is *added*: the loss is the negative ELBO, in which it is taken off.",
        ),
        (lambda o, x, kl, b: _loss(o, x, 0 * kl, b), "the KL is missing."),
        (lambda o, x, kl, b: _loss(x, x, kl, b), "the squared error is missing."),
        (_lossy(distance=lambda error: error), "the error is not squared."),
        (
            lambda o, x, kl, b: _loss(o, 0 * x, kl, b),
            "the error is that of `output` from `x`: take the difference.",
        ),
        (lambda o, x, kl, b: _loss(o, -x, kl, b), "the error is a difference, not a sum."),
        (
            _lossy(distance=torch.abs),
            "this is the absolute error; the Gaussian decoder asks for the squared one.",
        ),
        (
            lambda o, x, kl, b: (
                0.5 * (o - x).flatten(1).norm(dim=1).mean() + b * kl.flatten(1).sum(1).mean()
            ),
            "this is the norm of the error; its *square* is wanted.",
        ),
        (
            lambda o, x, kl, b: 0.5 * (o - x).square().sum() + b * kl.flatten(1).sum(1).mean(),
            "the squared error is a sum over the words of the batch as well; take the mean over "
            "them.",
        ),
        (
            lambda o, x, kl, b: 0.5 * (o - x).square().flatten(1).sum(1).mean() + b * kl.sum(),
            "the KL is a sum over the words of the batch as well; take the mean over them.",
        ),
        (
            lambda o, x, kl, b: 0.5 * ((o - x).square().sum() + b * kl.sum()) / len(x),
            "the ½ stands before the squared error only: the KL has its own inside already.",
        ),
        (
            lambda o, x, kl, b: (
                0.5 * (o - x).square().flatten(1).sum(1) + b * kl.flatten(1).sum(dim=1)
            ),
            "this is one number for each word; one for the batch is wanted: their mean.",
        ),
    ),
    hints=(
        "Sum over the numbers of a word, mean over the words of the batch.",
        "`(output - x).square().flatten(1).sum(dim=1)` is the squared error of each word, (n,).",
        "½ of that plus β times `kl.flatten(1).sum(dim=1)`, then `.mean()`.",
    ),
)

# --- 04-slerp: a, b (D,), share -> (D,) -----------------------------------------------------------


def _slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    return arc(a, b, t, dim=0)


def _angle(a: Tensor, b: Tensor) -> Tensor:
    return torch.arccos(a @ b / (a.norm() * b.norm()))


def _arc(a: Tensor, b: Tensor, t: float, w: Tensor) -> Tensor:
    return ((1 - t) * w).sin() / w.sin() * a + (t * w).sin() / w.sin() * b


def _arcs(fn: Callable[..., Any]) -> dict[str, Any]:
    def at(share: float) -> Any:
        return fn(torch.tensor([1.0, 0.4, -0.2]), torch.tensor([-0.1, 1.1, 0.5]), share)

    right_angle = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    return {
        "the point at share 0, which is a": at(0.0),
        "the point at share 1, which is b": at(1.0),
        "the middle between (1, 0) and (0, 1), of norm 1": fn(*right_angle, 0.5),
        "the point at share 0.25 of another arc": at(0.25),
    }


slerp = Exercise(
    probe=_arcs,
    right=_slerp,
    mistakes=(
        (lambda a, b, t: (1 - t) * a + t * b, "this is the straight line."),
        (lambda a, b, t: _slerp(b, a, t), "start and end are exchanged: t = 0 must give `a`."),
        (
            lambda a, b, t: _arc(a, b, t, a @ b / (a.norm() * b.norm())),
            "that is the *cosine* of the angle; take its arccos.",
        ),
        (
            lambda a, b, t: _arc(a, b, t, torch.arccos((a @ b).clamp(-1, 1))),
            "divide the product a·b by both norms before you take the arccos.",
        ),
        (
            lambda a, b, t: _arc(a, b, t, _angle(a, b)) * _angle(a, b).sin(),
            "the division by sin ω is missing.",
        ),
        (
            lambda a, b, t: _arc(a / a.norm(), b / b.norm(), t, _angle(a, b)),
            "the ends have lost their norms: the weights belong before `a` and `b` themselves.",
        ),
        (
            lambda a, b, t: _arc(a, b, t, _angle(a, b) * 180 / math.pi),
            "`sin` wants radians; this angle is in degrees.",
        ),
        (
            lambda a, b, t: (1 - t) * _angle(a, b).sin() * a + t * _angle(a, b).sin() * b,
            "the share belongs inside the sine: sin(t ω), not t sin ω.",
        ),
    ),
    hints=(
        "First the angle: cos ω = a·b / (‖a‖ ‖b‖).",
        "Then sin((1-t) ω)/sin ω times a, plus sin(t ω)/sin ω times b.",
    ),
)

EXERCISES = {"pca": pca, "gaussian": gaussian, "vae-loss": vae_loss, "slerp": slerp}
