"""The exercises of notebook 08: tests that find a broken layer, restarts, mel scales, the clinic.

The clinic's logs are those of real runs, made by the notebook's `train` with the layers and seeds
in `MADE_BY`; `tests/test_lessons_08.py` trains the first steps of each again.

Notebook: 08
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vqlab import quantize, spectral
from vqlab.lessons.exercise import Exercise, value_of

# --- 08-gradient-is-copied: layer, values -> bool -------------------------------------------------

_table = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
_values = torch.tensor([[[0.9, -0.8, 0.1, 0.3], [0.2, -1.1, 0.8, 0.6]]])  # (1, 2, 4)


def _layer(copy: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A layer with a learned codebook; only the way of the gradient differs."""
    codebook = _table.clone().requires_grad_()

    def layer(z_e: Tensor) -> Tensor:
        codes = quantize.nearest_codes(quantize.to_vectors(z_e.detach()), codebook.detach())
        return copy(z_e, quantize.to_grid(quantize.lookup(codes, codebook), z_e.shape))

    return layer


LAYERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "the healthy layer": quantize.straight_through,
    "the layer that loses the gradient": lambda z_e, z_q: z_q.detach(),
    "the layer that gives it to the codes": lambda z_e, z_q: z_q,
    "the layer in which it cancels": lambda z_e, z_q: z_e + (z_q - z_e),
    "the layer that halves it": lambda z_e, z_q: 0.5 * z_e + (z_q - 0.5 * z_e).detach(),
    "the layer that mixes up positions": lambda z_e, z_q: (
        z_e.flip(2) + (z_q - z_e.flip(2)).detach()
    ),
}


def _verdicts(fn: Callable[..., Any]) -> dict[str, Any]:
    return {
        f"your verdict on {name}": _truth(fn(_layer(copy), _values.clone()))
        for name, copy in LAYERS.items()
    }


def _truth(value: Any) -> Any:
    return bool(value) if isinstance(value, Tensor) and value.numel() == 1 else value


def _arrives(layer: Callable[[Tensor], Tensor], values: Tensor, send: str = "random") -> Any:
    """What was sent in at z and what arrived at z_e, or None where there is no path."""
    z_e = values.clone().requires_grad_()
    z = layer(z_e)
    if not z.requires_grad:
        return None
    sent = torch.ones_like(z)
    if send == "random":
        sent = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    z.backward(sent)
    return None if z_e.grad is None else (sent, z_e.grad)


def _is_copied(layer: Callable[[Tensor], Tensor], values: Tensor) -> bool:
    found = _arrives(layer, values)
    return found is not None and torch.allclose(*found)


def _ones_arrive(layer: Callable[[Tensor], Tensor], values: Tensor) -> bool:
    found = _arrives(layer, values, send="ones")
    return found is not None and torch.allclose(*found)


gradient_is_copied = Exercise(
    probe=_verdicts,
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
            _ones_arrive,
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

# --- 08-restart: codebook, counts, sums, rows, limit -> codebook, counts, sums --------------------


def _restart(kind: str = "") -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """The restart, or a variant with one thing wrong."""

    def fn(e: Tensor, n: Tensor, m: Tensor, rows: Tensor, limit: float) -> tuple[Tensor, ...]:
        new_e, new_n, new_m = e.clone(), n.clone(), m.clone()
        dead = n > limit if kind == "the living" else n < limit
        where = dead.nonzero().squeeze(1)
        new = rows[where] if kind == "own number" else rows[: len(where)]
        count = torch.tensor(limit) if kind == "limit" else n.mean()
        new_e[where] = new
        if kind != "counts kept":
            new_n[where] = count
        if kind != "sums kept":
            new_m[where] = new if kind == "no weight" else new * count
        return new_e, new_n, new_m

    return fn  # type: ignore[return-value]


restart = Exercise(
    probe=value_of(
        torch.tensor([[1.0, 0.0], [9.0, 9.0], [0.0, 2.0], [-8.0, 7.0]]),
        torch.tensor([6.0, 0.1, 5.5, 0.4]),
        torch.tensor([[6.0, 0.0], [0.9, 0.9], [0.0, 11.0], [-3.2, 2.8]]),
        torch.tensor([[0.5, 0.5], [-1.0, 1.0], [2.0, 2.0], [3.0, -1.0]]),
        1.0,
    ),
    right=_restart(),
    mistakes=(
        (
            _restart("sums kept"),
            "the sums are the old ones: the next update computes sum / count and throws the code "
            "back. Set `sums` to row times count.",
        ),
        (
            _restart("counts kept"),
            "the counts are the old ones: the code is dead again at once, and its sum does not "
            "belong to its count.",
        ),
        (
            _restart("no weight"),
            "the sum must be row *times count*; sum / count would not be the row.",
        ),
        (
            _restart("limit"),
            "the new count should be the mean of all counts, not the limit.",
        ),
        (
            _restart("own number"),
            "code k takes rows[k]; the *first dead* code takes rows[0], the second rows[1].",
        ),
        (_restart("the living"), "you restart the codes that are alive: dead is count < limit."),
    ),
    hints=(
        "Three tables belong together: codebook, counts, sums. Change all three in the same rows.",
        "`dead = (counts < limit).nonzero().squeeze(1)` are the numbers of the dead codes.",
        "codebook[dead] = rows[: len(dead)], counts[dead] = mean, sums[dead] = row * mean.",
    ),
)

# --- 08-row-is-position: to_vectors -> bool -------------------------------------------------------

RESHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "the right one": quantize.to_vectors,
    "z.reshape(-1, dim)": quantize.to_vectors_wrong_axes,
    "columns before rows": lambda z: z.permute(0, 3, 2, 1).reshape(-1, z.shape[1]),
    "items last": lambda z: z.permute(2, 3, 0, 1).reshape(-1, z.shape[1]),
    "heights before items": lambda z: z.permute(2, 0, 3, 1).reshape(-1, z.shape[1]),
    "channels backwards": lambda z: quantize.to_vectors(z.flip(1)),
}


