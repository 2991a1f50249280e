"""What the texts point to exists: files, headings, make's targets."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from _support import ROOT

TEXTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "data").rglob("*.md")]
    + [*(ROOT / "experiments").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]
    + [*(ROOT / "notebooks").glob("*.ipynb")]
)
LINK = re.compile(r"""\]\(\s*<?([^)\s>]+)|(?:href|src)=["']([^"']+)["']""")


def prose(path: Path) -> str:
    """The text of a page: markdown without its code blocks, or a notebook's markdown cells."""
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`|\$[^$\n]*\$", "`code`", text)


def headings(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and JupyterLab write them, in lower case.

    Both drop or keep punctuation in their own way, so only letters, digits and `-` are compared.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        markdown = [cell.source for cell in cells if cell.cell_type == "markdown"]
        lines = "\n".join(markdown).splitlines()
    return {plain(line.lstrip("# ").strip()) for line in lines if line.startswith("#")}


def plain(text: str) -> str:
    return re.sub(r"[^\w-]", "", text.lower().replace(" ", "-"))


def broken(path: Path) -> list[str]:
    """The links of a page that lead nowhere within the project."""
    bad = []
    for match in LINK.finditer(prose(path)):
        link = match[1] or match[2]
        if re.match(r"(https?|mailto|data|attachment):", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        outside = not target.is_relative_to(ROOT)
        if outside or not target.exists():
            bad.append(link)
        elif (
            anchor and target.suffix in (".md", ".ipynb") and plain(anchor) not in headings(target)
        ):
            bad.append(link)
    return bad


def test_there_is_a_readme():
    assert (ROOT / "README.md").is_file()


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    assert broken(path) == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_make_target_that_is_named_exists(path):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^ {0,4}|\$ )make ([a-z]+)", text, flags=re.MULTILINE))
    assert named <= targets


def test_a_broken_link_is_found(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "here.md").write_text("# A first: step\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[1](here.md) [2](here.md#a-first-step) [3](gone.md) [4](here.md#gone) ![5](gone.png)\n"
        "[6](../outside.md) [7](https://example.org) `[8](code.md)` <a href='gone.html'>9</a>\n"
        "```\n[10](block.md)\n```\n"
    )
    assert broken(page) == ["gone.md", "here.md#gone", "gone.png", "../outside.md", "gone.html"]


def test_tables_in_the_readme_are_what_the_commands_made():
    command = [sys.executable, ROOT / "tools" / "tables.py", "--check"]
    assert subprocess.run(command, capture_output=True, text=True).returncode == 0


def test_a_table_that_was_typed_by_hand_is_noticed(tmp_path):
    filled = runpy.run_path(str(ROOT / "tools" / "tables.py"))["filled"]
    (tmp_path / "t.md").write_text("| 1 |\n")
    text = "a\n<!-- table t.md -->\n| 2 |\n<!-- end -->\nb"
    assert filled(text, tmp_path) == text.replace("2", "1")


def test_each_test_that_the_page_of_faults_names_exists():
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "faults.md").read_text("utf-8")))
    there = "".join(path.read_text("utf-8") for path in (ROOT / "tests").glob("test_*.py"))
    assert len(named) > 50
    assert named <= set(re.findall(r"^def (test_\w+)", there, re.MULTILINE))
