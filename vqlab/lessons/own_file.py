"""The learner's own codec: `my_codec.py`, a program in sections that her exercises fill.

The one idea: the reference (`notebooks/solutions/my_codec.py`) and her file have the same form, so
one parser reads both. A section begins with a heading such as `# --- 05-residual --- yours 3f2a9c`;
what stands before the first heading are imports and settings. The mark after `yours` is that of the
text that came from her notebook: a section that no longer fits its mark was changed by hand.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from ..files import bundled, load_json, write_whole

PRIOR = "12-"
"""Pieces whose names begin so are those of the prior, which no codec needs."""

_HEADING = re.compile(r"^# --- ([\w-]+) ---(?: (yours|ours)(?: (\w+))?)?[ \t]*\n", re.MULTILINE)
_BEFORE = "# An earlier version:"
_BROKEN = "# This cannot be read by Python, so it rests as a comment:"


@dataclass(frozen=True)
class Section:
    """One section of the file. whose : "yours", "ours", or "" for what no exercise asks for."""

    name: str
    whose: str
    mark: str
    text: str

    @property
    def code(self) -> str:
        """The text without earlier versions."""
        return self.text.partition(_BEFORE)[0].strip()

    @property
    def hers(self) -> bool:
        """Whether it came from her notebook, or was changed by her in the file."""
        return self.whose == "yours" or bool(self.mark) and self.mark != mark_of(self.code)

    @property
    def defines(self) -> str:
        """The name of its last function or class."""
        kinds = (ast.FunctionDef, ast.ClassDef)
        return [node.name for node in ast.parse(self.code).body if isinstance(node, kinds)][-1]


def where() -> Path:
    """Where her file is: what `VQLAB_MY_CODEC` names, else `my_codec.py` in the kernel's folder."""
    return Path(os.environ.get("VQLAB_MY_CODEC", "").strip() or "my_codec.py").absolute()


def noted(kind: str) -> dict[str, Any]:
    """Notes beside her file that survive the kernel, such as her "guesses" or what has "passed"."""
    with contextlib.suppress(FileNotFoundError, ValueError):  # none yet, or damaged
        return load_json(where().with_suffix(f".{kind}.json"))
    return {}


def note(kind: str, key: str, value: Any) -> None:
    """Put a note there, a value that JSON can carry."""
    notes = noted(kind) | {key: value}
    write_whole(where().with_suffix(f".{kind}.json"), json.dumps(notes).encode())


@functools.cache
def reference() -> tuple[str, dict[str, Section]]:
    """Imports and settings of the reference, and its sections by name."""
    return parse(bundled("solutions", "my_codec.py").read_text(encoding="utf-8"))


def pieces() -> list[str]:
    """Names of the pieces, such as "05-residual", in the order in which they are written."""
    return [name for name in reference()[1] if name[:2].isdigit()]


def parse(text: str) -> tuple[str, dict[str, Section]]:
    """A program's text before its first heading, and its sections by name."""
    head, *parts = _HEADING.split(text)
    rows = zip(*[iter(parts)] * 4, strict=True)
    found = [
        Section(name, whose or "", mark or "", text.strip()) for name, whose, mark, text in rows
    ]
    return head.strip(), {section.name: section for section in found}


def read() -> tuple[str, dict[str, Section]]:
    """Her file, or, where there is none yet, what every file begins with."""
    head, ours = reference()
    path = where()
    if not path.exists():
        return head, {name: section for name, section in ours.items() if name not in pieces()}
    return parse(path.read_text(encoding="utf-8"))


def put(name: str, source: str, whose: str = "yours") -> bool:
    """Put a piece into the file; False where the very same text was put there before.

    So what she changed by hand since stays, until the notebook has something new. An earlier
    version of hers is kept below the new one as a comment.
    """
    head, sections = read()
    source, old = source.strip(), sections.get(name)
    if old and old.hers and old.mark == mark_of(source):
        return False
    text = source
    if old and old.hers and old.text != source:
        text += f"\n\n\n{_BEFORE}\n{_commented(old.text)}"
    sections[name] = Section(name, whose, mark_of(source), text)
    write(head, sections)
    return True


def fill() -> list[str]:
    """Fill what her file lacks of the codec with ours; the names of what was filled in."""
    _, ours = reference()
    lacking = [name for name in ours if not name.startswith(PRIOR) and name not in read()[1]]
    for name in lacking:
        put(name, ours[name].text, "ours")
    return lacking


def write(head: str, sections: dict[str, Section]) -> None:
    """Write the whole file at once, in the reference's order; it can always be imported."""
    order = list(reference()[1])
    *_, last = order  # runs the program, so it stays last
    place = {name: n for n, name in enumerate(order)}
    rows = sorted(sections.values(), key=lambda row: place.get(row.name, place[last] - 0.5))
    if not _compiles(head):
        head = f"{reference()[0]}\n\n{_BROKEN}\n{_commented(head)}"
    rows = [
        row if _compiles(row.text) else replace(row, text=f"{_BROKEN}\n{_commented(row.text)}")
        for row in rows
    ]
    write_whole(where(), "\n\n\n".join([head, *map(_written, rows)]).encode() + b"\n")


def program(chosen: dict[str, Section], head: str | None = None) -> ModuleType:
    """A whole codec as a module: the chosen sections, and ours for all others.

    head : imports and settings; None for those of the reference, with which pieces are checked
    """
    settings, ours = reference()
    module = ModuleType("my_codec")
    module.__file__ = str(where())
    for text in [head or settings, *(row.text for row in (ours | chosen).values())]:
        exec(compile(text, module.__file__, "exec"), module.__dict__)
    return module


def settings(text: str) -> dict[str, Any]:
    """Names that a program assigns plain values, and the values; none where it cannot be read."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return {}
    found: dict[str, Any] = {}
    for node in body:
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            pairs = [(target, value)]
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = [*zip(target.elts, value.elts, strict=False)]
            for name, plain in pairs:
                with contextlib.suppress(ValueError):
                    found[ast.unparse(name)] = ast.literal_eval(plain)
    return found


def lacking(error: NameError) -> str:
    """The sentence for a name that the file does not have."""
    return (
        f"`{error.name}` is not in {where().name}: a piece uses numpy, torch, math and "
        "other pieces, nothing else of the notebook. Define it in the same cell, and it goes along."
    )


def load(path: Path) -> ModuleType:
    """A file as a module of its own, whatever its name."""
    spec = importlib.util.spec_from_file_location("my_codec", path)
    assert spec and spec.loader  # it ends in .py
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mark_of(source: str) -> str:
    """Six letters that tell one text from another."""
    return hashlib.sha256(source.strip().encode()).hexdigest()[:6]


def _written(section: Section) -> str:
    heading = f"# --- {section.name} --- {section.whose} {section.mark}".rstrip()
    return f"{heading}\n\n\n{section.text}"


def _compiles(text: str) -> bool:
    try:
        compile(text, "my_codec.py", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def _commented(text: str) -> str:
    return "\n".join(f"# {line}".rstrip() for line in text.splitlines())
