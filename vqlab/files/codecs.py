"""Files of codecs, and the packed files that they write: which there are, and what they hold.

`bundled` codecs ship; the file of any other one lies in the folder of its training.
"""

from __future__ import annotations

from pathlib import Path

from . import bundled

Bytes = bytes | bytearray | memoryview
CODEC = "codec.safetensors"
"""The codec in the folder of its training."""
EARLIER = "earlier"
"""Folder of the repository, in no wheel, with codecs that shipped once: their files still open."""


def weights_at_hand() -> list[Path]:
    """The files of codecs that ship, and in a checkout also those in its folder `EARLIER`."""
    weights = bundled("weights")  # in a wheel nothing lies beside the folder it is in
    folders = [weights, weights.parents[1] / EARLIER]
    return [path for folder in folders for path in sorted(folder.glob("*.safetensors"))]


def find_codec(path: str | Path) -> Path:
    """The codec's file: `path` itself, or that in a run's folder, or in a grid's of one run.

    Raises `FileNotFoundError` for a folder without one, `ValueError` where there are several.
    """
    path = Path(path)
    if not path.is_dir() or (path / CODEC).is_file():
        return path / CODEC if path.is_dir() else path
    found = sorted(path.glob(f"*/{CODEC}"))
    if len(found) > 1:
        names = ", ".join(each.parent.name for each in found)
        raise ValueError(f"{path} holds {len(found)} models: name one of them, {path}/ and {names}")
    if not found:
        raise FileNotFoundError(
            f"{path} holds no {CODEC}: a training that reached its end leaves one (for an older "
            f"run of a grid of sounds, `python -m vqlab train -f {path}/config.yaml --out "
            f"{path.parent}` adds it)"
        )
    return found[0]


def read(path_or_bytes: str | Path | Bytes) -> bytes:
    """The bytes of a packed file. Raises `FileNotFoundError` or `ValueError` (too large)."""
    if isinstance(path_or_bytes, Bytes):
        return bytes(path_or_bytes)
    path = Path(path_or_bytes)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: check the name")
    if path.stat().st_size > 2**28:
        raise ValueError(f"{path} has {path.stat().st_size} bytes: no .vql file is that large")
    return path.read_bytes()
