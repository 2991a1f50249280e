"""Pictures: files in the original formats, made here byte by byte, and what scikit-learn brings."""

import gzip
import struct
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from vqlab import datasets, files
from vqlab.datasets import load_pictures, pictures

SPLITS = ("train", "validation", "test")


# MNIST


def idx(array: np.ndarray, *, claim: tuple[int, ...] | None = None) -> bytes:
    """An IDX file as its description says: 0, 0, type 8, dimensions; big-endian sizes; bytes."""
    sizes = array.shape if claim is None else claim
    return struct.pack(f">HBB{len(sizes)}I", 0, 8, len(sizes), *sizes) + array.tobytes()


def mnist(folder: Path, *, packed: bool = True, count: int = 12) -> dict[str, np.ndarray]:
    """The four files; picture n of training is filled with n in one corner, of test with 100 + n"""
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for part, first in (("train", 0), ("t10k", 100)):
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 0, 0] = first + np.arange(count)
        images[:, 27, 1] = 255
        made[part] = images
        labels = (np.arange(count) % 10).astype(np.uint8)
        for name, array in ((f"{part}-images-idx3-ubyte", images),
                            (f"{part}-labels-idx1-ubyte", labels)):  # fmt: skip
            content = idx(array)
            (folder / (f"{name}.gz" if packed else name)).write_bytes(
                gzip.compress(content) if packed else content
            )
    return made


@pytest.mark.parametrize("packed", [True, False], ids=["gz", "plain"])
@pytest.mark.parametrize("place", ["mnist", "MNIST/raw", "."])
def test_mnist_is_read_and_padded(tmp_path, packed, place):
    mnist(tmp_path / place, packed=packed)
    parts = {split: load_pictures("mnist", split, root=tmp_path) for split in SPLITS}
    assert [len(part) for part in parts.values()] == [10, 2, 12]
    train = parts["train"]
    assert train.images.shape == (10, 1, 32, 32) and train.images.dtype == torch.float32
    assert train.labels == [str(n) for n in range(10)] == train.classes
    assert float(train.images[3, 0, 2, 2]) == pytest.approx(3 / 255)
    assert float(train.images[3, 0, 29, 3]) == 1.0
    assert not train.images[:, :, :2].any() and not train.images[..., 30:].any()
    corners = [round(255 * float(x)) for x in parts["validation"].images[:, 0, 2, 2]]
    assert corners == [10, 11] and parts["validation"].labels == ["0", "1"]
    assert round(255 * float(parts["test"].images[0, 0, 2, 2])) == 100
    assert any("two black pixels" in note for note in train.remarks)


def test_sixty_thousand_pictures_are_split_fifty_to_ten(tmp_path):
    mnist(tmp_path, count=1, packed=False)
    images = np.zeros((60_000, 28, 28), np.uint8)
    images[:, 0, 0] = np.arange(60_000) % 251
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(images))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(60_000).astype(np.uint8) % 10))
    few = load_pictures("mnist", "validation", root=tmp_path, limit=5)
    whole = [50_000 + 2_000 * n for n in range(5)]  # spread evenly
    assert [round(255 * float(x)) for x in few.images[:, 0, 2, 2]] == [n % 251 for n in whole]
    first = load_pictures("mnist", "train", root=tmp_path, limit=2)
    assert round(255 * float(first.images[1, 0, 2, 2])) == 25_000 % 251


def test_a_copy_with_dots_in_its_names_is_found(tmp_path):
    mnist(tmp_path, packed=False)
    for path in list(tmp_path.iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert len(load_pictures("mnist", "test", root=tmp_path)) == 12


GOOD = idx(np.zeros((2, 28, 28), np.uint8))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no IDX file"),
        (b"\x89PNG\r\n\x1a\n", "no IDX file"),
        (b"\0\0\x0d\x03" + GOOD[4:], "no IDX file of bytes"),  # floats
        (GOOD[:10], "within its header"),
        (GOOD[:-1], "should hold 1,568 bytes and holds 1,567"),
        (GOOD + b"x", "should hold 1,568 bytes and holds more"),
        (idx(np.zeros(9, np.uint8), claim=(2**32 - 1, 2**32 - 1, 2**32 - 1)), "claims 79,228,"),
        (idx(np.zeros((2, 14, 14), np.uint8)), "not pictures of 28 x 28"),
        (idx(np.zeros((0, 28, 28), np.uint8)), "do not belong together"),
        (idx(np.zeros((3, 28, 28), np.uint8)), "do not belong together"),
    ],
)
@pytest.mark.parametrize("packed", [True, False], ids=["gz", "plain"])
def test_a_hostile_or_cut_off_file_of_pictures_is_one_sentence(tmp_path, content, said, packed):
    mnist(tmp_path, packed=packed, count=2)
    path = tmp_path / ("t10k-images-idx3-ubyte.gz" if packed else "t10k-images-idx3-ubyte")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ValueError, match=said) as error:
        load_pictures("mnist", "test", root=tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.array([1, 10], np.uint8), "label 10; allowed are 0 to 9"),
        (np.array([[1], [2]], np.uint8), "no IDX file"),
        (np.zeros((2, 28, 28), np.uint8), "do not belong together"),
    ],
)
def test_wrong_labels_are_one_sentence(tmp_path, labels, said):
    mnist(tmp_path, packed=False, count=2)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(labels))
    with pytest.raises(ValueError, match=said):
        load_pictures("mnist", "test", root=tmp_path)


