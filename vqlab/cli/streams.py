"""What a command reads and writes: files that a person named, and - for standard input and output.

The one idea: nothing is lost. A result never takes the place of what it was made from, and `-f`
replaces only a file of the kind that is written.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..files import written_place

STARTS = {".vql": b"V", ".wav": b"RIFF", ".flac": b"fLaC", ".html": b"<!doctype html"}
"""How a file of each kind begins."""
STANDARD = "-"


def say(text: str, *, result: str | Path = "") -> None:
    """Print a message: beside a result in standard output, on standard error."""
    print(printable(text), file=sys.stderr if str(result) == STANDARD else sys.stdout)


def printable(text: str) -> str:
    """The text with control characters, which a file's name may hold, written out."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


@contextmanager
def source(name: str) -> Iterator[Path]:
    """The file to read; standard input becomes one."""
    if name != STANDARD:
        yield Path(name)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "standard input"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield path


@contextmanager
def result(name: str | Path, suffix: str, *, read: str, force: bool) -> Iterator[Path]:
    """Where to write; standard output gets it at the end.

    suffix : of the kind that is written

    Raises ValueError for a file that is there already, unless `force` and it is of that kind, and
    for what `written_place` refuses.
    """
    if str(name) == STANDARD:
        with tempfile.TemporaryDirectory() as folder:
            yield (path := Path(folder) / f"result{suffix}")
            sys.stdout.buffer.write(path.read_bytes())
            sys.stdout.buffer.flush()
        return
    place = written_place(name, inputs=[read] if read != STANDARD else [])
    if place.exists():
        if not force:
            raise ValueError(f"{name} exists already: give another name, or -f to replace it")
        start = STARTS.get(suffix, b"")
        with place.open("rb") as file:
            if file.read(len(start)) not in (start, b""):
                raise ValueError(
                    f"{name} is no {suffix} file, and -f replaces only those: give another name"
                )
    yield place
