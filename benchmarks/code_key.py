"""The score key: eight digits that change with the code that scores hang on, and with no other.

Hashed is the set of definitions (functions, classes, constants) in the rooms that a sound goes
through from the original to its score. They are parsed first, so that comments, docstrings,
annotations and layout do not count; and they are a set, without the files' names, so that a
definition may move from one file to another and the scores stay. Imports of vqlab, which only say
where it lies, and of names for annotations are left out.

    python benchmarks/code_key.py
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

from vqlab.codec import Codec

HERE = Path(__file__).resolve().parent
HOUSE = HERE.parent / "vqlab"
ROOMS = (
    "audio",
    "files/sounds.py",
    "files/headers.py",
    "spectral.py",
    "inversion.py",
    "features.py",
    "quantize",
    "networks.py",
    "models.py",
    "codec",
    "metrics/measures.py",
    "metrics/summary.py",
)
APART = ("codec/shipped.py", "audio/writing.py")  # no score goes through these
SCORERS = ("coders.py", "scoring.py")


def version_of(codec: Codec) -> str:
    """The weights, and the code: a change of either makes old scores worthless."""
    return f"weights {codec.identity().hex()}, code {code_key()}"


@cache
def code_key() -> str:
    """The key of the code at hand."""
    paths = [path for room in ROOMS for path in python_files(HOUSE / room)]
    paths = [path for path in paths if path.relative_to(HOUSE).as_posix() not in APART]
    paths += [HERE / name for name in SCORERS]
    return key_of(path.read_text(encoding="utf-8") for path in paths)


def python_files(room: Path) -> list[Path]:
    """The files of a room: itself, or those of its folder. Raises ValueError where it is gone."""
    found = [room] if room.is_file() else sorted(room.rglob("*.py"))
    if not found:
        raise ValueError(f"there is no {room}: say in {Path(__file__).name} where its code is now")
    return found


def key_of(sources) -> str:
    """The key of some modules' sources, in any order.

    >>> key_of(["import os\\ndef f(x: int):\\n    'Half.'\\n    return x / 2"]) == key_of(
    ...     ["def f(x):  # half\\n    return x / 2", "from . import a\\nimport os"])
    True
    >>> key_of(["def f(x): return x / 2"]) == key_of(["def f(x): return x / 3"])
    False
    """
    found = {repr(bare(node)) for source in sources for node in ast.parse(source).body}
    found -= {repr(None)}
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()[:8]


def bare(node: object) -> object:
    """A syntax tree as nested tuples, without what does not compute; None where nothing is left."""
    if isinstance(node, list):
        return [left for one in node if (left := bare(one)) is not None]
    if not isinstance(node, ast.AST):
        return node
    if isinstance(node, ast.ImportFrom) and (
        node.level or str(node.module).split(".")[0] in ("vqlab", "typing", "collections")
    ):
        return None
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return None  # a docstring, of a module, a function or a constant
    if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
        return None
    fields = [
        (name, bare(value))
        for name, value in ast.iter_fields(node)
        if name not in ("annotation", "returns") and value not in (None, [])
    ]
    # Fields that are empty are left out: which there are differs between versions of Python.
    return type(node).__name__, [(name, value) for name, value in fields if value not in (None, [])]


if __name__ == "__main__":
    print(code_key())
