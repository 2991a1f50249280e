"""Sound files in: any format that libsndfile knows, as one channel of float32.

The one idea: files come from anywhere, so `load` either returns numbers that can be used or says in
one sentence what is wrong and what to do; it never trusts the length that a header promises.
Decoding is libsndfile's (through soundfile).

Notebook: 01
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import torch
from torch import Tensor

from .headers import Header, Promise, look, promise
from .waveforms import HIGHEST_RATE, LOWEST_RATE, Tally, check_samples, resample

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


class Sound(soundfile.SoundFile):
    """An opened sound file, read once from its beginning to its end."""

    def __init__(self, path: Path, raw: BinaryIO) -> None:
        self.path = path
        self.header = look(raw, os.fstat(raw.fileno()).st_size)
        with _quiet(self.header.mpeg):
            # By its name where it may be: some formats without a header are known by their suffix.
            if self.header.end < self.header.size or self.header.mended:
                super().__init__(_Mended(raw, self.header))
            else:
                super().__init__(os.fsencode(path) if os.name == "posix" else str(path))
        self.promise: Promise = promise(self.header, self)

    def seekable(self) -> bool:
        """No: soundfile would seek after every block, which costs an MP3 decoder its state."""
        return False

    def read_block(self, room: np.ndarray) -> np.ndarray:
        with _quiet(self.subtype.startswith("MPEG")):
            return self.read(out=room)


class _Mended:
    """The first of joined sounds in a file, or one with a size filled in: what libsndfile sees."""

    def __init__(self, raw: BinaryIO, header: Header) -> None:
        raw.seek(0)
        self._raw, self._end = raw, header.end
        self._place, self._bytes = header.mended or (0, b"")

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            offset, whence = self._end + offset, os.SEEK_SET
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def read(self, count: int) -> bytes:
        start = self.tell()
        data = bytearray(self._raw.read(max(0, min(count, self._end - start))))
        for place, byte in enumerate(self._bytes, self._place - start):
            if 0 <= place < len(data):
                data[place] = byte
        return bytes(data)


_one_at_a_time = threading.Lock()


@contextmanager
def _quiet(wanted: bool) -> Iterator[None]:
    """Keep away what mpg123 writes to standard error; other threads' lines in that time go too."""
    if not wanted:
        yield
        return
    with _one_at_a_time:
        try:
            kept = os.dup(2)
        except OSError:  # closed
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


@contextmanager
def opened(path: str | Path) -> Iterator[Sound]:
    """The sound file, open for `blocks`; whatever goes wrong is said in one sentence.

    Raises as `load` does.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise ValueError(f"{path} is a folder; give the path of one sound file in it.")
        size = path.stat().st_size
        if not path.is_file():
            raise ValueError(f"{path} is a device or a pipe; give the path of a file.")
        if size == 0:
            raise ValueError(f"{path} is empty (0 bytes); copy or download it again.")
        if not os.access(path, os.R_OK):
            raise PermissionError
        with path.open("rb") as raw, Sound(path, raw) as file:
            if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
                raise ValueError(
                    f"{path} has a sample rate of {file.samplerate} Hz in its header, allowed are "
                    f"{LOWEST_RATE} to {HIGHEST_RATE}: it is damaged, or no recording of sound."
                )
            yield file
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            f"There is no file {path}; check the name and the folder."
        ) from None
    except PermissionError:
        raise ValueError(
            f"{path} may not be read by this user; change its permissions (chmod u+r)."
        ) from None
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        if isinstance(error, TypeError) and path.suffix.lower() != ".raw":
            raise
        raise ValueError(_unreadable(path, error)) from None


def _unreadable(path: Path, error: Any) -> str:
    if path.suffix.lower() in (".raw", ".pcm"):
        return (
            f"{path} holds samples without a header, so nothing tells their rate and kind; make a "
            "WAV of it with what you know, for 16 bits, 16 kHz and one channel: "
            "ffmpeg -f s16le -ar 16000 -ac 1 -i INPUT output.wav"
        )
    reason = str(getattr(error, "error_string", error)).rstrip(". ")
    return (
        f"{path} cannot be read as sound ({reason}); WAV, FLAC, OGG and MP3 can. If it is "
        "another format, convert it first, for example: ffmpeg -i INPUT output.wav"
    )


def blocks(file: Sound) -> Iterator[np.ndarray]:
    """What an opened file holds, averaged over its channels: float32 (samples,), a piece at a time.

    Decodes until nothing comes, so memory follows what is there, not what the header promises.
    Warns, and raises ValueError, as `load` does.
    """
    room = np.empty((_BLOCK, file.channels), np.float32)
    samples, damaged, tally = 0, False, Tally()
    while not damaged:
        room.fill(np.nan)
        try:
            block = file.read_block(room)
        except soundfile.LibsndfileError:
            # What was decoded before the damage lies in the room all the same.
            block = room[: int(np.isfinite(room).all(axis=1).cumprod().sum())]
            if not samples and len(block) == 0:
                raise
            damaged = True
        if len(block) == 0:
            break
        check_samples(block, str(file.path))
        samples += len(block)
        yield tally.add(block)
    if not samples:
        raise ValueError(f"{file.path} holds no samples, only a header; copy or record it again.")
    for remark in (*_about_length(file, samples, damaged), *tally.remarks()):
        warnings.warn(f"{file.path} {remark}", stacklevel=3)


def _about_length(file: Sound, samples: int, damaged: bool) -> Iterator[str]:
    kind, promised = file.promise
    if kind == "known" and samples < promised:
        yield (
            f"is cut short: its header promises {promised} samples, {samples} could be read and "
            "are used."
        )
    elif damaged:
        yield f"is damaged: {samples} samples could be read and are used."
    if file.header.mended:
        yield (
            f"was never finished: its header says that it holds nothing; the {samples} samples up "
            "to the end of the file are used."
        )
    if file.header.end < file.header.size:
        yield (
            f"holds several sounds, joined one after the other: only the first, {samples} samples, "
            "is used. Cut the file into its parts to use the others."
        )