def test_a_damaged_gzip_file_is_one_sentence(tmp_path):
    mnist(tmp_path)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    for content in (whole[:-9], whole[:5], b"no gzip", bytes(damaged)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"t10k-images.*fetch it again"):
            load_pictures("mnist", "test", root=tmp_path)


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    mnist(tmp_path)
    claim = struct.pack(">HBB3I", 0, 8, 3, 12, 28, 28)
    bomb = gzip.compress(claim + bytes(60_000_000), 1)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(bomb)
    start = time.process_time()
    with pytest.raises(ValueError, match="holds more"):
        load_pictures("mnist", "test", root=tmp_path)
    assert time.process_time() - start < 1


# CIFAR-10


def batch(first: int, count: int = 4) -> bytes:
    """Records of the binary version: a label, then 1024 bytes each of red, green and blue."""
    records = b""
    for n in range(count):
        red = bytes([first + n]) + bytes(1023)
        green = bytes(31) + bytes([200]) + bytes(992)  # the right end of the first row
        blue = bytes(1023) + bytes([255])
        records += bytes([(first + n) % 10]) + red + green + blue
    return records


def cifar(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(1, 6):
        (folder / f"data_batch_{n}.bin").write_bytes(batch(10 * n))
    (folder / "test_batch.bin").write_bytes(batch(100))
    (folder / "batches.meta.txt").write_text("\n".join(pictures.CIFAR_CLASSES) + "\n\n")
    return folder


@pytest.mark.parametrize("place", ["cifar10/cifar-10-batches-bin", "cifar-10-batches-bin", "."])
def test_cifar_is_read_as_its_authors_describe_it(tmp_path, place):
    cifar(tmp_path / place)
    parts = {split: load_pictures("cifar10", split, root=tmp_path) for split in SPLITS}
    reds = {
        split: [round(255 * float(x)) for x in part.images[:, 0, 0, 0]]
        for split, part in parts.items()
    }
    assert reds["train"] == [10 * n + k for n in range(1, 5) for k in range(4)]
    assert reds["validation"] == [50, 51, 52, 53] and reds["test"] == [100, 101, 102, 103]
    test = parts["test"]
    assert test.images.shape == (4, 3, 32, 32) and test.images.dtype == torch.float32
    assert float(test.images[0, 1, 0, 31]) == pytest.approx(200 / 255)
    assert float(test.images[0, 2, 31, 31]) == 1.0
    assert float(test.images[0].sum()) == pytest.approx((100 + 200 + 255) / 255)
    assert test.labels == ["airplane", "automobile", "bird", "cat"]
    assert test.classes == pictures.CIFAR_CLASSES and len(test.classes) == 10


def test_the_archive_of_cifar_is_unpacked_at_the_first_use(tmp_path):
    inner = cifar(tmp_path / "made" / "cifar-10-batches-bin")
    place = tmp_path / "sets"
    place.mkdir()
    with tarfile.open(place / "cifar-10-binary.tar.gz", "w:gz") as tar:
        tar.add(inner, inner.name)
    assert len(load_pictures("cifar10", "train", root=place)) == 16
    assert (place / "cifar-10-batches-bin" / "test_batch.bin").is_file()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has 0 bytes, not whole pictures of 3,073"),
        (batch(0)[:-1], "has 12,291 bytes, not whole pictures"),
        (bytes([10]) + bytes(3072), "label 10; allowed are 0 to 9"),
    ],
)
def test_a_damaged_batch_is_one_sentence(tmp_path, content, said):
    (cifar(tmp_path) / "test_batch.bin").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        load_pictures("cifar10", "test", root=tmp_path)


def test_a_batch_of_a_hostile_size_is_not_read(tmp_path):
    with open(cifar(tmp_path) / "test_batch.bin", "r+b") as file:
        file.truncate(3073 * 1_000_000)  # a hole, which takes no room on disk
    with pytest.raises(ValueError, match="3,073,000,000 bytes, not"):
        load_pictures("cifar10", "test", root=tmp_path)


