"""The optional exercises of notebook 01: aliases and whole numbers.

Each entry is data: a probe on small fixed numbers, the reference, the mistakes people make with
the hint that fits each, and general hints. The inputs are chosen so that mistakes do not hide:
tones fold more than once, samples lie beyond both ends. Its core exercise, `to_level`, is a piece
of the codec and stands in `own_sound`.

Notebook: 01
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vqlab.lessons.exercise import Exercise

# --- 01-alias: frequency, rate -> frequency that is heard -----------------------------------------

_TONES = ((1000, 8000), (5000, 8000), (9500, 8000), (14500, 8000), (16000, 8000), (30000, 44100))


def _several(fn: Callable[..., Any]) -> dict[str, Any]:
    return {f"alias({f}, {rate})": fn(float(f), float(rate)) for f, rate in _TONES}


alias = Exercise(
    probe=_several,
    right=lambda f, rate: abs(f - rate * round(f / rate)),
    mistakes=(
        (
            lambda f, rate: f % rate,
            "this takes whole multiples of the rate away, but what is left may still be above "
            "rate / 2, where it is folded.",
        ),
        (
            lambda f, rate: f % (rate / 2),
            "at rate / 2 the frequency is folded back, as in a mirror; it does not begin at 0 "
            "again.",
        ),
        (
            lambda f, rate: abs(rate - f),
            "this is right for one fold only. A tone under rate / 2 stays as it is, and one above "
            "1.5 times the rate is folded again.",
        ),
        (
            lambda f, rate: f if f <= rate / 2 else abs(rate - f),
            "it is right up to 1.5 times the rate; above that, take away more than one multiple "
            "of the rate.",
        ),
        (
            lambda f, rate: min(f, rate - f),
            "it is right up to the rate; above that, `rate - f` becomes negative. Which multiple "
            "of the rate lies nearest?",
        ),
        (
            lambda f, rate: min(f, rate / 2),
            "a tone that is too high does not stop at rate / 2: it comes back as a lower one.",
        ),
        (
            lambda f, rate: f - rate * round(f / rate),
            "this is the right tone, but it can be negative; f and -f sound alike.",
        ),
        (
            lambda f, rate: f if f <= rate / 2 else 0.0,
            "a tone that is too high does not disappear: it comes back as a lower one.",
        ),
    ),
    hints=(
        "All frequencies f + m * rate and -f + m * rate have the same samples. Which of them lies "
        "between 0 and rate / 2?",
        "Take away the multiple of the rate that is nearest to f; then forget the sign.",
        "`round(frequency / rate)` is the m of that multiple.",
    ),
)

# --- 01-to-integers: waveform, bits -> whole numbers ----------------------------------------------

_samples = torch.tensor([0.0, 0.3, -0.3, 0.07, -0.07, 0.97, 1.0, -1.0, 1.4, -1.4])


def _two_widths(fn: Callable[..., Any]) -> dict[str, Any]:
    return {f"the result with {b} bits": fn(_samples.clone(), b) for b in (4, 16)}


def _ladder(scale=lambda n: n, low=lambda n: -n, high=lambda n: n - 1, to=torch.round):
    """n is 2**(bits - 1), the number of rungs below 0."""

    def fn(x: Tensor, bits: int) -> Tensor:
        n = 2 ** (bits - 1)
        return to(x * scale(n)).clamp(low(n), high(n))

    return fn


to_integers = Exercise(
    probe=_two_widths,
    right=_ladder(),
    mistakes=(
        (
            _ladder(low=lambda n: -math.inf, high=lambda n: math.inf),
            "some are beyond the ends of the ladder; `clamp` cuts them off.",
        ),
        (
            _ladder(high=lambda n: n),
            "the highest number is 2**(bits-1) - 1, because 0 needs a rung, too.",
        ),
        (_ladder(low=lambda n: -n + 1), "the lowest rung, -2**(bits-1), is never used."),
        (
            _ladder(to=torch.trunc),
            "you cut the fraction off, as `int` does; round to the nearest.",
        ),
        (_ladder(to=torch.floor), "`floor` always goes down; round to the nearest."),
        (
            _ladder(scale=lambda n: n - 1),
            "the step is 2 / 2**bits, so multiply by 2**(bits-1), not by one less.",
        ),
        (
            _ladder(scale=lambda n: n - 1, low=lambda n: -math.inf, high=lambda n: math.inf),
            "the step is 2 / 2**bits, so multiply by 2**(bits-1), not by one less; and cut off "
            "what is beyond the ends.",
        ),
        (
            _ladder(scale=lambda n: 2 * n),
            "this is 2**bits steps from 0 to 1; they have to reach from -1 to 1, so the step is "
            "2 / 2**bits.",
        ),
        (
            lambda x, bits: _ladder()(x, bits) / 2 ** (bits - 1),
            "these are amplitudes again; stop at the whole numbers.",
        ),
        (
            _ladder(to=lambda y: y),
            "these are not whole numbers yet; `round` makes them.",
        ),
    ),
    hints=(
        "Three things: how many steps is a sample from 0, round, cut off at the ends.",
        "A sample divided by the step 2 / 2**bits is the sample times 2**(bits - 1).",
        "`(waveform * 2 ** (bits - 1)).round().clamp(lowest, highest)`; which two numbers?",
    ),
)

EXERCISES = {"alias": alias, "to-integers": to_integers}
