"""The exercises of notebook 08: two tests that find a broken layer, a layer to mend, the clinic.

The clinic's logs are those of real runs, made by the notebook's `train` with the layers and seeds
in `MADE_BY`; `tests/test_lessons_08.py` trains the first steps of each again.

Notebook: 08
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from vqlab.lessons.edits import noise

from vqlab import quantize
from vqlab.lessons.exercise import Exercise

Layer = Callable[[Tensor], Tensor]

# --- 08-gradient-is-copied, 08-each-for-itself: layer, values -> bool -----------------------------

_table = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
_values = torch.tensor([[[0.9, -0.8, 0.1, 0.3], [0.2, -1.1, 0.8, 0.6]]])  # (1, 2, 4)


def _layer(copy: Callable[[Tensor, Tensor], Tensor]) -> Layer:
    """A layer with a learned codebook; only the path of the gradient differs."""
    codebook = _table.clone().requires_grad_()

    def layer(z_e: Tensor) -> Tensor:
        codes = quantize.nearest_codes(quantize.to_vectors(z_e.detach()), codebook.detach())
        return copy(z_e, quantize.to_grid(quantize.lookup(codes, codebook), z_e.shape))

    return layer


COPIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "the healthy layer": quantize.straight_through,
    "the layer that loses the gradient": lambda z_e, z_q: z_q.detach(),
    "the layer that gives it to the codes": lambda z_e, z_q: z_q,
    "the layer in which it cancels": lambda z_e, z_q: z_e + (z_q - z_e),
    "the layer that halves it": lambda z_e, z_q: 0.5 * z_e + (z_q - 0.5 * z_e).detach(),
    "the layer that mixes up positions": lambda e, q: e.flip(2) + (q - e.flip(2)).detach(),
}


def _verdicts(layers: dict[str, Layer], values: Tensor) -> Callable[..., dict[str, Any]]:
    def probe(fn: Callable[..., Any]) -> dict[str, Any]:
        return {f"your verdict on {n}": _truth(fn(f, values.clone())) for n, f in layers.items()}

    return probe


def _truth(value: Any) -> Any:
    return bool(value) if isinstance(value, Tensor) and value.numel() == 1 else value


def _arrives(layer: Layer, values: Tensor, send: str = "random") -> Any:
    """What was sent in at z and what arrived at z_e, or None where there is no path."""
    z_e = values.clone().requires_grad_()
    z = layer(z_e)
    if not z.requires_grad:
        return None
    sent = torch.ones_like(z) if send == "ones" else noise(*z.shape)
    z.backward(sent)
    return None if z_e.grad is None else (sent, z_e.grad)


def _is_copied(layer: Layer, values: Tensor, send: str = "random") -> bool:
    found = _arrives(layer, values, send)
    return found is not None and torch.allclose(*found)


gradient_is_copied = Exercise(
    probe=_verdicts({n: _layer(copy) for n, copy in COPIES.items()}, _values),
    right=_is_copied,
    mistakes=(
        (
            lambda layer, v: layer(v.clone().requires_grad_()).requires_grad,
            "`z.requires_grad` only says that there is *some* path, perhaps to the codes alone.",
        ),
        (
            lambda layer, v: _arrives(layer, v) is not None,
            "a gradient that is not None can still be 0: where z_e cancels, it is.",
        ),
        (
            lambda layer, v: bool((f := _arrives(layer, v)) is not None and f[1].any()),
            "something arrives, but is it what was sent? Half of it is not a copy.",
        ),
        (
            lambda layer, v: _is_copied(layer, v, "ones"),
            "you send the same number to every position (`z.sum().backward()` does that too), so "
            "a layer that mixes up the positions looks healthy. Send random numbers.",
        ),
        (
            lambda layer, v: torch.equal(layer(v), v),
            "you compare values. The value of z is z_q; the question is what the gradient does.",
        ),
        (
            lambda layer, v: layer(v.clone().requires_grad_()).backward(torch.ones_like(v)),
            "where there is no path at all `backward` fails: ask `z.requires_grad` first.",
        ),
    ),
    hints=(
        "z_e = values.clone().requires_grad_(), z = layer(z_e), then `z.backward(sent)`.",
        "Send `torch.randn_like(z)`; compare it with `z_e.grad`, which may be None.",
        "No path at all: `if not z.requires_grad: return False`.",
    ),
)

_codes, _places = noise(8, 3), noise(2, 3, 4, seed=1)  # negated, each position has another code


def _chosen(rows: Tensor) -> Tensor:
    return _codes[quantize.nearest_codes(rows, _codes)]


def _apart(z: Tensor) -> Tensor:
    return quantize.to_grid(_chosen(quantize.to_vectors(z)), z.shape)


PLACES: dict[str, Layer] = {
    "the healthy layer": _apart,
    "the layer that moves no axis": lambda z: _chosen(z.reshape(-1, 3)).reshape(z.shape),
    "the layer that moves none back": lambda z: _chosen(z.mT.reshape(-1, 3)).reshape(z.shape),
    "the layer that mixes up the clips": lambda z: _apart(z).movedim(2, 0).reshape(2, -1, 3).mT,
    "the layer that turns time around": lambda z: _apart(z).flip(2),
    "the layer that takes a mean off": lambda z: _apart(z - z.mean(dim=2, keepdim=True)),
}


def _others_stay(layer: Layer, z_e: Tensor, *, places: int = 99, clone: bool = True) -> bool:
    """Change positions, one after the other: does all the rest of z stay?"""
    z = layer(z_e)
    every = itertools.product(range(len(z_e)), range(z_e.shape[2]))
    for b, t in itertools.islice(every, places):
        other = z_e.clone() if clone else z_e
        other[b, :, t] *= -1
        moved = (layer(other) != z).any(dim=1)  # (batch, positions)
        moved[b, t] = False
        if moved.any():
            return False
    return True


def _own_place_moves(layer: Layer, z_e: Tensor) -> bool:
    other = z_e.clone()
    other[1, :, 2] *= -1
    return bool((layer(other) != layer(z_e))[1, :, 2].any())


each_for_itself = Exercise(
    probe=_verdicts(PLACES, _places),
    right=_others_stay,
    mistakes=(
        (
            lambda layer, z_e: layer(z_e).shape == z_e.shape,
            "all six pass: the shape is always right. Change a value, and see what else changes.",
        ),
        (
            lambda layer, z_e: _others_stay(layer, z_e, places=1),
            "you change the very first position only. There one of the broken layers does no harm: "
            "change every position of every clip, one at a time.",
        ),
        (
            lambda layer, z_e: _others_stay(layer, z_e, clone=False),
            "the healthy layer fails, because your changes pile up: begin each time with "
            "`z_e.clone()`.",
        ),
        (
            _own_place_moves,
            "you look at the position that you changed. Look at all the *others*: they must stay.",
        ),
    ),
    hints=(
        "other = z_e.clone(), change other[b, :, t], and compare layer(other) with layer(z_e).",
        "`(layer(other) != layer(z_e)).any(dim=1)` says at which clips and positions z changes.",
        "Set its entry [b, t] to False; if anything is left, the layer is broken. Loop over b, t.",
    ),
)

# --- 08-mended: z_e, codebook, beta -> z, codes, loss ---------------------------------------------

_MENDED = """
def mended(z_e, codebook, beta=0.25):
    rows = z_e.mT.reshape(-1, z_e.shape[1])
    codes = quantize.nearest_codes(rows.detach(), codebook.detach())
    z_q = codebook[codes].reshape(z_e.mT.shape).mT
    loss = F.mse_loss(z_q, z_e.detach()) + beta * F.mse_loss(z_e, z_q.detach())
    z = z_e + (z_q - z_e).detach()
    return z, codes.reshape(len(z_e), -1), loss
