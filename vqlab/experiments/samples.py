"""Originals and reconstructions side by side, as a picture and as sound.

The one idea: a run shows what it learned without anything else being run. The pictures are made
without a plotting library: a value is a shade of grey, low frequencies are at the bottom.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from .. import audio
from ..datasets import SAMPLE_RATE
from ..files import write_whole
from ..plots.media import grey, png
from .data import Split

SHOWN, HEARD = 6, 2
_GAP = 2  # white pixels between pictures


@torch.no_grad()
def save(model: nn.Module, split: Split, folder: Path) -> np.ndarray:
    """Write `samples.png`, and wavs where the items are sound; returns the picture's bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    device = next(model.parameters()).device
    inputs = split.inputs[:SHOWN]
    outputs = model(inputs.to(device))[0].float().cpu()
    both = torch.stack([inputs, outputs])  # (2, n, channels, rows, columns), or without channels
    planes = both.unsqueeze(2) if both.ndim == 4 else both
    planes = planes if split.front is None else planes.flip(-2)  # low frequencies at the bottom
    edged = torch.nn.functional.pad(planes, (0, _GAP, 0, _GAP), value=1.0)
    height, width, channels = 2 * edged.shape[3], len(inputs) * edged.shape[4], edged.shape[2]
    whole = edged.permute(0, 3, 1, 4, 2).reshape(height, width, channels)[:-_GAP, :-_GAP]
    pixels = grey(whole if channels == 3 else whole[..., 0])
    write_whole(folder / "samples.png", png(pixels))
    if split.front is not None:
        heard = slice(0, min(HEARD, len(inputs)))
        sounds = {
            "original": split.segments[heard],
            "reconstruction": split.front.synthesise(split.decibels(outputs[heard], heard)),
        }
        for name, waveforms in sounds.items():
            for n, waveform in enumerate(waveforms):
                audio.save(folder / f"{n}-{name}.wav", audio.quieter(waveform), SAMPLE_RATE)
    return pixels
