"""A notebook alone in an empty folder, as Colab opens it: the set-up cell, and nothing else, helps.

Colab is played by an environment of its own. What Colab has is a folder of links to the packages
that are installed here, without vqlab and without two packages that Colab lacks. The folder is on
the path but outside the environment, so pip sees it and cannot take anything away from it. pip has
no index: what is missing comes from a folder of wheels, vqlab from a repository on this disk.
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import nbformat
import pytest
from _support import ROOT, need
from nbformat.v4 import new_code_cell, new_notebook
from packaging.requirements import Requirement

from vqlab import colab
from vqlab.lessons import own_file

MISSING = ("constriction", "anywidget")
STAND_IN = """
asked = 0

def enable_custom_widget_manager():
    global asked
    asked += 1

class _widgets:  # where anywidget looks for the manager's address
    _installed_url = None
"""
DRIVE = """
import pathlib

def mount(place):  # the learner has said yes
    pathlib.Path(place, "MyDrive").mkdir(parents=True, exist_ok=True)
"""
HERS = """
import errno, fcntl, os, pathlib

def no_locks(*_):
    raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

fcntl.flock = no_locks  # a file system without locks, as Drive's may be
from vqlab import colab, lessons
from vqlab.lessons import own_file
colab.DRIVE = pathlib.Path("@")
"""
REPORT = """
import importlib.metadata, json, sys, numpy, constriction, torch, vqlab
from google.colab import output
from vqlab import datasets
print(json.dumps({
    "vqlab": vqlab.__file__, "torch": torch.__file__, "constriction": constriction.__file__,
    "widgets": output.asked, "words": len(datasets.load("words", "test")), "folder": sys.path[0],
}))
"""


def tool():
    path = str(ROOT / "tools")
    sys.path.insert(0, path)
    try:
        return importlib.import_module("notebooks")
    finally:
        sys.path.remove(path)


def wheel_of(name: str, folder: Path) -> None:
    """Pack an installed package into a wheel again."""
    package = importlib.metadata.distribution(name)
    tag = next(
        line.partition(": ")[2]
        for line in (package.read_text("WHEEL") or "").splitlines()
        if line.startswith("Tag:")
    )
    with zipfile.ZipFile(folder / f"{name}-{package.version}-{tag}.whl", "w") as archive:
        for file in package.files or []:
            inside = ".." not in file.parts and "__pycache__" not in file.parts
            if inside and file.name not in ("INSTALLER", "REQUESTED", "direct_url.json"):
                archive.write(file.locate(), str(file))


@pytest.fixture(scope="module")
def colab_machine(tmp_path_factory):
    """A folder with an environment, a Jupyter kernel in it, and a repository of this project."""
    git = need("git")
    need("hatchling")
    place = tmp_path_factory.mktemp("colab")
    has, wheels, stand_in, tree = (place / n for n in ("has", "wheels", "stand_in", "tree"))
    for folder in (has, wheels, stand_in / "google/colab"):
        folder.mkdir(parents=True)
    lacking = ("vqlab", "_editable_impl_vqlab", "__editable__", *MISSING)
    for entry in Path(nbformat.__file__).parents[1].iterdir():
        if not entry.name.lower().startswith(lacking):
            (has / entry.name).symlink_to(entry)
    for name in MISSING:
        wheel_of(name, wheels)
    (stand_in / "google/colab/__init__.py").touch()
    (stand_in / "google/colab/output.py").write_text(STAND_IN)
    (stand_in / "google/colab/drive.py").write_text(DRIVE)
    startup = place / "ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "colab.py").write_text("import google.colab\n")  # as in Colab, before any cell

    venv.create(place / "venv", with_pip=False)
    python = place / "venv/bin/python"
    command = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    own = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    (own / "colab.pth").write_text(f"{has}\n{stand_in}\n")
    kernel = place / "jupyter/kernels/python3"
    kernel.mkdir(parents=True)
    start = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": start, "display_name": "Colab", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))

    leave_out = shutil.ignore_patterns("__pycache__")
    for name in ("vqlab", "data", "docs", "experiments", "notebooks", "tools"):
        shutil.copytree(ROOT / name, tree / name, ignore=leave_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "all of it"]):
        subprocess.run([git, *command], cwd=tree, check=True, capture_output=True)
    return place, own


@pytest.fixture
def in_colab(colab_machine, monkeypatch):
    """The environment as it was at first, and a notebook's empty folder."""
    place, own = colab_machine
    before = {path.name for path in own.iterdir()}
    settings = {
        "JUPYTER_PATH": place / "jupyter",
        "IPYTHONDIR": place / "ipython",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": place / "wheels",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads "no" as: without isolation, so no download
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    for name in ("PYTHONPATH", "PIP_EXTRA_INDEX_URL", "VQLAB_DATA"):
        monkeypatch.delenv(name, raising=False)
    folder = place / "content"
    folder.mkdir()
    yield place, own, folder
    shutil.rmtree(folder)
    for path in own.iterdir():
        if path.name not in before:
            shutil.rmtree(path)


def added(own: Path) -> set[str]:
    names = {path.name.partition("-")[0] for path in own.glob("*.dist-info")}
    return {name.lower() for name in names}


def report(notebook) -> dict:
    return json.loads(notebook.cells[-1].outputs[-1].text)


def hold(found: dict, own: Path, place: Path, asked=1) -> None:
    """vqlab and what was missing are new, the rest is what was there, and data came along."""
    assert added(own) == {"vqlab_speech", *MISSING}
    assert Path(found["vqlab"]).is_relative_to(own)
    assert Path(found["constriction"]).is_relative_to(own)
    assert Path(found["torch"]).is_relative_to(place / "has")
    assert found["widgets"] == asked
    assert found["words"] > 100


def test_a_lone_notebook_runs_from_the_repository(in_colab):
    """The first notebook of the series as it is, from its first cell to its last."""
    place, own, folder = in_colab
    series = sorted((ROOT / "notebooks").glob("00_*.ipynb"))
    notebook = nbformat.read(series[0], as_version=4)
    setup = next(cell for cell in notebook.cells if cell.cell_type == "code")
    setup.source = tool().bootstrap(f"file://{place / 'tree'}").strip()
    notebook.cells.append(new_code_cell(REPORT))
    nbformat.write(notebook, folder / "lone.ipynb")
    ran, _ = tool().execute(folder / "lone.ipynb")
    hold(report(ran), own, place, asked=2)  # the set-up, and anywidget at the first widget


def test_a_lone_notebook_runs_from_an_uploaded_wheel(in_colab):
    place, own, folder = in_colab
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(folder)]
    subprocess.run([*pip, str(place / "tree")], check=True, capture_output=True)
    setup = tool().bootstrap("").strip()
    again = "added = list(sys.path)\n" + setup + "\nassert sys.path == added"
    cells = [new_code_cell(text) for text in (setup, REPORT, again, REPORT)]
    nbformat.write(new_notebook(cells=cells), folder / "lone.ipynb")
    ran, _ = tool().execute(folder / "lone.ipynb")
    first = json.loads(ran.cells[1].outputs[-1].text)
    hold(first, own, place)
    assert report(ran) == {**first, "widgets": 2}  # run once more, the cell adds nothing


