"""Originals and reconstructions side by side, as a picture and as sound.

The one idea: a run shows what it learned without anything else being run. The pictures are made
without a plotting library: a value is a shade of grey, low frequencies are at the bottom.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

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
    flip = split.front is not None
    rows = [_row(inputs, flip), _row(outputs, flip)]
    gap = np.full((_GAP, *rows[0].shape[1:]), 255, np.uint8)
    pixels = np.concatenate([rows[0], gap, rows[1]])
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


def _row(items: Tensor, flip: bool) -> np.ndarray:
    """Pictures `(n, channels, height, width)` or `(n, rows, frames)` beside one another."""
    pictures = []
    for item in items:
        planes = item if item.ndim == 3 else item.unsqueeze(0)
        stacked = np.stack([grey(plane.flip(0) if flip else plane) for plane in planes], axis=-1)
        pixels = stacked if stacked.shape[-1] == 3 else stacked[..., 0]
        edge = np.full((len(pixels), _GAP, *pixels.shape[2:]), 255, np.uint8)
        pictures += [pixels, edge]
    return np.concatenate(pictures[:-1], axis=1)
