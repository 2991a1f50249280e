"""A loss that compares loudness as PESQ does: how much is heard that was not there, or is missing.

The one idea (ITU-T P.862, 2001; as a loss J. Martín-Doñas, A. Gomez, J. Gonzalez, A. Peinado, "A
Deep Learning Loss Function Based on the Perceptual Evaluation of the Speech Quality", 2018): power
becomes loudness band by band (E. Zwicker, R. Feldtkeller, 1967), small differences are masked by
what sounds beside them, and what was added disturbs more than what is missing. Simpler than P.862:
the bands are mel bands, weighted by their width in bark; the threshold of hearing is a formula (E.
Terhardt, 1979); nothing is equalised but the level of a clip; and time is averaged in squares, not
first over stretches of a third of a second.
"""

from __future__ import annotations

import librosa
import numpy as np
import torch
from torch import Tensor

from vqlab.features import Features

LEVEL = 79.0  # decibels that speech is heard at, between 350 and 3250 Hz
EXPONENT, SCALE = 0.23, 0.1866  # Zwicker's law, and P.862's factor to sone
MASKED = 0.25  # so much of the softer loudness is not heard as a difference
FLOOR, RATIO, FEWEST, MOST = 50.0, 1.2, 3.0, 12.0  # P.862's factor for what was added
LOUDEST = 45.0  # a frame disturbs no more than this
SYMMETRIC, ADDED = 0.1, 0.0309  # P.862's weights: their sum is what PESQ loses of 4.5
ACTIVE, SILENT = 1e-3, 1e-4  # frames that count for the level, and at all
SOFTEST = 1e-2  # of the batch's mean level


class Disturbance:
    """PESQ's disturbance, in points of PESQ, between two batches of log-mel frames."""

    def __init__(self, features: Features) -> None:
        config = features.config
        self.mean, self.std = float(features.mean), float(features.std)
        edges = librosa.mel_frequencies(
            config.n_mels + 2, fmin=config.f_min, fmax=config.f_max, htk=config.scale == "htk"
        )
        hertz, width = edges[1:-1], (edges[2:] - edges[:-2]) / 2
        self.width = _column(width)  # Slaney's mel bands have equal areas
        self.bark = _column((_bark(edges[2:]) - _bark(edges[:-2])) / 2)
        self.speech = _column((hertz > 350) & (hertz < 3250))
        self.threshold = _column(10 ** (_threshold(hertz / 1000).clip(max=60) / 10))

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Both (batch, n_mels, frames), normalised decibels; returns a scalar."""
        x, y = self._power(target.float()), self._power(output.float())
        symmetric, added = self.of_frames(x, y)
        power = x.sum(dim=1)
        counted = (power > SILENT * power.amax(dim=-1, keepdim=True)).float()
        softer = ((power + 1e4) / 10 ** (LEVEL / 10)) ** -0.04  # soft frames disturb a little more

        def mean(frames: Tensor) -> Tensor:
            squares = (frames * softer).clamp(max=LOUDEST).pow(2)
            return ((squares * counted).sum(dim=-1) / counted.sum(dim=-1) + 1e-6).sqrt()

        return (SYMMETRIC * mean(symmetric) + ADDED * mean(added)).mean()

    def of_frames(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """What differs, and what of it was added, of each frame: two tensors (batch, frames).

        x, y: power (batch, n_mels, frames) of original and copy, 1 at 0 dB of sound pressure.
        """
        original, copy = self.sone(x), self.sone(y)
        difference = copy - original
        heard = (difference.abs() - MASKED * torch.minimum(original, copy)).clamp(min=0) * self.bark
        factor = ((y + FLOOR) / (x + FLOOR)) ** RATIO
        factor = torch.where(factor < FEWEST, 0.0, factor.clamp(max=MOST)).detach()
        # The root of 0 has no gradient.
        symmetric = (heard.pow(2).sum(dim=1) + 1e-6).sqrt() * self.bark.sum().sqrt()
        return symmetric, (heard * factor).sum(dim=1)

    def sone(self, power: Tensor) -> Tensor:
        """Loudness of each band by Zwicker's law, 0 below the threshold of hearing; same shape."""
        law = (0.5 + 0.5 * power / self.threshold) ** EXPONENT - 1
        return (SCALE * (self.threshold / 0.5) ** EXPONENT * law).clamp(min=0)

    def _power(self, values: Tensor) -> Tensor:
        power = 10 ** ((values * self.std + self.mean) / 10) * self.width
        of_speech = (power * self.speech).sum(dim=1)
        active = (of_speech > ACTIVE * of_speech.amax(dim=-1, keepdim=True)).float()
        level = (of_speech * active).sum(dim=-1) / active.sum(dim=-1)
        level = level.clamp(min=SOFTEST * level.mean())  # a pause is not made as loud as speech
        return power / level[:, None, None] * 10 ** (LEVEL / 10)


def _bark(hertz: np.ndarray) -> np.ndarray:
    """The bark scale (S. Wang, A. Sekey, A. Gersho, 1992)."""
    return 6 * np.arcsinh(hertz / 600)


def _threshold(kilohertz: np.ndarray) -> np.ndarray:
    """Decibels of sound pressure at which a tone is just heard (Terhardt, 1979)."""
    dip = 6.5 * np.exp(-0.6 * (kilohertz - 3.3) ** 2)
    return 3.64 * kilohertz**-0.8 - dip + 1e-3 * kilohertz**4


def _column(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values).float()[:, None]
