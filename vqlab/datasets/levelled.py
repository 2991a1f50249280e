"""A data set at the level a codec knows, and at several speeds.

Notebook: 12
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import ConcatDataset
from tqdm.auto import tqdm

from .. import audio
from ..codec import Codec
from .items import Dataset

MOST_IN_MEMORY = 20_000
"""Clips of a training set that are kept in memory: 1.3 GB where each is a second long."""


def levelled(codec: Codec, dataset: Dataset, *, speeds: Sequence[float] = (1.0,)) -> Any:
    """The waveforms of `dataset`, each at the level that `codec` knows, to train on.

    Once for each of the `speeds`: a tape that runs faster changes pitch and tempo, as if other
    people had spoken (Ko et al. 2015). Up to `MOST_IN_MEMORY` items come as one tensor
    (n, samples); of a larger set, as `Levelled`, each clip is read when it is asked for.
    """
    items = Levelled(codec, dataset, speeds)
    if len(items) > MOST_IN_MEMORY:
        return items
    bar = tqdm(range(len(items)), "reading clips", delay=2, leave=False)
    return torch.stack([items[i] for i in bar])


def join(sets: Sequence[Tensor | Sequence[Tensor]]) -> Tensor | Sequence[Tensor]:
    """Several sets of waveforms as one: a tensor if all are tensors."""
    if all(isinstance(items, Tensor) for items in sets):
        return torch.cat(list(sets))  # type: ignore[arg-type]
    return ConcatDataset(sets)  # type: ignore[arg-type, return-value]


@dataclass(frozen=True)
class Levelled(Sequence[Tensor]):
    """A data set at a codec's level and several speeds, each clip read when it is asked for."""

    codec: Codec
    dataset: Dataset
    speeds: Sequence[float]

    def __len__(self) -> int:
        return len(self.dataset) * len(self.speeds)

    def __getitem__(self, index: Any) -> Any:
        which, clip = divmod(index, len(self.dataset))
        waveform = self.dataset[clip].waveform
        if self.speeds[which] != 1.0:
            rate = self.codec.sample_rate
            faster = audio.resample(waveform, rate, round(rate / self.speeds[which]))
            waveform = audio.fit_length(faster, len(waveform))
        return self.codec.normalise(waveform)[0]
