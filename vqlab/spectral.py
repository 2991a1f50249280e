"""Waveform to spectrogram and back: STFT, mel power, decibels.

A spectrogram is the squared magnitude of a short-time Fourier transform (STFT); a mel spectrogram
sums it into bands that are narrow at low and wide at high frequencies, roughly as the ear does.
The one idea here: all settings live in one frozen `MelConfig`, and one filter bank made
from it serves analysis and synthesis, so the two cannot disagree. Two mel scales are in use:
"slaney" (linear below 1 kHz, logarithmic above; Slaney 1998, Auditory Toolbox; librosa's default)
and "htk" (2595 log10(1 + f/700); Young et al., The HTK Book; torchaudio's default).

Notebook: 01
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

FLOOR_DB = -80.0
"""Lowest value `to_db` returns, in decibels: quieter power is raised to it."""


def stft(waveform: Tensor, config: MelConfig) -> Tensor:
    """Short-time Fourier transform with a periodic Hann window and centred frames.

    Frame `t` is centred on sample `t * hop_length`; the ends are padded by reflection, or by
    zeros where the sound is too short to be reflected (up to `n_fft // 2` samples).

    waveform : Tensor (..., samples), floating point
    returns  : complex Tensor (..., n_fft // 2 + 1, samples // hop_length + 1)

    Raises ValueError for an empty or non-floating waveform.
    """
    if not waveform.is_floating_point():
        raise ValueError(
            f"A waveform holds floating-point samples in [-1, 1], not {waveform.dtype}; "
            "convert it first, for example 16-bit integers with x.float() / 32768."
        )
    if waveform.ndim == 0 or waveform.shape[-1] == 0:
        raise ValueError(
            f"A waveform of shape {tuple(waveform.shape)} holds no samples; pass (..., samples) "
            "with at least one."
        )
    samples = waveform.shape[-1]
    half = config.n_fft // 2
    flat = waveform.reshape(-1, 1, samples)  # F.pad reflects only (batch, channel, samples)
    padded = F.pad(flat, (half, half), mode="reflect" if samples > half else "constant")
    spectrum = torch.stft(
        padded.squeeze(1),
        config.n_fft,
        config.hop_length,
        window=_window(config.n_fft, waveform.dtype, waveform.device),
        center=False,
        return_complex=True,
    )
    return spectrum.reshape(*waveform.shape[:-1], *spectrum.shape[-2:])


def istft(spectrum: Tensor, config: MelConfig, *, length: int | None = None) -> Tensor:
    """Inverse of `stft`: weighted overlap-add, the least-squares inverse.

    For an STFT that no waveform has, the result is the waveform whose STFT is nearest to it
    (Griffin & Lim 1984, equation 6).

    spectrum : complex Tensor (..., n_fft // 2 + 1, frames)
    length   : samples wanted; without it (frames - 1) * hop_length. Give the original length:
               the last `samples % hop_length` samples are known only then.
    returns  : Tensor (..., samples)

    Raises ValueError where the shape does not fit the configuration, or the hop leaves gaps.
    """
    check_shape(spectrum, config.bins, "bins")
    if config.hop_length > config.n_fft // 2:
        raise ValueError(
            f"hop_length {config.hop_length} is over half of n_fft {config.n_fft}: the Hann "
            "windows leave gaps in which the sound is lost. Use a hop of at most n_fft // 2."
        )
    frames = spectrum.shape[-1]
    longest = (frames - 1) * config.hop_length
    if length == 0 or (length is None and longest == 0):
        return torch.zeros(
            *spectrum.shape[:-2], 0, dtype=spectrum.real.dtype, device=spectrum.device
        )
    waveform = torch.istft(
        spectrum.reshape(-1, *spectrum.shape[-2:]),
        config.n_fft,
        config.hop_length,
        window=_window(config.n_fft, spectrum.real.dtype, spectrum.device),
        center=True,
        length=length,
    )
    return waveform.reshape(*spectrum.shape[:-2], -1)


def check_shape(spectrogram: Tensor, rows: int, name: str) -> None:
    """Raise ValueError unless a tensor is (..., rows, frames) with at least one frame."""
    shape = tuple(spectrogram.shape)
    if len(shape) < 2 or shape[-2] != rows or shape[-1] == 0:
        raise ValueError(
            f"A spectrogram of shape {shape} does not fit: expected (..., {rows} {name}, frames). "
            "Use the configuration it was made with."
        )


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # what is kept must be fit for training, whoever asks first
def filter_bank(config: MelConfig) -> Tensor:
    """The triangular mel filters, one a row; the same tensor each time, so do not write into it.

    Equal to `librosa.filters.mel` (and, with "htk" and no norm, to torchaudio's).

    returns : float32 Tensor (n_mels, n_fft // 2 + 1) on the CPU
    """
    # n_mels triangles need n_mels + 2 corners, equally spaced on the mel scale.
    first, last = hz_to_mel([config.f_min, config.f_max], config.scale)
    corners = mel_to_hz(np.linspace(first, last, config.n_mels + 2), config.scale)
    bins = np.arange(config.bins) * config.sample_rate / config.n_fft
    low, centre, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    filters = np.maximum(0.0, np.minimum(rising, falling))  # (n_mels, bins)
    if config.norm == "slaney":
        filters *= 2.0 / (high - low)  # every triangle gets area 1, measured in Hz
    return torch.from_numpy(filters.astype(np.float32))


def mel(waveform: Tensor, config: MelConfig) -> Tensor:
    """Mel power spectrogram: the filter bank times the squared magnitude of the STFT.

    waveform : Tensor (..., samples), in [-1, 1]
    returns  : Tensor (..., n_mels, frames), power (not decibels)
    """
    spectrum = stft(waveform, config)
    power = spectrum.real.square() + spectrum.imag.square()
    return filter_bank(config).to(power) @ power


def to_db(power: Tensor, floor_db: float = FLOOR_DB) -> Tensor:
    """Decibels of a power: 10 log10(power), not below `floor_db`."""
    return 10.0 * power.clamp(min=10.0 ** (floor_db / 10.0)).log10()


def from_db(db: Tensor) -> Tensor:
    """Power of decibels, the inverse of `to_db` (what lay under the floor stays on it)."""
    return torch.pow(10.0, db / 10.0)


def log_mel(waveform: Tensor, config: MelConfig) -> Tensor:
    """Mel spectrogram in decibels, `to_db(mel(...))`: what the models of the series see."""
    return to_db(mel(waveform, config))


def hz_to_mel(hz, scale: str = "slaney"):
    """Mel value of a frequency in Hz (number or array) on the "slaney" or the "htk" scale."""
    hz = np.asarray(hz, dtype=np.float64)
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    # Slaney: 200/3 Hz a mel up to 1 kHz (15 mel), from there 27 mel for each factor of 6.4.
    logarithmic = 15 + 27 * np.log(np.maximum(hz, 1.0) / 1000) / np.log(6.4)
    return np.where(hz < 1000.0, hz * 3 / 200, logarithmic)


def mel_to_hz(mels, scale: str = "slaney"):
    """Frequency in Hz of a mel value (number or array), the inverse of `hz_to_mel`."""
    mels = np.asarray(mels, dtype=np.float64)
    if scale == "htk":
        return 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    return np.where(mels < 15.0, mels * 200 / 3, 1000.0 * np.exp((mels - 15) / 27 * np.log(6.4)))


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _window(n_fft: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.hann_window(n_fft, periodic=True, dtype=dtype, device=device)


@dataclass(frozen=True)
class MelConfig:
    """All settings of analysis and synthesis.

    sample_rate    Hz
    n_fft          window and FFT length, samples (even)
    hop_length     samples from one frame to the next
    n_mels         mel bands between f_min and f_max (Hz)
    scale          mel scale, "slaney" or "htk"
    norm           "slaney" (each filter has area 1) or None (each filter has height 1)

    Raises ValueError for values that cannot work, among them more bands than the FFT can fill: a
    filter that falls between two bins is empty, and what it should carry is lost.
    """

    sample_rate: int = 16000
    n_fft: int = 512
    hop_length: int = 128
    n_mels: int = 80
    f_min: float = 0.0
    f_max: float = 8000.0
    scale: str = "slaney"
    norm: str | None = "slaney"

    def __post_init__(self) -> None:
        for name in ("sample_rate", "n_fft", "hop_length", "n_mels"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}.")
        if self.n_fft % 2:
            raise ValueError(f"n_fft must be even, not {self.n_fft}; a power of two is fastest.")
        if self.hop_length > self.n_fft:
            raise ValueError(
                f"hop_length {self.hop_length} is longer than the window (n_fft {self.n_fft}), so "
                "samples between two frames would be lost; a quarter of n_fft is usual."
            )
        if not 0.0 <= self.f_min < self.f_max:
            raise ValueError(
                f"f_min must be at least 0 and below f_max, not {self.f_min!r} with f_max "
                f"{self.f_max!r} (Hz)."
            )
        if self.f_max > self.sample_rate / 2:
            raise ValueError(
                f"f_max {self.f_max:g} Hz is above half the sample rate {self.sample_rate} Hz; "
                f"use at most {self.sample_rate / 2:g}."
            )
        if self.scale not in ("slaney", "htk"):
            raise ValueError(f"scale must be 'slaney' or 'htk', not {self.scale!r}.")
        if self.norm not in ("slaney", None):
            raise ValueError(f"norm must be 'slaney' or None, not {self.norm!r}.")
        # More bands than bins leave some empty; that is seen before a huge bank is made.
        empty = max(self.n_mels - self.bins, 0)
        empty = empty or int((filter_bank(self).amax(dim=1) == 0).sum())
        if empty:
            raise ValueError(
                f"n_mels {self.n_mels} is too many for n_fft {self.n_fft} on the {self.scale} "
                f"scale: {empty} of the filters fall between two bins and are empty. Use fewer "
                "mels or a longer n_fft."
            )

    @property
    def bins(self) -> int:
        """Frequency bins of the STFT, n_fft // 2 + 1."""
        return self.n_fft // 2 + 1

    @property
    def frames_per_second(self) -> float:
        """Spectrogram frames a second of sound."""
        return self.sample_rate / self.hop_length
