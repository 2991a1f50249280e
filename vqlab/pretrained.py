"""Weights that ship with the package, and the two functions most people want.

Notebook: 00
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import audio
from ._paths import bundled
from .checkpoints import write_whole
from .codec import Codec
from .packing import MOST_SAMPLES, Packed, pack, unpack, unpack_bits


def load_pretrained(name: str = "speech") -> Codec:
    """A codec by the name of its shipped weights, or by the path of a ``codec.safetensors``.

    A file is read once and kept until it changes. Raises ``ValueError`` for a name that does not
    ship, ``FileNotFoundError`` for a missing file.
    """
    if name.endswith(".safetensors"):
        path = Path(name)
    else:
        shipped = sorted(path.stem for path in bundled("weights").glob("*.safetensors"))
        if name not in shipped:
            raise ValueError(
                f"no weights called {name!r} ship with vqlab: take one of {', '.join(shipped)}, or "
                "give the path of a codec.safetensors that a training left"
            )
        path = bundled("weights", f"{name}.safetensors")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: check the name")
    return _read_codec(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _read_codec(path: Path, changed: int) -> Codec:
    return Codec.load(path)


def compress(
    path_or_waveform: str | Path | Tensor | np.ndarray,
    out: str | Path | None = None,
    *,
    sample_rate: int | None = None,
    model: str = "speech",
    kbps: float = 1.0,
) -> bytes:
    """Bytes of a sound: header, codes, checksum; also written to ``out`` if given.

    path_or_waveform : a sound file, or a waveform ``(samples,)`` with its ``sample_rate``
        (left out: the model's). Files are mixed to one channel; both are resampled as needed.
    kbps : upper bound on the size of the whole result, in 1000 bits for a second of sound; the
        highest quality that fits is used.

    A sound may last up to ten minutes: it is coded in one piece.

    Raises ``ValueError`` or ``FileNotFoundError`` for what cannot be read or coded.
    """
    codec = load_pretrained(model)
    if isinstance(path_or_waveform, Tensor | np.ndarray):
        waveform = torch.as_tensor(path_or_waveform)
        if sample_rate is not None:
            waveform = audio.resample(waveform, sample_rate, codec.sample_rate)
    else:
        waveform, _ = audio.load(path_or_waveform, sample_rate=codec.sample_rate)
    if len(waveform) > MOST_SAMPLES:
        raise ValueError(
            f"the sound has {len(waveform) / codec.sample_rate:.0f} s, at most "
            f"{MOST_SAMPLES / codec.sample_rate:.0f} s can be coded in one piece: cut it into parts"
        )
    quality = codec.quality_for(waveform, kbps)
    data = pack_waveform(codec, waveform, quality)
    if out is not None:
        write_whole(out, data)
    return data


def decompress(path_or_bytes: str | Path | bytes, *, model: str = "speech") -> tuple[Tensor, int]:
    """Waveform ``(samples,)`` and sample rate of what :func:`compress` gave.

    Raises ``ValueError`` for bytes that are damaged, cut off, or made with other weights.
    """
    codec = load_pretrained(model)
    data = path_or_bytes if isinstance(path_or_bytes, bytes) else read(path_or_bytes)
    packed = unpack(data)
    if packed.identity != codec.identity():
        raise ValueError(
            f"this file was made with other weights (identity {packed.identity.hex()}) than "
            f"{model!r} ({codec.identity().hex()}): give the model it was compressed with"
        )
    codes = unpack_codes(codec, packed)
    return codec.decode(codes, packed.samples, packed.gain_db), codec.sample_rate


def pack_waveform(codec: Codec, waveform: Tensor, quality: int) -> bytes:
    """The packed file of ``waveform (samples,)`` at a quality."""
    codes, gain_db = codec.encode(waveform, quality=quality)
    present = codes[0][codes[0] >= 0].numpy()  # in reading order: stage by stage
    bits = codec.bits_per_code
    return pack(codec.identity(), quality, gain_db, len(waveform), present, bits)


def unpack_codes(codec: Codec, packed: Packed) -> Tensor:
    """Codes ``(1, stages, *positions)`` of a packed file, -1 where there is none.

    Raises ``ValueError`` if the file has more or fewer bytes than its quality needs.
    """
    bits, positions = codec.bits_per_code, math.prod(codec.grid(packed.samples))
    first = torch.from_numpy(unpack_bits(packed.payload, positions, bits))
    if int(first.max()) >= codec.model.bottleneck.codebook_sizes[0]:
        raise ValueError("the file holds codes that the model does not have: it is not valid")
    depth = codec.depth(first, packed.quality)
    present = torch.arange(len(codec.rates))[:, None] < depth  # (stages, positions)
    expected = -(-int(depth.sum()) * bits // 8)
    if len(packed.payload) != expected:
        raise ValueError(
            f"{len(packed.payload)} bytes of codes where {expected} belong: the file is not valid"
        )
    codes = torch.full(present.shape, -1)
    codes[present] = torch.from_numpy(unpack_bits(packed.payload, int(depth.sum()), bits))
    return codes.reshape(1, len(codec.rates), *codec.grid(packed.samples))


def read(path: str | Path) -> bytes:
    """The bytes of a packed file. Raises ``FileNotFoundError`` or ``ValueError`` (too large)."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: check the name")
    if path.stat().st_size > 2**28:
        raise ValueError(f"{path} has {path.stat().st_size} bytes: no .vql file is that large")
    return path.read_bytes()