def _reshape_verdicts(fn: Callable[..., Any]) -> dict[str, Any]:
    return {f"your verdict on “{name}”": _truth(fn(f)) for name, f in RESHAPES.items()}


def _numbered(*shape: int) -> Tensor:
    return torch.arange(float(torch.tensor(shape).prod())).reshape(shape)


def _row_test(z: Tensor, check: Callable[[Tensor, Tensor], Any]) -> Callable[..., Any]:
    return lambda to_vectors: check(to_vectors(z), z)


_z = _numbered(2, 6, 2, 3)
row_is_position = Exercise(
    probe=_reshape_verdicts,
    right=_row_test(_z, lambda rows, z: torch.equal(rows, quantize.to_vectors(z))),
    mistakes=(
        (
            _row_test(_z, lambda rows, z: rows.shape == (12, 6)),
            "every one of the six passes: the shape is always right, and so is the sum of all "
            "numbers. Test which value stands where.",
        ),
        (
            _row_test(_z, lambda rows, z: torch.equal(rows[0], z[0, :, 0, 0])),
            "row 0 is the same in several orders of the positions; look at the other rows too.",
        ),
        (
            _row_test(_z[:1], lambda rows, z: torch.equal(rows, quantize.to_vectors(z))),
            "your z has one item, so nobody can see in which order items and positions come. Take "
            "two.",
        ),
        (
            _row_test(_z, lambda rows, z: torch.equal(rows[1], z[0, :, 0, 1])),
            "row 1 alone does not show whether the items of a batch come one after the other.",
        ),
    ),
    hints=(
        "Give every number of z a value of its own: `torch.arange(...).reshape(2, 6, 2, 3)`.",
        "Position i of item b, at height h and width w, must be the vector z[b, :, h, w].",
        "Loop over b, h and w with a counter i, and compare rows[i] with z[b, :, h, w].",
    ),
)

# --- 08-lands-at: hz, top -> hz -------------------------------------------------------------------


def _lands(hz: float, top: float = 8000, one: str = "htk", other: str = "slaney") -> float:
    share = spectral.hz_to_mel(hz, one) / spectral.hz_to_mel(top, one)
    return float(spectral.mel_to_hz(share * spectral.hz_to_mel(top, other), other))


lands_at = Exercise(
    probe=lambda fn: tuple(float(fn(hz)) for hz in (257, 440, 3000)) + (float(fn(440, 4000)),),
    right=_lands,
    mistakes=(
        (
            lambda hz, top=8000: _lands(hz, top, "slaney", "htk"),
            "you go the other way: it is analysed with HTK's scale and inverted with Slaney's.",
        ),
        (
            lambda hz, top=8000: spectral.mel_to_hz(spectral.hz_to_mel(hz, "htk"), "slaney"),
            "the two scales count in different units (8000 Hz are 2840 and 45): carry over the "
            "*share* of the way to `top`, not the number of mels.",
        ),
        (
            lambda hz, top=8000: _lands(hz, 8000),
            "you always take 8000 Hz as the end of the scale: use `top`.",
        ),
        (
            lambda hz, top=8000: (
                spectral.hz_to_mel(hz, "htk")
                / spectral.hz_to_mel(top, "htk")
                * spectral.hz_to_mel(top, "slaney")
            ),
            "this is the place in mels on Slaney's scale: turn it into Hz.",
        ),
    ),
    hints=(
        "First: at which share of the way from 0 to `top` does hz lie, in HTK's mels?",
        "Then: which frequency lies at that share in Slaney's mels? `mel_to_hz(…, 'slaney')`.",
    ),
)

