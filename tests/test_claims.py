"""What the package says of itself is so: which notebook uses a module, how long it is."""

import ast
import functools
import importlib
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from _series import NUMBERS, sources
from _support import ROOT

import vqlab

FILES = sorted((ROOT / "vqlab").rglob("*.py"))
ALL = "all of them"
# Modules over about 300 lines, as CONTRIBUTING.md names them.
LONG = {"codec.codec", "features"}


def name_of(path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def chain(node: ast.expr) -> list[str]:
    """The names of `a.b.c`, or nothing for another expression."""
    if isinstance(node, ast.Attribute):
        before = chain(node.value)
        return [*before, node.attr] if before else []
    return [node.id] if isinstance(node, ast.Name) else []


def followed(value: Any, names: list[str]) -> Iterator[str]:
    """The modules that `value.a.b` goes through, and the one where its end is defined."""
    for name in names:
        if not isinstance(value, ModuleType):
            return
        yield value.__name__
        value = getattr(value, name, None)
    if not isinstance(value, ModuleType):
        yield str(getattr(value, "__module__", ""))


def modules_in(source: str) -> set[str]:
    """The modules of vqlab of which a source uses a name."""
    found, known = set(), {}
    nodes = list(ast.walk(ast.parse(source)))
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "vqlab":
                    whole = importlib.import_module(alias.name)
                    known[alias.asname or "vqlab"] = whole if alias.asname else vqlab
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "vqlab":
            room = importlib.import_module(node.module)
            for alias in node.names:
                value = getattr(room, alias.name, None) or importlib.import_module(
                    f"{node.module}.{alias.name}"
                )
                known[alias.asname or alias.name] = value
                found |= set(followed(room, [alias.name]))
    for node in nodes:
        if isinstance(node, ast.Attribute) and (names := chain(node)) and names[0] in known:
            found |= set(followed(known[names[0]], names[1:]))
    return found


@functools.cache
def used_in(number: str) -> set[str]:
    """The modules of vqlab of which a notebook, or the check of its exercises, uses a name."""
    plain = (re.sub(r"^\s*[%!].*", "pass", cell, flags=re.MULTILINE) for cell in sources(number))
    check = ROOT / "notebooks/checks" / f"nb{number}.py"
    if not check.exists():  # all its exercises are pieces of the codec
        check = check.with_name("edits.py")
    return modules_in("\n".join(plain)) | modules_in(check.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_notebook_that_a_module_names_uses_it(path):
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    for said in re.findall(r"^Notebook: (.*)$", text, re.MULTILINE):
        for number in NUMBERS if said == ALL else said.split(", "):
            assert name_of(path) in used_in(number)


def test_a_module_stays_under_about_300_lines_but_for_two():
    lines = {name_of(path).removeprefix("vqlab."): path.read_text().count("\n") for path in FILES}
    assert {name for name, count in lines.items() if count > 320} <= LONG
    assert max(lines.values()) <= 420
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`([\w.]+)`", text.partition("longer: ")[2].partition(";")[0])) == LONG


def test_docstrings_have_one_markup_single_backquotes():
    folders = ("vqlab", "tests", "tools", "benchmarks", "notebooks")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    twice = re.compile(r"(?<!`)``(?!`)|:(?:class|func|meth|mod|attr|param \w+):")
    documented = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, documented):
                assert not twice.search(ast.get_docstring(node) or ""), path


def test_names_are_followed_through_the_faces_of_folders_and_old_names():
    assert modules_in("import vqlab\nvqlab.compress(x)") >= {"vqlab", "vqlab.codec.shipped"}
    assert "vqlab.listen.comparing" in modules_in("from vqlab import listen\nlisten.compare(x)")
    assert "vqlab.codec.packing" in modules_in("from vqlab import packing\npacking.pack(x)")
    assert "vqlab.codec.packing" not in modules_in("from vqlab import packing")
