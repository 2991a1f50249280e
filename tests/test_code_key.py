"""Published scores are of the code at hand, and the key that says so changes with it alone."""

import ast
import re
import sys

import pytest
from _support import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import code_key  # noqa: E402

PUBLISHED = [
    path
    for pattern in ("README.md", "docs/*.md", "docs/results/**/*.*", "data/weights/README.md")
    for path in sorted(ROOT.glob(pattern))
    if path.suffix in (".md", ".json")
]
MODULE = '''"""What it is for."""
import math
from .steps import distances

def nearest(vectors, codebook):
    """The closest."""
    return distances(vectors, codebook).argmin(dim=1)  # (n,)

LARGEST = 3
'''


def test_published_scores_are_of_the_code_at_hand():
    """After such a change: `benchmarks/codecs.py` twice, `phonemes.py`, `card.py`, `files.py`.

    Then `tools/tables.py`.

    Commands as they stand beside the tables in `docs/results.md`.
    """
    found = {
        (path.relative_to(ROOT).as_posix(), key)
        for path in PUBLISHED
        for key in re.findall(r"weights [0-9a-f]{4}, code ([0-9a-f]{8})", path.read_text())
    }
    assert {name for name, _ in found} >= {"README.md", "docs/results.md", "data/weights/README.md"}
    assert {name for name, key in found if key != code_key.code_key()} == set()


@pytest.mark.parametrize(
    "old, new",
    [
        ("The closest.", "The nearest one."),
        ("  # (n,)", ""),
        ("from .steps import", "from vqlab.quantize.steps import"),
        ("(vectors, codebook):", "(vectors: list, codebook: list) -> int:"),
        ("import math\n", "import math\nfrom typing import TYPE_CHECKING\n"),
    ],
)
def test_what_cannot_change_a_score_does_not_change_the_key(old, new):
    assert old in MODULE
    assert code_key.key_of([MODULE.replace(old, new)]) == code_key.key_of([MODULE])


def test_a_definition_may_move_to_another_file():
    head, function = MODULE.split("\n\n", 1)
    assert code_key.key_of([head, function]) == code_key.key_of([function, head])
    assert code_key.key_of([head, function]) == code_key.key_of([MODULE])


@pytest.mark.parametrize("old, new", [("dim=1", "dim=0"), ("= 3", "= 4"), (".argmin", ".argmax")])
def test_what_can_change_a_score_changes_the_key(old, new):
    assert code_key.key_of([MODULE.replace(old, new)]) != code_key.key_of([MODULE])


def test_the_key_covers_all_that_its_rooms_import():
    """A room that scores go through cannot be forgotten: those left out are named here."""
    harmless = {"datasets", "files", "processes", "compat"}  # clips have an identity of their own
    covered = {room.split("/")[0].removesuffix(".py") for room in code_key.ROOMS}
    imported = set()
    for room in code_key.ROOMS:
        for path in code_key.python_files(code_key.HOUSE / room):
            depth = len(path.relative_to(code_key.HOUSE).parts)
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.level == depth:
                    names = [node.module] if node.module else [a.name for a in node.names]
                    imported |= {name.split(".")[0] for name in names}
    assert "spectral" in imported and imported <= covered | harmless
