"""Fetch a file over the network, check it, and unpack it safely.

The one idea: nothing is there under its final name before it is whole. A file grows under a name
ending in `.part`, where the next attempt goes on; an archive is unpacked in a folder of its own,
which one process has at a time, and is renamed at the end. So an interrupted download loses
nothing, and a wrong or harmful archive leaves nothing behind.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import http.client
import os
import shutil
import stat
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PureWindowsPath
from typing import IO, Any

from tqdm.auto import tqdm

from .. import files

_BLOCK = 1 << 20
_TRIES = 5
_MOST_HEADER = 1 << 16  # also the largest piece of a file's content that tarfile asks for
COMPLETE = ".complete"
"""A file in every folder that was unpacked whole; its first word is the number of the others."""


def fetch(url: str, part: Path, size: int | None = None) -> None:
    """Download `url` into `part`, going on where an earlier attempt stopped.

    size : bytes of the file, where they are known; nothing longer or shorter is taken
    Raises ConnectionError with one sentence; what has arrived stays for the next attempt.
    """
    reason: object = ""
    for _ in range(_TRIES):
        before = _bytes_of(part)
        try:
            if before == size or _fetch_once(url, part, size):
                return
            reason = "the connection was closed"
        except urllib.error.HTTPError as error:
            if error.code == 416 and before and size is None:
                return  # the server has no more than is here; the checksum tells whether it is it
            reason = f"the server answered {error.code} {error.reason}"
            reason += f" (if {part} is not a part of it, delete that)" if before else ""
            break
        except urllib.error.URLError as error:
            reason = error.reason
        except (OSError, http.client.HTTPException) as error:
            reason = error
        if _bytes_of(part) <= before:
            break  # nothing came: trying again at once will not help
    here = _bytes_of(part)
    raise ConnectionError(
        f"Could not download {url}: {reason}. "
        + (f"{here / 1e6:.1f} MB are kept in {part}; " if here else "")
        + "run the same command again, when there is a network, to go on."
    )


def _bytes_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _fetch_once(url: str, part: Path, size: int | None) -> bool:
    """One request; True when the file is whole."""
    here = _bytes_of(part)
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
        total = size if length is None else int(length) + (here if resumed else 0)
        if answer.headers.get_content_type() == "text/html" or size not in (None, total):
            raise http.client.HTTPException(
                f"another file came ({total} bytes{f', not {size}' if size else ''}), perhaps the "
                "page of a network that wants you to log in"
            )
        with (
            open(part, "r+b" if here else "wb") as file,
            tqdm(
                desc=part.name.removesuffix(".part"), total=total, initial=here, unit="B",
                unit_scale=True, leave=False,
            ) as bar,
        ):  # fmt: skip
            while not resumed and file.tell() < here:  # sent once more: it must be the same
                block = answer.read(min(_BLOCK, here - file.tell()))
                if not block:
                    return False
                if file.read(len(block)) != block:
                    raise http.client.HTTPException(
                        f"it differs from what is here; if that is not it, delete {part}"
                    )
            file.seek(here)
            while block := answer.read(_BLOCK):
                if total is not None and file.tell() + len(block) > total:
                    raise http.client.HTTPException("more came than the file has")
                file.write(block)
                bar.update(len(block))
    return total is None or _bytes_of(part) == total


def fetch_verified(url: str, file: Path, size: int | None, checksum: str) -> None:
    """Have `file` on disk, of this size and checksum; what is there already is not fetched.

    checksum : SHA-256, or MD5 if it is as short as one
    Raises ValueError when what came has another checksum (it is deleted); FileExistsError when
    what was there has (it is left); ConnectionError.
    """
    fresh = not file.is_file()
    part = file.with_name(file.name + ".part") if fresh else file
    if fresh:
        file.parent.mkdir(parents=True, exist_ok=True)
        fetch(url, part, size)
    name = "MD5" if len(checksum) == 32 else "SHA-256"
    with open(part, "rb") as content:
        found = hashlib.file_digest(content, name.replace("-", "")).hexdigest()
    wrong = (
        f"The archive {file.name} has the {name} {found}, not {checksum}: it is damaged or not the "
        "set."
    )
    if found != checksum and not fresh:
        raise FileExistsError(f"{wrong} It was here and is left as it is: move {file} away.")
    if found != checksum:
        part.unlink()
        raise ValueError(f"{wrong} It was deleted; run the same command again.")
    part.replace(file)


@contextmanager
def alone(target: Path) -> Iterator[Path]:
    """A folder beside `target` for the one process that makes `target`; gone in the end.

    A second process waits for the first, and must then look whether `target` is there. The place
    for what becomes `target` is `new` in the folder; what a killed process left there is removed.
    """
    folder = target.with_name(f".{target.name}.unpacking")
    with files.locked(folder):
        shutil.rmtree(folder / "new", ignore_errors=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def unpack(
    archive: Path, work: Path, target: Path, *, inside: str | None, most_bytes: int, most_files: int
) -> None:
    """Unpack a tar or zip archive in the folder `work`; `target` appears only when all is there.

    inside : the one folder in the archive that becomes `target`; None takes all
    Refused, with a ValueError and nothing left: names that lead elsewhere, links, devices, holes,
    more than `most_bytes` of content or `most_files` files, headers of more than 64 kB, an archive
    that is cut off or has no folder `inside`.
    """
    count = size = 0
    new = work / "new"
    whole = new if inside is None else new / inside
    try:
        with closing(_members(archive)) as members:
            for member, content in tqdm(members, "unpacking", delay=2, leave=False):
                count, size = count + 1, size + member.size
                if size > most_bytes or count > most_files:
                    raise tarfile.TarError(
                        f"it holds more than {most_bytes:,} bytes or {most_files:,} files"
                    )
                path = new / member.name
                (path if member.isdir() else path.parent).mkdir(parents=True, exist_ok=True)
                if content:
                    with content, path.open("wb") as out:
                        shutil.copyfileobj(content, out, _MOST_HEADER)
        if not whole.is_dir():
            raise tarfile.TarError(f"it holds no folder {inside}")
        many = sum(len(names) for *_, names in os.walk(whole))
        (whole / COMPLETE).write_text(f"{many} files from {archive.name}\n")
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _ITS_FAULT:
            raise  # the disk is full, or not ours to write: the archive is not to blame
        raise ValueError(
            f"The archive {archive.name} cannot be unpacked: {error}. Nothing was unpacked."
        ) from error
    whole.replace(target)


_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, ValueError, OverflowError,
    RuntimeError,  # too deep; or a zip with a password, or packed in a way that Python cannot read
)  # fmt: skip
_ITS_FAULT = (None, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)  # None: gzip's own error


def _members(archive: Path) -> Generator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """What an archive says of its files and folders, one by one, and a file's content to read."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as file:
            for info in file.infolist():
                member = tarfile.TarInfo(info.filename)
                member.size, kind = info.file_size, stat.S_IFMT(info.external_attr >> 16)
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise zipfile.BadZipFile(f"{ascii(info.filename)[:80]} is packed in a rare way")
                if info.is_dir():
                    member.type = tarfile.DIRTYPE
                elif kind not in (0, stat.S_IFREG):
                    member.type = tarfile.SYMTYPE  # or something else that is no file
                _refuse_harmful(member)
                yield member, None if info.is_dir() else file.open(info)
        return
    with closing(_Sparing(archive)) as packed, tarfile.open(fileobj=packed, mode="r:") as tar:
        for member in iter(tar.next, None):
            tar.members.clear()  # type: ignore[attr-defined]  # or all headers stay in memory
            _refuse_harmful(member)
            yield member, tar.extractfile(member)


