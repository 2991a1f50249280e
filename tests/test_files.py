"""A file is written whole or not at all, to where it was meant, and by nobody else's leave."""

import errno
import os
import socket
import subprocess
import sys
import threading
import time

import pytest
from _support import ROOT

from vqlab import files

KILLED = """
import os, signal, sys
from pathlib import Path
from vqlab import files
with files.whole_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
CLOSED = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
from vqlab import files
files.write_whole(Path(sys.argv[1]), bytes(5000))
"""


def run(code: str, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_a_file_is_there_whole_or_as_it_was(tmp_path):
    place = tmp_path / "a.txt"
    files.write_whole(place, b"old")
    with pytest.raises(KeyError):
        with files.whole_file(place) as file:
            file.write(b"half of the new one")
            raise KeyError
    assert place.read_bytes() == b"old"
    with files.whole_file(place) as file:
        file.write(b"new")
        assert place.read_bytes() == b"old"
    assert place.read_bytes() == b"new" and os.listdir(tmp_path) == ["a.txt"]


def test_a_file_of_the_users_own_that_ends_in_part_is_left_alone(tmp_path):
    (tmp_path / "a.txt.part").write_text("mine")
    files.write_whole(tmp_path / "a.txt", b"x")
    assert (tmp_path / "a.txt.part").read_text() == "mine"


def test_a_planted_link_is_replaced_and_its_target_kept(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    folder = tmp_path / "a stranger's run"
    folder.mkdir()
    for name in ("results.csv", "results.csv.part", ".results.csv.part"):
        (folder / name).symlink_to(precious)
    files.write_whole(folder / "results.csv", b"table")
    assert precious.read_text() == "mine" and (folder / "results.csv").read_bytes() == b"table"
    (folder / "metrics.jsonl").symlink_to(precious)
    with pytest.raises(ValueError, match="a link out of its folder"):
        files.append_text(folder / "metrics.jsonl", "{}\n")
    assert precious.read_text() == "mine"


def test_the_users_umask_decides_and_an_old_files_permissions_stay(tmp_path):
    before = os.umask(0o077)
    try:
        files.write_whole(tmp_path / "private", b"x")
        (tmp_path / "shared").write_bytes(b"x")
        os.chmod(tmp_path / "shared", 0o664)
        files.write_whole(tmp_path / "shared", b"y")
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("private", "shared")]
    assert modes == [0o600, 0o664]


def test_what_a_killed_writer_left_is_swept_and_a_living_ones_is_not(tmp_path, monkeypatch):
    place = tmp_path / "a.bin"
    assert run(KILLED, place).returncode == -9
    (left,) = os.listdir(tmp_path)
    assert left.startswith(".a.bin.") and left.endswith(".part")
    long_ago = time.time() - 3600
    with files.whole_file(place) as living:
        living.write(b"slow")
        for name in os.listdir(tmp_path):
            os.utime(tmp_path / name, (long_ago, long_ago))
        files.write_whole(place, b"quick")
        assert left not in os.listdir(tmp_path) and len(os.listdir(tmp_path)) == 2
    assert place.read_bytes() == b"slow" and os.listdir(tmp_path) == ["a.bin"]


def test_without_locks_files_are_written_and_nothing_is_swept(tmp_path, monkeypatch):
    """As on Google Drive in Colab: who lives cannot be told, so what is there stays."""

    def no_locks(*_):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(files.fcntl, "flock", no_locks)
    place = tmp_path / "a.bin"
    assert run(KILLED, place).returncode == -9
    (left,) = os.listdir(tmp_path)
    os.utime(tmp_path / left, (0, 0))
    for content in (b"one", b"two"):
        files.write_whole(place, content)
    assert place.read_bytes() == b"two" and sorted(os.listdir(tmp_path)) == [left, "a.bin"]
    with files.locked(tmp_path / "run", wait=False):
        (tmp_path / "run" / "file").touch()
    monkeypatch.setattr(files.fcntl, "flock", lambda *_: os.listdir(tmp_path / "nowhere"))
    with pytest.raises(OSError, match="nowhere|folder does not exist"):
        files.write_whole(place, b"three")  # any other error is one


def test_many_writers_of_one_file_do_not_meet(tmp_path):
    place, seen = tmp_path / "a.bin", set()
    contents = [bytes([n]) * 20_000 for n in range(8)]
    files.write_whole(place, contents[0])

    def write(content):
        for _ in range(8):
            files.write_whole(place, content)

    threads = [threading.Thread(target=write, args=[content]) for content in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seen.add(place.read_bytes())
        time.sleep(0.001)
    assert seen <= set(contents) and os.listdir(tmp_path) == ["a.bin"]


def test_a_place_for_a_result_is_a_file_and_never_what_is_read(tmp_path, monkeypatch):
    sound, link, nowhere = tmp_path / "a.wav", tmp_path / "link.wav", tmp_path / "nowhere"
    sound.write_bytes(b"sound")
    link.symlink_to(sound)
    nowhere.symlink_to(tmp_path / "gone")
    assert files.written_place(tmp_path / "new.vql", inputs=[sound]) == tmp_path / "new.vql"
    with pytest.warns(UserWarning, match=r"link.wav is a link; .*a.wav is written"):
        assert files.written_place(link) == sound
    with pytest.raises(ValueError, match="is the file that is read"):
        files.written_place(sound, inputs=[sound])
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="is the file that is read"):
        files.written_place(link, inputs=[sound])
    os.link(sound, tmp_path / "other name.wav")
    with pytest.raises(ValueError, match="is the file that is read"):
        files.written_place(tmp_path / "other name.wav", inputs=[sound])
    with pytest.raises(ValueError, match="does not exist; remove the link"):
        files.written_place(nowhere)
    with pytest.raises(ValueError, match="is a folder"):
        files.written_place(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # a socket's name may not be long
        server.bind("socket")
        for name in ("pipe", "socket", "/dev/null"):
            with pytest.raises(ValueError, match="is a device or a pipe"):
                files.written_place(tmp_path / name)


@pytest.mark.parametrize(
    "name, sentence",
    [("none/a", "the folder does not exist; make it first"), ("a" * 300, "the name is too long")],
)
def test_an_impossible_place_is_one_sentence_with_its_name(tmp_path, name, sentence):
    with pytest.raises(OSError, match=sentence) as error:
        files.write_whole(tmp_path / name, b"x")
    assert error.value.filename == str(tmp_path / name)


def test_a_file_that_may_not_grow_is_said_and_leaves_nothing(tmp_path):
    done = run(CLOSED, tmp_path / "a.bin")
    assert "the file is larger than allowed here (ulimit -f)" in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_called_that(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match="the disk is full; make room there and do it again"):
        with files.whole_file(tmp_path / "a.bin") as file:
            os.dup2(os.open("/dev/full", os.O_WRONLY), file.fileno())
            file.write(b"x")
    assert os.listdir(tmp_path) == []