# --- 08-clinic: the logs of four runs -> what is wrong with each ----------------------------------

DISEASES = {
    "no copy": "the gradient of the reconstruction does not reach the encoder",
    "no commitment": "nothing holds the encoder near its codes (β = 0 or far too small)",
    "uniform start": "codes drawn in ±1/K, never restarted",
    "count from zero": "uniform start as well, and a running sum that does not belong to its count",
    "half precision": "distances overflow, so that one code is chosen for everything",
    "healthy": "nothing is wrong but the reading",
}

_COLUMNS = ("step", "loss", "vq_loss", "z_e", "codes", "used", "perplexity")
_RECORDED = {
    "A": (
        (1, 1.179, 0.003173, 0.211, 0.2458, 64, 42.98),
        (15, 1.078, 0.001506, 0.08792, 0.2431, 28, 2.669),
        (45, 1.333, 0.0003282, 0.07654, 0.2417, 10, 1.106),
        (75, 0.9748, 0.0001428, 0.08378, 0.2414, 6, 1.036),
        (105, 1.053, 9.431e-05, 0.08232, 0.1071, 28, 11.37),
        (120, 1.092, 8.838e-05, 0.08704, 0.07064, 53, 1.671),
        (150, 1.081, 5.85e-05, 0.1013, 0.06087, 25, 1.306),
    ),
    "B": (
        (1, 1.092, 0.01245, 0.2271, 741.9, 20, 3.849),
        (15, 0.8881, 0.06194, 0.8567, 46.06, 7, 3.689),
        (45, 0.7841, 0.04755, 0.883, 13.11, 8, 6.02),
        (75, 0.749, 0.03428, 0.8441, 6.668, 9, 7.838),
        (105, 0.6955, 0.02971, 0.7819, 4.014, 10, 8.484),
        (120, 0.7388, 0.02841, 0.7752, 3.219, 11, 7.241),
        (150, 0.7096, 0.03177, 0.8783, 2.157, 12, 9.371),
    ),
    "C": (
        (1, 1.226, 0.000847, 0.2508, 0.2933, 64, 40.25),
        (15, 0.9016, 0.03582, 0.7155, 0.3141, 34, 6.721),
        (45, 0.7139, 0.03162, 0.7349, 0.3473, 20, 8.926),
        (75, 0.7559, 0.03449, 0.8368, 0.3735, 19, 9.837),
        (105, 0.7187, 0.01651, 0.8439, 0.6462, 31, 15.74),
        (120, 0.6855, 0.01488, 0.8935, 0.7281, 64, 38.21),
        (150, 0.7035, 0.01146, 0.9196, 0.74, 64, 41.01),
    ),
    "D": (
        (1, 1.235, 0.002936, 0.2361, 0.2611, 64, 38.59),
        (15, 0.971, 12.28, 3.708, 0.2613, 23, 3.524),
        (45, 0.9432, 956.9, 31.07, 0.2646, 13, 2.074),
        (75, 0.9432, 453.6, 21.48, 0.2702, 13, 2.606),
        (105, 21.74, 13.08, 18.72, 17.52, 33, 19.02),
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
        "half precision": "at step 120 53 different codes were chosen, so the distances differ.",
        "healthy": "the loss is where it was. Many codes are in use at step 120, and say nothing.",
    },
    "B": {
        "no copy": "the loss falls and z_e grows to its usual size: the encoder is learning.",
        "no commitment": "z_e stays below 1. It is the codes that are large.",
        "uniform start": "that would give few codes, too. But look at `codes` in the first row: "
        "drawn in ±1/64 their size would be below 0.02.",
        "half precision": "7 to 12 codes are chosen, not one; z_e is small, so nothing overflows.",
        "healthy": "12 of 64 codes in use: of the 6 bits paid for they can carry 3.6 at most.",
    },
    "C": {
        "no copy": "the loss falls by two fifths and z_e grows: the encoder is learning.",
        "no commitment": "z_e and codes end at nearly the same size: the encoder is held.",
        "uniform start": "64 codes are used in the first row, and again from step 120 on.",
        "count from zero": "the codes are never much larger than z_e.",
        "half precision": "64 codes are chosen at the end; an overflow would leave one.",
    },
    "D": {
        "no copy": "without the copy z_e shrinks; here it grows a hundredfold.",
        "uniform start": "64 codes are used in the first row: the start was good. What came then?",
        "count from zero": "for 75 steps the codes stay at 0.27. It is z_e that runs away first.",
        "half precision": "13 codes and more are chosen, not one; look for who left whom.",
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
    "restart": restart,
    "row-is-position": row_is_position,
    "lands-at": lands_at,
    "clinic": clinic,
}