class _Sparing:
    """An archive's content, unpacked where gzip packed it, that gives at most 64 kB at a time:
    tarfile reads headers of any length in one go."""

    def __init__(self, archive: Path) -> None:
        with archive.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        self._file: Any = gzip.open(archive) if packed else archive.open("rb")

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_HEADER:
            raise tarfile.TarError(f"a header of {size:,} bytes")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _refuse_harmful(member: tarfile.TarInfo) -> None:
    """Only whole files and folders inside the target may come out of an archive.

    Their times, owners and permissions are not taken over.
    """
    name = ascii(member.name)[:80]
    path = PureWindowsPath(member.name)  # for which / and \\ are the same
    if path.anchor or ".." in path.parts:
        raise tarfile.TarError(f"{name} points outside its folder")
    if len(os.fsencode(member.name)) > 255 or "\0" in member.name:
        raise tarfile.TarError(f"{name} is no name that a set would have")
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise tarfile.TarError(f"{name} is neither a plain file nor a folder")
    if member.size < 0 or not 0 <= member.mtime < 1 << 33:
        raise tarfile.TarError(f"{name} has an impossible size or time")


def unpacked(archive: Path, inside: str, **limits: int) -> Path:
    """The folder `inside` of an archive, unpacked at its first use.

    It comes to lie beside the archive, or in the download folder where that cannot be written.
    """
    places = [archive.parent, files.download_folder() / archive.parent.name]
    place = places[0] if os.access(places[0], os.W_OK) else places[1]
    place.mkdir(parents=True, exist_ok=True)
    for target in (folder / inside for folder in places):
        if target.is_dir():
            return target
    with alone(place / inside) as work:
        if not (place / inside).is_dir():  # or another process was quicker
            unpack(archive, work, place / inside, inside=inside, **limits)
    return place / inside
