"""The pieces of notebook 05: nearest code, copied gradient, the layer, stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from vqlab.lessons.edits import noise, piece, seeded

from vqlab.lessons.own_file import program

_ours = program({})
_vectors, _codebook = noise(40, 64), noise(16, 64, seed=1) * torch.linspace(0.3, 2, 16)[:, None]

nearest_code = piece(
    "05-nearest-code",
    lambda fn: fn(_vectors.clone(), _codebook.clone()),  # hers may change what it is given
    ("argmin", "argmax", "this is the code *farthest* away: the smallest distance is wanted."),
    (
        "argmin(dim=1)",
        "argmin(dim=0)",
        "the smallest of each column is the vector nearest to each code; wanted is a code for "
        "each vector.",
    ),
    (
        "codebook.square().sum(dim=1) - 2",
        "- 2",
        "without |e|^2 the longest codes win: |x - e|^2 = |x|^2 - 2 x.e + |e|^2.",
    ),
    (
        "codebook.square().sum(dim=1) -",
        "vectors.square().sum(dim=1) + codebook.square().sum(dim=1) -",
        "|x|^2 belongs to the rows: give it an axis, `[:, None]`, or leave it out.",
    ),
    (
        "codebook.square().sum(dim=1) - 2 * vectors @ codebook.T",
        "-2 * vectors @ codebook.T + vectors.square().sum(dim=1)",
        "|x|^2 belongs to the rows: give it an axis, `[:, None]`, or leave it out.",
    ),
    ("- 2 * vectors", "- vectors", "the product counts twice: |x - e|^2 = |x|^2 - 2 x.e + |e|^2."),
    ("- 2 * vectors", "+ 2 * vectors", "the product has the wrong sign: - 2 x.e."),
    (
        ".argmin(dim=1)",
        "",
        "these are distances; wanted is the *place* of the smallest in each row (`argmin`).",
    ),
    ("codebook.square()", "codebook.abs()", "|e|^2 is the sum of squares, not of absolute values."),
    (
        ".argmin(dim=1)",
        ".amin(dim=1)",
        "this is the smallest distance; wanted is its place (`argmin`).",
    ),
    hints=(
        "|x - e|^2 = |x|^2 - 2 x.e + |e|^2, and |x|^2 is the same for all codes.",
        "`vectors @ codebook.T` are all products at once, (n, K).",
    ),
)


def _copied(fn: Callable[..., Any]) -> dict[str, Any]:
    z_e, z_q = noise(2, 3, 4).requires_grad_(), noise(2, 3, 4, seed=1).requires_grad_()
    out = fn(z_e, z_q)
    value = out.detach().clone()
    if out.requires_grad:
        out.backward(noise(2, 3, 4, seed=2))
    return {
        "the value": value,
        "the gradient of z_e": torch.zeros(2, 3, 4) if z_e.grad is None else z_e.grad,
        "the gradient of z_q": torch.zeros(2, 3, 4) if z_q.grad is None else z_q.grad,
    }


straight_through = piece(
    "05-straight-through",
    _copied,
    (
        "z_e + (z_q - z_e).detach()",
        "z_q",
        "the gradient goes to z_q and stops there: the encoder learns nothing.",
    ),
    (
        "z_e + (z_q - z_e).detach()",
        "z_e",
        "the gradient is right, the value is not: forward, z_q is passed on.",
    ),
    ("z_e + (z_q - z_e).detach()", "z_q.detach()", "no gradient comes back at all."),
    (
        "z_e + (z_q - z_e).detach()",
        "z_q + (z_e - z_q).detach()",
        "the two are exchanged: this has the value of z_e and the gradient of z_q.",
    ),
    ("z_e + (z_q - z_e).detach()", "z_e.detach() + (z_q - z_e)", "detach the difference, not z_e."),
    (
        "z_e + (z_q - z_e).detach()",
        "z_e + (z_q - z_e.detach())",
        "z_q gets a gradient too: detach the whole difference.",
    ),
    hints=(
        "A difference without a gradient is a constant.",
        "z_e + a constant that makes it z_q.",
    ),
)


def _layer(fn: Callable[..., Any]) -> dict[str, Any]:
    """A start, where all vectors are one, so that it cannot matter which are drawn; then a step."""
    return seeded(lambda: _start_and_step(fn))  # mistakes may draw, too


def _start_and_step(fn: Callable[..., Any]) -> dict[str, Any]:
    layer, point = fn(), noise(1, 64, 1)
    layer(point.expand(4, -1, 120))
    seen = {f"{name} after the start": getattr(layer, name).clone() for name in _STATE}
    fair = 4 * 120 / _ours.CODES
    layer.counts.fill_(fair)
    layer.codebook.copy_(
        noise(_ours.CODES, 64, seed=1) * torch.linspace(0.5, 2, _ours.CODES)[:, None]
    )
    layer.sums.copy_(layer.codebook * fair)
    layer.counts[7], layer.sums[7] = 0.1 * fair, layer.sums[7] * 0.1  # a tenth is no reason
    z_e = noise(4, 64, 120, seed=2).requires_grad_()
    z_q, codes, loss = layer(z_e)
    if loss.requires_grad or z_q.requires_grad:
        (loss + (z_q * noise(4, 64, 120)).mean()).backward()
    seen |= {"the codes": codes, "z_q": z_q, "the loss": loss}
    seen["the gradient of z_e"] = torch.zeros_like(z_q) if z_e.grad is None else z_e.grad
    seen |= {f"{name} after a step": getattr(layer, name).clone() for name in _STATE}
    layer.eval()
    layer.counts[:99] = 0
    seen["z_q in use"] = layer(noise(1, 64, 30))[0]
    seen |= {f"{name} after use": getattr(layer, name).clone() for name in _STATE}
    return seen | {"the codebook of a layer of 4 codes of length 2, after a step": _small(fn)}


def _small(fn: Callable[..., Any]) -> Any:
    """The codes of another size and decay after one step."""
    layer = fn(2, 4, decay=0.5)
    layer.codebook.copy_(noise(4, 2, seed=3))
    layer.counts.fill_(16.0)
    layer.sums.copy_(16 * layer.codebook)
    layer(noise(1, 2, 64, seed=4))
    return layer.codebook.clone()


_STATE = ("codebook", "counts", "sums")
vq_layer = piece(
    "05-vq-layer",
    _layer,
    (
        "z_e.mT.reshape(-1, z_e.shape[1])",
        "z_e.reshape(-1, z_e.shape[1])",
        "the channel axis is not moved to the end before the reshape: each row is a piece of one "
        "channel, not a vector.",
    ),
    (
        ".reshape(z_e.mT.shape).mT",
        ".reshape(z_e.shape)",
        "on the way back the channel axis is not moved: reshape to (batch, positions, dim) first, "
        "then `.mT`.",
    ),
    (
        "return straight_through(z_e, z_q), ",
        "return z_q, ",
        "the gradient is not copied: use `straight_through`.",
    ),
    ("self.beta * F", "F", "beta is missing in the loss."),
    (
        "F.mse_loss(z_e, z_q)",
        "F.mse_loss(z_e.detach(), z_q)",
        "the commitment loss has to move the encoder: do not detach z_e.",
    ),
    (
        "F.mse_loss(z_e, z_q)",
        "F.mse_loss(z_e, z_q, reduction='sum')",
        "the loss is a sum; take the mean, so that it does not grow with the batch.",
    ),
    (
        "            self.learn(vectors.detach(), codes)\n",
        "            pass\n",
        "the codes are never moved: `learn` is not called in training.",
    ),
    (
        "            self.restart(vectors.detach())\n",
        "            pass\n",
        "the codes never start: all are 0 until `restart` puts them on vectors.",
    ),
    (
        "        if self.training:\n            self.learn",
        "        if True:\n            self.learn",
        "the codebook learns in use as well: only `if self.training`.",
    ),
    (
        "        if self.training:\n            self.restart",
        "        if True:\n            self.restart",
        "codes are restarted in use as well: only `if self.training`.",
    ),
    (
        "1 - self.decay)\n        self.sums",
        "self.decay)\n        self.sums",
        "the weights of the counts are exchanged: `lerp_(new, 1 - decay)`.",
    ),
    (
        "self.sums.lerp_(one_hot.T @ vectors, 1 - self.decay)",
        "self.sums.lerp_(one_hot.T @ vectors, self.decay)",
        "the weights of the sums are exchanged: `lerp_(new, 1 - decay)`.",
    ),
    (
        "1 - self.decay",
        "self.decay",
        "the weights of both averages are exchanged: `lerp_(new, 1 - decay)`.",
    ),
    (
        "0.06 * fair * chosen,",
        "self.sums[dead],",
        "`restart` forgets the sums: a code that begins anew has the sums of its own place, its "
        "count times its vector.",
    ),
    (
        "self.sums / self.counts[:, None]",
        "self.sums",
        "a code is a mean: divide the sums by the counts, row by row.",
    ),
    (
        "0.03 * fair",
        "0.3 * fair",
        "codes are restarted too early: those under 0.03 of the fair share.",
    ),
    (
        "self.counts < 0.03",
        "self.counts > 0.03",
        "you restart the codes that are used; restart the others.",
    ),
    (
        "fair = len(vectors) / len(self.counts)",
        "fair = len(vectors)",
        "the fair share of a code is the vectors of a batch, divided by the number of codes.",
    ),
    (
        "self.beta, self.decay = beta, decay",
        "self.beta, self.decay = beta, 0.99",
        "the decay is fixed at 0.99: use the one that was given (`self.decay`).",
    ),
    (
        "len(self.counts)",
        "CODES",
        "the layer works with CODES codes only: the number is `len(self.counts)`.",
    ),
    hints=(
        "The five steps: rows, nearest code, lookup, back to the grid, straight through.",
        "In training: `restart` before the search, `learn` after it, both on `vectors.detach()`.",
        "`self.counts.lerp_(new, 1 - self.decay)` is one step of a moving average.",
    ),
)


def _stages(fn: Callable[..., Any]) -> dict[str, Any]:
    def run() -> dict[str, Any]:
        quantizer, z_e = fn(), noise(4, 64, 100).requires_grad_()
        z_q, codes, loss = quantizer(z_e)
        if loss.requires_grad or z_q.requires_grad:
            (loss + (z_q * noise(4, 64, 100)).mean()).backward()
        gradient = torch.zeros(4, 64, 100) if z_e.grad is None else z_e.grad
        seen = {"the codes": codes, "z_q": z_q, "the loss": loss, "the gradient of z_e": gradient}
        quantizer.eval()
        codes = quantizer(z_e)[1]
        small = fn(dim=2, codes=4, stages=2)
        sizes = [tuple(b.shape) for name, b in small.named_buffers() if name.endswith("codebook")]
        seen["the codebooks for dim=2, codes=4, stages=2"] = str(sizes)
        return seen | {"`lookup` of codes": quantizer.lookup(codes)}

    return seeded(run)


residual = piece(
    "05-residual",
    _stages,
    (
        "rest = rest - z_q.detach()",
        "rest = rest - z_q",
        "the gradient runs through the rest as well: take z_q off *detached*.",
    ),
    (
        "rest = rest - z_q.detach()",
        "rest = rest + z_q.detach()",
        "the rest has the wrong sign: what went in minus what was chosen.",
    ),
    (
        "layer(rest)",
        "layer(z_e)",
        "every stage sees the whole vector: give it what the stages before left over.",
    ),
    (
        "rest = rest - z_q.detach()",
        "rest = z_e - z_q.detach()",
        "the rest forgets the stages before the last: take each z_q off the rest so far.",
    ),
    (
        "straight_through(z_e, z_e - rest)",
        "z_e - rest",
        "the gradient cancels: copy it with `straight_through`.",
    ),
    (
        "straight_through(z_e, z_e - rest)",
        "rest",
        "this is what is left over; z_q is what was taken off.",
    ),
    (
        "straight_through(z_e, z_e - rest)",
        "z_q",
        "this is the last stage alone; the sum of all is wanted.",
    ),
    (
        "straight_through(z_e, z_e - rest)",
        "z_e.detach() - rest.detach() + len(codes) * (z_e - z_e.detach())",
        "send the sum through `straight_through` once: added up, the layers' own gradients count "
        "`stages` times.",
    ),
    ("loss = loss + part", "loss = part", "only the last stage's loss is returned: add them up."),
    (
        "torch.stack(codes, dim=1)",
        "torch.stack(codes)",
        "the axes of the codes are (stages, batch, positions); wanted is (batch, stages, "
        "positions).",
    ),
    (
        "torch.stack(rows).sum(dim=0)",
        "torch.stack(rows).mean(dim=0)",
        "`lookup` takes the mean of the rows; it is their sum.",
    ),
    (
        "for _ in range(stages)",
        "for _ in range(1)",
        "there is one layer; there should be `stages`.",
    ),
    (
        "torch.stack(rows).sum(dim=0).mT",
        "torch.stack(rows).sum(dim=0)",
        "`lookup` gives (batch, positions, dim); wanted is (batch, dim, positions).",
    ),
    hints=(
        "`rest` begins as z_e; every layer codes it, and its z_q is taken off.",
        "In the end the sum of all z_q is z_e - rest: `straight_through(z_e, z_e - rest)`.",
        "`lookup`: for every stage the rows `layer.codebook[codes]`, added.",
    ),
)

PIECES = {
    "05-nearest-code": nearest_code,
    "05-straight-through": straight_through,
    "05-vq-layer": vq_layer,
    "05-residual": residual,
}
