"""Where files are: what ships with the project, and where a user's recordings lie.

The one idea: nothing knows where it lives. What ships is found beside the package (a checkout) or
inside it (an installed wheel). Recordings are found through an option, through the environment
variable ``VQLAB_DATA``, or in the user's download folder, in this order.

Notebook: 00
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def bundled(*parts: str) -> Path:
    """The path of something that ships with the project, for example ``bundled("words")``.

    Raises FileNotFoundError when neither the checkout's ``data`` nor the wheel's ``vqlab/_data``
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

    With ``root`` only that folder; else ``VQLAB_DATA`` (when set) and the download folder.
    """
    if root is not None:
        return [Path(root).expanduser()]
    outside = os.environ.get("VQLAB_DATA", "").strip()
    return ([Path(outside).expanduser()] if outside else []) + [download_folder()]


def recordings_root(root: str | os.PathLike[str] | None = None) -> Path:
    """The first of `recordings_roots`, the one to write to or to name in a message."""
    return recordings_roots(root)[0]
