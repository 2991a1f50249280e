"""Download against a real server on this machine: whole, resumed, refused."""

import hashlib
import io
import tarfile
import threading
import wave
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vqlab import datasets
from vqlab.datasets.download import CHECKSUMS, _refuse_harmful, fetch, unpack


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


def archive(*extra: tarfile.TarInfo) -> bytes:
    """A set in the layout of the official archive, with ``extra`` at its end."""
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
    """Serves ``content`` at ``url`` and remembers the Range header of each request."""

    def __init__(self) -> None:
        self.content = GOOD
        self.knows_range = True
        self.wrong_start = False
        self.breaks_after: list[int] = []  # bytes sent before the connection is closed, per request
        self.status: int | None = None
        self.ranges: list[str | None] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                server.ranges.append(wanted)
                if server.status:
                    self.send_error(server.status)
                    return
                start, total = 0, len(server.content)
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
                self.send_header("Content-Length", str(total - start))
                self.end_headers()
                end = start + server.breaks_after.pop(0) if server.breaks_after else total
                self.wfile.write(server.content[start:end])

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
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if not p.is_dir())


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


def test_an_interrupted_unpacking_does_not_count_as_the_set(server, tmp_path):
    left = tmp_path / "SpeechCommands" / ".speech_commands_v0.02.unpacking"
    left.mkdir(parents=True)
    (left / "stray.wav").write_bytes(b"half")
    target = get(server, tmp_path)
    assert not (target / "stray.wav").exists() and not left.exists()


def test_an_incomplete_set_that_is_not_ours_is_left_as_it_is(tmp_path):
    clip = tmp_path / "SpeechCommands/speech_commands_v0.02/right/aaaa_nohash_0.wav"
    clip.parent.mkdir(parents=True)
    clip.write_bytes(sound(0))
    with pytest.raises(FileExistsError, match="1 of 105,829 clips"):
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
    "a device": member("evil", tarfile.CHRTYPE),
    "a pipe": member("evil", tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("harmful", HARMFUL.values(), ids=HARMFUL.keys())
def test_a_harmful_archive_is_refused_and_nothing_is_left(server, tmp_path, harmful):
    server.content = archive(harmful)
    root = tmp_path / "deep" / "root"
    with pytest.raises(ValueError, match="nothing was unpacked"):
        get(server, root)
    assert files(tmp_path) == []
    with pytest.raises(ValueError):  # by our own rule, before tarfile's
        _refuse_harmful(harmful)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(archive(member("zeros", size=5_000_000)))
    with pytest.raises(ValueError, match="more than 1,000,000 bytes"):
        unpack(packed, tmp_path / "set", most_bytes=1_000_000)
    assert files(tmp_path) == ["a.tar.gz"]


@pytest.mark.parametrize("content", [GOOD[:-2000], b"", b"no archive at all"])
def test_a_damaged_archive_is_one_sentence(tmp_path, content):
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.tar\.gz cannot be unpacked"):
        unpack(packed, tmp_path / "set")
    assert files(tmp_path) == ["a.tar.gz"]


def test_checksums_are_those_of_torchaudio():
    from torchaudio.datasets import speechcommands

    theirs = speechcommands._CHECKSUMS
    for version, ours in CHECKSUMS.items():
        address = f"http://download.tensorflow.org/data/speech_commands_{version}.tar.gz"
        assert theirs[address] == ours


def test_an_unknown_set_or_version_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'words'.*speech_commands"):
        datasets.download("words", root=tmp_path)
    with pytest.raises(ValueError, match=r"'v3'.*v0\.01, v0\.02"):
        datasets.download(version="v3", root=tmp_path)


def test_a_warning_says_when_load_will_look_elsewhere_first(server, tmp_path, monkeypatch):
    from vqlab import _paths

    monkeypatch.setattr(_paths, "download_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("VQLAB_DATA", str(tmp_path / "mine"))
    with pytest.warns(UserWarning, match=r"VQLAB_DATA.*mine"):
        target = datasets.download(url=server.url, sha256=GOOD_SHA256)
    assert target.is_relative_to(tmp_path / "cache")
