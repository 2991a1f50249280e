"""Files: where they lie, written whole or not at all, and read without running anyone's code.

Nothing knows where it lives. What ships is found beside the package (a checkout) or inside it (an
installed wheel). Recordings are found through an option, through the environment variable
`VQLAB_DATA`, or in the user's download folder, in this order. safetensors hold numbers and a few
strings; a pickle (`torch.save`) can hold any program, which is why none is read or written here.
`sounds` opens sound files, `headers` says how far theirs can be believed.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import IO, Any, BinaryIO

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # on Windows a killed writer's file stays until it is removed by hand
    fcntl = None

_PACKAGE = Path(__file__).resolve().parents[1]


def bundled(*parts: str) -> Path:
    """The path of something that ships with the project, for example `bundled("words")`.

    Raises FileNotFoundError when neither the checkout nor the wheel's `vqlab/_data` holds it.
    """
    rooms = ("data", "notebooks", "benchmarks", "docs")
    places = [*(_PACKAGE.parent / room for room in rooms), _PACKAGE / "_data"]
    for place in places:
        path = place.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError(
        f"{'/'.join(parts)!r} is not among the data that ship with vqlab (looked in "
        f"{', '.join(map(str, places))}). Install vqlab again, or work in a full checkout."
    )


def beside_notebooks(*rooms: str) -> list[str]:
    """Folders of what teaches, in the checkout or in the wheel, for the `__path__` of a package."""
    places = (_PACKAGE.parent / "notebooks", _PACKAGE / "_data")
    return [str(place / room) for place in places for room in rooms if (place / room).is_dir()]


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


def find_recordings(
    look: Callable[[Path], Path | None],
    root: str | os.PathLike[str] | None,
    what: str,
    *,
    holds: str,
    more: str = ".",
) -> Path:
    """What `look` finds in the first of `recordings_roots` that has it.

    Raises FileNotFoundError where none has: no `what`, and how to name the folder that `holds` it;
    `more` ends the sentence.
    """
    places = [Path(os.path.abspath(place)) for place in recordings_roots(root)]
    for place in places:
        if found := look(place):
            return found
    raise FileNotFoundError(
        f"No {what} in {' or '.join(map(str, places))}. Name the folder that holds {holds} as "
        f"root, or in the environment variable VQLAB_DATA{more}"
    )


def save_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write a safetensors file, whole or not at all."""
    data = save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)
    write_whole(path, data)


