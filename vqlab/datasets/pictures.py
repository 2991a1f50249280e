"""Pictures behind one call, `load_pictures(name, split)`: MNIST, CIFAR-10, and offline stand-ins.

The one idea: both sets are plain numbers in a file with a short header or none, so they are read
without unpickling anything, and a file that is cut off, or that claims more than it holds, is
refused. Where they are absent, what comes with scikit-learn takes their place: "digits" (1,797
handwritten digits) for MNIST, and "patches" of its two photographs for CIFAR-10.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
recognition", 1998 (MNIST); A. Krizhevsky, "Learning multiple layers of features from tiny images",
2009 (CIFAR-10); E. Alpaydin, C. Kaynak, "Optical recognition of handwritten digits", UCI, 1998.

Notebook: 11
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .. import files
from .archives import unpacked
from .folder import split_of_speakers
from .items import spread

NAMES = ("mnist", "digits", "cifar10", "patches")
SPLITS = ("train", "validation", "test")
SIZE = 32  # height and width of every picture

CIFAR_FOLDER = "cifar-10-batches-bin"
CIFAR_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
MNIST_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_RECORD = 1 + 3 * SIZE * SIZE  # bytes of a CIFAR-10 picture: its label, then red, green, blue
_MOST_BYTES = 1 << 28  # MNIST's largest file has 47 MB, CIFAR-10's 31 MB
LIMITS = {"most_bytes": _MOST_BYTES, "most_files": 100}  # of CIFAR-10's archive, 184 MB unpacked
_BLOCK, _STEP = 64, 8  # of a photograph: pixels of a block, and from patch to patch within it

_AGAIN = "fetch it again."
_MORE = (
    ", or fetch it into your download folder: python -m vqlab download {}. The set {!r}, "
    "which comes with scikit-learn, can take its place."
)

_Raw = tuple[np.ndarray, list[str]]  # bytes (n, channels, height, width), and labels
_Root = str | os.PathLike[str] | None
_DIGITS = [str(digit) for digit in range(10)]


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures of one split.

    images : Tensor (n, channels, 32, 32), float32 in [0, 1]; one channel is grey, three are RGB
    labels : one for each picture
    classes : the labels of the whole set, sorted, the same in every split
    remarks : sentences on what is odd, and how the pictures were made to fit
    """

    images: Tensor
    labels: list[str]
    classes: list[str]
    remarks: list[str]

    def __len__(self) -> int:
        return len(self.labels)


def load_pictures(
    name: str = "digits",
    split: str = "train",
    *,
    root: _Root = None,
    limit: int | None = None,
) -> Pictures:
    """The pictures of a split; all of them are 32 x 32.

    name : "mnist" (28 x 28 with two black pixels on each side; the last 10,000 of the 60,000 for
        training are the validation split), "digits" (8 x 8, enlarged), "cifar10" (the last of its
        five batches is the validation split), "patches" (of photographs; they overlap, but no pixel
        is in two splits, for each block of 64 x 64 belongs to one)
    root : the folder with the files of "mnist" or "cifar10"; None looks in VQLAB_DATA, then the
        download folder
    limit : keep at most so many, spread evenly over the split

    Raises ValueError for an unknown name or split, and for a file that is not what it should be;
    FileNotFoundError when the files are not there, with the ways to provide them.
    """
    if name not in NAMES:
        raise ValueError(f"Unknown pictures {name!r}; there are {', '.join(NAMES)}.")
    if split not in SPLITS:
        raise ValueError(f"Unknown split {split!r}; there are {', '.join(SPLITS)}.")
    if root is not None and name in ("digits", "patches"):
        raise ValueError(f"{name!r} comes with scikit-learn; leave root out.")
    load, classes, most, remarks = _SETS[name]
    raw, labels = load(split, root)
    if limit is not None:
        chosen = spread(len(labels), limit)
        raw, labels = raw[chosen], [labels[n] for n in chosen]
    return Pictures(_to_size(raw, most), labels, list(classes), list(remarks))