def said(cell) -> str:
    return "".join(o.text if "text" in o else o.data["text/plain"] for o in cell.outputs)


def test_her_codec_goes_through_drive_to_the_next_machine_if_she_says_so(in_colab, monkeypatch):
    place, own, folder = in_colab
    monkeypatch.delenv("VQLAB_MY_CODEC")
    drive = place / "drive"
    setup = tool().bootstrap(f"file://{place / 'tree'}").strip()
    hers = HERS.replace("@", str(drive))
    piece = own_file.reference()[1]["05-nearest-code"].text
    keep = "colab.keep_in_drive()"
    solve = f"import torch\n{piece}\nprint(lessons.check('05-nearest-code', nearest_code))"
    next_one = hers + "colab.prepare()\nlessons.mine('05-nearest-code');"
    machines = ((setup, hers, solve, keep, next_one), (setup, hers, next_one, keep))
    texts = []
    for cells in machines:  # two notebooks, each in a folder of its own
        nbformat.write(
            new_notebook(cells=[new_code_cell(text) for text in cells]), folder / "lone.ipynb"
        )
        ran, _ = tool().execute(folder / "lone.ipynb")
        texts.append([said(cell) for cell in ran.cells])
        for path in folder.glob("my_codec*"):
            path.unlink()
    kept = drive / "MyDrive" / "vqlab" / "my_codec.py"
    first, second = texts
    assert "no my_codec.py on this machine, so this notebook starts from our codec" in first[0]
    assert "Passed" in first[2] and first[3] == f"Your codec is {kept} from now on."
    assert f"Your codec is {kept}." in first[4] and "yours" in first[4]
    assert "starts from our codec" in second[0]  # Drive is not asked before she says so
    assert f"Your codec is {kept}." in second[2]
    assert "05-nearest-code: yours" in second[2] and second[3] == f"Your codec is {kept}."
    assert "--- yours" in kept.read_text()


