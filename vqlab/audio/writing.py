"""Sound files out: 16-bit WAV or FLAC, whole or not at all.

Notebook: 01
"""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Iterable
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from .waveforms import check_rate


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
    check_rate(sample_rate)
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