"""
SLIPS = {  # what is right, what stands in the broken layer, the hint
    "there": (
        "z_e.mT.reshape(-1",
        "z_e.transpose(0, 1).reshape(-1",
        "the codes are not those of the vectors: row 1 of the table must be position 1 of clip 0.",
    ),
    "back": (
        ".reshape(z_e.mT.shape).mT",
        ".reshape(z_e.shape)",
        "z is not made of the right code vectors: z[0, :, 1] must be the one that position 1 of "
        "clip 0 chose.",
    ),
    "loss": (
        "F.mse_loss(z_q, z_e.detach()) + beta * F.mse_loss(z_e, z_q.detach())",
        "F.mse_loss(z_q.detach(), z_e) + beta * F.mse_loss(z_e.detach(), z_q)",
        "with β = 0 the loss still moves z_e, and no code. Who is held still in which term?",
    ),
    "copy": (
        "z_e + (z_q - z_e).detach()",
        "z_e.detach() + (z_q - z_e.detach())",
        "what is sent in at z goes to the codebook and not to z_e.",
    ),
}


def edited(*swaps: tuple[str, ...]) -> Callable[..., Any]:
    """The layer's forward pass with pieces of its text replaced."""
    text = _MENDED
    for old, new, *_ in swaps:
        if old not in text:
            raise ValueError(f"the layer has no {old!r}")
        text = text.replace(old, new)
    names: dict[str, Any] = {"F": F, "quantize": quantize}
    exec(text, names)
    return names["mended"]


