"""Weights that ship with the package, and the two functions most people want.

Notebook: 00
"""

from __future__ import annotations

import copy
import math
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
from torch import Tensor

from .. import audio
from ..audio.long import spool
from ..files import bundled, write_whole, written_place
from ..files.codecs import EARLIER, Bytes, find_codec, read, weights_at_hand
from .codec import Codec
from .packing import unpack


def load_pretrained(name: str | Path = "speech") -> Codec:
    """A codec by the name of its shipped weights, or by a path: of its file, or of a run's folder.

    Each caller has one of his own. Raises `ValueError` for a name that does not ship,
    `FileNotFoundError` for a missing file.
    """
    codec = _kept(name)
    return copy.deepcopy(codec, {id(codec.tables): codec.tables})  # which nobody changes in place


def _kept(name: str | Path) -> Codec:
    """As `load_pretrained`, but shared: a file is read once and kept until it is another one."""
    name = str(name)
    shipped = sorted(path.stem for path in bundled("weights").glob("*.safetensors"))
    if name in shipped:
        path = bundled("weights", f"{name}.safetensors")
    elif name.endswith(".safetensors") or Path(name).is_dir():
        path = find_codec(name)
    else:
        raise ValueError(
            f"no weights called {name!r} ship with vqlab: take one of {', '.join(shipped)}, or "
            "give the path of a codec.safetensors or of a run's folder that a training left"
        )
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: check the name")
    found = path.stat()
    return _read_codec(path.resolve(), found.st_mtime_ns, found.st_size, found.st_ino)


@lru_cache(maxsize=4)
def _read_codec(path: Path, *what_it_is: int) -> Codec:
    return Codec.load(path)


def compress(
    path_or_waveform: str | Path | Tensor | np.ndarray,
    out: str | Path | None = None,
    *,
    sample_rate: int | None = None,
    model: str | Path = "speech",
    kbps: float | None = None,
) -> bytes:
    """Bytes of a sound: header, codes, checksum; also written to `out` if given.

    path_or_waveform : a sound file, or a waveform `(samples,)` in [-1, 1] with its `sample_rate`
        (left out: the model's). Files are mixed to one channel; both are resampled as needed.
        What is odd about either is said in a warning.
    kbps : upper bound on the size of the whole result, in 1000 bits for a second of sound (None: 1,
        or the lowest rate of the model); the quality that comes nearest to it is used. A very short
        sound passes it, because header and checksum alone take 10 bytes.

    A file may be of any length: it goes through in blocks, and only its codes stay in memory.

    Raises `ValueError` or `FileNotFoundError` for what cannot be read or coded.
    """
    place = None if out is None else written_place(out, inputs=[path_or_waveform])
    codec = _kept(model)
    kbps = codec.usual_kbps if kbps is None else kbps
    if isinstance(path_or_waveform, Tensor | np.ndarray):
        waveform = audio.one_sound(path_or_waveform)
        audio.warn_of_oddities(waveform)
        if sample_rate is not None:
            waveform = audio.resample(waveform, sample_rate, codec.sample_rate)
        data = codec.compress(waveform, kbps)
    else:
        with spool(path_or_waveform, codec.sample_rate) as sound:
            data = codec.compress(sound, kbps)
    if place is not None:
        write_whole(place, data)
    return data


def codec_of(data: bytes) -> Path:
    """The file of the codec that wrote a packed file, which opens with no other; by its identity.

    Raises `ValueError` for what is no packed file, and where that codec is not at hand.
    """
    wanted, at_hand = unpack(data).identity.hex(), []
    for path in weights_at_hand():
        found = _kept(path).identity().hex()
        if found == wanted:
            return path
        at_hand.append(f"{path.stem} ({found})")
    raise ValueError(
        f"this file was made with other weights (identity {wanted}) than "
        f"{' and '.join(at_hand)}: give the model it was compressed with (model=, on the command "
        f"line --model; vqlab's repository has weights that shipped once in its folder {EARLIER})"
    )


def decompress(
    path_or_bytes: str | Path | Bytes, *, model: str | Path | None = None
) -> tuple[Tensor, int]:
    """Waveform `(samples,)` and sample rate of what `compress` gave.

    model : what it was compressed with (None: `codec_of` the file)

    It may leave [-1, 1] where the original came near to it: `vqlab.audio.quieter` brings it back.
    Raises `ValueError` for bytes that are damaged, cut off, or made with other weights.
    """
    data = read(path_or_bytes)
    codec = _kept(model or codec_of(data))
    return codec.decode(*codec.from_bytes(data)), codec.sample_rate


def decompress_to(
    path_or_bytes: str | Path | Bytes, out: str | Path, *, model: str | Path | None = None
) -> float:
    """Write the sound of a packed file to `out`, block by block; returns its seconds.

    A sound that would leave [-1, 1] is turned down as a whole, with a warning that says how far.
    Raises as `decompress` and `vqlab.audio.save` do.
    """
    place = written_place(out, inputs=[path_or_bytes])
    data = read(path_or_bytes)
    codec = _kept(model or codec_of(data))
    decoded = codec.decode_blocks(*codec.from_bytes(data))
    with audio.spooled(piece.numpy() for piece in decoded) as sound:
        over = max(1.0, sound.peak)
        pieces = (piece / over for piece in sound.pieces())
        seconds = audio.save_pieces(place, pieces, codec.sample_rate) / codec.sample_rate
    if over > 1:
        warnings.warn(
            f"{out} is turned down by {20 * math.log10(over):.1f} dB: at its own level it would "
            "be cut off at full scale.",
            stacklevel=2,
        )
    return seconds