def test_without_a_wheel_it_says_what_to_upload(in_colab):
    place, own, folder = in_colab
    code = "import google.colab\n" + tool().bootstrap("")
    command = [place / "venv/bin/python", "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("vqlab is not installed here: upload vqlab_speech-*.whl, ")
    assert added(own) == set()


def test_at_home_it_says_how_to_install_and_installs_nothing(in_colab):
    place, own, folder = in_colab
    code = tool().bootstrap("https://github.com/ada/vqlab")
    command = [place / "venv/bin/python", "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install git+https://github.com/ada/vqlab" in done.stderr
    assert added(own) == set()


def test_something_that_would_replace_what_is_there_is_refused(in_colab):
    """A missing package that wants another numpy: pip says no, and numpy stays."""
    place, own, folder = in_colab
    wheel = place / "wheels" / "constriction-99-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        about = "Metadata-Version: 2.1\nName: constriction\nVersion: 99\nRequires-Dist: numpy<1\n"
        archive.writestr("constriction-99.dist-info/METADATA", about)
        archive.writestr("constriction-99.dist-info/RECORD", "")
        shape = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr("constriction-99.dist-info/WHEEL", shape)
    real = next((place / "wheels").glob("constriction-[0-8]*.whl"))
    hidden = real.rename(real.with_suffix(".away"))
    code = f"import sys; sys.path.insert(0, {str(place / 'tree')!r})\n"
    code += "import google.colab\nfrom vqlab import colab\ncolab.prepare()"
    command = [place / "venv/bin/python", "-c", code]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    finally:
        hidden.rename(real)
        wheel.unlink()
    last = done.stderr.splitlines()[-1]
    assert last.startswith("RuntimeError: pip could not add ") and "conflicting" in last
    assert added(own) == set()


# What is needed


def test_what_is_needed_is_what_pyproject_says_and_colab_has_no_form_of():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {Requirement(line).name for line in project["dependencies"]}
    assert {"torch", "librosa", "constriction"} < set(colab.needed())
    assert set(colab.needed()) == names - set(colab.NOT_THERE)


def test_an_installed_package_knows_what_it_needs(monkeypatch, tmp_path):
    lines = [
        "constriction>=0.4",
        "scikit-learn>=1.4",
        "torch",
        "jupyterlab",
        'ruff; extra == "test"',
    ]
    monkeypatch.setattr(colab.metadata, "requires", {"vqlab-speech": lines}.get)
    monkeypatch.setattr(colab, "__file__", str(tmp_path / "site-packages/vqlab/colab.py"))
    assert colab.needed() == ["constriction", "scikit-learn", "torch"]


def test_here_nothing_is_missing():
    assert colab.missing() == []


def test_a_package_in_two_folders_counts_once_and_odd_versions_not_at_all(monkeypatch, tmp_path):
    for folder, name, version in (
        ("a", "Two_Places", "2.0+cu1"),
        ("b", "two.places", "1.0"),
        ("b", "odd", "1.0ubuntu1"),
    ):
        place = tmp_path / folder / f"{name}-{version}.dist-info"
        place.mkdir(parents=True)
        (place / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
    monkeypatch.setattr(sys, "path", [str(tmp_path / "a"), str(tmp_path / "b")])
    assert colab.installed() == {"two-places": "2.0+cu1"}
