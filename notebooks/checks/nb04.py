"""The exercises of notebook 04: PCA, the Gaussian's KL, the reparametrisation, slerp, log K.

Notebook: 04
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from vqlab.lessons.latents import slerp as arc

from vqlab.lessons.exercise import Exercise, value_of

# --- 04-pca: x (n, d), D -> (n, d) ----------------------------------------------------------------


def _pca(kind: str = "right") -> Callable[[Tensor, int], Tensor]:
    """PCA, or a variant with one thing wrong."""

    def fn(x: Tensor, D: int) -> Tensor:
        mean = torch.zeros(x.shape[1]) if kind == "not centred" else x.mean(dim=0)
        centred = x - mean
        basis = torch.linalg.eigh(centred.T @ centred / len(x)).eigenvectors  # rising eigenvalues
        U = {"weakest": basis[:, :D], "rows": basis[-D:].T}.get(kind, basis[:, -D:])
        if kind == "scores":
            return centred @ U
        return centred @ U @ U.T + (0 if kind == "mean lost" else mean)

    return fn


_spread = torch.tensor([[3.0, 0, 0, 0], [1.0, 1, 0, 0], [0, 0.5, 0.7, 0], [0.2, 0, 0, 0.3]])
_x = torch.randn(40, 4, generator=torch.Generator().manual_seed(4)) @ _spread
_x = _x + torch.tensor([5.0, -3.0, 2.0, 1.0])
pca = Exercise(
    probe=value_of(_x, 2),
    right=_pca(),
    mistakes=(
        (
            _pca("weakest"),
            "you keep the *weakest* directions: `eigh` sorts the eigenvalues from small to large.",
        ),
        (_pca("rows"), "a direction is a *column* of the eigenvectors, not a row."),
        (_pca("not centred"), "subtract the mean first; without it the mean is a direction too."),
        (_pca("mean lost"), "the mean was taken away and never put back."),
        (_pca("scores"), "these are the D numbers z = (x - mean) U; go back: z Uᵀ + mean."),
    ),
    hints=(
        "Four steps: subtract the mean, find the directions, project, come back.",
        "`torch.linalg.eigh(c.T @ c / n).eigenvectors` has them as columns, the strongest last.",
        "`(x - mean) @ U @ U.T + mean` with `U` of shape (d, D).",
    ),
)

# --- 04-gaussian-kl: mean, log_variance (n, D) -> (n,) --------------------------------------------


def _kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)


gaussian_kl = Exercise(
    probe=value_of(
        torch.tensor([[1.0, -2.0, 0.0], [0.0, 0.0, 0.0]]),
        torch.tensor([[0.0, 1.0, -1.5], [0.0, 0.7, 0.0]]),
    ),
    right=_kl,
    mistakes=(
        (lambda m, v: 2 * _kl(m, v), "the factor 1/2 is missing."),
        (lambda m, v: -_kl(m, v), "the sign is wrong: a KL divergence is never below 0."),
        (
            lambda m, v: 0.5 * (m**2 + v - 1 - v.log()).sum(dim=1),
            "the second argument is the *logarithm* of the variance: the variance is its `exp()`.",
        ),
        (
            lambda m, v: 0.5 * (m**2 + (2 * v).exp() - 1 - 2 * v).sum(dim=1),
            "you took the second argument for log σ; it is log σ².",
        ),
        (lambda m, v: 0.5 * (m**2 + v.exp() - v).sum(dim=1), "the -1 is missing."),
        (
            lambda m, v: 0.5 * (m**2 + v.exp() - 1 - v).mean(dim=1),
            "independent dimensions *add* their divergences; you take the mean.",
        ),
        (
            lambda m, v: 0.5 * (m**2 + v.exp() - 1 - v),
            "this is one number for each dimension; add them up (`sum(dim=1)`).",
        ),
        (lambda m, v: _kl(m, v).sum(), "one number for each word is wanted: sum over dim 1 only."),
    ),
    hints=(
        "One dimension: ½ (μ² + σ² - 1 - log σ²). Then add the dimensions.",
        "σ² is `log_variance.exp()`, and log σ² is `log_variance` itself.",
    ),
)

# --- 04-reparametrise: mean, log_variance, noise -> z, and what flows back ------------------------


def _value_and_gradients(fn: Callable[..., Any]) -> dict[str, Any]:
    mean = torch.tensor([[1.0, -2.0, 0.5]], requires_grad=True)
    log_variance = torch.tensor([[0.0, 1.0, -1.5]], requires_grad=True)
    z = fn(mean, log_variance, torch.tensor([[0.3, -1.2, 2.0]]))
    if isinstance(z, Tensor) and z.requires_grad:
        (z * torch.tensor([[1.0, 2.0, 3.0]])).sum().backward()
    none = torch.full((1, 3), math.nan)
    return {
        "the value": z,
        "the gradient that reaches the mean": none if mean.grad is None else mean.grad,
        "the gradient that reaches log_variance": (
            none if log_variance.grad is None else log_variance.grad
        ),
    }


def _sample(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    return mean + (0.5 * log_variance).exp() * noise


reparametrise = Exercise(
    probe=_value_and_gradients,
    right=_sample,
    mistakes=(
        (
            lambda m, v, e: m + v.exp() * e,
            "you multiply with the variance; the noise is stretched by the *standard deviation*, "
            "exp(½ log σ²).",
        ),
        (lambda m, v, e: m + v * e, "`log_variance` is a logarithm: take exp(½ log σ²)."),
        (
            lambda m, v, e: m + ((0.5 * v).exp() * e).detach(),
            "the value is right, but nothing flows back to log_variance: do not detach.",
        ),
        (lambda m, v, e: _sample(m, v, e).detach(), "nothing flows back at all: do not detach."),
        (lambda m, v, e: m, "this is the mean alone; the noise is missing."),
        (lambda m, v, e: (0.5 * v).exp() * (m + e), "σ stretches the noise only, not the mean."),
    ),
    hints=("Stretch the noise, then move it.", "z = μ + σ ε with σ = exp(½ log σ²)."),
)

# --- 04-slerp and 04-kl-to-uniform ----------------------------------------------------------------


def _slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    return arc(a, b, t, dim=0)


def _angle(a: Tensor, b: Tensor) -> Tensor:
    return torch.arccos(a @ b / (a.norm() * b.norm()))


def _arc(a: Tensor, b: Tensor, t: float, w: Tensor) -> Tensor:
    return ((1 - t) * w).sin() / w.sin() * a + (t * w).sin() / w.sin() * b


slerp = Exercise(
    probe=value_of(torch.tensor([1.0, 0.4, -0.2]), torch.tensor([-0.1, 1.1, 0.5]), 0.25),
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
            "divide the product a·b by both lengths before you take the arccos.",
        ),
        (
            lambda a, b, t: _arc(a, b, t, _angle(a, b)) * _angle(a, b).sin(),
            "the division by sin ω is missing.",
        ),
    ),
    hints=(
        "First the angle: cos ω = a·b / (‖a‖ ‖b‖).",
        "Then sin((1-t) ω)/sin ω times a, plus sin(t ω)/sin ω times b.",
    ),
)


def _to_uniform(q: Tensor, log: Callable[[Tensor], Tensor] = torch.log) -> Tensor:
    terms = torch.where(q > 0, q * log((q * q.shape[1]).clamp_min(1e-30)), 0.0)
    return terms.sum(dim=1)


kl_to_uniform = Exercise(
    probe=value_of(torch.tensor([[0.0, 1, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0]])),
    right=_to_uniform,
    mistakes=(
        (
            lambda q: (q * (q * q.shape[1]).log()).sum(dim=1),
            "0 · log 0 gives nan in floating point; a code with q = 0 must add nothing.",
        ),
        (lambda q: _to_uniform(q, torch.log2), "these are bits (log2); nats were asked for (log)."),
        (
            lambda q: _to_uniform(q) - math.log(q.shape[1]),
            "this is minus the entropy of q; log K is missing.",
        ),
        (
            lambda q: math.log(q.shape[1]) - _to_uniform(q),
            "this is the entropy of q; the divergence is log K minus it.",
        ),
        (lambda q: -_to_uniform(q), "the sign is wrong: a KL divergence is never below 0."),
        (lambda q: _to_uniform(q).sum(), "one number for each row is wanted."),
    ),
    hints=(
        "With p = 1/K the ratio q/p is K · q.",
        "`torch.xlogy(q, K * q)` is q log(K q), and 0 where q is 0. Then add along the codes.",
    ),
)

EXERCISES = {
    "pca": pca,
    "gaussian-kl": gaussian_kl,
    "reparametrise": reparametrise,
    "slerp": slerp,
    "kl-to-uniform": kl_to_uniform,
}
