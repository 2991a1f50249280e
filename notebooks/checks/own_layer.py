"""The pieces of notebook 05: nearest code, copied gradient, the layer, stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from vqlab.lessons.edits import form, noise, piece, seeded

from vqlab.lessons.own_file import program

_ours = program({})
_vectors, _long = noise(40, 64), torch.linspace(0.3, 2, 16)[:, None]
_alike = 8 * torch.nn.functional.normalize(noise(16, 64, seed=1))  # codes of one length

nearest_code = piece(
    "05-nearest-code",
    lambda fn: {  # copies: hers may change what it is given
        "the nearest of codes of one length": fn(_vectors.clone(), _alike.clone()),
        "the nearest of codes": fn(_vectors.clone(), _alike * _long),
    },
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
    parts={
        "of one length": "Wanted is a whole number for each vector, (n,): the place of the "
        "smallest distance in its row. Where all codes are equally long, the largest x.e wins.",
        "the nearest of codes": "Where all codes are equally long yours are right, so look at "
        "|e|^2, the sum of the squares of each code: 2 x.e is taken off it.",
    },
)


def _copied(fn: Callable[..., Any]) -> dict[str, Any]:
    z_e, z_q = noise(2, 3, 4).requires_grad_(), noise(2, 3, 4, seed=1).requires_grad_()
    out = fn(z_e, z_q)
    if form(out) != "(2, 3, 4)":
        return {"the value": out}
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
    parts={
        "the value": "It should be z_q: z_e, and the difference z_q - z_e added to it.",
        "gradient of z_e": "It should be the gradient of what comes out, unchanged.",
        "gradient of z_q": "None may reach it: the difference is a constant, so detach all of it.",
    },
)


def _layer(fn: Callable[..., Any]) -> dict[str, Any]:
    """A start, where all vectors are one, so that it cannot matter which are drawn; then a step."""
    return seeded(lambda: _start_and_step(fn))  # mistakes may draw, too


def _start_and_step(fn: Callable[..., Any]) -> dict[str, Any]:
    layer, point = fn(), noise(1, 64, 1)
    returned = layer(point.expand(4, -1, 120).clone().requires_grad_())
    if (found := form(returned)) != "(4, 64, 120), (4, 120), a number":
        return {"what comes back for (4, 64, 120)": found}
    if layer.codebook.requires_grad:
        return {"whether the codebook keeps a gradient": True}
    seen: dict[str, Any] = {"whether the codebook keeps a gradient": False}
    seen |= {f"the {name} after the start": getattr(layer, name).clone() for name in _STATE}
    fair = 4 * 120 / _ours.CODES
    layer.counts.fill_(fair)
    layer.codebook.copy_(
        noise(_ours.CODES, 64, seed=1) * torch.linspace(0.5, 2, _ours.CODES)[:, None]
    )
    layer.sums.copy_(layer.codebook * fair)
    for code, share in ((7, 0.1), (8, 0.04)):  # small, and no reason for a restart
        layer.counts[code], layer.sums[code] = share * fair, layer.sums[code] * share
    z_e = noise(4, 64, 120, seed=2).requires_grad_()
    z_q, codes, loss = layer(z_e)
    if torch.is_tensor(loss) and loss.requires_grad or z_q.requires_grad:
        (loss + (z_q * noise(4, 64, 120)).mean()).backward()
    seen |= {"the codes": codes, "the z_q": z_q, "the loss": loss}
    seen["the gradient of z_e"] = torch.zeros_like(z_q) if z_e.grad is None else z_e.grad
    seen |= {f"the {name} after a step": getattr(layer, name).clone() for name in _STATE}
    layer.counts[:99] = 0.02 * fair  # these have to start again: where, is left to chance
    layer(point.expand(4, -1, 120))
    seen["the counts after a restart"] = layer.counts.sort().values
    layer.eval()
    layer.counts[:99] = 0
    used = layer.codebook.clone()
    layer(noise(1, 64, 30))
    seen["how many codes move in use"] = int((layer.codebook != used).any(dim=1).sum())
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
    parts={
        "comes back": "Wanted are three: z_q (batch, dim, positions), the codes (batch, "
        "positions), and the loss, one number.",
        "keeps a gradient": "`restart` and `learn` get `vectors.detach()`: the codebook does not "
        "learn by gradients, and must not hold on to those of a step that is over.",
        "the codebook after the start": "All vectors are the same here, so `restart` has put every "
        "code on it; `learn` divides the sums by the counts, row by row, so both have to fit: "
        "counts 0.06 of the fair share, sums that times the vector.",
        "the counts after the start": "`restart` sets them to 0.06 of the fair share, which is the "
        "number of vectors divided by that of codes; then comes one step of the moving average, "
        "`lerp_(new, 1 - decay)`, in which one code was chosen by all.",
        "the sums after the start": "`restart` sets them to the count times the vector; then one "
        "step of the moving average: new is, for each code, the sum of the vectors that chose it.",
        "the codes": "The nearest code of each vector: one row for each position, (batch * "
        "positions, dim), then `nearest_code`, then (batch, positions).",
        "the z_q": "The rows of the codebook that were chosen, brought back to (batch, dim, "
        "positions), as they were before `learn`; then `straight_through`.",
        "the loss": "beta times the mean of the squares of z_e - z_q, with a gradient for z_e.",
        "the gradient of z_e": "It comes from two sides: through `straight_through`, unchanged, "
        "and from the loss.",
        "the codebook after a step": "The sums divided by the counts, row by row, when both have "
        "moved.",
        "the counts after a step": "No code is below 0.03 of the fair share here, so only `learn` "
        "has moved them: `lerp_` towards the number of vectors that chose each code.",
        "the sums after a step": "`lerp_` towards the sum of the vectors that chose each code: "
        "`one_hot.T @ vectors`.",
        "after a restart": "99 codes were at 0.02 of the fair share: `restart` has to put those "
        "below 0.03 at 0.06.",
        "move in use": "In evaluation mode nothing is learned or restarted: `if self.training`.",
        "of a layer of 4": "The sizes and the decay are those given to `__init__`.",
    },
)


def _stages(fn: Callable[..., Any]) -> dict[str, Any]:
    def run() -> dict[str, Any]:
        quantizer, z_e = fn(), noise(4, 64, 100).requires_grad_()
        returned = quantizer(z_e)
        if (found := form(returned)) != f"(4, 64, 100), (4, {_ours.STAGES}, 100), a number":
            return {"what comes back for (4, 64, 100)": found}
        z_q, codes, loss = returned
        if torch.is_tensor(loss) and loss.requires_grad or z_q.requires_grad:
            (loss + (z_q * noise(4, 64, 100)).mean()).backward()
        seen = {f"the codes of stage {n}": codes[:, n] for n in range(codes.shape[1])}
        seen |= {"the z_q": z_q, "the loss": loss}
        seen["the gradient of z_e"] = torch.zeros(4, 64, 100) if z_e.grad is None else z_e.grad
        quantizer.eval()
        codes = quantizer(z_e)[1]
        small = fn(dim=2, codes=4, stages=2)
        sizes = [tuple(b.shape) for name, b in small.named_buffers() if name.endswith("codebook")]
        seen["the shapes of the codebooks for dim=2, codes=4, stages=2"] = str(sizes)
        seen["the decays for decay=0.5"] = str([layer.decay for layer in fn(decay=0.5).layers])
        return seen | {"what `lookup` gives": quantizer.lookup(codes)}

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
    parts={
        "comes back": "Wanted are three: z_q (batch, dim, positions), the codes (batch, stages, "
        "positions), and the loss, one number.",
        "codes of stage 0": "The first layer gets z_e itself, `dim` numbers a position, and has "
        "`codes` codes.",
        "codes of stage": "Each layer gets what those before it left over: the rest so far, less "
        "the z_q of the last layer, detached.",
        "the z_q": "The sum of what all layers chose, that is z_e - rest in the end; and with the "
        "gradient of z_e, by `straight_through`.",
        "the loss": "The sum of the losses of all layers, with their gradients.",
        "gradient of z_e": "It comes through `straight_through` once, and from the losses: take "
        "each z_q off the rest *detached*.",
        "the codebooks": "The layers stand in an `nn.ModuleList`; `dim`, `codes` and `stages` are "
        "those given to `__init__`.",
        "the decays": "Each layer gets the decay that is given to `__init__`; 0.99 if none is.",
        "`lookup`": "(batch, dim, positions): the row of each stage's codebook that its code "
        "names, added up over the stages.",
    },
)

PIECES = {
    "05-nearest-code": nearest_code,
    "05-straight-through": straight_through,
    "05-vq-layer": vq_layer,
    "05-residual": residual,
}
