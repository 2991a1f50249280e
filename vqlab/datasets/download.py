"""Download of the data sets: resumed where it stopped, verified, and unpacked safely.

The one idea: for each file the address, the size and the checksum are written down here; nothing of
another size is fetched, and nothing counts as the set before its checksum was right. Speech
Commands, CIFAR-10 and MNIST have SHA-256, as torchaudio and TensorFlow Datasets publish them. For
mini_speech_commands nobody official gives one: its size is what TensorFlow's tutorial "Simple audio
recognition" shows while it fetches the file, its SHA-256 what several public projects wrote down
independently of each other (found in November 2026; the file itself was not at hand here). For
NSynth's archives only the MD5 is known that Google's storage gives for them (the HEAR benchmark
checks the same); MD5 finds damage, it does not withstand forgery, and the unpacking trusts no
archive anyway.
"""

from __future__ import annotations

import os
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

from .. import files
from . import nsynth, pictures, speech_commands
from .archives import COMPLETE, alone, fetch_verified, unpack

NAMES = ("mini_speech_commands", "speech_commands", "nsynth", "cifar10", "mnist")
PARTS = ("test", "validation", "train")  # of NSynth, the smallest first
_STORE = "https://storage.googleapis.com"

# Bytes and checksum of each file, whose name is without its endings here.
_KNOWN = {
    name: (int(size), checksum)
    for name, size, checksum in map(
        str.split,
        """\
mini_speech_commands 182082353 49650f2341b26d886b46b3f4fb8fed59e30300b17550f1ee4a768b3106cf93a0
speech_commands_v0.01 1489096277 743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d
speech_commands_v0.02 2428923189 af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58
nsynth-train 23815298079 fde6665a93865503ba598b9fac388660
nsynth-valid 1068767009 87e94a00a19b6dbc99cf6d4c0c0cae87
nsynth-test 349501546 5e6f8719bf7e16ad0a00d518b78af77d
cifar-10-binary 170052171 c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd
train-images-idx3-ubyte 9912422 440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609
train-labels-idx1-ubyte 28881 3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c
t10k-images-idx3-ubyte 1648877 8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6
t10k-labels-idx1-ubyte 4542 f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6
""".splitlines(),
    )
}


@dataclass(frozen=True)
class Archive:
    """One archive, tar or zip: where it is, and what is known of it and of its content.

    target : the set's folder below the download folder
    inside : the folder in the archive that becomes the set; None takes all
    files : pattern and number of the files by which a whole set is told from a part of one
    content : bytes of disk that come out of it
    limits : of `unpack`
    """

    url: str
    size: int
    checksum: str
    target: str
    inside: str | None
    files: tuple[str, int]
    content: int
    limits: dict[str, int]