def write_whole(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all; a link there is replaced. As `whole_file`."""
    with whole_file(Path(path)) as file:
        file.write(data)


@contextmanager
def whole_file(place: Path) -> Iterator[BinaryIO]:
    """A file to write to; it takes its place when the block ends without an error.

    Until then it lies beside its place under a name that nobody can foresee
    (`.NAME.XXXXXXXX.part`), so readers see the old file or the whole new one, and two writers do
    not meet. What a killed writer left behind, the next one to the same place sweeps away. The
    file gets the permissions of the one it replaces, else those of the user's umask.

    Raises OSError, with a sentence and the name, where that is not possible or the disk is full.
    """
    _sweep(place)
    beside = place.with_name(f"{_stem(place)}{secrets.token_hex(4)}{_PART}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(beside, flags, 0o666), "w+b") as file:
            _lock(file)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if place.is_file() and not place.is_symlink():
                mode = place.stat().st_mode & 0o777
                if mode != beside.stat().st_mode & 0o777:  # not every file system can change it
                    os.chmod(beside, mode)
        os.replace(beside, place)
    except OSError as error:
        if error.filename not in (None, str(beside), str(place)):
            raise  # not about this file
        text = _REASONS.get(error.errno or 0, error.strerror or str(error))
        raise OSError(error.errno, text, str(place)) from None
    finally:
        beside.unlink(missing_ok=True)


def written_place(path: str | Path, *, inputs: Iterable[Any] = ()) -> Path:
    """Where a result that a person named is written: the file itself, or the target of a link.

    inputs : what the result is made from; only the names of files count

    Warns of a link. Raises ValueError for one that leads nowhere, for what is no file (a folder, a
    device, a pipe), and for one of the `inputs`.
    """
    path = place = Path(path)
    if path.is_symlink():
        place = path.resolve()
        if not place.exists():
            raise ValueError(f"{path} is a link to {place}, which does not exist; remove the link.")
        warnings.warn(f"{path} is a link; {place} is written.", stacklevel=2)
    if place.is_dir():
        raise ValueError(f"{path} is a folder; give the name of a file in it.")
    if place.exists() and not place.is_file():
        raise ValueError(f"{path} is a device or a pipe; give the name of a file, or - for output.")
    for other in [Path(name) for name in inputs if isinstance(name, str | Path)]:
        if place.exists() and other.exists() and place.samefile(other):
            raise ValueError(f"{path} is the file that is read; give the result another name.")
    return place


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Have `folder`, which is made where it is absent, for this process alone.

    Another process that has it is waited for, with a warning, or, without `wait`, ends it with a
    ValueError. A killed one has nothing any more: the system gives back its lock on the file
    `.lock` in the folder. On a file system without locks, as Google Drive's in Colab may be,
    nobody waits.
    """
    mark = folder / ".lock"
    while True:
        folder.mkdir(parents=True, exist_ok=fcntl is not None)
        try:
            handle = os.open(mark, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except FileNotFoundError:
            continue  # the other one has just removed its folder
        with os.fdopen(handle, "w") as file:
            try:
                _lock(file)
            except BlockingIOError:
                if not wait:
                    raise ValueError(
                        f"another process works in {folder}: wait for its end, or give another "
                        "folder"
                    ) from None
                warnings.warn(f"Another process works in {folder}; it is waited for.", stacklevel=4)
                _lock(file, wait=True)
            if mark.exists() and os.path.samestat(os.fstat(handle), mark.stat()):
                yield
                return


def append_text(path: Path, text: str) -> None:
    """Add `text` to a file of a run's folder. Raises ValueError where it is a link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    if path.is_symlink():
        raise ValueError(f"{path} is a link out of its folder, so it is not written; remove it.")
    with os.fdopen(os.open(path, flags, 0o666), "a", encoding="utf-8") as file:
        file.write(text)


_PART = ".part"
_NO_LOCKS = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL)
_SECONDS_TO_LOCK = 60  # far more than from the making of such a file to its lock
_REASONS = {
    errno.ENOSPC: "the disk is full; make room there and do it again",
    errno.EDQUOT: "your share of the disk is used up; make room there and do it again",
    errno.EFBIG: "the file is larger than allowed here (ulimit -f)",
    errno.ENOENT: "the folder does not exist; make it first",
    errno.ENOTDIR: "the folder does not exist; make it first",
    errno.EACCES: "this user may not write there; choose another folder",
    errno.EROFS: "nothing can be written there; choose another folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


def _stem(place: Path) -> str:
    return f".{place.name[:60]}."


def _sweep(place: Path) -> None:
    """Remove what writers to `place` left that do not live any more: nobody holds their lock."""
    if fcntl is None or not place.parent.is_dir():
        return
    for path in place.parent.iterdir():
        name = path.name
        own = name.startswith(_stem(place)) and name.endswith(_PART)
        if not own or len(name) != len(_stem(place)) + 8 + len(_PART) or path.is_symlink():
            continue
        with suppress(OSError):  # alive, or another user's, or gone meanwhile
            if time.time() - path.stat().st_mtime > _SECONDS_TO_LOCK:
                with path.open("rb") as file:
                    if _lock(file):
                        path.unlink()


def _lock(file: IO[Any], *, wait: bool = False) -> bool:
    """Lock a file; False where the system, or the file system, has no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


def load_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file. Raises `ValueError` for a damaged one."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except SafetensorError as error:
        said = str(error)[:100]  # the library names all types there are
        raise ValueError(f"{path} is damaged ({said}): copy it again, or delete it") from None


def load_json(path: Path) -> dict[str, Any]:
    """The mapping that a JSON file holds. Raises `ValueError` for a damaged one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it is no mapping")
        return found
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it to begin anew") from None