def test_a_missing_batch_is_named(tmp_path):
    (cifar(tmp_path) / "data_batch_3.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"data_batch_3\.bin.*download cifar10"):
        load_pictures("cifar10", "train", root=tmp_path)


def test_the_version_to_be_unpickled_is_refused(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(b"cos\nsystem\n(S'echo harm'\ntR.")
    with pytest.raises(ValueError, match="unpickled.*binary version"):
        load_pictures("cifar10", root=tmp_path)


# What comes with scikit-learn


def test_digits_are_enlarged_and_not_shared_between_splits():
    from sklearn.datasets import load_digits

    original = load_digits()
    parts = [load_pictures("digits", split) for split in SPLITS]
    assert [len(part) for part in parts] == [1439, 179, 179]
    assert sum((part.labels for part in parts), []) == [str(n) for n in original.target]
    whole = torch.cat([part.images for part in parts])
    assert whole.shape == (1797, 1, 32, 32)
    assert float(whole.min()) == 0 and float(whole.max()) == 1
    # Each 4 x 4 square has the mean of a linear course through the eight pixels around.
    small = torch.from_numpy(original.images).float() / 16
    means = torch.nn.functional.avg_pool2d(whole, 4)[:, 0]
    assert (means - small).abs().mean() < 0.1
    assert (whole.mean((1, 2, 3)) - small.mean((1, 2))).abs().max() < 0.02
    for part in parts:
        assert set(part.labels) == set(part.classes) == {str(n) for n in range(10)}


def test_no_pixel_of_a_photograph_is_in_two_splits():
    from sklearn.datasets import load_sample_images

    places = {  # of the first patch of each block, by its bytes
        pixels[y : y + 32, x : x + 32].tobytes(): (label, y, x)
        for label, pixels in zip(("china", "flower"), load_sample_images().images, strict=True)
        for y in range(0, 384, 64)
        for x in range(0, 640, 64)
    }
    seen: dict[str, set] = {}
    for split in SPLITS:
        part = load_pictures("patches", split)
        assert part.images.shape[1:] == (3, 32, 32) and set(part.labels) == {"china", "flower"}
        assert part.classes == ["china", "flower"] and len(part) % 25 == 0
        seen[split] = set()
        for image, label in zip(part.images[::25], part.labels[::25], strict=True):
            pixels = (255 * image).round().to(torch.uint8).permute(1, 2, 0)
            place = places[pixels.numpy().tobytes()]
            assert place[0] == label
            seen[split].add(place)
        assert len(seen[split]) == len(part) // 25
    assert [len(blocks) for blocks in seen.values()] == [96, 12, 12]
    assert len(set.union(*seen.values())) == 120


def test_patches_of_a_block_stay_within_it():
    part = load_pictures("patches", "test")
    block = torch.zeros(3, 64, 64)
    for n, (y, x) in enumerate((y, x) for y in range(0, 33, 8) for x in range(0, 33, 8)):
        window = block[:, y : y + 32, x : x + 32]
        known = window != 0
        torch.testing.assert_close(window[known], part.images[n][known])  # the overlap agrees
        block[:, y : y + 32, x : x + 32] = part.images[n]


# All of them


def test_limit_keeps_what_is_spread_evenly():
    whole, few = load_pictures("digits"), load_pictures("digits", limit=100)
    assert torch.equal(few.images[1], whole.images[1439 // 100]) and len(few) == 100
    assert len(set(few.labels)) == 10 and few.classes == whole.classes
    assert len(load_pictures("digits", "test", limit=9999)) == 179


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (dict(name="mnits"), "'mnits'.*mnist, digits, cifar10, patches"),
        (dict(split="valid"), "'valid'.*train, validation, test"),
        (dict(limit=0), "limit is 0"),
        (dict(root="."), "leave root out"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_allowed(arguments, said):
    with pytest.raises(ValueError, match=said):
        datasets.load_pictures(**arguments)


@pytest.mark.parametrize(("name", "instead"), [("mnist", "digits"), ("cifar10", "patches")])
def test_missing_files_name_the_ways(tmp_path, monkeypatch, name, instead):
    monkeypatch.delenv("VQLAB_DATA", raising=False)
    monkeypatch.setattr(files, "download_folder", lambda: tmp_path / "none")
    with pytest.raises(FileNotFoundError) as error:
        load_pictures(name)
    for way in ("as root", "VQLAB_DATA", f"vqlab download {name}", f"'{instead}'"):
        assert way in str(error.value)
