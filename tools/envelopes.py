"""A loss that compares envelopes as STOI does: how alike loudness rises and falls, band by band.

The one idea (C. Taal, R. Hendriks, R. Heusdens, J. Jensen, "An Algorithm for Intelligibility
Prediction of Time-Frequency Weighted Noisy Speech", 2011, eq. 3 to 5): a word is understood where
the envelopes of its 15 third-octave bands correlate with the original's over 384 ms. Here the bands
are sums of mel bands, so that a network that predicts log-mel frames can learn from it.
"""

from __future__ import annotations

import librosa
import torch
from torch import Tensor

from vqlab.features import Features

LOWEST, BANDS = 150.0, 15  # centre of the lowest third-octave band in hertz, and their number
SECONDS = 0.384  # over which envelopes are compared
EVERY = 6  # frames from one comparison to the next
CLIP = 1 + 10 ** (15 / 20)  # an envelope counts as at most 15 dB of error above the original
SILENT = 1e-4  # stretches 40 dB below the strongest do not count


class Envelopes:
    """What the correlation of two sounds' envelopes lacks to 1."""

    def __init__(self, features: Features) -> None:
        self.mean, self.std = float(features.mean), float(features.std)
        self.bands, config = third_octaves(features), features.config
        self.frames = round(SECONDS * config.sample_rate / config.hop_length)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Both (batch, n_mels, frames), normalised decibels; returns a scalar."""
        return 1 - self.correlation(output.float(), target.float())

    def correlation(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean correlation of the envelopes, from -1 to 1, over all that is not silent."""
        x, y = self._envelopes(target), self._envelopes(output)  # (batch, BANDS, places, frames)
        same = y * x.norm(dim=-1, keepdim=True) / (y.norm(dim=-1, keepdim=True) + 1e-9)
        x_even, y_even = _without_mean(x), _without_mean(torch.minimum(same, CLIP * x))
        lengths = x_even.norm(dim=-1) * y_even.norm(dim=-1)
        alike = ((x_even * y_even).sum(dim=-1) / (lengths + 1e-9)).mean(dim=1)  # (batch, places)
        power = x.pow(2).sum(dim=1).mean(dim=-1)
        heard = power > SILENT * power.max()
        return alike[heard].mean()

    def _envelopes(self, values: Tensor) -> Tensor:
        power = 10 ** ((values * self.std + self.mean) / 10)
        magnitude = (self.bands.to(values.device) @ power + 1e-12).sqrt()
        return magnitude.unfold(-1, self.frames, EVERY)


def third_octaves(features: Features) -> Tensor:
    """Which mel bands a third-octave band adds up, times their widths in hertz: (BANDS, n_mels)."""
    config = features.config
    edges = librosa.mel_frequencies(
        config.n_mels + 2, fmin=config.f_min, fmax=config.f_max, htk=config.scale == "htk"
    )
    centre, width = (torch.tensor(x).float() for x in (edges[1:-1], (edges[2:] - edges[:-2]) / 2))
    middle = LOWEST * 2 ** (torch.arange(BANDS)[:, None] / 3)
    inside = (centre + width / 2 >= middle * 2 ** (-1 / 6)) & (
        centre - width / 2 <= middle * 2 ** (1 / 6)
    )
    return inside * width  # Slaney's mel bands have equal areas


def _without_mean(values: Tensor) -> Tensor:
    return values - values.mean(dim=-1, keepdim=True)
