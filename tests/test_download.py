"""Download against a real server on this machine: whole, resumed, refused."""

import dataclasses
import gzip
import hashlib
import importlib
import io
import math
import os
import tarfile
import threading
import wave
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vqlab import datasets
from vqlab.datasets.archives import COMPLETE, alone, fetch, unpack

downloads = importlib.import_module("vqlab.datasets.download")  # the function has its name


def sound(seed: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(hashlib.shake_256(bytes([seed])).digest(32000))
    return file.getvalue()


FILES = {
    "./right/aaaa_nohash_0.wav": sound(0),
    "./right/bbbb_nohash_0.wav": sound(1),
    "./right/cccc_nohash_0.wav": sound(2),
    "./validation_list.txt": b"right/bbbb_nohash_0.wav\n",
    "./testing_list.txt": b"right/cccc_nohash_0.wav\n",
}


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.size = kind, link, size
    return entry


def timed(mtime: str) -> tarfile.TarInfo:
    entry = member("late.wav")
    entry.pax_headers = {"mtime": mtime}
    return entry


def archive(*extra: tarfile.TarInfo) -> bytes:
    """A set in the layout of the official archive, with `extra` at its end."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        tar.addfile(member(".", tarfile.DIRTYPE))
        for name, content in FILES.items():
            tar.addfile(member(name, size=len(content)), io.BytesIO(content))
        for entry in extra:
            tar.addfile(entry, io.BytesIO(bytes(entry.size)))
    return file.getvalue()


GOOD = archive()
GOOD_SHA256 = hashlib.sha256(GOOD).hexdigest()


class Server:
    """Serves `content` at `url` and remembers the Range header of each request."""

    def __init__(self) -> None:
        self.content = GOOD
        self.files: dict[str, bytes] = {}  # by the last part of the address, before `content`
        self.asked: list[str] = []
        self.knows_range = True
        self.wrong_start = False
        self.kind, self.tells_length = "", True
        self.breaks_after: list[int] = []  # bytes sent before the connection is closed, per request
        self.status: int | None = None
        self.ranges: list[str | None] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                server.ranges.append(wanted)
                server.asked.append(self.path.rpartition("/")[2])
                content = server.files.get(server.asked[-1], server.content)
                if server.status:
                    self.send_error(server.status)
                    return
                start, total = 0, len(content)
                if wanted and server.knows_range:
                    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                    if start >= total:
                        self.send_error(416)
                        return
                    start = 0 if server.wrong_start else start
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
                else:
                    self.send_response(200)
                if server.kind:
                    self.send_header("Content-Type", server.kind)
                if server.tells_length:
                    self.send_header("Content-Length", str(total - start))
                self.end_headers()
                end = start + server.breaks_after.pop(0) if server.breaks_after else total
                self.wfile.write(content[start:end])

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/set.tar.gz"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()
    thread.join()


def get(server: Server, root: Path, sha256: str | None = None) -> Path:
    content = hashlib.sha256(server.content).hexdigest()
    return datasets.download("speech_commands", root=root, url=server.url, sha256=sha256 or content)


def files(root: Path) -> list[str]:
    found = (p for p in root.rglob("*") if not p.is_dir() and p.name != COMPLETE)
    return sorted(p.relative_to(root).as_posix() for p in found)


def unpack_to(archive: Path, target: Path, *, most_bytes: int = 1 << 30, most_files: int = 100):
    with alone(target) as work:
        unpack(archive, work, target, inside=None, most_bytes=most_bytes, most_files=most_files)


def part(root: Path) -> Path:
    return root / "speech_commands_v0.02.tar.gz.part"


def test_a_download_can_be_loaded_and_leaves_nothing_else(server, tmp_path):
    target = get(server, tmp_path)
    assert target == tmp_path / "SpeechCommands" / "speech_commands_v0.02"
    assert files(target) == sorted(name.removeprefix("./") for name in FILES)
    assert len(files(tmp_path)) == len(FILES) and len(list(target.parent.iterdir())) == 1
    for name, content in FILES.items():
        assert (target / name).read_bytes() == content
    for split, speaker in (("train", "aaaa"), ("validation", "bbbb"), ("test", "cccc")):
        assert datasets.load("speech_commands", split, root=tmp_path).speakers == [speaker]


def test_a_second_call_asks_the_server_for_nothing(server, tmp_path):
    get(server, tmp_path)
    assert get(server, tmp_path).is_dir()
    assert len(server.ranges) == 1


def test_half_a_download_is_resumed(server, tmp_path):
    half = len(GOOD) // 2
    part(tmp_path).write_bytes(GOOD[:half])
    assert len(files(get(server, tmp_path))) == len(FILES)
    assert server.ranges == [f"bytes={half}-"]


def test_a_server_without_ranges_sends_everything_again(server, tmp_path):
    server.knows_range = False
    part(tmp_path).write_bytes(GOOD[: len(GOOD) // 2])
    assert len(files(get(server, tmp_path))) == len(FILES)


def test_a_part_that_was_complete_already_is_used(server, tmp_path):
    part(tmp_path).write_bytes(GOOD)
    assert len(files(get(server, tmp_path))) == len(FILES)


def test_a_part_from_another_place_is_never_glued(server, tmp_path):
    server.wrong_start = True
    before = GOOD[: len(GOOD) // 2]
    part(tmp_path).write_bytes(before)
    with pytest.raises(ConnectionError, match="wrong part"):
        get(server, tmp_path)
    assert part(tmp_path).read_bytes() == before


def portal(server: Server, *, kind: str = "", length: bool = True) -> None:
    server.knows_range, server.kind, server.tells_length = False, kind, length
    server.content = b"<html>Please accept the terms of this hotel</html>" * 90


@pytest.mark.parametrize("kind, length", [("text/html", True), ("", True), ("text/html", False)])
def test_a_portals_page_does_not_cost_what_was_there(server, tmp_path, kind, length):
    half = GOOD[: len(GOOD) // 2]
    part(tmp_path).write_bytes(half)
    portal(server, kind=kind, length=length)
    with pytest.raises(ConnectionError, match="another file came|differs from what is here"):
        get(server, tmp_path, GOOD_SHA256)
    assert part(tmp_path).read_bytes() == half


def test_a_page_that_says_neither_what_nor_how_long_is_told_by_its_bytes(server, tmp_path):
    half = GOOD[: len(GOOD) // 2]
    part(tmp_path).write_bytes(half)
    portal(server, length=False)
    with pytest.raises(ConnectionError, match=r"differs from what is here.* 0\.\d MB are kept"):
        get(server, tmp_path, GOOD_SHA256)
    assert part(tmp_path).read_bytes() == half


def test_no_more_than_the_known_size_is_written(server, tmp_path):
    file = tmp_path / "a.part"
    with pytest.raises(ConnectionError, match=f"{len(GOOD)} bytes, not 1000"):
        fetch(server.url, file, 1000)
    assert not file.exists()
    server.tells_length = False
    with pytest.raises(ConnectionError, match="more came than the file has"):
        fetch(server.url, file, 1000)
    assert file.stat().st_size <= 1000


def test_a_whole_part_of_the_known_size_asks_for_nothing(server, tmp_path):
    (tmp_path / "a.part").write_bytes(GOOD)
    fetch(server.url, tmp_path / "a.part", len(GOOD))
    assert server.ranges == []


def test_an_archive_of_ones_own_that_is_not_the_set_is_left(tmp_path):
    own = tmp_path / "speech_commands_v0.02.tar.gz"
    own.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="left as it is"):
        datasets.download(root=tmp_path, url="http://127.0.0.1:9/none", sha256=GOOD_SHA256)
    assert own.read_bytes() == b"mine"


def test_a_connection_that_breaks_is_taken_up_at_once(server, tmp_path):
    third = len(GOOD) // 3
    server.breaks_after = [third, third]
    assert len(files(get(server, tmp_path))) == len(FILES)
    assert server.ranges == [None, f"bytes={third}-", f"bytes={2 * third}-"]


def test_what_arrived_stays_when_the_connection_keeps_breaking(server, tmp_path):
    server.breaks_after = [1000] + [0] * 20
    with pytest.raises(ConnectionError, match=r"0\.0 MB are kept.*same command again"):
        get(server, tmp_path)
    assert part(tmp_path).read_bytes() == GOOD[:1000]
    server.breaks_after = []
    assert len(files(get(server, tmp_path))) == len(FILES)


def test_a_wrong_checksum_is_refused_and_nothing_is_left(server, tmp_path):
    with pytest.raises(ValueError, match=f"{GOOD_SHA256}, not {'0' * 64}"):
        get(server, tmp_path, sha256="0" * 64)
    assert files(tmp_path) == []
    assert not (tmp_path / "SpeechCommands" / "speech_commands_v0.02").exists()


def test_no_network_is_one_sentence(server, tmp_path):
    url = server.url
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(ConnectionError, match=r"Could not download.*when there is a network"):
        fetch(url, tmp_path / "x.part")


def test_a_server_error_is_said_and_not_repeated(server, tmp_path):
    server.status = 404
    with pytest.raises(ConnectionError, match="404"):
        get(server, tmp_path)
    assert len(server.ranges) == 1


def test_a_header_of_a_gigabyte_is_refused_before_it_is_read(tmp_path):
    long = tarfile.TarInfo("././@LongLink")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    with gzip.open(tmp_path / "a.tar.gz", "wb", compresslevel=1) as file:
        file.write(long.tobuf(tarfile.GNU_FORMAT))
        for _ in range(40):
            file.write(bytes(1 << 20))
    with pytest.raises(ValueError, match="a header of 1,073,741,824 bytes"):
        unpack_to(tmp_path / "a.tar.gz", tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def test_an_interrupted_unpacking_does_not_count_as_the_set(server, tmp_path):
    left = tmp_path / "SpeechCommands" / ".speech_commands_v0.02.unpacking"
    (left / "new").mkdir(parents=True)
    (left / "new" / "stray.wav").write_bytes(b"half")
    target = get(server, tmp_path)
    assert not (target / "stray.wav").exists() and not left.exists()


def test_an_incomplete_set_that_is_not_ours_is_left_as_it_is(tmp_path):
    clip = tmp_path / "SpeechCommands/speech_commands_v0.02/right/aaaa_nohash_0.wav"
    clip.parent.mkdir(parents=True)
    clip.write_bytes(sound(0))
    with pytest.raises(FileExistsError, match="1 of 105,829 files"):
        datasets.download("speech_commands", root=tmp_path)
    assert clip.read_bytes() == sound(0)


def test_an_archive_fetched_by_hand_is_used(tmp_path):
    (tmp_path / "speech_commands_v0.01.tar.gz").write_bytes(GOOD)
    target = datasets.download(
        version="v0.01", root=tmp_path, url="http://127.0.0.1:9/none", sha256=GOOD_SHA256
    )
    assert target.name == "speech_commands_v0.01" and len(files(target)) == len(FILES)


HARMFUL = {
    "a path upwards": member("../evil.txt", size=4),
    "a path upwards inside": member("right/../../evil.txt", size=4),
    "an absolute path": member("/tmp/evil.txt", size=4),
    "a Windows path": member("..\\evil.txt", size=4),
    "a Windows drive": member("C:/evil.txt", size=4),
    "a symbolic link": member("evil", tarfile.SYMTYPE, "/etc/passwd"),
    "a hard link": member("evil", tarfile.LNKTYPE, "right/aaaa_nohash_0.wav"),
    "holes": member("right/holes.wav", tarfile.GNUTYPE_SPARSE),
    "a time in the far future": timed("1e300"),
    "no time": timed("nan"),
    "a time before all": timed("-5"),
    "folders without end": member("a/" * 2000 + "deep.wav"),
    "a name nobody needs": member("a" * 300),
    "a file as a folder": member("right/aaaa_nohash_0.wav/in.wav"),
    "a folder as a file": member("right"),
    "a device": member("evil", tarfile.CHRTYPE),
    "a pipe": member("evil", tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("harmful", HARMFUL.values(), ids=HARMFUL.keys())
def test_a_harmful_archive_is_refused_and_nothing_is_left(server, tmp_path, harmful):
    server.content = archive(harmful)
    root = tmp_path / "deep" / "root"
    with pytest.raises(ValueError, match=r"cannot be unpacked: .*\. Nothing was unpacked\."):
        get(server, root)
    assert files(tmp_path) == []


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A member's header as tarfile would not write it: any size, by base 256."""
    raw = bytearray(member(name, kind).tobuf(tarfile.GNU_FORMAT))
    raw[124:136] = (size % (1 << 96)).to_bytes(12, "big") if size < 0 else b"%011o\0" % size
    raw[148:156] = b"        "
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


def pax(text: bytes) -> bytes:
    """A header with keywords for the member that follows."""
    return header("pax", len(text), tarfile.XHDTYPE) + text + bytes(-len(text) % 512)


HOLES = b"22 GNU.sparse.major=0\n22 GNU.sparse.minor=1\n22 GNU.sparse.map=0,1\n"
HOLES += b"31 GNU.sparse.size=2000000000\n"
FORGED = {
    "a negative size": (header("a.wav", -512), "impossible size"),
    "a name's negative size": (header("x", -1024, tarfile.GNUTYPE_LONGNAME), "header"),
    "a chain of headers": (pax(b"9 a=b\nc\n") * 3000, "recursion"),
    "five thousand digits": (pax(b"9" * 5000 + b" path=a\n") + header("a", 0), "unpacked"),
    "2 GB of holes": (pax(HOLES) + header("a", 0), "neither a plain file"),
    "a name with a zero": (pax(b"14 path=a\0b.w\n") + header("a", 0), "no name"),
}


@pytest.mark.parametrize("content, said", FORGED.values(), ids=FORGED.keys())
def test_a_forged_header_is_one_sentence_and_nothing_is_left(tmp_path, content, said):
    (tmp_path / "a.tar").write_bytes(content + bytes(2048))
    with pytest.raises(ValueError, match=said):
        unpack_to(tmp_path / "a.tar", tmp_path / "set")
    assert os.listdir(tmp_path) == ["a.tar"]


def test_a_header_may_have_64_kb_and_no_more(tmp_path):
    for size, fits in ((60_000, True), (70_000, False)):
        entry = member("a.wav")
        entry.pax_headers = {"comment": "x" * size}
        with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
            tar.addfile(entry)
        if fits:
            unpack_to(tmp_path / "a.tar", tmp_path / f"set {size}")
        else:
            with pytest.raises(ValueError, match="a header of 70,"):
                unpack_to(tmp_path / "a.tar", tmp_path / f"set {size}")


def test_what_comes_out_has_the_permissions_and_the_time_of_here(tmp_path):
    entry = member("run.sh", size=1)
    entry.mode, entry.mtime, entry.uid = 0o4777, 86_400, 12_345
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(entry, io.BytesIO(b"x"))
    unpack_to(tmp_path / "a.tar", tmp_path / "set")
    found = (tmp_path / "set" / "run.sh").stat()
    assert not found.st_mode & 0o7111 and found.st_uid == os.getuid()
    assert found.st_mtime > 1e9


def test_a_mark_says_how_many_files_are_there_when_all_are(tmp_path):
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(GOOD)
    unpack_to(packed, tmp_path / "set")
    assert (tmp_path / "set" / COMPLETE).read_text() == "5 files from a.tar.gz\n"


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(archive(member("zeros", size=5_000_000)))
    with pytest.raises(ValueError, match="more than 1,000,000 bytes"):
        unpack_to(packed, tmp_path / "set", most_bytes=1_000_000)
    assert files(tmp_path) == ["a.tar.gz"]


@pytest.mark.parametrize("content", [GOOD[:-2000], b"", b"no archive at all"])
def test_a_damaged_archive_is_one_sentence(tmp_path, content):
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.tar\.gz cannot be unpacked"):
        unpack_to(packed, tmp_path / "set")
    assert files(tmp_path) == ["a.tar.gz"]


def test_checksums_are_those_of_torchaudio():
    from torchaudio.datasets import speechcommands

    theirs = speechcommands._CHECKSUMS
    for version, ours in downloads._SPEECH.items():
        address = f"http://download.tensorflow.org/data/speech_commands_{version}.tar.gz"
        assert ours.checksum == theirs[address]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("words", {}, "'words'.*speech_commands, nsynth, cifar10, mnist"),
        ("speech_commands", {"version": "v3"}, r"'v3'.*v0\.01, v0\.02"),
        ("nsynth", {"version": "v0.02"}, "version is for speech_commands"),
        ("cifar10", {"split": "test"}, "split is for nsynth"),
        ("nsynth", {"split": "valid"}, "'valid'.*test, validation, train"),
        ("nsynth", {"url": "http://127.0.0.1:9/x"}, "say by split"),
        ("mnist", {"sha256": "0" * 64}, "four files"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_allowed(tmp_path, name, options, said):
    with pytest.raises(ValueError, match=said):
        datasets.download(name, root=tmp_path, **options)
    assert files(tmp_path) == []


def test_a_warning_says_when_load_will_look_elsewhere_first(server, tmp_path, monkeypatch):

    monkeypatch.setattr("vqlab.files.download_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("VQLAB_DATA", str(tmp_path / "mine"))
    with pytest.warns(UserWarning, match=r"VQLAB_DATA.*mine"):
        target = datasets.download(url=server.url, sha256=GOOD_SHA256)
    assert target.is_relative_to(tmp_path / "cache")


# NSynth, CIFAR-10, MNIST


def packed(folder: str, contents: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in contents.items():
            tar.addfile(member(f"{folder}/{name}", size=len(content)), io.BytesIO(content))
    return file.getvalue()


def known(monkeypatch, table: dict, key: str, content: bytes, algorithm: str, count: int) -> None:
    """Let the set be a small one: its checksum, its number of files, its room on disk."""
    small = dataclasses.replace(
        table[key],
        checksum=hashlib.new(algorithm, content).hexdigest(),
        size=len(content),
        files=(table[key].files[0], count),
        content=1000,
    )
    monkeypatch.setitem(table, key, small)


NOTES = {
    f"audio/{name}.wav": sound(n)
    for n, name in enumerate(("bass_electronic_018-060-075", "reed_acoustic_011-060-050"))
}


def test_a_part_of_nsynth_is_checked_by_its_md5_unpacked_and_loaded(server, tmp_path, monkeypatch):
    server.content = packed("nsynth-test", {**NOTES, "examples.json": b"{}"})
    known(monkeypatch, downloads._NSYNTH, "test", server.content, "md5", 2)
    server.breaks_after = [1000]
    target = datasets.download("nsynth", split="test", root=tmp_path, url=server.url)
    assert target == tmp_path / "nsynth" / "nsynth-test"
    assert server.ranges == [None, "bytes=1000-"]
    assert files(target) == [*sorted(NOTES), "examples.json"]
    assert files(tmp_path / "nsynth") == [f"nsynth-test/{name}" for name in files(target)]
    assert datasets.load("nsynth", "test", root=tmp_path).labels == ["bass", "reed"]
    datasets.download("nsynth", split="test", root=tmp_path, url=server.url)
    assert len(server.ranges) == 2


def test_a_wrong_md5_is_refused_and_nothing_is_left(server, tmp_path, monkeypatch):
    server.content = packed("nsynth-test", NOTES)
    monkeypatch.setattr(downloads, "_need_room", lambda *_: None)
    here = dataclasses.replace(downloads._NSYNTH["test"], size=len(server.content))
    monkeypatch.setitem(downloads._NSYNTH, "test", here)
    wrong = hashlib.md5(server.content).hexdigest()
    with pytest.raises(ValueError, match=f"MD5 {wrong}, not 5e6f8719bf7e16ad"):
        datasets.download("nsynth", split="test", root=tmp_path, url=server.url)
    assert files(tmp_path) == []


def test_all_of_nsynth_is_three_archives_the_smallest_first(server, tmp_path, monkeypatch):
    for split, folder in (("train", "train"), ("validation", "valid"), ("test", "test")):
        content = packed(f"nsynth-{folder}", NOTES)
        known(monkeypatch, downloads._NSYNTH, split, content, "md5", 2)
        address = f"{server.url.removesuffix('set.tar.gz')}nsynth-{folder}.jsonwav.tar.gz"
        server.files[address.rpartition("/")[2]] = content
        moved = dataclasses.replace(downloads._NSYNTH[split], url=address)
        monkeypatch.setitem(downloads._NSYNTH, split, moved)
    assert datasets.download("nsynth", root=tmp_path) == tmp_path / "nsynth"
    assert server.asked == [f"nsynth-{part}.jsonwav.tar.gz" for part in ("test", "valid", "train")]
    assert len(files(tmp_path)) == 6


def test_an_incomplete_nsynth_is_left_as_it_is(tmp_path):
    clip = tmp_path / "nsynth" / "nsynth-test" / "audio" / "reed_acoustic_011-060-050.wav"
    clip.parent.mkdir(parents=True)
    clip.write_bytes(sound(0))
    with pytest.raises(FileExistsError, match="1 of 4,096 files"):
        datasets.download("nsynth", split="test", root=tmp_path)
    assert clip.read_bytes() == sound(0)


def test_an_archive_of_another_folder_is_refused(server, tmp_path):
    server.content = packed("nsynth-valid", NOTES)
    with pytest.raises(ValueError, match="no folder nsynth-test"):
        datasets.download(
            "nsynth", split="test", root=tmp_path, url=server.url,
            sha256=hashlib.sha256(server.content).hexdigest(),
        )  # fmt: skip
    assert files(tmp_path) == []


def test_cifar_is_downloaded_unpacked_and_loaded(server, tmp_path):
    names = [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]
    server.content = packed("cifar-10-batches-bin", dict.fromkeys(names, bytes(3073)))
    digest = hashlib.sha256(server.content).hexdigest()
    target = datasets.download("cifar10", root=tmp_path, url=server.url, sha256=digest)
    assert target == tmp_path / "cifar10" / "cifar-10-batches-bin"
    assert files(target) == sorted(names)
    assert len(datasets.load_pictures("cifar10", "train", root=tmp_path)) == 4
    (target / "data_batch_2.bin").unlink()
    with pytest.raises(FileExistsError, match="5 of 6 files"):
        datasets.download("cifar10", root=tmp_path, url=server.url)


def idx(*sizes: int) -> bytes:
    header = bytes([0, 0, 8, len(sizes)]) + b"".join(n.to_bytes(4, "big") for n in sizes)
    return gzip.compress(header + bytes(math.prod(sizes)))


def zipped(contents: dict[str, bytes], **modes: int) -> bytes:
    """A zip as macOS writes them: with a folder of its own beside the set, and hidden files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        out.mkdir("mini_speech_commands")
        for name, content in contents.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = modes.get("mode", 0o100644) << 16
            out.writestr(info, content)
    return file.getvalue()


MINI = {
    "mini_speech_commands/README.md": b"about",
    "mini_speech_commands/.DS_Store": b"\0",
    "__MACOSX/mini_speech_commands/yes/._aaaa_nohash_0.wav": b"\0\5\x16\7",
    **{
        f"mini_speech_commands/{word}/aaaa_nohash_0.wav": sound(n)
        for n, word in enumerate(("no", "yes"))
    },
}


def test_the_mini_set_is_a_zip_downloaded_unpacked_and_loaded(server, tmp_path, monkeypatch):
    server.content = zipped(MINI)
    small = dataclasses.replace(
        downloads._MINI,
        size=len(server.content),
        checksum=hashlib.sha256(server.content).hexdigest(),
        files=("*/*_nohash_*.wav", 2),
    )
    monkeypatch.setattr(downloads, "_MINI", small)
    server.breaks_after = [1000]
    target = datasets.download("mini_speech_commands", root=tmp_path, url=server.url)
    assert target == tmp_path / "mini_speech_commands"
    assert server.ranges == [None, "bytes=1000-"]
    assert files(tmp_path) == sorted(name for name in MINI if not name.startswith("__"))
    found = datasets.load("mini_speech_commands", "all", root=tmp_path)
    assert found.labels == ["no", "yes"] and found[0].waveform.shape == (16000,)
    assert (target / "no/aaaa_nohash_0.wav").read_bytes() == sound(0)
    datasets.download("mini_speech_commands", root=tmp_path, url=server.url)
    assert len(server.ranges) == 2


LINK = {"mini_speech_commands/yes/link.wav": b"/etc/passwd"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zipped(MINI | {"../evil.wav": b""}), "points outside"),
        (zipped(MINI | {"/evil.wav": b""}), "points outside"),
        (zipped(MINI | {"C:\\evil.wav": b""}), "points outside"),
        (zipped(MINI | LINK, mode=0o120777), "neither a plain file nor a folder"),
        (zipped(MINI)[:-30], "not a zip file"),
        (zipped(MINI).replace(sound(1)[9000:9100], bytes(100)), "Bad CRC-32"),
        (GOOD, "not a zip file"),
    ],
)
def test_a_harmful_or_damaged_zip_is_refused_and_nothing_is_left(server, tmp_path, content, said):
    server.content = content
    sha256 = hashlib.sha256(content).hexdigest()
    with pytest.raises(ValueError, match=rf"cannot be unpacked: .*({said})"):
        datasets.download("mini_speech_commands", root=tmp_path, url=server.url, sha256=sha256)
    assert files(tmp_path) == []


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path):
    packed = tmp_path / "a.zip"
    packed.write_bytes(zipped({"zeros": bytes(5_000_000)}))
    with pytest.raises(ValueError, match="more than 1,000,000 bytes"):
        unpack_to(packed, tmp_path / "set", most_bytes=1_000_000)
    assert files(tmp_path) == ["a.zip"]


def test_mnist_is_four_files_each_of_them_checked(server, tmp_path, monkeypatch):
    for name in downloads._MNIST_FILES:
        content = idx(*((12, 28, 28) if "images" in name else (12,)))
        server.files[name] = content
        known = len(content), hashlib.sha256(content).hexdigest()
        monkeypatch.setitem(downloads._MNIST_FILES, name, known)
    url = server.url.removesuffix("/set.tar.gz")
    for _ in range(2):  # the second time nothing is asked for
        assert datasets.download("mnist", root=tmp_path, url=url) == tmp_path / "mnist"
    assert server.asked == [*downloads._MNIST_FILES]
    assert len(datasets.load_pictures("mnist", "train", root=tmp_path)) == 10
    (tmp_path / "mnist" / server.asked[2]).write_bytes(b"another file")
    with pytest.raises(FileExistsError, match="t10k-images.*left as it is"):
        datasets.download("mnist", root=tmp_path, url=url)


def test_a_wrong_file_of_mnist_is_not_kept(server, tmp_path):
    with pytest.raises(ConnectionError, match="another file came"):
        datasets.download("mnist", root=tmp_path, url=server.url)
    server.content = bytes(downloads._KNOWN["train-images-idx3-ubyte"][0])
    with pytest.raises(ValueError, match="train-images-idx3-ubyte.gz has the SHA-256"):
        datasets.download("mnist", root=tmp_path, url=server.url)
    assert files(tmp_path) == []


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(server, tmp_path, monkeypatch):
    large = dataclasses.replace(downloads._CIFAR, content=10**18)
    monkeypatch.setattr(downloads, "_CIFAR", large)
    with pytest.raises(OSError, match=r"needs 1000000000\.\d GB of disk.*Make room"):
        datasets.download("cifar10", root=tmp_path, url=server.url)
    assert server.ranges == []


def test_every_archive_has_a_checksum_a_size_and_a_safe_address():
    others = [downloads._CIFAR, downloads._MINI]
    archives = [*downloads._SPEECH.values(), *downloads._NSYNTH.values(), *others]
    found = [(archive.size, archive.checksum) for archive in archives]
    for size, checksum in [*found, *downloads._MNIST_FILES.values()]:
        assert 4_000 < size < 24e9 and len(bytes.fromhex(checksum)) in (16, 32)
    assert len(downloads._KNOWN) == len(found) + 4
    assert all(archive.url.startswith("https://") for archive in archives)
    assert downloads._MNIST.startswith("https://")


def test_the_command_line_takes_the_set_and_the_split(tmp_path, capsys):
    from vqlab.cli import main

    folder = tmp_path / "nsynth" / "nsynth-test"
    folder.mkdir(parents=True)
    assert main(["download", "nsynth", "--split", "test", "--root", str(tmp_path)]) == 2
    assert "holds 0 of 4,096 files" in capsys.readouterr().err
    assert main(["download", "mnist", "--version", "v0.01", "--root", str(tmp_path)]) == 2
    assert "version is for speech_commands" in capsys.readouterr().err
