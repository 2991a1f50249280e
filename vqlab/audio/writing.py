"""Sound files out: 16-bit WAV or FLAC, whole or not at all.

Notebook: 10
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor

from ..files import whole_file, written_place
from ..files.sounds import Watched
from .waveforms import check_rate, one_sound


def save(path: str | Path, waveform: Tensor, sample_rate: int) -> None:
    """Write a sound `(samples,)` in [-1, 1] as 16-bit WAV or FLAC, by the suffix of `path`.

    Warns, with the peak, when samples outside [-1, 1] were cut, and of a link, whose target is
    written.

    Raises ValueError for another suffix, shape or rate, or samples that are not numbers, and
    OSError where the file cannot be written (no such folder, a full disk).
    """
    save_pieces(path, [torch.as_tensor(waveform)], sample_rate)


def save_pieces(path: str | Path, pieces: Iterable[Tensor], sample_rate: int) -> int:
    """As `save`, for a sound that comes piece by piece; returns its number of samples."""
    path = Path(path)
    if path.suffix.lower() not in (".wav", ".flac"):
        raise ValueError(f"Sound is saved as .wav or .flac, not as {path.name!r}; rename it.")
    check_rate(sample_rate)
    length, peak = 0, 0.0
    form = path.suffix[1:].upper()
    with whole_file(written_place(path)) as raw:
        watched: Any = Watched(raw)
        with soundfile.SoundFile(watched, "w", sample_rate, 1, "PCM_16", format=form) as file:
            for piece in pieces:
                samples = one_sound(piece, f"the waveform for {path}").double()
                # 32768 both ways, so that a 16-bit file, loaded and saved, keeps every bit.
                integers = (samples * 32768.0).round().clamp(-32768, 32767).to(torch.int16)
                file.write(integers.numpy())
                length += len(samples)
                peak = max(peak, float(samples.abs().max()))
                watched.check()
        watched.check()
    if peak > 1.0:
        warnings.warn(
            f"The waveform for {path} peaks at {peak:.3f}; what lies beyond 1 was cut off. Scale "
            "it first to avoid the distortion.",
            stacklevel=3,
        )
    return length
