"""A sound too long for memory: on disk as bare samples, any piece of which is read when asked for.

The codec goes over a sound several times (its level, the rate that fits, the codes). A compressed
or resampled file can be read from the beginning only, so it is decoded once into a temporary file.
What comes of it has a length and slices, like a waveform, and serves in its place.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soxr
import torch
from torch import Tensor
from tqdm.auto import tqdm

from . import reading

_PIECE = 1 << 16  # samples


class Spooled:
    """A waveform on disk: `len(sound)` samples; `sound[a:b]` reads float32 `(b - a,)`.

    `peak` is its largest absolute value.
    """

    def __init__(self, file, length: int, peak: float) -> None:
        self._file = file
        self._length = length
        self.peak = peak

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, piece: slice) -> Tensor:
        start, stop, _ = piece.indices(self._length)
        self._file.seek(4 * start)
        data = self._file.read(4 * max(0, stop - start))
        return torch.from_numpy(np.frombuffer(data, np.float32).copy())

    def pieces(self) -> Iterator[Tensor]:
        """The whole sound, one piece after the other."""
        for start in range(0, self._length, _PIECE):
            yield self[start : start + _PIECE]


@contextmanager
def spooled(pieces: Iterable[np.ndarray]) -> Iterator[Spooled]:
    """A sound that comes in `pieces (samples,)`, in a temporary file.

    Raises `ValueError` where the disk is full.
    """
    with tempfile.TemporaryFile() as store:
        length, peak = 0, 0.0
        for piece in pieces:
            _write(store, piece)
            length += len(piece)
            peak = max(peak, float(np.abs(piece).max(initial=0.0)))
        yield Spooled(store, length, peak)


@contextmanager
def spool(path: str | Path, sample_rate: int) -> Iterator[Spooled]:
    """The sound of a file at `sample_rate` (Hz), one channel, in a temporary file.

    Raises as `vqlab.audio.load` does, and `ValueError` where the disk is full.
    """
    with spooled(_read(path, sample_rate)) as sound:
        yield sound


def _read(path: str | Path, sample_rate: int) -> Iterator[np.ndarray]:
    with reading.opened(path) as file:
        rate, total = file.samplerate, file.promise.samples or None
        with tqdm(total=total, unit="samples", desc="reading", delay=2, leave=False) as bar:
            for block in _resampled(reading.blocks(file), rate, sample_rate):
                yield block
                bar.update(round(len(block) * rate / sample_rate))


def _resampled(blocks: Iterable[np.ndarray], rate: int, wanted: int) -> Iterator[np.ndarray]:
    if rate == wanted:
        yield from blocks
        return
    resampler = soxr.ResampleStream(rate, wanted, 1, dtype="float32", quality="HQ")
    taken = given = 0
    for block in blocks:
        taken += len(block)
        done = resampler.resample_chunk(block.astype(np.float32))
        given += len(done)
        yield done
    done = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
    # soxr rounds the length its own way; a sample at the end is added or dropped.
    missing = -(-taken * wanted // rate) - given
    yield np.pad(done[:missing], (0, max(0, missing - len(done))))


def _write(store, block: np.ndarray) -> None:
    try:
        store.write(block.astype(np.float32).tobytes())
    except OSError as error:
        raise ValueError(
            f"The temporary file in {tempfile.gettempdir()} cannot be written ({error.strerror}): "
            "make room there, or set TMPDIR to a folder with more."
        ) from None
