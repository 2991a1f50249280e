"""Fetch a file over the network, check it, and unpack it safely.

The one idea: nothing is there under its final name before it is whole. A file grows under a name
ending in `.part`, where the next attempt goes on; an archive is unpacked under another name and
renamed at the end. So an interrupted download loses nothing, and a wrong or harmful archive leaves
nothing behind.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import os
import shutil
import tarfile
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from tqdm.auto import tqdm

from .. import files

_BLOCK = 1 << 20
_TRIES = 5
MOST_BYTES = 8 << 30  # unpacked, Speech Commands takes 3.5 GB
MOST_FILES = 200_000
# tarfile's own rules, in Python from 3.11.4 on; `refuse_harmful` is at least as strict.
_FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def fetch(url: str, part: Path) -> None:
    """Download `url` into `part`, going on where an earlier attempt stopped.

    Raises ConnectionError with one sentence; what has arrived stays for the next attempt.
    """
    reason: object = ""
    for _ in range(_TRIES):
        before = part.stat().st_size if part.exists() else 0
        try:
            if _fetch_once(url, part):
                return
            reason = "the connection was closed"
        except urllib.error.HTTPError as error:
            if error.code == 416 and before:  # more is here than the server has: begin again
                part.unlink()
                continue
            reason = f"the server answered {error.code} {error.reason}"
            break
        except urllib.error.URLError as error:
            reason = error.reason
        except (OSError, http.client.HTTPException) as error:
            reason = error
        if (part.stat().st_size if part.exists() else 0) <= before:
            break  # nothing came: trying again at once will not help
    here = part.stat().st_size if part.exists() else 0
    raise ConnectionError(
        f"Could not download {url}: {reason}. "
        + (f"{here / 1e6:.1f} MB are kept in {part}; " if here else "")
        + "run the same command again, when there is a network, to go on."
    )


def _fetch_once(url: str, part: Path) -> bool:
    """One request; True when the file is whole."""
    here = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "vqlab"})
    if here:
        request.add_header("Range", f"bytes={here}-")
    with urllib.request.urlopen(request, timeout=30) as answer:
        # 206 sends the rest, and says from where; 200 sends everything from the beginning.
        start = answer.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
        resumed = answer.status == 206 and start == str(here)
        if answer.status == 206 and not resumed:
            raise http.client.HTTPException(f"the server sent the wrong part ({start!r})")
        length = answer.headers.get("Content-Length")
        total = None if length is None else int(length) + (here if resumed else 0)
        with (
            open(part, "ab" if resumed else "wb") as file,
            tqdm(
                desc=part.name.removesuffix(".part"), total=total, initial=file.tell(), unit="B",
                unit_scale=True, leave=False,
            ) as bar,
        ):  # fmt: skip
            while block := answer.read(_BLOCK):
                file.write(block)
                bar.update(len(block))
    return total is None or part.stat().st_size == total


def fetch_verified(url: str, file: Path, expected: str) -> None:
    """Have `file` on disk with the checksum `expected`; what is there already is not fetched.

    expected : the algorithm and the checksum, `"sha256:af14…"` or `"md5:5e6f…"`
    Raises ValueError when the checksum is another (the file is deleted); ConnectionError.
    """
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(file.name + ".part")
        fetch(url, part)
        part.replace(file)
    algorithm, _, known = expected.partition(":")
    found = checksum(file, algorithm)
    if found != known:
        file.unlink()
        name = {"sha256": "SHA-256", "md5": "MD5"}[algorithm]
        raise ValueError(
            f"The archive {file.name} has the {name} {found}, not {known}: it is damaged or not "
            "the set. It was deleted; run the same command again."
        )


def checksum(path: Path, algorithm: str = "sha256") -> str:
    """The checksum of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def unpack(
    archive: Path,
    target: Path,
    *,
    inside: str | None = None,
    most_bytes: int = MOST_BYTES,
    most_files: int = MOST_FILES,
) -> None:
    """Unpack a tar archive into the new folder `target`, which appears only when all is there.

    inside : the one folder in the archive that becomes `target`; None takes all
    Refused, with a ValueError and nothing left: absolute names, "..", links, devices, more than
    `most_bytes` of content or `most_files` files, an archive that is cut off or has no folder
    `inside`.
    """
    work = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(work, ignore_errors=True)  # of an attempt that was killed
    work.mkdir(parents=True)
    size = 0
    try:
        with _opened(archive) as file, tarfile.open(fileobj=_Sparing(file), mode="r:") as tar:
            for count, member in enumerate(tqdm(tar, "unpacking", delay=2, leave=False)):
                refuse_harmful(member)
                size += member.size
                if size > most_bytes or count >= most_files:
                    raise ValueError(
                        f"The archive {archive.name} holds more than {most_bytes:,} bytes or "
                        f"{most_files:,} files; it is not the set and was not unpacked."
                    )
                tar.extract(member, work, **_FILTER)
        whole = work if inside is None else work / inside
        if not whole.is_dir():
            raise ValueError(f"The archive {archive.name} holds no folder {inside}: not the set.")
        whole.replace(target)
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk is full, or not ours to write: the archive is not to blame
        raise ValueError(f"The archive {archive.name} cannot be unpacked: {error}.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _opened(archive: Path) -> Any:
    """The archive's content as a file, whether it is compressed by gzip or not."""
    with archive.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(archive) if packed else archive.open("rb")


class _Sparing:
    """A file that gives at most 16 MB at a time: tarfile reads the long names of members, of
    whatever length an archive claims for them, in one go."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= 1 << 24:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def unpacked(archive: Path, inside: str, **limits: int) -> Path:
    """The folder `inside` of an archive, unpacked at its first use.

    It comes to lie beside the archive, or in the download folder where that cannot be written.
    """
    places = [archive.parent, files.download_folder() / archive.parent.name]
    for place in places:
        if (place / inside).is_dir():
            return place / inside
    place = places[0] if os.access(places[0], os.W_OK) else places[1]
    place.mkdir(parents=True, exist_ok=True)
    unpack(archive, place / inside, inside=inside, **limits)
    return place / inside


def refuse_harmful(member: tarfile.TarInfo) -> None:
    """Only files and folders inside the target may come out of an archive."""
    name = member.name
    outside = (
        PurePosixPath(name).is_absolute()
        or PureWindowsPath(name).drive
        or PureWindowsPath(name).root
        or ".." in PureWindowsPath(name).parts
    )
    if outside or not (member.isfile() or member.isdir()):
        raise ValueError(
            f"The archive holds {name!r}, which "
            f"{'points outside its folder' if outside else 'is neither a file nor a folder'}; "
            "nothing was unpacked."
        )
