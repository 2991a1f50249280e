"""Sound files in and out, and the few operations every sound goes through.

A sound is a mono float32 tensor `(samples,)` in [-1, 1] and its sample rate in Hz. The one idea
here: files come from anywhere, so `load` either returns numbers that can be used or says in
one sentence what is wrong and what to do; it never trusts the length that a header promises.
Decoding is libsndfile's (through soundfile), resampling is soxr's.

Notebook: 01
"""

from __future__ import annotations

import math
import os
import uuid
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor

_BLOCK = 1 << 12  # samples decoded at a time: all that a damaged place takes with it
_LOWEST_RATE, _HIGHEST_RATE = 1000, 1_000_000  # Hz; outside, a header is wrong
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
            if not _LOWEST_RATE <= file.samplerate <= _HIGHEST_RATE:
                raise ValueError(
                    f"{path} has a sample rate of {file.samplerate} Hz in its header, allowed are "
                    f"{_LOWEST_RATE} to {_HIGHEST_RATE}: it is damaged, or no recording of sound."
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


def save(path: str | Path, waveform: Tensor, sample_rate: int) -> None:
    """Write a mono sound as 16-bit WAV or FLAC (by the suffix of `path`).

    The file is written under another name beside its place and then renamed, so that a reader sees
    the old file or the whole new one. Warns, with the peak, when samples outside [-1, 1] were cut.

    waveform : Tensor (samples,), in [-1, 1]

    Raises ValueError for another suffix, shape or rate, or samples that are not numbers, and
    FileNotFoundError where the folder does not exist.
    """
    save_pieces(path, [torch.as_tensor(waveform)], sample_rate)


def save_pieces(path: str | Path, pieces: Iterable[Tensor], sample_rate: int) -> int:
    """As `save`, for a sound that comes piece by piece; returns its number of samples."""
    path = Path(path)
    if path.suffix.lower() not in (".wav", ".flac"):
        raise ValueError(f"Sound is saved as .wav or .flac, not as {path.name!r}; rename it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder {path.parent} does not exist; create it first.")
    _check_rate(sample_rate)
    beside = path.with_name(f".{path.stem}.{uuid.uuid4().hex}{path.suffix}")
    length, peak = 0, 0.0
    try:
        with soundfile.SoundFile(beside, "w", sample_rate, 1, subtype="PCM_16") as file:
            for piece in pieces:
                samples = _checked(piece, path)
                # 32768 both ways, so that a 16-bit file, loaded and saved, keeps every bit.
                integers = (samples * 32768.0).round().clamp(-32768, 32767).to(torch.int16)
                file.write(integers.numpy())
                length += len(samples)
                peak = max(peak, float(samples.abs().max()) if len(samples) else 0.0)
        os.replace(beside, path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise ValueError(
            f"{path} cannot be written ({error}); choose a folder that this user may write to."
        ) from None
    finally:
        beside.unlink(missing_ok=True)
    if peak > 1.0:
        warnings.warn(
            f"The waveform for {path} peaks at {peak:.3f}; what lies beyond 1 was cut off. Scale "
            "it first to avoid the distortion.",
            stacklevel=3,
        )
    return length


def resample(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Change the sample rate (Hz) with soxr's band-limited filter, high quality.

    waveform : Tensor (..., samples)
    returns  : Tensor (..., ceil(samples * to_rate / from_rate)), float32, on the same device

    Raises ValueError for a rate that is no whole number of Hz between 1,000 and 1,000,000.
    """
    _check_rate(from_rate)
    _check_rate(to_rate)
    if from_rate == to_rate or waveform.shape[-1] == 0:
        return waveform
    length = -(-waveform.shape[-1] * to_rate // from_rate)
    flat = waveform.detach().to("cpu", torch.float32).reshape(-1, waveform.shape[-1])
    done = [soxr.resample(row.numpy(), from_rate, to_rate, quality="HQ") for row in flat]
    # soxr rounds the length its own way; a sample at the end is added or dropped.
    rows = [np.pad(row[:length], (0, max(0, length - len(row)))) for row in done]
    stacked = torch.from_numpy(np.stack(rows)) if rows else torch.zeros(0, length)
    return stacked.reshape(*waveform.shape[:-1], length).to(waveform.device)


def level(waveform: Tensor) -> float:
    """RMS level in dBFS: 0 for a square wave at full scale, -3 for a sine, -inf for silence.

    waveform : Tensor of any shape; all samples count
    """
    if waveform.numel() == 0:
        return -math.inf
    power = float(waveform.detach().cpu().double().square().mean())
    return 10.0 * math.log10(power) if power > 0 else -math.inf


def set_level(waveform: Tensor, target_db: float) -> tuple[Tensor, float]:
    """Scale a sound to an RMS level in dBFS, but not so far that its peak leaves [-1, 1].

    Undo it with `waveform / 10 ** (gain_db / 20)`. Silence stays as it is, with gain 0.

    waveform : Tensor (..., samples); one gain for all of it
    returns  : scaled waveform, gain in dB that was really applied
    """
    present = level(waveform)
    if present < -700:  # silence, or so near to it that float32 cannot hold the factor
        return waveform, 0.0
    peak = float(waveform.detach().abs().max())
    # A millionth of a decibel less keeps the rounded product from passing 1.
    gain_db = min(target_db - present, -20.0 * math.log10(peak) - 1e-6)
    return waveform * 10.0 ** (gain_db / 20.0), gain_db


def fit_length(waveform: Tensor, length: int) -> Tensor:
    """Make a sound exactly `length` samples long without cutting the word in it.

    A shorter one gets zeros, evenly at both ends. From a longer one the window with the most energy
    is taken; where several windows next to each other hold practically the same (all but 0.01 %),
    the middle one, which has the word in its centre.

    waveform : Tensor (..., samples); a batch is cut at one common place
    returns  : Tensor (..., length)

    Raises ValueError for a length that is not a positive whole number.
    """
    if not isinstance(length, (int, np.integer)) or length < 1:
        raise ValueError(f"length must be a positive whole number of samples, not {length!r}.")
    samples = waveform.shape[-1]
    if samples <= length:
        before = (length - samples) // 2
        return torch.nn.functional.pad(waveform, (before, length - samples - before))
    power = waveform.detach().cpu().double().square().reshape(-1, samples).sum(0)
    total = torch.cat([power.new_zeros(1), power.cumsum(0)])
    energy = total[length:] - total[:-length]  # of the window that starts at each sample
    best = int(energy.argmax())
    good = energy >= energy[best] * (1.0 - 1e-4)
    gaps = torch.nonzero(~good).squeeze(1)
    first = int(gaps[gaps < best].max()) + 1 if (gaps < best).any() else 0
    last = int(gaps[gaps > best].min()) - 1 if (gaps > best).any() else len(energy) - 1
    start = (first + last) // 2
    return waveform[..., start : start + length]


def _checked(piece: Tensor, path: Path) -> Tensor:
    samples = piece.detach().to("cpu", torch.float64)
    if samples.ndim != 1:
        raise ValueError(
            f"One mono sound of shape (samples,) is saved, not {tuple(samples.shape)}; pick one "
            "of a batch, or average the channels."
        )
    if not torch.isfinite(samples).all():
        raise ValueError(f"The waveform for {path} holds NaN or infinite samples; nothing saved.")
    return samples


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


def _check_rate(sample_rate: int) -> None:
    whole = isinstance(sample_rate, (int, np.integer)) and not isinstance(sample_rate, bool)
    if not whole or not _LOWEST_RATE <= sample_rate <= _HIGHEST_RATE:
        raise ValueError(
            f"A sample rate is a whole number of Hz from {_LOWEST_RATE} to {_HIGHEST_RATE}, not "
            f"{sample_rate!r}; speech is commonly at 16000."
        )