_SPEECH = {
    version: Archive(
        f"{_STORE}/download.tensorflow.org/data/speech_commands_{version}.tar.gz",
        *_KNOWN[f"speech_commands_{version}"],
        f"SpeechCommands/speech_commands_{version}",
        None,
        ("*/*_nohash_*.wav", sum(clips.values())),
        3_600_000_000,
        {"most_bytes": 8 << 30, "most_files": 200_000},
    )
    for version, clips in speech_commands.CLIPS.items()
    if version != "mini"
}
_MINI = Archive(
    f"{_STORE}/download.tensorflow.org/data/mini_speech_commands.zip",
    *_KNOWN["mini_speech_commands"],
    "mini_speech_commands",
    "mini_speech_commands",
    ("*/*_nohash_*.wav", 8000),
    257_000_000,  # a second of 16 bits has 32,044 bytes
    {"most_bytes": 1 << 29, "most_files": 40_000},
)
_NSYNTH = {
    split: Archive(
        f"{_STORE}/download.magenta.tensorflow.org/datasets/nsynth/{folder}.jsonwav.tar.gz",
        *_KNOWN[folder],
        f"nsynth/{folder}",
        folder,
        ("audio/*.wav", notes),
        notes * 129_000,  # a wav has 128,044 bytes, and its lines in examples.json 700
        nsynth.LIMITS,
    )
    for (split, folder), notes in zip(nsynth.FOLDERS.items(), (289_205, 12_678, 4_096), strict=True)
}
_CIFAR = Archive(
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    *_KNOWN["cifar-10-binary"],
    f"cifar10/{pictures.CIFAR_FOLDER}",
    pictures.CIFAR_FOLDER,
    ("*_batch*.bin", 6),
    190_000_000,
    pictures.LIMITS,
)
_MNIST = f"{_STORE}/cvdf-datasets/mnist"
_MNIST_FILES = {f"{name}.gz": known for name, known in _KNOWN.items() if name.endswith("-ubyte")}


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

    name : "mini_speech_commands" (8 words, 182 MB), "speech_commands" (35 words, 2.4 GB), "nsynth"
        (0.3, 1.1 and 24 GB), "cifar10" (0.2 GB), "mnist" (12 MB)
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
    for option, value, owner, allowed in (
        ("version", version, "speech_commands", _SPEECH),
        ("split", split, "nsynth", PARTS),
    ):
        if value is not None and name != owner:
            raise ValueError(f"{option} is for {owner}; {name!r} has none.")
        if value is not None and value not in allowed:
            raise ValueError(f"Unknown {option} {value!r}; there are {', '.join(allowed)}.")
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
        with alone(place / "mnist"):
            for file, known in _MNIST_FILES.items():  # they stay packed
                address = f"{(url or _MNIST).rstrip('/')}/{file}"
                fetch_verified(address, place / "mnist" / file, *known)
        return place / "mnist"
    chosen = [_MINI if name == "mini_speech_commands" else _CIFAR]
    if name == "speech_commands":
        chosen = [_SPEECH[version or "v0.02"]]
    elif name == "nsynth":
        chosen = [_NSYNTH[part] for part in ([split] if split else PARTS)]
    targets = [_download_archive(known, place, url, sha256) for known in chosen]
    return targets[0] if len(targets) == 1 else targets[0].parent


def _download_archive(known: Archive, place: Path, url: str | None, sha256: str | None) -> Path:
    """Fetch one archive, unpack it below `place` and delete it."""
    target = place / known.target
    if target.is_dir():
        if sha256 is None or (target / COMPLETE).is_file():  # a mirror's set may be another one
            _refuse_a_part(target, *known.files)
        return target
    archive = (target.parent if known.inside else place) / known.url.rpartition("/")[2]
    with alone(target) as work:
        if target.is_dir():
            return target  # another process was quicker
        if sha256 is None:
            _need_room(known, archive)
        expected = (None, sha256) if sha256 else (known.size, known.checksum)
        fetch_verified(url or known.url, archive, *expected)
        try:
            unpack(archive, work, target, inside=known.inside, **known.limits)
        except ValueError:
            archive.unlink()
            raise
        archive.unlink()
    return target


def _refuse_a_part(target: Path, pattern: str, complete: int) -> None:
    """Raises FileExistsError for a set that has fewer files than were unpacked, or are known."""
    if (target / COMPLETE).is_file():
        complete = int((target / COMPLETE).read_text().split()[0])
        here = sum(len(names) for *_, names in os.walk(target)) - 1
    else:
        here = sum(1 for _ in target.glob(pattern))
    if here < complete:
        raise FileExistsError(
            f"{target} holds {here:,} of {complete:,} files and is left as it is. Move it away, or "
            "choose another folder with root=…, and run this again."
        )


def _need_room(known: Archive, archive: Path) -> None:
    """Raises OSError when the disk is too small for the archive and what comes out of it."""
    part = archive.with_name(archive.name + ".part")
    here = sum(file.stat().st_size for file in (archive, part) if file.exists())
    needs, free = known.size + known.content - here, shutil.disk_usage(archive.parent).free
    if free < needs:
        raise OSError(
            f"{archive.name} needs {needs / 1e9:.1f} GB of disk with what comes out of it, and "
            f"{archive.parent} has {free / 1e9:.1f} GB. Make room, or choose another folder by "
            "root."
        )
