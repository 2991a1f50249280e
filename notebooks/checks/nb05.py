"""The optional exercise of notebook 05: the loss of the layer, as the paper wrote it.

An entry is data: a probe on small fixed numbers, the reference, the mistakes people make with the
hint that fits each, and general hints. The core exercises are pieces of the codec and stand in
`own_layer`.

Notebook: 05
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vqlab.lessons.exercise import Exercise

# --- 05-vq-loss: values and gradients -------------------------------------------------------------


def _value_and_gradients(fn: Callable[..., Any], *options: Any) -> dict[str, Any]:
    """Value, and what flows back: whether a path leads to z_e at all, and the gradients."""
    z_e = torch.tensor([[0.9, 1.2], [-0.4, 0.1]], requires_grad=True)
    z_q = torch.tensor([[1.0, 1.0], [0.0, 0.0]], requires_grad=True)
    result = fn(z_e, z_q, *options)
    if not isinstance(result, Tensor):
        return {"the value": result}
    weights = torch.tensor([[1.0, 2.0], [3.0, 4.0]]) if result.ndim else torch.tensor(1.0)
    if result.requires_grad and result.shape in ((), z_e.shape):
        (result * weights).sum().backward()
    nothing = torch.zeros(2, 2)
    return {
        "the value": result,
        "whether a gradient reaches z_e": z_e.grad is not None,
        "the gradient that reaches z_e": nothing if z_e.grad is None else z_e.grad,
        "the gradient that reaches z_q": nothing if z_q.grad is None else z_q.grad,
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
            lambda a, b, beta: (1 + beta) * F.mse_loss(a.detach(), b.detach()),
            "the value is right and nothing learns: each term holds still one of the two, not "
            "both.",
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

EXERCISES = {"vq-loss": vq_loss}
