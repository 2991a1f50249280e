"""How loud a sound is.

Notebook: 10
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .long import Spooled


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
