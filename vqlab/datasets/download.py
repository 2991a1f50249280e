"""Download of the data sets: resumed where it stopped, verified, and unpacked safely.

The one idea: for each file the address and the checksum are written down here, and nothing counts
as the set before its checksum was right. Speech Commands, CIFAR-10 and MNIST have SHA-256, as
torchaudio and TensorFlow Datasets publish them. For NSynth's archives only the MD5 is known that
Google's storage gives for them (the HEAR benchmark checks the same); MD5 finds damage, it does not
withstand forgery, and the unpacking trusts no archive anyway.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import warnings
from dataclasses import dataclass
from pathlib import Path

from .. import files
from . import nsynth, pictures, speech_commands
from .archives import checksum, fetch_verified, unpack

NAMES = ("speech_commands", "nsynth", "cifar10", "mnist")
PARTS = ("test", "validation", "train")  # of NSynth, the smallest first

# The same as in torchaudio.datasets.speechcommands; a test compares them.
CHECKSUMS = {
    "v0.01": "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
    "v0.02": "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
}


@dataclass(frozen=True)
class Archive:
    """One tar archive: where it is, its checksum, and what is known of its content.

    inside : the folder in it that becomes the set; None takes all
    files : pattern and number of the files by which a whole set is told from a part of one
    needs : bytes of disk, for the archive and what comes out of it
    """

    url: str
    checksum: str
    inside: str | None
    files: tuple[str, int]
    needs: int
    most_bytes: int
    most_files: int


_SPEECH = {
    version: Archive(
        f"http://download.tensorflow.org/data/speech_commands_{version}.tar.gz",
        f"sha256:{CHECKSUMS[version]}",
        None,
        ("*/*_nohash_*.wav", sum(speech_commands.CLIPS[version].values())),
        6_000_000_000,
        8 << 30,
        200_000,
    )
    for version in CHECKSUMS
}
_NSYNTH = {
    split: Archive(
        "https://storage.googleapis.com/download.magenta.tensorflow.org/datasets/nsynth/"
        f"{nsynth.FOLDERS[split]}.jsonwav.tar.gz",
        f"md5:{md5}",
        nsynth.FOLDERS[split],
        ("audio/*.wav", notes),
        packed + notes * 129_000,  # a wav has 128,044 bytes, and its lines in examples.json 700
        **nsynth.LIMITS,
    )
    for split, md5, packed, notes in (
        ("train", "fde6665a93865503ba598b9fac388660", 23_815_298_079, 289_205),
        ("validation", "87e94a00a19b6dbc99cf6d4c0c0cae87", 1_068_767_009, 12_678),
        ("test", "5e6f8719bf7e16ad0a00d518b78af77d", 349_501_546, 4_096),
    )
}
_CIFAR = Archive(
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    pictures.CIFAR_FOLDER,
    ("*_batch*.bin", 6),
    360_000_000,
    **pictures.LIMITS,
)
_MNIST = "https://storage.googleapis.com/cvdf-datasets/mnist"
_MNIST_FILES = {
    "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}


def download(
    name: str = "speech_commands",
    *,
    version: str | None = None,
    split: str | None = None,
    root: str | os.PathLike[str] | None = None,
    url: str | None = None,
    sha256: str | None = None,
) -> Path:
    """Fetch and unpack a data set; return its folder. Does nothing when the set is there already.

    name : "speech_commands" (2.4 GB), "nsynth" (0.3, 1.1 and 24 GB), "cifar10" (0.2 GB), "mnist"
        (12 MB)
    version : of Speech Commands, "v0.02" or "v0.01"; None is "v0.02"
    split : of NSynth, "train", "validation" or "test", one after the other; None fetches all three
    root : where to; None for the user's download folder, where `load` finds it
    url, sha256 : a mirror (of MNIST: the folder with its four files), and the archive's checksum
        where it is not the official one

    Raises ValueError for an unknown name, version or split, a wrong checksum or a harmful archive;
    FileExistsError when an incomplete set is in the way; ConnectionError when the network fails;
    OSError when the disk has too little room.
    """
    if name not in NAMES:
        raise ValueError(f"Unknown download {name!r}; there are {', '.join(NAMES)}.")
    if version is not None and name != "speech_commands":
        raise ValueError(f"version is for speech_commands; {name!r} has one version only.")
    if version is not None and version not in CHECKSUMS:
        raise ValueError(f"Unknown version {version!r}; there are {', '.join(CHECKSUMS)}.")
    if split is not None and name != "nsynth":
        raise ValueError(f"split is for nsynth; {name!r} comes in one piece.")
    if split is not None and split not in PARTS:
        raise ValueError(f"Unknown split {split!r}; there are {', '.join(PARTS)}.")
    if url is not None and name == "nsynth" and split is None:
        raise ValueError("A url is one archive; say by split=… which of the three it is.")
    if sha256 is not None and name == "mnist":
        raise ValueError("MNIST is four files, so it takes no sha256.")
    place = files.download_folder() if root is None else Path(root).expanduser()
    outside = os.environ.get("VQLAB_DATA", "").strip()
    if root is None and outside:
        warnings.warn(
            f"VQLAB_DATA is set to {outside}: load() looks there before {place}.", stacklevel=2
        )
    if name == "mnist":
        return _download_mnist(place / "mnist", url or _MNIST)
    if name == "nsynth":
        for part in [split] if split else PARTS:
            target = place / "nsynth" / nsynth.FOLDERS[part]
            _download_archive(_NSYNTH[part], target, target.parent, url, sha256)
        return target if split else target.parent
    if name == "cifar10":
        target = place / "cifar10" / pictures.CIFAR_FOLDER
        return _download_archive(_CIFAR, target, target.parent, url, sha256)
    version = version or "v0.02"
    target = place / "SpeechCommands" / f"speech_commands_{version}"
    return _download_archive(_SPEECH[version], target, place, url, sha256)


def _download_archive(
    known: Archive, target: Path, place: Path, url: str | None, sha256: str | None
) -> Path:
    """Fetch one archive into `place`, unpack it to `target` and delete it."""
    if target.is_dir():
        pattern, complete = known.files
        here = sum(1 for _ in target.glob(pattern))
        if here < complete and sha256 is None:
            raise FileExistsError(
                f"{target} holds {here:,} of {complete:,} {_WHAT.get(target.parent.name, 'files')} "
                "and is left as it is. Move it away, or choose another folder with root=…, and "
                "run this again."
            )
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    archive = place / known.url.rpartition("/")[2]
    if sha256 is None:  # a mirror's archive may be another, smaller one
        _need_room(place, known.needs, archive)
    fetch_verified(url or known.url, archive, f"sha256:{sha256}" if sha256 else known.checksum)
    try:
        unpack(
            archive,
            target,
            inside=known.inside,
            most_bytes=known.most_bytes,
            most_files=known.most_files,
        )
    except (ValueError, tarfile.TarError):
        archive.unlink()
        raise
    archive.unlink()
    return target


_WHAT = {"SpeechCommands": "clips", "nsynth": "notes", "cifar10": "batches"}


def _download_mnist(target: Path, url: str) -> Path:
    """The four files, which stay packed; each is checked, those that are here as well."""
    for name, known in _MNIST_FILES.items():
        file = target / f"{name}.gz"
        if file.is_file() and checksum(file) != known:
            raise FileExistsError(
                f"{file} is not MNIST's own file and is left as it is. Move it away, or choose "
                "another folder with root=…, and run this again."
            )
        fetch_verified(f"{url.rstrip('/')}/{file.name}", file, f"sha256:{known}")
    return target


def _need_room(place: Path, needs: int, archive: Path) -> None:
    """Raises OSError when the disk is too small for the archive and what comes out of it."""
    part = archive.with_name(archive.name + ".part")
    here = sum(file.stat().st_size for file in (archive, part) if file.exists())
    free = shutil.disk_usage(place).free
    if free < needs - here:
        raise OSError(
            f"{archive.name} needs {(needs - here) / 1e9:.1f} GB of disk with what comes out of "
            f"it, and {place} has {free / 1e9:.1f} GB. Make room, or choose another folder by root."
        )
