"""How loud a sound is, and a data set at the level a codec knows.

Notebook: 06
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from . import audio
from .datasets import Dataset
from .spool import Spooled


def loudest(waveform: Tensor | Spooled, sample_rate: int) -> float:
    """RMS in dBFS of the loudest 0.4 s of ``waveform (samples,)``; -inf for silence.

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


class Levelled(Sequence[Tensor]):
    """A data set at a codec's level and several speeds, each clip read when it is asked for."""

    def __init__(
        self,
        dataset: Dataset,
        normalise: Callable[[Tensor], tuple[Tensor, float]],
        *,
        sample_rate: int,
        speeds: Sequence[float] = (1.0,),
    ) -> None:
        self.dataset = dataset
        self.normalise = normalise
        self.sample_rate = sample_rate
        self.speeds = speeds

    def __len__(self) -> int:
        return len(self.dataset) * len(self.speeds)

    def __getitem__(self, index: Any) -> Any:
        which, clip = divmod(index, len(self.dataset))
        waveform = self.dataset[clip].waveform
        if self.speeds[which] != 1.0:
            rate = self.sample_rate
            faster = audio.resample(waveform, rate, round(rate / self.speeds[which]))
            waveform = audio.fit_length(faster, len(waveform))
        return self.normalise(waveform)[0]
