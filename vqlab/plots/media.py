"""Pictures and sounds as text, to be put into a page: PNG and FLAC in a data URI.

A page that carries what it shows asks nothing of the network. Pictures have few colours and sounds
16 bits, so that a saved notebook stays small.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import soundfile
from torch import Tensor

RANGE_DB = 70.0
"""Pictures of spectrograms reach this many decibels below the loudest point shown."""


def data_uri(kind: str, data: bytes) -> str:
    """`data` of a media type, for example "image/png", as the address of itself."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def sound_uri(waveform: Any, sample_rate: int) -> str:
    """A sound (samples,) as a data URI: 16-bit FLAC (lossless) or WAV, whichever is shorter.

    Turned down where it would clip.
    """
    samples = np.asarray(waveform, dtype=np.float64)
    samples = samples / max(1.0, float(np.abs(samples).max()))
    whole = np.clip(np.round(samples * 32768), -32768, 32767).astype(np.int16)
    files = {}
    for name in ("FLAC", "WAV"):
        memory = io.BytesIO()
        soundfile.write(memory, whole, sample_rate, format=name, subtype="PCM_16")
        files[f"audio/{name.lower()}"] = memory.getvalue()
    kind = min(files, key=lambda name: len(files[name]))
    return data_uri(kind, files[kind])


def png(pixels: np.ndarray, palette: np.ndarray | None = None, **options: Any) -> bytes:
    """Bytes (height, width) or (height, width, 3) as a PNG file.

    palette : uint8 (colours, 3); the pixels are numbers of its rows
    """
    from PIL import Image

    picture = Image.fromarray(pixels)
    if palette is not None:
        picture.putpalette(palette.tobytes())
    memory = io.BytesIO()
    picture.save(memory, format="PNG", optimize=True, **options)
    return memory.getvalue()


def grey(values: Tensor, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Values `(rows, columns)` as bytes: low black, high white."""
    scaled = (values - low) / max(high - low, 1e-9)
    return (scaled.clamp(0, 1) * 255).round().numpy().astype(np.uint8)


def magma(colours: int) -> np.ndarray:
    """So many colours from black over violet to light yellow, uint8 (colours, 3)."""
    from matplotlib import colormaps

    return np.round(colormaps["magma"](np.linspace(0, 1, colours))[:, :3] * 255).astype(np.uint8)