def _to_size(raw: np.ndarray, most: int) -> Tensor:
    """Bytes (n, channels, height, width) up to `most` to float32 in [0, 1], 32 x 32."""
    images = torch.from_numpy(raw.astype(np.float32)).div_(most)
    if images.shape[-1] < SIZE // 2:
        return functional.interpolate(images, size=(SIZE, SIZE), mode="bilinear")
    side = (SIZE - images.shape[-1]) // 2
    return functional.pad(images, (side, side, side, side)) if side else images


# MNIST: the IDX format


def _read_idx(path: Path) -> np.ndarray:
    """An IDX file of bytes, plain or packed by gzip, as an array of uint8.

    The format: two zero bytes, the type (8: bytes without sign), the number of dimensions, their
    sizes as big-endian numbers of four bytes, and the bytes. Raises ValueError for anything else.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            start = file.read(4)
            if len(start) < 4 or start[:3] != b"\0\0\x08" or start[3] not in (1, 3):
                begins = f"it begins with {start!r}"
                raise ValueError(f"{path} is no IDX file of bytes ({begins}); {_AGAIN}")
            sizes = file.read(4 * start[3])
            if len(sizes) < 4 * start[3]:
                raise ValueError(f"{path} is cut off within its header; {_AGAIN}")
            shape = [int(size) for size in np.frombuffer(sizes, ">u4")]
            length = math.prod(shape)
            if length > _MOST_BYTES:  # before anything is read
                most = f"more than {_MOST_BYTES:,}"
                raise ValueError(f"{path} claims {length:,} bytes, {most}; {_AGAIN}")
            content = file.read(length + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is not a whole gzip file ({error}); {_AGAIN}") from error
    if len(content) != length:
        holds = "more" if len(content) > length else f"{len(content):,}"
        raise ValueError(f"{path} should hold {length:,} bytes and holds {holds}; {_AGAIN}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _mnist(split: str, root: _Root) -> _Raw:
    images_path, labels_path = (
        _mnist_file(name, root) for name in MNIST_FILES["test" if split == "test" else "train"]
    )
    images, labels = _read_idx(images_path), _read_idx(labels_path)
    if images.ndim != 3 or images.shape[1:] != (28, 28):
        raise ValueError(f"{images_path} holds {images.shape}, not pictures of 28 x 28; {_AGAIN}")
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"{images_path.name} holds {len(images):,} pictures and {labels_path.name} "
            f"{labels.shape} labels; they do not belong together."
        )
    named = _names_of(labels, _DIGITS, labels_path)
    return _keep(split, images[:, None], named, held_out=len(images) // 6)


def _mnist_file(name: str, root: _Root) -> Path:
    """One of the four files; the dot that some copies have in place of a hyphen does not matter."""
    other = name.replace("-idx", ".idx")

    def look(place: Path) -> Path | None:
        for folder in ("mnist", "MNIST/raw", "MNIST", "."):
            for file in (name, f"{name}.gz", other, f"{other}.gz"):
                if (place / folder / file).is_file():
                    return place / folder / file
        return None

    more = _MORE.format("mnist", "digits")
    return files.find_recordings(look, root, "MNIST", holds=f"{name} (or {name}.gz)", more=more)


# CIFAR-10: the binary version


def _read_cifar_batch(path: Path) -> _Raw:
    """One batch of the binary version: records of a label's byte and 3 x 32 x 32 bytes."""
    size = path.stat().st_size
    if size == 0 or size % _RECORD or size > _MOST_BYTES:
        raise ValueError(
            f"{path} has {size:,} bytes, not whole pictures of {_RECORD:,} bytes each; {_AGAIN}"
        )
    records = np.fromfile(path, np.uint8).reshape(-1, _RECORD)
    labels = _names_of(records[:, 0], CIFAR_CLASSES, path)
    return records[:, 1:].reshape(-1, 3, SIZE, SIZE), labels


