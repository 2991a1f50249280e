"""The few operations that every sound goes through: rate, level, length.

A sound is a mono float32 tensor `(samples,)` in [-1, 1] and its sample rate in Hz. Resampling is
soxr's.

Notebook: 01
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr
import torch
from torch import Tensor

from ..files.headers import HIGHEST_RATE, LOWEST_RATE

if TYPE_CHECKING:
    from .long import Spooled

HIGHEST_PEAK = 100.0
"""Peak (1 is full scale) beyond which samples are in another scale, as that of 16-bit integers."""

_SHORTEST = 1000  # samples; of a shorter sound the mean may be half a swing


def one_sound(waveform: Any, name: str = "the waveform", *, highest: float = math.inf) -> Tensor:
    """`waveform` as one sound `(samples,)` of floats on the CPU; float64 stays float64.

    Raises ValueError for another shape, no samples, integers, samples that are not numbers, and a
    peak above `highest`.
    """
    sound = torch.as_tensor(waveform).detach().cpu()
    if not sound.is_floating_point():
        raise ValueError(
            f"{name} holds {str(sound.dtype).split('.')[-1]}, not floating-point samples in "
            "[-1, 1]; divide 16-bit samples by 32768."
        )
    if sound.ndim != 1 or len(sound) == 0:
        raise ValueError(
            f"{name} has the shape {tuple(sound.shape)}; one mono sound is (samples,), with at "
            "least one sample: pick one of a batch, or average the channels."
        )
    sound = sound if sound.dtype == torch.float64 else sound.float()
    check_samples(sound.numpy(), name, highest=highest)
    return sound


def check_samples(samples: np.ndarray, name: str, *, highest: float = HIGHEST_PEAK) -> None:
    """Raise ValueError for samples that are not numbers, or whose peak is above `highest`."""
    if not np.isfinite(samples).all():
        bad = int((~np.isfinite(samples)).sum())
        raise ValueError(
            f"{name} has {bad} samples that are NaN or infinite: it is damaged, or was computed "
            "wrongly; mend it first."
        )
    peak = float(np.abs(samples).max(initial=0.0))
    if peak > highest:
        raise ValueError(
            f"{name} has samples up to {peak:g} where 1 is full scale, so it seems to be in the "
            "scale of integers: divide by 32768 for 16 bits (a file: ffmpeg -i INPUT -af "
            "volume=1/32768 output.wav)."
        )


class Tally:
    """What a whole sound turns out to be, counted block by block."""

    def __init__(self) -> None:
        self._samples, self._sum, self._power, self._each = 0, 0.0, 0.0, 0.0

    def add(self, block: np.ndarray) -> np.ndarray:
        """Count a block `(samples, channels)`; returns its channels' mean, `(samples,)`."""
        mono = block.mean(axis=1)
        self._samples += len(mono)
        self._sum += float(mono.sum())
        self._power += float(mono @ mono)
        self._each += float(np.vdot(block, block)) / block.shape[1]
        return mono

    def remarks(self) -> Iterator[str]:
        """Sentences, without their subject, on what a listener would not expect."""
        if self._power < 1e-3 * self._each:
            yield (
                "has channels that cancel one another: averaged they are over 30 dB quieter. Take "
                "one of them, for example: ffmpeg -i INPUT -af pan='mono|c0=c0' output.wav"
            )
        offset = self._sum / max(1, self._samples)
        enough = self._samples >= _SHORTEST and self._power > 0
        if enough and offset**2 * self._samples > 0.5 * self._power:
            yield (
                f"has a constant offset of {offset:+.3g}, stronger than the sound in it, which "
                "spoils its level: take it away first, for example: "
                "ffmpeg -i INPUT -af highpass=20 output.wav"
            )


def warn_of_oddities(waveform: Tensor) -> None:
    """Warn, as in reading a file, of what is odd about a waveform `(samples,)`."""
    tally = Tally()
    tally.add(waveform.float().numpy()[:, None])
    for remark in tally.remarks():
        warnings.warn(f"The waveform {remark}", stacklevel=3)


def quieter(waveform: Tensor) -> Tensor:
    """The waveform, turned down where it would not fit into a file."""
    return waveform / waveform.abs().max().clamp(min=1.0)


