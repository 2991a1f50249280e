"""Download of Speech Commands: resumed where it stopped, verified, and unpacked safely.

The one idea: nothing is there under its final name before it is whole. The archive grows in a file
ending in ``.part`` and is unpacked only when its SHA-256 is the known one; the folder is unpacked
under another name and renamed at the end. So an interrupted download goes on at the next call, and
a wrong or harmful archive leaves nothing behind.

Notebook: 06
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import warnings
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from tqdm.auto import tqdm

from vqlab import _paths
from vqlab.datasets.speech_commands import CLIPS

_ADDRESS = "http://download.tensorflow.org/data/speech_commands_{}.tar.gz"
# The same as in torchaudio.datasets.speechcommands; a test compares them.
CHECKSUMS = {
    "v0.01": "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
    "v0.02": "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
}
_BLOCK = 1 << 20
_TRIES = 5
_MOST_BYTES = 8 << 30  # unpacked, v0.02 takes 3.5 GB
_MOST_FILES = 200_000
# tarfile's own rules, in Python from 3.11.4 on; `_refuse_harmful` is at least as strict.
_FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def download(
    name: str = "speech_commands",
    *,
    version: str = "v0.02",
    root: str | os.PathLike[str] | None = None,
    url: str | None = None,
    sha256: str | None = None,
) -> Path:
    """Fetch and unpack a data set; return its folder. Does nothing when the set is there already.

    root : where to; None for the user's download folder, where `load` finds it
    url, sha256 : a mirror, and the archive's checksum where it is not the official one

    Raises ValueError for an unknown name or version, a wrong checksum or a harmful archive;
    FileExistsError when an incomplete set is in the way; ConnectionError when the network fails.
    """
    if name != "speech_commands":
        raise ValueError(f"Unknown download {name!r}; there is speech_commands.")
    if version not in CHECKSUMS:
        raise ValueError(f"Unknown version {version!r}; there are {', '.join(CHECKSUMS)}.")
    place = _paths.download_folder() if root is None else Path(root).expanduser()
    target = place / "SpeechCommands" / f"speech_commands_{version}"
    if target.is_dir():
        complete = sum(CLIPS[version].values())
        here = sum(1 for _ in target.glob("*/*_nohash_*.wav"))
        if here < complete and sha256 is None:
            raise FileExistsError(
                f"{target} holds {here:,} of {complete:,} clips and is left as it is. "
                "Move it away, or choose another folder with root=…, and run this again."
            )
        return target
    outside = os.environ.get("VQLAB_DATA", "").strip()
    if root is None and outside:
        warnings.warn(
            f"VQLAB_DATA is set to {outside}: load() looks there before {place}.", stacklevel=2
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    expected = sha256 or CHECKSUMS[version]
    archive = place / f"speech_commands_{version}.tar.gz"
    if not archive.is_file():
        part = archive.with_name(archive.name + ".part")
        fetch(url or _ADDRESS.format(version), part)
        part.replace(archive)
    found = checksum(archive)
    if found != expected:
        archive.unlink()
        raise ValueError(
            f"The archive has the SHA-256 {found}, not {expected}: it is damaged or not the set. "
            "It was deleted; run the same command again."
        )
    try:
        unpack(archive, target)
    except (ValueError, tarfile.TarError):
        archive.unlink()
        raise
    archive.unlink()
    return target


def fetch(url: str, part: Path) -> None:
    """Download ``url`` into ``part``, going on where an earlier attempt stopped.

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


def checksum(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def unpack(archive: Path, target: Path, *, most_bytes: int = _MOST_BYTES) -> None:
    """Unpack a tar archive into the new folder ``target``, which appears only when all is there.

    Refused, with a ValueError and nothing left: absolute names, "..", links, devices, more than
    ``most_bytes`` of content, an archive that is cut off.
    """
    work = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(work, ignore_errors=True)  # of an attempt that was killed
    work.mkdir(parents=True)
    size = 0
    try:
        with tarfile.open(archive) as tar:
            for count, member in enumerate(tqdm(tar, "unpacking", delay=2, leave=False)):
                _refuse_harmful(member)
                size += member.size
                if size > most_bytes or count >= _MOST_FILES:
                    raise ValueError(
                        f"The archive {archive.name} holds more than {most_bytes:,} bytes or "
                        f"{_MOST_FILES:,} files; it is not the set and was not unpacked."
                    )
                tar.extract(member, work, **_FILTER)
        work.replace(target)
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk is full, or not ours to write: the archive is not to blame
        raise ValueError(f"The archive {archive.name} cannot be unpacked: {error}.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _refuse_harmful(member: tarfile.TarInfo) -> None:
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
