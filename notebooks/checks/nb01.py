"""The exercises of notebook 01: a WAV header, aliases, equal level, whole numbers, trimming.

Each entry is data: a probe on small fixed numbers, the reference, the mistakes people make with
the hint that fits each, and general hints. The inputs are chosen so that mistakes do not hide: the
sample rate needs more than two bytes, tones fold more than once, the two sounds have different
lengths and a mean, samples lie beyond both ends, and a soft frame lies between loud ones.

Notebook: 01
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vqlab import audio
from vqlab.lessons.exercise import Exercise, value_of

# --- 01-read-header: bytes -> (sample_rate, channels, bits) ---------------------------------------


def _header(rate: int, channels: int, bits: int, samples: int = 5) -> bytes:
    frame = channels * bits // 8
    head = struct.pack("<4sI8sIHH", b"RIFF", 36 + samples * frame, b"WAVEfmt ", 16, 1, channels)
    rest = struct.pack("<IIHH4sI", rate, rate * frame, frame, bits, b"data", samples * frame)
    return head + rest + bytes(samples * frame)


def _two_files(fn: Callable[..., Any]) -> dict[str, Any]:
    return {
        "the result for 96,000 Hz, stereo, 24 bits": fn(_header(96000, 2, 24)),
        "the result for 8,000 Hz, mono, 16 bits": fn(_header(8000, 1, 16)),
    }


def _read(rate: int = 24, rate_bytes: int = 4, channels: int = 22, bits: int = 34, order="little"):
    def fn(raw: bytes) -> tuple[int, int, int]:
        places = ((rate, rate_bytes), (channels, 2), (bits, 2))
        a, b, c = (int.from_bytes(raw[start : start + n], order) for start, n in places)
        return a, b, c

    return fn


read_header = Exercise(
    probe=_two_files,
    right=_read(),
    mistakes=(
        (_read(order="big"), 'these bytes have their smallest part first: "little", not "big".'),
        (
            _read(rate_bytes=2),
            "the sample rate has 4 bytes, 24 to 27; two of them only reach 65,535.",
        ),
        (_read(rate=28), "at byte 28 stand the bytes a second; the sample rate is at byte 24."),
        (
            _read(bits=32),
            "at byte 32 stands the number of bytes for one sample; the bits are at byte 34.",
        ),
        (_read(channels=20), "at byte 20 stands the kind of samples; the channels are at 22."),
        (
            lambda raw: (_read()(raw)[1], _read()(raw)[0], _read()(raw)[2]),
            "the order is (sample_rate, channels, bits): the first two have changed places.",
        ),
        (
            lambda raw: (raw[24], raw[22], raw[34]),
            "you take one byte of each number; a slice takes all of it, as in `raw[24:28]`.",
        ),
    ),
    hints=(
        "The table says where each number begins and how many bytes it has.",
        '`int.from_bytes(raw[start : start + length], "little")`, three times.',
    ),
)

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

# --- 01-match-level: waveform, like -> waveform with the RMS of like ------------------------------


def _rms(x: Tensor) -> Tensor:
    return x.square().mean().sqrt()


_soft = torch.tensor([0.1, -0.2, 0.05, 0.2, -0.3, 0.1])
_loud = torch.tensor([0.3, -0.35, 0.45, -0.1])

match_level = Exercise(
    probe=value_of(_soft, _loud),
    right=lambda x, like: x * _rms(like) / _rms(x),
    mistakes=(
        (
            lambda x, like: x * like.abs().max() / x.abs().max(),
            "now the peaks are equal; the RMS is asked for.",
        ),
        (
            lambda x, like: x * (_rms(like) / _rms(x)).square(),
            "your factor is a ratio of powers. Samples are amplitudes: the root is missing. (A "
            "gain in dB becomes a factor by 10 ** (gain / 20), not / 10.)",
        ),
        (
            lambda x, like: x * _rms(x) / _rms(like),
            "the ratio is upside down: a louder `like` must make the waveform louder.",
        ),
        (
            lambda x, like: x * like.square().sum().sqrt() / x.square().sum().sqrt(),
            "you add the squares; the two differ in length, so take their mean.",
        ),
        (
            lambda x, like: x * like.abs().mean() / x.abs().mean(),
            "this makes the means of the absolute values equal, not the RMS.",
        ),
        (
            lambda x, like: x * like.std() / x.std(),
            "`std` takes the mean away first; the RMS keeps it.",
        ),
        (
            lambda x, like: x * like.std(correction=0) / x.std(correction=0),
            "`std` takes the mean away first, with `correction=0` as well; the RMS keeps it.",
        ),
        (
            lambda x, like: x + (audio.level(like) - audio.level(x)),
            "you add decibels to samples; turn the gain into a factor, 10 ** (gain / 20).",
        ),
        (lambda x, like: x / _rms(x), "the RMS is 1 now; multiply by that of `like`."),
    ),
    hints=(
        "One factor for all samples. What does it do to the RMS?",
        "The factor is the RMS of `like` over the RMS of `waveform`.",
        "`waveform.square().mean().sqrt()` is an RMS.",
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

# --- 01-active: levels, top_db -> (first, end) ----------------------------------------------------

_levels = torch.tensor([-50.0, -30.0, -31.0, -21.0, -10.0, -35.0, -25.0, -35.0, -60.0])


def _loud_frames(levels: Tensor, threshold: float) -> list[int]:
    return torch.nonzero(levels > threshold).flatten().tolist()


def _span(frames: list[int], beyond: int = 1) -> tuple[int, int]:
    return frames[0], frames[-1] + beyond


def _first_run(levels: Tensor, top_db: float) -> tuple[int, int]:
    loud = (levels > levels.max() - top_db).tolist()
    first = loud.index(True)
    return first, loud.index(False, first)


active = Exercise(
    probe=value_of(_levels, 22.0),  # louder than -32 dB: frames 1, 2, 3, 4 and 6
    right=lambda levels, top_db: _span(_loud_frames(levels, float(levels.max()) - top_db)),
    mistakes=(
        (
            lambda levels, top_db: _span(_loud_frames(levels, float(levels.max()) - top_db), 0),
            "the end is the last loud frame itself; a slice needs the number after it.",
        ),
        (
            lambda levels, top_db: _span(_loud_frames(levels, -top_db)),
            "you compare with -top_db; the loudest frame need not be at 0 dB. Compare with the "
            "maximum minus top_db.",
        ),
        (
            _first_run,
            "you stop at the first soft frame; soft frames between loud ones are kept.",
        ),
        (
            lambda levels, top_db: _span(_loud_frames(levels, float(levels.min()) + top_db)),
            "you count from the softest frame upwards; top_db counts from the loudest downwards.",
        ),
        (
            lambda levels, top_db: _span(_loud_frames(levels, float(levels.mean()) - top_db)),
            "the reference is the loudest frame, not the mean.",
        ),
        (
            lambda levels, top_db: levels > levels.max() - top_db,
            "this says for each frame whether it is loud; where is the first one, and the last?",
        ),
        (
            lambda levels, top_db: torch.nonzero(levels > levels.max() - top_db).flatten(),
            "these are all loud frames; return the first, and the number after the last.",
        ),
    ),
    hints=(
        "Which frames are louder than the maximum minus `top_db`? Of those you need two.",
        "`torch.nonzero(mask).flatten()` gives the places where a mask is True.",
        "A slice ends before its second number, so that one is the last place plus 1.",
    ),
)

EXERCISES = {
    "read-header": read_header,
    "alias": alias,
    "match-level": match_level,
    "to-integers": to_integers,
    "active": active,
}
