"""Sound to picture and back: what an experiment's network sees of a recording.

The one idea: a picture is scaled to lie between 0 and 1 by its own minimum and maximum, so loud and
soft sounds look alike to the network, and the two numbers are kept, so that the level comes back.
Frames are those of windows that lie wholly inside the segment: n_fft + (frames - 1) * hop_length
samples give `frames` of them, 66,432 samples the 512 of the thesis (Hansen Vedal 2019).

Notebook: 09
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import inversion, spectral
from ..datasets import SAMPLE_RATE
from ..spectral import MelConfig
from .schema import Grid, LogMel

FLOOR = 1e-9  # power; -90 dB


class Pictures(NamedTuple):
    """Pictures `(n, rows, frames)` in [0, 1]; 0 and 1 stand for low and high `(n,)`, in dB."""

    scaled: Tensor
    low: Tensor
    high: Tensor


@dataclass(frozen=True)
class Front:
    """Settings of analysis and synthesis in one place.

    mel: rows are mel bands, else frequency bins without the top one. inversion, iterations: of the
    way back, "gradient" (L-BFGS on the samples, the thesis's) or "griffin_lim".
    """

    config: MelConfig
    mel: bool
    frames: int
    inversion: str
    iterations: int

    @property
    def rows(self) -> int:
        """Height of a picture."""
        return self.config.n_mels if self.mel else self.config.n_fft // 2

    @property
    def samples(self) -> int:
        """Length of a segment."""
        return (self.frames - 1) * self.config.hop_length + self.config.n_fft

    @property
    def seconds(self) -> float:
        """Length of a segment."""
        return self.samples / self.config.sample_rate

    @property
    def _edge(self) -> int:
        """Frames at either end whose windows hang over it; a picture has none of them."""
        return self.config.n_fft // 2 // self.config.hop_length

    def decibels(self, segments: Tensor) -> Tensor:
        """Segments `(n, samples)` to decibels `(n, rows, frames)`, not below -90 dB."""
        db = torch.empty(len(segments), self.rows, self.frames)
        for first in range(0, len(segments), 32):  # the complex spectra of all would be large
            some = slice(first, first + 32)
            spectrum = spectral.stft(segments[some], self.config)[..., self._edge : -self._edge]
            power = spectrum.real.square() + spectrum.imag.square()
            power = spectral.filter_bank(self.config) @ power if self.mel else power[:, :-1]
            db[some] = 10 * power.clamp(min=FLOOR).log10()
        return db

    def analyse(self, segments: Tensor) -> Pictures:
        """Segments `(n, samples)` to pictures; a silent one becomes all zeros."""
        db = self.decibels(segments)
        low, high = db.amin(dim=(1, 2)), db.amax(dim=(1, 2))
        span = (high - low).clamp(min=1e-6)
        scaled = db.sub_(low[:, None, None]).div_(span[:, None, None])  # in place: they are large
        return Pictures(scaled, low, high)

    def restore(self, pictures: Pictures) -> Tensor:
        """Decibels `(n, rows, frames)` of pictures: undoes the scaling."""
        span = (pictures.high - pictures.low)[:, None, None]
        return pictures.scaled * span + pictures.low[:, None, None]

    def synthesise(self, db: Tensor) -> Tensor:
        """Waveforms `(n, samples)` of decibels `(n, rows, frames)`.

        At both ends, where the picture has no frame, the nearest one is repeated; the top bin,
        which it lacks, is silent.
        """
        power = torch.pow(10.0, F.pad(db, (self._edge, self._edge), mode="replicate") / 10)
        power = power.clamp(max=1e9)  # a wild network's decibels must not overflow
        if self.mel:
            return self._from_mel(power)
        magnitude = F.pad(power, (0, 0, 0, 1)).sqrt()
        if self.inversion == "gradient":
            return inversion.gradient(
                magnitude,
                self.config,
                n_iter=self.iterations,
                length=self.samples,
                normalize=True,
            )
        return inversion.griffin_lim(
            magnitude, self.config, n_iter=self.iterations, length=self.samples
        )

    def _from_mel(self, power: Tensor) -> Tensor:
        if self.inversion == "gradient":  # from noise it ends in nothing: start near the goal
            start = inversion.mel_to_audio(power, self.config, length=self.samples)
            return inversion.gradient(
                spectral.to_db(power),
                self.config,
                kind="log_mel",
                n_iter=self.iterations,
                init=start,
            )
        return inversion.mel_to_audio(
            power, self.config, length=self.samples, n_iter=self.iterations
        )


def front_of(grid: Grid) -> Front | None:
    """The front end of a grid; None where the data set holds pictures."""
    wanted, sound = grid.spectrogram, grid.sound
    if wanted is None or sound is None:
        return None
    mel = isinstance(wanted, LogMel)
    config = MelConfig(
        sample_rate=SAMPLE_RATE,
        n_fft=wanted.n_fft,
        hop_length=wanted.hop_length,
        n_mels=wanted.n_mels if isinstance(wanted, LogMel) else 1,
    )
    return Front(config, mel, wanted.frames, sound.inversion, sound.iterations)


def segments(waveform: Tensor, samples: int) -> Tensor:
    """A recording `(n,)` of any length as `(pieces, samples)`; the last ends in silence."""
    pieces = max(1, -(-len(waveform) // samples))
    return F.pad(waveform, (0, pieces * samples - len(waveform))).reshape(pieces, samples)


def rms(waveforms: Tensor) -> Tensor:
    """Root mean square of each of `(n, samples)`."""
    return waveforms.square().mean(dim=-1).sqrt()
