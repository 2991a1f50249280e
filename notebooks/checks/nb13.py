"""The exercises of notebook 13: a highway layer, the mu-law, a causal and a complex convolution.

Each entry is data: a probe on small fixed numbers, the reference, the mistakes people make with
the hint that fits each, and general hints.

Notebook: 13
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from vqlab.lessons.edits import noise

from vqlab.lessons.exercise import Exercise, value_of

# --- 13-highway: x, candidate, gate -> what goes on -----------------------------------------------


def _highway(x: Tensor, candidate: Tensor, gate: Tensor) -> Tensor:
    share = torch.sigmoid(gate)
    return share * candidate + (1 - share) * x


highway = Exercise(
    probe=value_of(noise(2, 3, 4, seed=1), noise(2, 3, 4, seed=2), 2 * noise(2, 3, 4, seed=3)),
    right=_highway,
    mistakes=(
        (
            lambda x, candidate, gate: gate * candidate + (1 - gate) * x,
            "the gate is used as it is: the sigmoid brings it between 0 and 1 first.",
        ),
        (
            lambda x, candidate, gate: _highway(candidate, x, gate),
            "the two are exchanged: an open gate (near 1) lets the candidate through, not x.",
        ),
        (
            lambda x, candidate, gate: x + torch.sigmoid(gate) * candidate,
            "all of x goes on: of x there should be what the candidate leaves, the share 1 - σ.",
        ),
        (
            lambda x, candidate, gate: torch.sigmoid(gate) * candidate,
            "nothing of x goes on: add the share 1 - σ of it.",
        ),
        (
            lambda x, candidate, gate: torch.tanh(gate) * candidate + (1 - torch.tanh(gate)) * x,
            "tanh lies between -1 and 1; a share lies between 0 and 1, which the sigmoid gives.",
        ),
        (
            lambda x, candidate, gate: _highway(x, torch.sigmoid(candidate), gate),
            "the candidate goes on as it is: only the gate goes through the sigmoid.",
        ),
    ),
    hints=(
        "Make the share first, a number between 0 and 1 for every number of x.",
        "`share = torch.sigmoid(gate)`.",
        "What goes on is `share * candidate`, and of x the rest.",
    ),
)

# --- 13-mu-law: samples -> classes ----------------------------------------------------------------


def _mu_law(x: Tensor) -> Tensor:
    y = x.sign() * (1 + 255 * x.abs()).log() / math.log(256)
    return ((y + 1) / 2 * 255).round().long()


def _classes(fn: Callable[..., Any]) -> dict[str, Any]:
    samples = torch.tensor([[-1.0, -0.3, -0.02, -0.001], [0.0, 0.004, 0.09, 1.0]])
    found = fn(samples)
    return {"the classes": found, "their type": str(getattr(found, "dtype", type(found).__name__))}


mu_law = Exercise(
    probe=_classes,
    right=_mu_law,
    mistakes=(
        (
            lambda x: ((x + 1) / 2 * 255).round().long(),
            "these classes are evenly spaced: the logarithm is missing.",
        ),
        (
            lambda x: ((x.sign() * (1 + 255 * x.abs()).log() / math.log(256) + 1) / 2 * 255).long(),
            "this cuts off what stands behind the point: `round()` before `long()`.",
        ),
        (
            lambda x: (
                (x.sign() * (1 + 255 * x.abs()).log() / math.log(256) + 1) / 2 * 255
            ).round(),
            "the numbers are right, but they are floats: `.long()` makes them whole numbers.",
        ),
        (
            lambda x: (((1 + 255 * x.abs()).log() / math.log(256) + 1) / 2 * 255).round().long(),
            "the sign is lost: a negative sample lies below the middle.",
        ),
        (
            lambda x: ((x.sign() * (1 + 255 * x.abs()).log() + 1) / 2 * 255).round().long(),
            "divide by ln(1 + μ), which is ln 256, so that a sample of 1 gives y = 1.",
        ),
        (
            lambda x: (
                ((x.sign() * (1 + 255 * x.abs()).log() / math.log(256) + 1) / 2 * 256)
                .round()
                .long()
            ),
            "the highest class is 255, so that there are 256 of them with 0.",
        ),
        (
            lambda x: (255 * x.sign() * (1 + 255 * x.abs()).log() / math.log(256)).round().long(),
            "y lies between -1 and 1: bring it between 0 and 1 first, with (y + 1) / 2.",
        ),
        (
            lambda x: (
                ((x.sign() * (1 + 255 * x).log() / math.log(256) + 1) / 2 * 255).round().long()
            ),
            "the logarithm is of 1 + μ |x|: without `abs()` it is of a negative number.",
        ),
    ),
    hints=(
        "First y, from -1 to 1, then the class.",
        "`x.sign() * (1 + 255 * x.abs()).log() / math.log(256)` is y.",
        "`((y + 1) / 2 * 255).round().long()`.",
    ),
)

# --- 13-causal-conv: x, weight, dilation ----------------------------------------------------------


def _causal(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    before = dilation * (weight.shape[-1] - 1)
    return F.conv1d(F.pad(x, (before, 0)), weight, dilation=dilation)


def _padded(before: int, after: int) -> Callable[..., Any]:
    """A convolution of three taps, dilation 2, with zeros in other places."""
    return lambda x, weight, dilation: F.conv1d(
        F.pad(x, (before, after)), weight, dilation=dilation
    )


causal_conv = Exercise(
    probe=value_of(noise(2, 3, 9, seed=1), noise(4, 3, 3, seed=2), 2),
    right=_causal,
    mistakes=(
        (_padded(0, 0), "there are samples too few: put zeros before the first sample."),
        (
            _padded(2, 2),
            "the zeros are on both sides, so an output sees later samples: all of them go before.",
        ),
        (
            _padded(0, 4),
            "the zeros are at the end, so each output sees only itself and later ones.",
        ),
        (
            _padded(2, 0),
            "there are samples too few: taps are `dilation` apart, so as many zeros are needed "
            "for each tap but the last.",
        ),
        (
            _padded(6, 0),
            "there are samples too many: `taps - 1` gaps lie between the taps, not `taps`.",
        ),
        (
            lambda x, weight, dilation: F.conv1d(F.pad(x, (2, 0)), weight),
            "the dilation is missing in the convolution: the taps lie side by side.",
        ),
        (
            lambda x, weight, dilation: _causal(x, weight.flip(-1), dilation),
            "the taps are in the wrong order: `conv1d` takes them as they are, the last one is "
            "the present.",
        ),
        (
            lambda x, weight, dilation: _causal(x, weight, dilation).roll(1, dims=-1),
            "each output is a sample late: an output may see its own sample.",
        ),
    ),
    hints=(
        "A convolution of `taps` taps sees `(taps - 1) * dilation` samples beyond its own.",
        "Put that many zeros before the first sample, and none behind the last.",
        "`F.conv1d(F.pad(x, (before, 0)), weight, dilation=dilation)`.",
    ),
)

# --- 13-complex-conv: x, real, imag ---------------------------------------------------------------


def _conv(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv1d(x, weight, padding=weight.shape[-1] // 2)


def _complex(x: Tensor, real: Tensor, imag: Tensor) -> Tensor:
    return torch.complex(
        _conv(x.real, real) - _conv(x.imag, imag), _conv(x.real, imag) + _conv(x.imag, real)
    )


complex_conv = Exercise(
    probe=value_of(
        torch.complex(noise(2, 3, 6, seed=1), noise(2, 3, 6, seed=2)),
        noise(4, 3, 3, seed=3),
        noise(4, 3, 3, seed=4),
    ),
    right=_complex,
    mistakes=(
        (
            lambda x, real, imag: torch.complex(
                _conv(x.real, real) + _conv(x.imag, imag),
                _conv(x.real, imag) + _conv(x.imag, real),
            ),
            "i times i is -1: in the real part the product of both imaginary parts is taken off.",
        ),
        (
            lambda x, real, imag: torch.complex(
                _conv(x.real, real) - _conv(x.imag, imag),
                _conv(x.real, imag) - _conv(x.imag, real),
            ),
            "in the imaginary part the two products are added.",
        ),
        (
            lambda x, real, imag: torch.complex(_conv(x.real, real), _conv(x.imag, imag)),
            "the two parts do not meet: each part of the result needs two products.",
        ),
        (
            lambda x, real, imag: torch.complex(_complex(x, real, imag).imag, _conv(x.real, real)),
            "the two parts of the result are exchanged.",
        ),
        (
            lambda x, real, imag: _complex(x, imag, real),
            "the two weights are exchanged.",
        ),
        (
            lambda x, real, imag: torch.complex(
                F.conv1d(x.real, real) - F.conv1d(x.imag, imag),
                F.conv1d(x.real, imag) + F.conv1d(x.imag, real),
            ),
            "there are frames too few: `padding=taps // 2` keeps as many as there were.",
        ),
        (
            lambda x, real, imag: _complex(x, real, imag).real,
            "only the real part is returned: `torch.complex` joins it with the imaginary one.",
        ),
    ),
    hints=(
        "Four real convolutions: each part of x with each weight.",
        "The real part is that of (a + ib)(c + id): ac - bd. The imaginary part is ad + bc.",
        "`torch.complex(conv(x.real, real) - conv(x.imag, imag), ...)`, where `conv` is "
        "`F.conv1d` with `padding=real.shape[-1] // 2`.",
    ),
)

EXERCISES: dict[str, Exercise] = {
    "highway": highway,
    "mu-law": mu_law,
    "causal-conv": causal_conv,
    "complex-conv": complex_conv,
}
