"""Originals and reconstructions side by side, as pictures, sounds and pages to listen to.

The one idea: a run shows what it learns while it learns, without anything else being run. The
pictures are made without a plotting library: a value is a shade of grey, low frequencies are at the
bottom. Of each interval stay a picture and its sounds, and a player has them all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import audio, listen
from ..datasets import SAMPLE_RATE
from ..features import Features
from ..files import write_whole
from ..plots.media import grey, png
from ..training.batches import take
from .data import Split

SHOWN, HEARD = 6, 2
_GAP = 2  # white pixels between pictures


@torch.no_grad()
def save(
    model: nn.Module, split: Split, features: Features | None, folder: Path, step: int | None
) -> tuple[np.ndarray, dict[str, Tensor]]:
    """Write what a model makes of the first items of a split: of the best weights without a `step`.

    Returns the picture's bytes, and the sounds `(samples,)` by name, none of pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inputs = take(split.inputs, range(min(SHOWN, len(split))))
    x = features.analyse(inputs) if features else inputs
    device = next(model.parameters()).device
    outputs = model.eval()(x.to(device))[0].float().cpu()
    pixels = _pixels(x, outputs, sound=features is not None or split.front is not None)
    write_whole(folder / f"{_mark(step, 'samples')}.png", png(pixels))
    heard = slice(0, min(HEARD, len(inputs)))
    if features is not None:
        originals = inputs[heard]
        made = features.synthesise(outputs[heard], originals.shape[-1])
    elif split.front is not None:
        originals = split.segments[heard]
        made = split.front.synthesise(split.decibels(outputs[heard], heard))
    else:
        return pixels, {}
    sounds: dict[str, Tensor] = {}
    for n, pair in enumerate(zip(originals, made, strict=True)):
        for name, waveform in zip(("original", "reconstruction"), pair, strict=True):
            sounds[f"{n}-{name}"] = audio.quieter(waveform)
            place = name if name == "original" else _mark(step, name)
            audio.save(folder / f"{n}-{place}.wav", sounds[f"{n}-{name}"], SAMPLE_RATE)
        _page(folder, n)
    return pixels, sounds


def _mark(step: int | None, best: str) -> str:
    return best if step is None else f"step-{step:08d}"


def _pixels(x: Tensor, outputs: Tensor, *, sound: bool) -> np.ndarray:
    """Originals above, what was made of them below."""
    both = torch.stack([x, outputs])  # (2, n, channels, rows, columns), or without channels
    planes = both.unsqueeze(2) if both.ndim == 4 else both
    if sound:
        low, high = x.min(), x.max()
        planes = ((planes - low) / (high - low).clamp_min(1e-9)).clamp(0, 1)
        planes = planes.flip(-2)  # low frequencies at the bottom
    edged = nn.functional.pad(planes, (0, _GAP, 0, _GAP), value=1.0)
    height, width, channels = 2 * edged.shape[3], len(x) * edged.shape[4], edged.shape[2]
    whole = edged.permute(0, 3, 1, 4, 2).reshape(height, width, channels)[:-_GAP, :-_GAP]
    return grey(whole if channels == 3 else whole[..., 0])


def _page(folder: Path, n: int) -> None:
    """A player with every version of an item that the folder has."""
    found = {"original": folder / f"{n}-original.wav"}
    steps = {path: int(path.stem.rpartition("-")[2]) for path in folder.glob(f"{n}-step-*.wav")}
    found |= {f"after {steps[path]:,} steps": path for path in sorted(steps)}
    found["best weights"] = folder / f"{n}-reconstruction.wav"
    heard: dict[str, Any] = {
        name: audio.load(path)[0] for name, path in found.items() if path.is_file()
    }
    page = folder / f"{n}.html"
    page.unlink(missing_ok=True)  # which may be a link
    listen.compare(heard, SAMPLE_RATE, title=f"Item {n} of the validation set").save(page)