def _forward(fn: Callable[..., Any]) -> dict[str, Any]:
    """Values, gradients, and first whether what it was given is as it was."""
    z_e, codebook = noise(2, 6, 4).requires_grad_(), noise(9, 6, seed=1).requires_grad_()
    (z, codes, loss), at_0 = fn(z_e, codebook), fn(z_e, codebook, 0.0)[2]
    seen = {"`z_e`, which should stay as it is,": z_e, "`codebook`, which should stay,": codebook}
    seen |= {"the codes": codes, "z": z, "the loss": loss}
    terms = {"z": (z * noise(*z.shape, seed=2)).sum(), "the loss": loss, "the loss at β = 0": at_0}
    for name, term in terms.items():
        found: Any = [None, None]
        if term.requires_grad:
            found = torch.autograd.grad(term, (z_e, codebook), retain_graph=True, allow_unused=True)
        for what, start, grad in zip(("z_e", "the codes"), (z_e, codebook), found, strict=True):
            seen[f"the gradient from {name} at {what}"] = 0 * start if grad is None else grad
    return seen


def _left(names: tuple[str, ...]) -> str:
    count = ("one mistake is", "two mistakes are", "three mistakes are", "all four mistakes are")
    return f"{count[len(names) - 1]} left. The first: {SLIPS[names[0]][2]}"


mended = Exercise(
    probe=_forward,
    right=edited(),
    mistakes=(
        *(
            (edited(*map(SLIPS.__getitem__, names)), _left(names))
            for count in (4, 3, 2, 1)
            for names in itertools.combinations(SLIPS, count)
        ),
        (
            edited(("z_e.detach()) +", "z_e) +"), ("z_q.detach())\n", "z_q)\n")),
            "values are right, but the loss holds nobody still: each term needs one `detach`.",
        ),
        (
            edited(("z = z_e + (z_q - z_e).detach()", "z = z_e")),
            "the decoder would get z_e itself, which was never quantised: the value of z is z_q.",
        ),
    ),
    hints=(
        "Go line by line, and test each with something small: a value, or a gradient.",
        "The channel axis is the second of three; `.mT` exchanges the last two.",
        "Copy: `z_e + (z_q - z_e).detach()`. β belongs to the term that does not detach z_e.",
    ),
)

# --- 08-clinic: the logs of four runs -> what is wrong with each ----------------------------------

DISEASES = {
    "no copy": "the gradient of the reconstruction does not reach the encoder",
    "no commitment": "nothing holds the encoder near its codes (β = 0 or far too small)",
    "uniform start": "codes drawn in ±1/K, never restarted",
    "count from zero": "uniform start as well, and a running sum that does not belong to its count",
    "healthy": "nothing is wrong but the reading",
}

