"""Sound files in: any format that libsndfile knows, as one channel of float32.

The one idea: files come from anywhere, so `load` either returns numbers that can be used or says in
one sentence what is wrong and what to do; it never trusts the length that a header promises.
Decoding is libsndfile's (through soundfile).

Notebook: 01
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from .waveforms import HIGHEST_RATE, LOWEST_RATE, resample

_BLOCK = 1 << 12  # samples decoded at a time: all that a damaged place takes with it
_ABSURD = 1e6  # a sample beyond this is no sound in any unit, and its power overflows float32


def load(path: str | Path, *, sample_rate: int | None = None) -> tuple[Tensor, int]:
    """Read a sound file (WAV, FLAC, OGG, MP3, …) as mono float32.

    Several channels are averaged. `sample_rate` (Hz) asks for resampling. A file that ends before
    the length in its header gives what is there, with a warning.

    returns : waveform (samples,), sample rate in Hz

    Raises FileNotFoundError where there is no such file, and ValueError for what cannot be read as
    sound: a folder, an empty file, another format, no samples, samples that are not numbers.
    """
    with opened(path) as file:
        rate = file.samplerate
        waveform = torch.from_numpy(np.concatenate(list(blocks(file))))
    if sample_rate is not None and sample_rate != rate:
        waveform, rate = resample(waveform, rate, sample_rate), sample_rate
    return waveform, rate


@contextmanager
def opened(path: str | Path) -> Iterator[soundfile.SoundFile]:
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
        with soundfile.SoundFile(path) as file:
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
    except (soundfile.LibsndfileError, OSError) as error:
        reason = str(getattr(error, "error_string", error)).rstrip(". ")
        raise ValueError(
            f"{path} cannot be read as sound ({reason}); WAV, FLAC, OGG and MP3 can. If it is "
            "another format, convert it first, for example: ffmpeg -i INPUT output.wav"
        ) from None


def blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """What an opened file holds, averaged over its channels: float32 (samples,), a piece at a time.

    Decodes until nothing comes, so memory follows what is there, not what the header promises.
    Warns where that is less. Raises ValueError for samples that are not numbers, and for none.
    """
    path = Path(file.name)
    promised = _promised(path, path.stat().st_size, file)
    room = np.empty((_BLOCK, file.channels), np.float32)
    samples, damaged = 0, False
    while not damaged:
        room.fill(np.nan)
        try:
            block = file.read(out=room)
        except soundfile.LibsndfileError:
            # What was decoded before the damage lies in the room all the same.
            block = room[: int(np.isfinite(room).all(axis=1).cumprod().sum())]
            if not samples and len(block) == 0:
                raise
            damaged = True
        if len(block) == 0:
            break
        if not np.isfinite(block).all() or np.abs(block).max() > _ABSURD:
            raise ValueError(
                f"{path} holds samples that are NaN, infinite or beyond {_ABSURD:g}, so it is "
                "damaged or was computed wrongly; write it again with values in [-1, 1]."
            )
        samples += len(block)
        yield block.mean(axis=1)
    if not samples:
        raise ValueError(f"{path} holds no samples, only a header; copy or record it again.")
    if damaged:
        promised = max(promised or 0, samples + 1)
    if promised is not None and samples < promised:
        warnings.warn(
            f"{path} is cut short: its header promises {promised} samples, {samples} could "
            "be read and are used.",
            stacklevel=3,
        )


def _promised(path: Path, size: int, file: soundfile.SoundFile) -> int | None:
    """Samples per channel by the header; libsndfile itself quietly believes the size of a WAV."""
    if file.format not in ("WAV", "WAVEX"):
        return file.frames if 0 < file.frames < 2**40 else None
    with open(path, "rb") as raw:
        position, frame_bytes = 12, 0
        while position + 8 <= size:
            raw.seek(position)
            name, length = raw.read(4), int.from_bytes(raw.read(4), "little")
            if name == b"fmt ":
                frame_bytes = int.from_bytes(raw.read(14)[12:14], "little")  # nBlockAlign
            if name == b"data":
                # Programs that write to a pipe leave the largest number: that promises nothing.
                known = (
                    frame_bytes
                    and length < 0xFFFFFF00
                    and file.subtype.startswith(("PCM", "FLOAT", "DOUBLE", "ULAW", "ALAW"))
                )
                return length // frame_bytes if known else None
            position += 8 + length + length % 2
    return None