def _cifar10(split: str, root: _Root) -> _Raw:
    more = _MORE.format("cifar10", "patches")
    folder = files.find_recordings(_cifar_folder, root, "CIFAR-10", holds=CIFAR_FOLDER, more=more)
    numbers = {"train": (1, 2, 3, 4), "validation": (5,), "test": ()}[split]
    paths = [folder / f"data_batch_{n}.bin" for n in numbers] or [folder / "test_batch.bin"]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; python -m vqlab download cifar10")
    images, labels = zip(*map(_read_cifar_batch, paths), strict=True)
    return np.concatenate(images), [label for part in labels for label in part]


def _cifar_folder(place: Path) -> Path | None:
    for parent in (place / "cifar10", place):
        for folder in (parent / CIFAR_FOLDER, parent):
            if any(folder.glob("*_batch*.bin")):
                return folder
        archive = parent / "cifar-10-binary.tar.gz"
        if archive.is_file():
            return unpacked(archive, CIFAR_FOLDER, **LIMITS)
    for folder in (place / "cifar-10-batches-py", place):
        if (folder / "data_batch_1").is_file():
            raise ValueError(
                f"{folder} is the Python version of CIFAR-10, which has to be unpickled, and that "
                "can run foreign code; fetch the binary version: python -m vqlab download cifar10"
            )
    return None


# What comes with scikit-learn


def _digits(split: str, _: _Root) -> _Raw:
    """Cut into three runs: neighbours in the file may be by the same hand."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    raw = digits.images.astype(np.uint8)[:, None]
    labels = [str(digit) for digit in digits.target]
    tenth = len(raw) // 10
    if split == "test":
        return raw[-tenth:], labels[-tenth:]
    return _keep(split, raw[:-tenth], labels[:-tenth], held_out=tenth)


def _patches(split: str, _: _Root) -> _Raw:
    from sklearn.datasets import load_sample_images

    photographs = load_sample_images()
    raw, labels = [], []
    for name, pixels in zip(photographs.filenames, photographs.images, strict=True):
        label = Path(name).stem
        height, width = (size // _BLOCK for size in pixels.shape[:2])
        corners = {f"{label} {y} {x}": (y, x) for y in range(height) for x in range(width)}
        part = split_of_speakers(set(corners))
        for block, (row, column) in corners.items():
            if part[block] != split:
                continue
            inside = pixels[_BLOCK * row :, _BLOCK * column :]
            for y in range(0, _BLOCK - SIZE + 1, _STEP):
                for x in range(0, _BLOCK - SIZE + 1, _STEP):
                    raw.append(inside[y : y + SIZE, x : x + SIZE].transpose(2, 0, 1))
                    labels.append(label)
    return np.stack(raw), labels


# What several sets share


def _keep(split: str, raw: np.ndarray, labels: list[str], *, held_out: int) -> _Raw:
    """The last `held_out` pictures for validation, the ones before for training; test: all."""
    start = len(raw) - held_out
    part = {"train": slice(0, start), "validation": slice(start, None), "test": slice(None)}[split]
    return raw[part], labels[part]


def _names_of(labels: np.ndarray, names: list[str], path: Path) -> list[str]:
    if not len(labels) or labels.max() >= len(names):
        wrong = f"the label {labels.max()}" if len(labels) else "no label"
        raise ValueError(f"{path} has {wrong}; allowed are 0 to 9; {_AGAIN}")
    return [names[label] for label in labels]


_SETS = {  # what reads a set, its classes, its largest value, and a remark
    "mnist": (_mnist, _DIGITS, 255, ["MNIST: two black pixels added on each side, 32 x 32."]),
    "digits": (
        _digits, _DIGITS, 16,
        ["scikit-learn's digits, 8 x 8, enlarged to 32 x 32 by linear interpolation."],
    ),
    "cifar10": (_cifar10, CIFAR_CLASSES, 255, []),
    "patches": (
        _patches, ["china", "flower"], 255,
        ["Overlapping 32 x 32 patches of scikit-learn's two photographs."],
    ),
}  # fmt: skip
