"""The repository's address stands in one place, and everything else follows from it."""

import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from _support import HANG, ROOT, need

ADDRESS = "https://github.com/ada-l/hear.vq_lab"
FILES = ("pyproject.toml", "README.md", "CITATION.cff")


def publish(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, tree / "tools/publish.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG)


def contents(tree: Path) -> dict[str, bytes]:
    paths = [tree / name for name in FILES] + sorted((tree / "notebooks").glob("*.ipynb"))
    return {path.name: path.read_bytes() for path in paths}


def tell(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    """A copy of the tree without an address, and a copy of that one with an address."""
    without, given = (tmp_path_factory.mktemp("trees") / name for name in ("without", "given"))
    for name in ("tools", "notebooks"):
        leave_out = shutil.ignore_patterns(".*", "__pycache__", "solutions")
        shutil.copytree(ROOT / name, without / name, ignore=leave_out)
    for name in FILES:
        shutil.copy(ROOT / name, without)
    tell(publish(without, "none"))
    shutil.copytree(without, given)
    tell(publish(given, ADDRESS.removeprefix("https://github.com/")))
    return {"": without, ADDRESS: given}


@pytest.fixture
def copy(states, tmp_path):
    return Path(shutil.copytree(states[""], tmp_path / "tree"))


def test_here_everything_fits_the_address_in_pyproject():
    done = publish(ROOT, "--check")
    assert done.returncode == 0, f"run `make publish`: {done.stdout}"


@pytest.mark.parametrize("address", ["", ADDRESS])
def test_banners_and_set_up_cells_have_the_address_of_pyproject(states, address):
    tree = states[address]
    project = tomllib.loads((tree / "pyproject.toml").read_text())["project"]
    assert project.get("urls", {}).get("Repository", "") == address
    tell(publish(tree, "--check"))
    paths = sorted((tree / "notebooks").glob("*.ipynb"))
    assert len(paths) >= 5
    for path in paths:
        banner, first = nbformat.read(path, as_version=4).cells[:2]
        colab = re.findall(r"https://colab\.research\.google\.com/([^)\s]*)", banner.source)
        if address:
            page = f"github/ada-l/hear.vq_lab/blob/main/notebooks/{path.name}"
            assert colab == [
                "assets/colab-badge.svg",
                page,
            ]
        else:
            assert colab == ["#upload=true"]
            assert "upload this notebook" in banner.source and "vqlab_speech-*.whl" in banner.source
        assert re.findall(r'^REPOSITORY = "(.*?)"', first.source, re.MULTILINE) == [address]


@pytest.mark.parametrize("address", ["", ADDRESS])
def test_the_readme_and_the_citation_have_it_too(states, address):
    readme = (states[address] / "README.md").read_text()
    citation = (states[address] / "CITATION.cff").read_text()
    assert (f"git clone {ADDRESS}" in readme) == bool(address)
    assert (f'\nrepository-code: "{ADDRESS}"\n' in citation) == bool(address)
    assert ("https://ada-l.github.io/hear.vq_lab/" in readme) == bool(address)


def test_with_an_address_there_is_a_workflow_that_publishes_what_make_html_builds(states, copy):
    assert not (states[""] / ".github/workflows/pages.yml").exists()
    text = (states[ADDRESS] / ".github/workflows/pages.yml").read_text()
    steps = yaml.safe_load(text)["jobs"]["publish"]["steps"]
    command = next(step["run"] for step in steps if "run" in step)
    assert command.split()[:2] == ["make", "html"]
    assert any(step.get("with", {}).get("path") == "dist/html" for step in steps)
    tell(publish(copy, "ada-l/hear.vq_lab"))
    tell(publish(copy, "none"))
    assert not (copy / ".github/workflows/pages.yml").exists()


def test_nothing_else_in_a_notebook_changes_and_no_output_counts_as_old(states, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    checksum = importlib.import_module("notebooks").code_checksum
    for path in sorted((states[""] / "notebooks").glob("*.ipynb")):
        old, new = (nbformat.read(states[a] / "notebooks" / path.name, 4) for a in states)
        assert old.cells[1].source != new.cells[1].source
        assert old.cells[2:] == new.cells[2:]
        assert old.metadata == new.metadata
        assert checksum(old) == checksum(new)


def test_another_address_replaces_it_and_taking_it_back_leaves_no_trace(states, copy):
    tell(publish(copy, "bob/two"))
    tell(publish(copy, "ada-l/hear.vq_lab"))
    assert contents(copy) == contents(states[ADDRESS]) != contents(states[""])
    tell(publish(copy, "none"))
    assert contents(copy) == contents(states[""])


NOT_A_REPOSITORY = ["vqlab", "a/b/c", "https://github.com/a/b", "a/..", "a/b.git", "-a/b", "a--b/c"]
NOT_A_REPOSITORY += ["a/b c", 'a/b"', "a/b\n", "a/", "/b", "a" * 40 + "/b", "ä/b", "a/b)"]


@pytest.mark.parametrize("name", NOT_A_REPOSITORY)
def test_what_is_no_repository_is_refused(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    with pytest.raises(ValueError, match="no repository"):
        importlib.import_module("publish").address(name)


def test_a_refusal_is_one_sentence_and_writes_nothing(copy):
    before = contents(copy)
    done = publish(copy, "vqlab")
    assert done.returncode == 2 and done.stderr.startswith("'vqlab' is no repository")
    assert contents(copy) == before


def test_a_strange_address_in_one_notebook_is_found(copy):
    path = copy / "notebooks" / "00_start_here.ipynb"
    path.write_text(path.read_text().replace("#upload=true", "github/eve/x/blob/main/y.ipynb", 1))
    done = publish(copy, "--check")
    assert done.returncode == 1 and "notebooks/00_start_here.ipynb" in done.stdout


@pytest.mark.parametrize(
    "setting, argument",
    [((), ""), (("REPO=ada/vqlab",), ' "ada/vqlab"'), (("REPO=",), ' "none"')],
)
def test_make_publish_hands_the_name_over(setting, argument):
    # A make that runs the tests leaves its own options in the environment.
    ours = ("REPO", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")
    environment = {key: value for key, value in os.environ.items() if key not in ours}
    command = [need("make"), "-n", "publish", *setting]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1].partition("tools/publish.py")[2].rstrip() == argument
