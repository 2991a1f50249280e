"""What the network sees: a waveform as normalised mel frames, and the way back.

Analysis and synthesis share one frozen object, so they cannot disagree about window, hop or mel
scale (in the tutorial they do). Decibels are brought to mean 0 and deviation 1 with figures that
are measured once on training clips and stored with the model.

Notebook: 06
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import inversion, spectral
from .spectral import MelConfig


@dataclass(frozen=True)
class Features:
    """Mel frames as a network takes them.

    `scale` "db" gives normalised decibels, `(db - mean) / std`; "power" gives mel power as it
    is, which is what the tutorial trains on. `picture` adds a channel axis for 2-D networks.
    """

    config: MelConfig = field(default_factory=lambda: MelConfig(hop_length=160))
    scale: Literal["db", "power"] = "db"
    mean: float = 0.0
    std: float = 1.0
    picture: bool = False

    def __post_init__(self) -> None:
        if self.scale not in ("db", "power"):
            raise ValueError(f"scale must be 'db' or 'power', not {self.scale!r}.")
        if not (math.isfinite(self.mean) and 0 < self.std < math.inf):
            raise ValueError(
                f"mean {self.mean} and std {self.std} cannot normalise (std must be above 0): "
                "were they measured on silence?"
            )

    def analyse(self, waveform: Tensor) -> Tensor:
        """Frames of `waveform (batch, samples)`: one per started hop.

        Returns `(batch, n_mels, frames)`, or `(batch, 1, n_mels, frames)` for pictures, with
        `frames = ceil(samples / hop_length)`: the frame centred on the very end is left out, so
        that one second at 100 frames per second is 100 frames, not 101.
        """
        power = spectral.mel(waveform, self.config)[..., : self.frames(waveform.shape[-1])]
        x = power if self.scale == "power" else (spectral.to_db(power) - self.mean) / self.std
        return x.unsqueeze(1) if self.picture else x

    def frames(self, samples: int) -> int:
        """How many frames `samples` samples give."""
        return -(-samples // self.config.hop_length)

    def power(self, x: Tensor) -> Tensor:
        """Mel power `(batch, n_mels, frames)` of what `analyse` gave or a decoder made."""
        x = x.squeeze(1) if self.picture else x
        if self.scale == "power":
            return x.clamp_min(0)
        return spectral.from_db(x * self.std + self.mean)

    def synthesise(
        self, x: Tensor, samples: int, *, n_iter: int = 32, first_frame: int = 0
    ) -> Tensor:
        """Waveform `(batch, samples)` of frames `x`: mel to linear, then fast Griffin-Lim.

        `first_frame` is the place of the first in a longer sound. Each frame's phases start at
        random, but by its place always the same; and a step of Griffin-Lim reaches no farther than
        a window. So what is some windows away from a cut comes out as in the whole sound.
        """
        power = self.power(x)
        missing = samples // self.config.hop_length + 1 - power.shape[-1]
        power = torch.cat([power, power[..., -1:].expand(*power.shape[:-1], max(missing, 0))], -1)
        phase = _phases(first_frame, power.shape[-1], self.config.bins)
        return inversion.mel_to_audio(
            power, self.config, length=samples, n_iter=n_iter, phase=phase
        )

    def error_db(self, x: Tensor, y: Tensor) -> Tensor:
        """Mean absolute difference of `x` and `y` in decibels, a scalar."""
        return (spectral.to_db(self.power(x)) - spectral.to_db(self.power(y))).abs().mean()

    def fitted(self, waveforms: Tensor | Sequence[Tensor]) -> Features:
        """The same features with `mean` and `std` measured on `waveforms`, n of one length.

        About 500 of them, evenly spaced, are enough.
        """
        if self.scale == "power":
            return self
        step = max(1, len(waveforms) // 500)
        some = torch.stack([waveforms[i] for i in range(0, len(waveforms), step)])
        db = spectral.log_mel(some, self.config)
        return Features(self.config, self.scale, float(db.mean()), float(db.std()), self.picture)


def _phases(first_frame: int, frames: int, bins: int) -> Tensor:
    """Random phases in radians (bins, frames), of each frame always the same."""
    steps = -(-bins // 4)  # the generator counts in steps of four numbers, and can jump
    generator = np.random.Generator(np.random.Philox(key=0).advance(first_frame * steps))
    turns = generator.random((frames, 4 * steps))[:, :bins]
    return torch.from_numpy(2 * np.pi * turns).T


def sharpen(x: Tensor, contrast: float, *, bands: int = 9) -> Tensor:
    """Mel decibels with their peaks raised and their valleys lowered: a post-filter.

    A network that is unsure gives the middle of what might be, so its spectra are flatter than
    those of speech. Each value moves away from the mean of the `bands` bands around it by the
    share `contrast`; such filters are as old as coded speech (Chen and Gersho 1995). ``x (batch,
    n_mels, frames)``; returns the same shape.
    """
    half = bands // 2
    rows = x.transpose(1, 2)  # (batch, frames, n_mels)
    around = F.pad(rows, (half, half), mode="replicate").unfold(2, bands, 1).mean(dim=-1)
    return x + contrast * (x - around.transpose(1, 2))


def tutorial_features() -> Features:
    """The tutorial's front end: mel power, 1024-point window, hop 512, 128 HTK bands, 128 x 32."""
    config = MelConfig(n_fft=1024, hop_length=512, n_mels=128, scale="htk", norm=None)
    return Features(config, scale="power", picture=True)
