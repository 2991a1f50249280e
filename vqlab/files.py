"""Files: where they lie, written whole or not at all, and read without running anyone's code.

Nothing knows where it lives. What ships is found beside the package (a checkout) or inside it (an
installed wheel). Recordings are found through an option, through the environment variable
`VQLAB_DATA`, or in the user's download folder, in this order. safetensors hold numbers and a few
strings; a pickle (`torch.save`) can hold any program, which is why none is read or written here.

Notebook: 06
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

_PACKAGE = Path(__file__).resolve().parent


def bundled(*parts: str) -> Path:
    """The path of something that ships with the project, for example `bundled("words")`.

    Raises FileNotFoundError when neither the checkout's `data` nor the wheel's `vqlab/_data`
    holds it.
    """
    places = [_PACKAGE.parent / "data", _PACKAGE / "_data"]
    for place in places:
        path = place.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError(
        f"{'/'.join(parts)!r} is not among the data that ship with vqlab (looked in "
        f"{' and '.join(map(str, places))}). Install vqlab again, or work in a full checkout."
    )


def download_folder() -> Path:
    """The user's download folder for vqlab; it need not exist yet."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "vqlab"


def recordings_roots(root: str | os.PathLike[str] | None = None) -> list[Path]:
    """The folders to search for recordings, first choice first.

    With `root` only that folder; else `VQLAB_DATA` (when set) and the download folder.
    """
    if root is not None:
        return [Path(root).expanduser()]
    outside = os.environ.get("VQLAB_DATA", "").strip()
    return ([Path(outside).expanduser()] if outside else []) + [download_folder()]


def recordings_root(root: str | os.PathLike[str] | None = None) -> Path:
    """The first of `recordings_roots`, the one to write to or to name in a message."""
    return recordings_roots(root)[0]


def save_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write safetensors beside `path`, then rename: a half-written file is never found there."""
    data = save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)
    write_whole(path, data)


def write_whole(path: str | Path, data: bytes) -> None:
    """Write `data` beside `path`, then rename. An `OSError` names `path`."""
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        raise type(error)(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        part.unlink(missing_ok=True)


def load_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file. Raises `ValueError` for a damaged one."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}): copy it again, or delete it") from None


def load_json(path: Path) -> Any:
    """What a JSON file holds. Raises `ValueError` for a damaged one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): delete it to begin anew") from None
