"""The optional exercises of notebook 02: a Fourier transform, and the cosines of MFCC.

Each entry is data: a probe on small fixed numbers, the reference, the mistakes people make with
the hint that fits each, and general hints. Its core exercises, `stft`, `mel_filters` and `log_mel`,
are pieces of the codec and stand in `own_sound`.

Notebook: 02
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vqlab.lessons.exercise import Exercise, value_of

# --- 02-fourier: (N,) -> complex (N // 2 + 1,) ----------------------------------------------------

_frame = torch.tensor([0.3, -0.5, 0.9, 0.2, -0.7, 0.4, 0.8, -0.1])


def _waves(
    turns: float = 1.0, sign: float = -1.0, last: int = 1, first: int = 0, scale=lambda n: 1
):
    """turns : of the wave of bin 1 in a frame; last : bins beyond N // 2; scale : of the sum."""

    def fn(frame: Tensor) -> Tensor:
        n = len(frame)
        bins = torch.arange(first, n // 2 + last + first)
        angle = 2 * math.pi * turns * bins[:, None] * torch.arange(n) / n
        return torch.complex(angle.cos() @ frame, sign * angle.sin() @ frame) * scale(n)

    return fn


def _exchanged(frame: Tensor) -> Tensor:
    found = _waves()(frame)
    return torch.complex(found.imag, found.real)


fourier = Exercise(
    probe=value_of(_frame),
    right=_waves(),
    mistakes=(
        (_waves(sign=1.0), "the sign of the sine is wrong: the bracket has *minus* i times sine."),
        (
            _waves(last=0),
            "the last bin, N / 2, is missing: k goes from 0 to N // 2, that are N // 2 + 1 bins.",
        ),
        (_waves(first=1), "k begins at 0: bin 0 is the sum of the samples."),
        (
            _waves(turns=0.5),
            "your waves make k half turns in the frame: the angle is *2* pi k n / N.",
        ),
        (
            lambda frame: torch.fft.fft(frame),
            "bins above N // 2 repeat the others, as the samples are real: stop at N // 2.",
        ),
        (
            lambda frame: _waves()(frame).abs(),
            "these are magnitudes; both parts are wanted: `torch.complex(real, imaginary)`.",
        ),
        (_waves(scale=lambda n: 1 / n), "no scaling is wanted: the formula is a sum, no mean."),
        (
            _waves(scale=lambda n: n**-0.5),
            "no scaling is wanted: leave `norm` out.",
        ),
        (_exchanged, "real and imaginary part are exchanged: the cosine gives the real one."),
        (
            lambda frame: _waves()(frame).real,
            "the sines are missing: a wave that begins elsewhere would not be found.",
        ),
    ),
    hints=(
        "Two tables, of cosines and of sines, with a row for each k; each times the frame.",
        "`angle = 2 * math.pi * k[:, None] * n / N`; k goes to N // 2, n to N - 1, both from 0.",
        "`torch.complex(torch.cos(angle) @ frame, -torch.sin(angle) @ frame)`.",
    ),
)

# --- 02-cosines: n_mfcc, n_mels -> (n_mfcc, n_mels) -----------------------------------------------


def _two_sizes(fn: Callable[..., Any]) -> dict[str, Any]:
    return {f"cosines({q}, {m})": fn(q, m) for q, m in ((3, 5), (4, 4))}


def _dct(half: float = 0.5, factor: float = 1.0, first: float = 0.5, other: float = 2.0):
    def fn(n_mfcc: int, n_mels: int) -> Tensor:
        q, m = torch.arange(n_mfcc)[:, None], torch.arange(n_mels)
        rows = torch.cos(factor * math.pi * q * (m + half) / n_mels) * math.sqrt(other / n_mels)
        rows[0] *= math.sqrt(first)
        return rows

    return fn


cosines = Exercise(
    probe=_two_sizes,
    right=_dct(),
    mistakes=(
        (_dct(first=1.0), "row 0 has another factor: the root of 1 / M, so that its length is 1."),
        (
            _dct(half=0.0),
            "the half is missing: band m stands at m + 1/2, the middle of its place.",
        ),
        (_dct(half=1.0), "bands are counted from 0: m + 1/2, not m + 1."),
        (_dct(factor=2.0), "these are whole turns; row q holds q *half* turns: pi, not 2 pi."),
        (
            _dct(first=1.0, other=1.0),
            "all rows have the factor of row 0; from row 1 on it is 2 / M.",
        ),
        (
            lambda q, m: _dct(first=1.0, other=float(m))(q, m),
            "the factors a_q are missing: each row should have length 1.",
        ),
        (
            lambda q, m: _dct()(q, m).T,
            "the axes are exchanged: a row for each coefficient, (n_mfcc, n_mels).",
        ),
        (
            lambda q, m: _dct(first=0.25, other=4.0)(q, m) * math.sqrt(m) / 2,
            "the factors are *roots*: of 1 / M and of 2 / M.",
        ),
    ),
    hints=(
        "A column of the numbers q, a row of the numbers m: `q[:, None] * (m + 0.5)` is a table.",
        "All rows times `math.sqrt(2 / n_mels)`; then row 0 divided by `math.sqrt(2)`.",
    ),
)

EXERCISES = {"fourier": fourier, "cosines": cosines}
