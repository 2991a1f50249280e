"""A sound too long for memory: on disk as bare samples, any piece of which is read when asked for.

The codec goes over a sound several times, but a compressed or resampled file can be read from the
beginning only. So it is decoded once into a temporary file, which serves in a waveform's place.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..files.sounds import opened
from .reading import blocks
from .waveforms import resampled

_PIECE = 1 << 16  # samples


@dataclass(frozen=True)
class Spooled:
    """A waveform on disk: `len(sound)` samples; `sound[a:b]` reads float32 `(b - a,)`.

    `peak` is its largest absolute value.
    """

    file: IO[bytes]
    length: int
    peak: float

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, piece: slice) -> Tensor:
        start, stop, _ = piece.indices(self.length)
        self.file.seek(4 * start)
        data = self.file.read(4 * max(0, stop - start))
        return torch.from_numpy(np.frombuffer(data, np.float32).copy())

    def pieces(self) -> Iterator[Tensor]:
        """The whole sound, one piece after the other."""
        for start in range(0, self.length, _PIECE):
            yield self[start : start + _PIECE]


@contextmanager
def spooled(pieces: Iterable[np.ndarray]) -> Iterator[Spooled]:
    """A sound that comes in `pieces (samples,)`, in a temporary file.

    Raises `ValueError` where the disk is full.
    """
    with tempfile.TemporaryFile() as store:
        length, peak = 0, 0.0
        for piece in pieces:
            try:
                store.write(piece.astype(np.float32).tobytes())
            except OSError as error:
                raise ValueError(
                    f"The temporary file in {tempfile.gettempdir()} cannot be written "
                    f"({error.strerror}): make room there, or set TMPDIR to a folder with more."
                ) from None
            length += len(piece)
            peak = max(peak, float(np.abs(piece).max(initial=0.0)))
        yield Spooled(store, length, peak)


def spool(path: str | Path, sample_rate: int) -> AbstractContextManager[Spooled]:
    """The sound of a file at `sample_rate` (Hz), one channel, in a temporary file.

    Raises as `vqlab.audio.load` does, and `ValueError` where the disk is full.
    """
    return spooled(_read(path, sample_rate))


def _read(path: str | Path, sample_rate: int) -> Iterator[np.ndarray]:
    with opened(path) as file:
        rate, total = file.samplerate, file.promise.samples or None
        with tqdm(total=total, unit="samples", desc="reading", delay=2, leave=False) as bar:
            for block in resampled(blocks(file), rate, sample_rate):
                yield block
                bar.update(round(len(block) * rate / sample_rate))
