"""Sound files as libsndfile (through soundfile) opens and writes them, and what it does not say.

Files come from anywhere: half written, joined, misnamed, without a right to be read. The one idea:
whatever is wrong is said in one sentence here, so that `vqlab.audio` need think of samples alone.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile

from .headers import HIGHEST_RATE, LOWEST_RATE, Header, Promise, look, promise


class Sound(soundfile.SoundFile):
    """An opened sound file, read once from its beginning to its end."""

    def __init__(self, path: Path, raw: BinaryIO) -> None:
        self.path = path
        self.header = look(raw, os.fstat(raw.fileno()).st_size)
        with _quiet(self.header.mpeg):
            # By its name where it may be: some formats without a header are known by their suffix.
            if self.header.end < self.header.size or self.header.mended:
                super().__init__(_Mended(raw, self.header))
            else:
                super().__init__(os.fsencode(path) if os.name == "posix" else str(path))
        self.promise: Promise = promise(self.header, self)
        self.taken, self.damaged = 0, False  # samples read so far

    def seekable(self) -> bool:
        """No: soundfile would seek after every block, which costs an MP3 decoder its state."""
        return False

    def read_block(self, room: np.ndarray) -> np.ndarray:
        """The next samples, in `room (samples, channels)`; none at the end and after damage."""
        if self.damaged:
            return room[:0]
        room.fill(np.nan)
        try:
            with _quiet(self.subtype.startswith("MPEG")):
                block = self.read(out=room)
        except soundfile.LibsndfileError:
            # What was decoded before the damage lies in the room all the same.
            block = room[: int(np.isfinite(room).all(axis=1).cumprod().sum())]
            if not self.taken and len(block) == 0:
                raise
            self.damaged = True
        self.taken += len(block)
        return block

    def remarks(self) -> Iterator[str]:
        """Sentences, without their subject, on what was odd about a file that has been read."""
        (kind, promised), samples = self.promise, self.taken
        if kind == "known" and samples < promised:
            yield (
                f"is cut short: its header promises {promised} samples, {samples} could be read "
                "and are used."
            )
        elif self.damaged:
            yield f"is damaged: {samples} samples could be read and are used."
        if self.header.mended:
            yield (
                f"was never finished: its header says that it holds nothing; the {samples} samples "
                "up to the end of the file are used."
            )
        if self.header.end < self.header.size:
            yield (
                "holds several sounds, joined one after the other: "
                f"only the first, {samples} samples, "
                "is used. Cut the file into its parts to use the others."
            )


class _Mended:
    """The first of joined sounds in a file, or one with a size filled in: what libsndfile sees."""

    def __init__(self, raw: BinaryIO, header: Header) -> None:
        raw.seek(0)
        self._raw, self._end = raw, header.end
        self._place, self._bytes = header.mended or (0, b"")

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            offset, whence = self._end + offset, os.SEEK_SET
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def read(self, count: int) -> bytes:
        start = self.tell()
        data = bytearray(self._raw.read(max(0, min(count, self._end - start))))
        for place, byte in enumerate(self._bytes, self._place - start):
            if 0 <= place < len(data):
                data[place] = byte
        return bytes(data)


_one_at_a_time = threading.Lock()


@contextmanager
def _quiet(wanted: bool) -> Iterator[None]:
    """Keep away what mpg123 writes to standard error; other threads' lines in that time go too."""
    if not wanted:
        yield
        return
    with _one_at_a_time:
        try:
            kept = os.dup(2)
        except OSError:  # closed
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


@contextmanager
def opened(path: str | Path) -> Iterator[Sound]:
    """The sound file, open for `vqlab.audio.blocks`; whatever goes wrong is said in one sentence.

    Raises as `vqlab.audio.load` does.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise ValueError(f"{path} is a folder; give the path of one sound file in it.")
        size = path.stat().st_size
        if not path.is_file():
            raise ValueError(f"{path} is a device or a pipe; give the path of a file.")
        if size == 0:
            raise ValueError(f"{path} is empty (0 bytes); copy or download it again.")
        if not os.access(path, os.R_OK):
            raise PermissionError
        with path.open("rb") as raw, Sound(path, raw) as file:
            if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
                raise ValueError(
                    f"{path} has a sample rate of {file.samplerate} Hz in its header, allowed are "
                    f"{LOWEST_RATE} to {HIGHEST_RATE}: it is damaged, or no recording of sound."
                )
            yield file
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            f"There is no file {path}; check the name and the folder."
        ) from None
    except PermissionError:
        raise ValueError(
            f"{path} may not be read by this user; change its permissions (chmod u+r)."
        ) from None
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        if isinstance(error, TypeError) and path.suffix.lower() != ".raw":
            raise
        raise ValueError(_unreadable(path, error)) from None


def _unreadable(path: Path, error: Any) -> str:
    if path.suffix.lower() in (".raw", ".pcm"):
        return (
            f"{path} holds samples without a header, so nothing tells their rate and kind; make a "
            "WAV of it with what you know, for 16 bits, 16 kHz and one channel: "
            "ffmpeg -f s16le -ar 16000 -ac 1 -i INPUT output.wav"
        )
    reason = str(getattr(error, "error_string", error)).rstrip(". ")
    return (
        f"{path} cannot be read as sound ({reason}); WAV, FLAC, OGG and MP3 can. If it is "
        "another format, convert it first, for example: ffmpeg -i INPUT output.wav"
    )


class Watched:
    """A file that keeps its first error: libsndfile neither passes it on nor always notices it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        return self._kept(self.file.write, data) or len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._kept(self.file.seek, offset, whence) or 0

    def tell(self) -> int:
        return self._kept(self.file.tell) or 0

    def check(self) -> None:
        if self.error:
            raise self.error

    def _kept(self, act: Callable[..., int], *arguments: Any) -> int | None:
        try:
            return act(*arguments)
        except OSError as error:
            self.error = self.error or error
            return None