_COLUMNS = ("step", "loss", "vq_loss", "z_e", "codes", "used", "perplexity")
_RECORDED = {
    "A": (
        (1, 1.179, 0.003173, 0.211, 0.2458, 64, 42.98),
        (15, 1.078, 0.001506, 0.08792, 0.2431, 28, 2.669),
        (45, 1.333, 0.0003282, 0.07654, 0.2417, 10, 1.106),
        (75, 0.9748, 0.0001428, 0.08378, 0.2414, 6, 1.036),
        (120, 1.092, 8.838e-05, 0.08704, 0.07064, 53, 1.671),
        (150, 1.081, 5.85e-05, 0.1013, 0.06087, 25, 1.306),
    ),
    "B": (
        (1, 1.092, 0.01245, 0.2271, 741.9, 20, 3.849),
        (15, 0.8881, 0.06194, 0.8567, 46.06, 7, 3.689),
        (45, 0.7841, 0.04755, 0.883, 13.11, 8, 6.02),
        (75, 0.749, 0.03428, 0.8441, 6.668, 9, 7.838),
        (120, 0.7388, 0.02841, 0.7752, 3.219, 11, 7.241),
        (150, 0.7096, 0.03177, 0.8783, 2.157, 12, 9.371),
    ),
    "C": (
        (1, 1.226, 0.000847, 0.2508, 0.2933, 64, 40.25),
        (15, 0.9016, 0.03582, 0.7155, 0.3141, 34, 6.721),
        (45, 0.7139, 0.03162, 0.7349, 0.3473, 20, 8.926),
        (75, 0.7559, 0.03449, 0.8368, 0.3735, 19, 9.837),
        (120, 0.6855, 0.01488, 0.8935, 0.7281, 64, 38.21),
        (150, 0.7035, 0.01146, 0.9196, 0.74, 64, 41.01),
    ),
    "D": (
        (1, 1.235, 0.002936, 0.2361, 0.2611, 64, 38.59),
        (15, 0.971, 12.28, 3.708, 0.2613, 23, 3.524),
        (45, 0.9432, 956.9, 31.07, 0.2646, 13, 2.074),
        (75, 0.9432, 453.6, 21.48, 0.2702, 13, 2.606),
        (120, 1.373, 16.83, 12.44, 18.21, 52, 8.483),
        (150, 1.166, 11.85, 8.632, 18.45, 26, 8.602),
    ),
}
LOGS = {
    patient: [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
    for patient, rows in _RECORDED.items()
}
TRUTH = {"A": "no copy", "B": "count from zero", "C": "healthy", "D": "no commitment"}
MADE_BY = {"A": 14, "B": 13, "C": 12, "D": 11}  # seeds

_AGAINST = {
    "A": {
        "no commitment": "without commitment z_e grows; here it shrinks, from 0.21 to 0.09.",
        "uniform start": "in the first row 64 codes are used and their size fits z_e: the start "
        "was good. What does the loss do?",
        "count from zero": "the codes are never larger than in the first row.",
        "healthy": "the loss is where it was. Many codes are in use at step 120, and say nothing.",
    },
    "B": {
        "no copy": "the loss falls and z_e grows to its usual size: the encoder is learning.",
        "no commitment": "z_e stays below 1. It is the codes that are large.",
        "uniform start": "that would give few codes, too. But look at `codes` in the first row: "
        "drawn in ±1/64 their size would be below 0.02.",
        "healthy": "12 of 64 codes in use: of the 6 bits paid for they can carry 3.6 at most.",
    },
    "C": {
        "no copy": "the loss falls by two fifths and z_e grows: the encoder is learning.",
        "no commitment": "z_e and codes end at nearly the same size: the encoder is held.",
        "uniform start": "64 codes are used in the first row, and again from step 120 on.",
        "count from zero": "the codes are never much larger than z_e.",
    },
    "D": {
        "no copy": "without the copy z_e shrinks; here it grows a hundredfold.",
        "uniform start": "64 codes are used in the first row: the start was good. What came then?",
        "count from zero": "for 75 steps the codes stay at 0.27. It is z_e that runs away first.",
        "healthy": "the loss ends where it began, and vq_loss has been at 957.",
    },
}


def _first_wrong(fn: Callable[..., Any]) -> str:
    answers = fn()
    if not isinstance(answers, dict):
        raise ValueError(f"a dictionary from patient to disease is wanted, not {answers!r}")
    for patient, right in TRUTH.items():
        answer = answers.get(patient)
        if answer not in DISEASES:
            raise ValueError(f"patient {patient}: {answer!r} is not one of {', '.join(DISEASES)}")
        if answer != right:
            return f"patient {patient}: {answer}"
    return "all four"


def _answer(patient: str, disease: str) -> Callable[[], dict[str, str]]:
    return lambda: TRUTH | {patient: disease}


clinic = Exercise(
    probe=_first_wrong,
    right=lambda: dict(TRUTH),
    mistakes=tuple(
        (_answer(patient, disease), f"patient {patient}, “{disease}”: {reason}")
        for patient, reasons in _AGAINST.items()
        for disease, reason in reasons.items()
    ),
    hints=(
        "Who moved: does z_e grow, shrink, or stay near the codes? Then `codes` in the first row.",
        "Then the loss: does it fall at all? Only then count the codes.",
        "One of the four has all 64 codes in use at the end and a loss that fell by two fifths.",
    ),
)

EXERCISES = {
    "gradient-is-copied": gradient_is_copied,
    "each-for-itself": each_for_itself,
    "mended": mended,
    "clinic": clinic,
}