def resample(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Change the sample rate (Hz) with soxr's band-limited filter, high quality.

    waveform : Tensor (..., samples)
    returns  : Tensor (..., ceil(samples * to_rate / from_rate)), float32, on the same device

    Raises ValueError for a rate that is no whole number of Hz between 1,000 and 1,000,000.
    """
    check_rate(from_rate)
    check_rate(to_rate)
    if from_rate == to_rate or waveform.shape[-1] == 0:
        return waveform
    flat = waveform.detach().to("cpu", torch.float32).reshape(-1, waveform.shape[-1])
    done = flat.new_empty(len(flat), -(-waveform.shape[-1] * to_rate // from_rate))
    for row, place in zip(flat, done, strict=True):
        pieces = resampled([row.numpy()], from_rate, to_rate)
        place.copy_(torch.from_numpy(np.concatenate([*pieces])))
    return done.reshape(*waveform.shape[:-1], -1).to(waveform.device)


def resampled(blocks: Iterable[np.ndarray], from_rate: int, to_rate: int) -> Iterator[np.ndarray]:
    """`resample`, to the bit, of a sound that comes in float32 blocks (samples,)."""
    if from_rate == to_rate:
        yield from blocks
        return
    resampler = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")
    taken = given = 0
    for block in blocks:
        taken += len(block)
        done = resampler.resample_chunk(block)
        given += len(done)
        yield done
    done = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
    # soxr rounds the length its own way; a sample at the end is added or dropped.
    missing = -(-taken * to_rate // from_rate) - given
    yield np.pad(done[:missing], (0, max(0, missing - len(done))))


def level(waveform: Tensor) -> float:
    """RMS of all samples in dBFS: 0 for a full-scale square wave, -3 for a sine; silence: -inf."""
    if waveform.numel() == 0:
        return -math.inf
    power = float(waveform.detach().cpu().double().square().mean())
    return 10.0 * math.log10(power) if power > 0 else -math.inf


def loudest(waveform: Tensor | Spooled, sample_rate: int) -> float:
    """RMS in dBFS of the loudest 0.4 s of `waveform (samples,)`; -inf for silence.

    Silence around a word does not change it. 0.4 s is the window of the "momentary loudness" of
    EBU R 128 (2010), here without its frequency weighting.
    """
    window = min(len(waveform), round(0.4 * sample_rate))
    step = 60 * sample_rate
    power = 0.0
    for start in range(0, len(waveform) - window + 1, step):
        piece = waveform[start : start + step + window - 1].double()
        energy = torch.cumsum(torch.nn.functional.pad(piece**2, (1, 0)), dim=0)
        power = max(power, float((energy[window:] - energy[:-window]).max()) / window)
    return 10 * math.log10(power) if power > 1e-12 else -math.inf


def set_level(waveform: Tensor, target_db: float) -> tuple[Tensor, float]:
    """Scale a sound to an RMS level in dBFS, but not so far that its peak leaves [-1, 1].

    Undo it with `waveform / 10 ** (gain_db / 20)`. Silence stays as it is, with gain 0.

    waveform : Tensor (..., samples); one gain for all of it
    returns  : scaled waveform, gain in dB that was really applied
    """
    present = level(waveform)
    if present < -700:  # silence, or so near to it that float32 cannot hold the factor
        return waveform, 0.0
    peak = float(waveform.detach().abs().max())
    # A millionth of a decibel less keeps the rounded product from passing 1.
    gain_db = min(target_db - present, -20.0 * math.log10(peak) - 1e-6)
    return waveform * 10.0 ** (gain_db / 20.0), gain_db


def fit_length(waveform: Tensor, length: int) -> Tensor:
    """Make a sound exactly `length` samples long without cutting the word in it.

    A shorter one gets zeros, evenly at both ends. From a longer one the window with the most energy
    is taken; of several side by side that hold it, to 0.01 %, the middle one, so that the word
    stands in its centre.

    waveform : Tensor (..., samples); a batch is cut at one common place
    returns  : Tensor (..., length)

    Raises ValueError for a length that is not a positive whole number.
    """
    if not isinstance(length, (int, np.integer)) or length < 1:
        raise ValueError(f"length must be a positive whole number of samples, not {length!r}.")
    samples = waveform.shape[-1]
    if samples <= length:
        before = (length - samples) // 2
        return torch.nn.functional.pad(waveform, (before, length - samples - before))
    power = waveform.detach().cpu().double().square().reshape(-1, samples).sum(0)
    total = torch.cat([power.new_zeros(1), power.cumsum(0)])
    energy = total[length:] - total[:-length]  # of the window that starts at each sample
    best = int(energy.argmax())
    good = energy >= energy[best] * (1.0 - 1e-4)
    gaps = torch.nonzero(~good).squeeze(1)
    first = int(gaps[gaps < best].max()) + 1 if (gaps < best).any() else 0
    last = int(gaps[gaps > best].min()) - 1 if (gaps > best).any() else len(energy) - 1
    start = (first + last) // 2
    return waveform[..., start : start + length]


def check_rate(sample_rate: int) -> None:
    """Raise ValueError for what is no sample rate in Hz."""
    whole = isinstance(sample_rate, (int, np.integer)) and not isinstance(sample_rate, bool)
    if not whole or not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise ValueError(
            f"A sample rate is a whole number of Hz from {LOWEST_RATE} to {HIGHEST_RATE}, not "
            f"{sample_rate!r}; speech is commonly at 16000."
        )
