"""The package is a house: a room imports from the floors below its own, in no circles."""

import ast
from pathlib import Path

import pytest
from _support import ROOT

# From the ground up: a line imports from those above it in this list. Rooms of one line are apart.
# `codec.context` is none of the rooms that a learner reads: her codec does without it.
FLOORS = """
    compat files processes
    audio
    spectral
    inversion
    features
    quantize networks
    models
    codec.context
    codec
    datasets
    training
    metrics plots
    widgets.base
    listen
    experiments widgets
    lessons
    cli colab
""".strip().splitlines()
MOST_ENTRIES = 24
MOST_LINES = 13_200
MOST_TO_LEARN = 4_600
"""Lines of the rooms that a learner reads, from the sound to the training."""
LEARNT = "audio spectral inversion features quantize networks models codec training".split()
PACKAGE = ROOT / "vqlab"
FILES = sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE or p.name[:2] != "__")


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def room_of(module: str) -> str:
    """The room on the list of floors that a module belongs to."""
    name = module.removeprefix("vqlab.")
    rooms = [room for line in FLOORS for room in line.split()]
    found = [room for room in rooms if name == room or name.startswith(room + ".")]
    assert found, f"vqlab.{name} has no floor yet: give it one in tests/test_layers.py"
    return max(found, key=len)


def floor_of(module: str) -> int:
    room = room_of(module)
    return next(number for number, line in enumerate(FLOORS) if room in line.split())


def imports(source: str, module: str, *, package: bool = False) -> set[tuple[str, str]]:
    """The modules of vqlab that a source imports anywhere, functions included, with each name.

    >>> sorted(imports("from ..plots import line", "vqlab.datasets.notes"))
    [('vqlab.plots', 'line')]
    >>> sorted(imports("import vqlab.codec\\nfrom vqlab import audio", "vqlab.models"))
    [('vqlab.audio', ''), ('vqlab.codec', '')]
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names if alias.name.startswith("vqlab.")}
        elif isinstance(node, ast.ImportFrom):
            up = node.level - package
            above = ".".join(module.split(".")[: -up or None]) if node.level else ""
            base = ".".join(part for part in (above, node.module) if part)
            for alias in node.names if base.split(".")[0] == "vqlab" else ():
                inner = f"{base}.{alias.name}"
                found.add((inner, "") if inner in MODULES else (base, alias.name))
    return {(base, name) for base, name in found if base != "vqlab"}


def imports_of(path: Path) -> set[tuple[str, str]]:
    return imports(path.read_text(), module_of(path), package=path.name == "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downward_only(path):
    own = module_of(path)
    upward = {
        base
        for base, _ in imports_of(path)
        if room_of(base) != room_of(own) and floor_of(base) >= floor_of(own)
    }
    assert not upward


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_private_name_is_taken_from_another_room(path):
    taken = {
        f"{base}.{name}" for base, name in imports_of(path) if base != module_of(path)
        and any(part.startswith("_") for part in f"{base}.{name}".split("."))
    }  # fmt: skip
    assert not taken


def test_the_house_stays_small():
    entries = [path.name for path in PACKAGE.iterdir() if path.name[:1] not in "_."]
    assert len(entries) + 2 <= MOST_ENTRIES  # with __init__ and __main__
    lines = sum(len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py"))
    assert lines <= MOST_LINES


def test_what_a_learner_reads_stays_short():
    learnt = [path for name, path in MODULES.items() if room_of(name) in LEARNT]
    assert sum(len(path.read_text().splitlines()) for path in learnt) <= MOST_TO_LEARN
