"""Sound files in: any format that libsndfile knows, as one channel of float32.

The one idea: files come from anywhere, so `load` either returns numbers that can be used or says in
one sentence what is wrong and what to do; it never trusts the length that a header promises
(`vqlab.files.sounds`).

Notebook: 01
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..files.sounds import Sound, opened
from .waveforms import Tally, check_samples, resample

_BLOCK = 1 << 12  # samples decoded at a time: all that a damaged place takes with it


def load(
    path: str | Path, *, sample_rate: int | None = None, longest: float | None = None
) -> tuple[Tensor, int]:
    """Read a sound file (WAV, FLAC, OGG, MP3, …) as mono float32.

    Several channels are averaged. `sample_rate` (Hz) asks for resampling. What is odd about the
    file (it ends before the length in its header, its channels cancel one another, …) is said in a
    warning; what is there is read. `longest` (seconds) refuses more than that before it is loaded.

    returns : waveform (samples,), sample rate in Hz

    Raises FileNotFoundError where there is no such file, and ValueError for what is no sound, has
    no samples, or samples that are not numbers or in another scale than [-1, 1].
    """
    with opened(path) as file:
        rate, pieces, samples = file.samplerate, [], 0
        for block in blocks(file):
            pieces.append(block)
            samples += len(block)
            if longest is not None and samples > longest * rate:
                told = file.promise.samples / rate
                lasts = f"{told:.0f} s" if told > longest else "longer"
                raise ValueError(
                    f"{path} lasts {lasts}, taken are at most {longest:g} s: cut it first, for "
                    f"example: ffmpeg -i INPUT -t {longest:g} output.wav"
                )
        waveform = torch.from_numpy(np.concatenate(pieces))
    if sample_rate is not None and sample_rate != rate:
        waveform, rate = resample(waveform, rate, sample_rate), sample_rate
    return waveform, rate


def blocks(file: Sound) -> Iterator[np.ndarray]:
    """What an opened file holds, averaged over its channels: float32 (samples,), a piece at a time.

    Decodes until nothing comes, so memory follows what is there, not what the header promises.
    Warns, and raises ValueError, as `load` does.
    """
    room, tally = np.empty((_BLOCK, file.channels), np.float32), Tally()
    while len(block := file.read_block(room)):
        check_samples(block, str(file.path))
        yield tally.add(block)
    if not file.taken:
        raise ValueError(f"{file.path} holds no samples, only a header; copy or record it again.")
    for remark in (*file.remarks(), *tally.remarks()):
        warnings.warn(f"{file.path} {remark}", stacklevel=3)
