"""Installing and importing: what `make lab` rests on."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from _support import HANG, ROOT, missing
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
ALL = PROJECT["dependencies"] + EXTRAS["test"] + EXTRAS["metrics"]


def python(code: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# Importing


def test_import_vqlab_costs_next_to_nothing():
    code = """
import json, sys, time
start = time.process_time()  # of the processor: other programs may be busy
import vqlab
heavy = {"numpy", "torch", "torchaudio", "matplotlib", "ipywidgets", "IPython"} & set(sys.modules)
print(json.dumps([time.process_time() - start, sorted(heavy)]))
"""
    seconds, drawn_in = json.loads(python(code))
    assert drawn_in == []
    assert seconds < 0.5


def test_working_with_sound_draws_in_no_pictures_or_widgets():
    code = """
import sys
from vqlab import audio, codec, datasets, inversion, models, training
print({"matplotlib", "ipywidgets", "IPython", "librosa", "numba"} & set(sys.modules))
"""
    assert python(code) == "set()"


def test_submodules_are_loaded_when_they_are_first_used():
    code = "import sys, vqlab; a = 'vqlab.spectral' in sys.modules; vqlab.spectral; print(a)"
    assert python(code) == "False"


def test_everything_that_vqlab_offers_can_be_had():
    code = "import vqlab; print([n for n in vqlab.__all__ if not hasattr(vqlab, n)])"
    assert python(code) == "[]"


def test_a_wrong_name_is_an_attribute_error():
    import vqlab

    with pytest.raises(AttributeError, match="spectrall"):
        _ = vqlab.spectrall


# The name on a package index


def test_pip_knows_the_package_by_the_name_in_pyproject():
    import vqlab

    assert vqlab.DISTRIBUTION == PROJECT["name"] != "vqlab"
    assert EXTRAS["dev"] == [f"{PROJECT['name']}[test,metrics]"]


def test_nobody_is_told_to_install_the_other_vqlab():
    wrong = re.compile(r"pip install (-\S+ )*[\"'`]?vqlab(?![-\w/.])")
    texts = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]
    for folder, ending in (("notebooks", "*.ipynb"), ("notebooks", "*.py"), ("vqlab", "*.py")):
        texts += (ROOT / folder).rglob(ending)
    found = [(path.name, hit[0]) for path in texts for hit in wrong.finditer(path.read_text())]
    assert found == [("README.md", "pip install vqlab")]  # where it says that this is another one


# torchaudio beside a CPU-only torch


def test_torchaudio_can_be_imported_and_used_after_vqlab():
    code = """
import vqlab, torch, torchaudio
mel = torchaudio.transforms.MelSpectrogram(16000, n_fft=512, hop_length=128, n_mels=64)
print(list(mel(torch.zeros(1, 16000)).shape))
torchaudio.functional.resample(torch.zeros(1600), 16000, 8000)
torchaudio.functional.lfilter(torch.zeros(16), torch.ones(2), torch.ones(2))
torchaudio.datasets.SPEECHCOMMANDS
"""
    assert python(code) == "[1, 64, 126]"


def fake_torchaudio(folder, extension: str) -> str:
    """A package of that name whose `_extension` has the given source; returns a PYTHONPATH."""
    package = folder / "torchaudio"
    package.mkdir()
    (package / "__init__.py").write_text("from . import _extension\nfrom . import functional\n")
    (package / "_extension.py").write_text(extension)
    (package / "functional.py").write_text(
        "from torchaudio._extension import _IS_TORCHAUDIO_EXT_AVAILABLE as compiled\n"
    )
    return f"{folder}{os.pathsep}{ROOT}"


def test_a_working_torchaudio_is_left_alone(tmp_path):
    path = fake_torchaudio(tmp_path, "_IS_TORCHAUDIO_EXT_AVAILABLE = 'real'")
    code = """
import vqlab, torchaudio
print(torchaudio.functional.compiled, torchaudio._extension.__spec__ is not None)
"""
    assert python(code, PYTHONPATH=path) == "real True"


def test_an_extension_that_cannot_be_loaded_is_replaced(tmp_path):
    path = fake_torchaudio(tmp_path, "raise OSError('libc10_cuda.so')")
    code = "import vqlab, torchaudio; print(torchaudio.functional.compiled)"
    assert python(code, PYTHONPATH=path) == "False"


def test_a_torchaudio_broken_elsewhere_is_not_papered_over(tmp_path):
    path = fake_torchaudio(tmp_path, "_IS_TORCHAUDIO_EXT_AVAILABLE = True")
    (tmp_path / "torchaudio/functional.py").write_text("raise ImportError('something else')")
    code = """
import sys, vqlab
print([name for name in sys.modules if name.startswith("torchaudio")])
try:
    import torchaudio
except ImportError as error:
    print(error)
"""
    assert python(code, PYTHONPATH=path).splitlines() == ["[]", "something else"]


def test_without_torchaudio_vqlab_can_be_imported():
    code = """
import sys
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "torchaudio" else real(name, *rest)
import vqlab
print("torchaudio" in sys.modules)
"""
    assert python(code) == "False"


# Dependencies


def test_environment_yml_has_the_dependencies_of_pyproject():
    text = (ROOT / "environment.yml").read_text()
    listed = re.findall(r"^ {6}- (.+)$", text, flags=re.MULTILINE)
    assert sorted(listed) == sorted(ALL)
    assert f"- python{PROJECT['requires-python']}\n" in text
    assert re.findall(r"^  - (.+)$", text, flags=re.MULTILINE)[0] == "conda-forge"


def test_pyproject_has_lower_bounds_only():
    operators = {spec.operator for line in ALL for spec in Requirement(line).specifier}
    assert operators == {">="}


def test_constraints_hold_a_version_within_bounds_for_each_dependency():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    versions = dict(line.split("==") for line in lines if not line.startswith("#"))
    for line in ALL:
        needed = Requirement(line)
        assert versions[canonicalize_name(needed.name)] in needed.specifier
    assert all(Version(version).local is None for version in versions.values())


def test_constraints_are_the_versions_installed_here():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    versions = dict(line.split("==") for line in lines if not line.startswith("#"))
    from importlib.metadata import PackageNotFoundError, version

    other = {}
    for name in versions:
        try:
            found = Version(version(name)).public
        except PackageNotFoundError:
            continue
        if found != versions[name]:
            other[name] = f"{found} instead of {versions[name]}"
    if other:
        missing(f"not the tested environment: {other}")


def third_party_imports(folder: str) -> dict[str, str]:
    """Each package that the sources in a folder import, with one file that does."""
    places = [ROOT / name for name in ("tests", "tools", "benchmarks")]
    here = {path.stem for place in places for path in place.glob("*.py")}
    own = {"vqlab", *here, *sys.stdlib_module_names}
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            found |= {n.split(".")[0]: path.name for n in names if n.split(".")[0] not in own}
    return found


@pytest.mark.parametrize(
    "folder, allowed", [("vqlab", ["metrics"]), ("tests", ["metrics", "test"])]
)
def test_what_is_imported_is_declared(folder, allowed):
    declared = PROJECT["dependencies"] + [line for extra in allowed for line in EXTRAS[extra]]
    names = {canonicalize_name(Requirement(line).name) for line in declared}
    where = packages_distributions()
    undeclared = {
        module: file
        for module, file in third_party_imports(folder).items()
        if not names & {canonicalize_name(name) for name in where.get(module, [module])}
    }
    assert not undeclared


def test_what_pyproject_declares_is_imported():
    used = third_party_imports("vqlab") | third_party_imports("notebooks")
    used |= {"ipywidgets": "", "ipython": "", "jupyterlab": ""}
    where = packages_distributions()
    found = {canonicalize_name(name) for module in used for name in where.get(module, [module])}
    declared = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    # The notebooks' cells use the first three, torch its own writer of logs the last.
    assert declared <= found | {"matplotlib", "librosa", "torchaudio", "tensorboard"}


# Time


def test_no_test_looks_at_the_clock_on_the_wall():
    texts = {path.name: path.read_text() for path in (ROOT / "tests").glob("*.py")}
    assert [name for name, text in texts.items() if "perf_" + "counter" in text] == []


# tools/bootstrap.py


def bootstrap(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "tools/bootstrap.py", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=HANG,
    )


def test_a_wrong_command_is_answered_in_one_sentence():
    done = bootstrap("labb")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "one of env, dev, lab" in done.stderr


def test_no_network_is_said_in_one_sentence(tmp_path):
    closed = "http://127.0.0.1:9/simple"
    settings = {"PIP_INDEX_URL": closed, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}
    settings |= {"PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": "", "PIP_RETRIES": "1"}
    done = bootstrap("env", VENV=str(tmp_path / "environment"), **settings)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("vqlab: no network")
    assert str(tmp_path / "environment/pip.log") in done.stderr
    assert not (tmp_path / "environment/.vqlab-env").exists()


def test_only_notebooks_of_the_repository_are_trusted(tmp_path, monkeypatch):
    import bootstrap as tool  # the one in tools

    tracked = subprocess.run(
        ["git", "ls-files", "notebooks/[0-9][0-9]_*.ipynb"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout.split()
    if tracked:  # an exported tree has no git
        assert [path.relative_to(ROOT).as_posix() for path in tool.series()] == tracked
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "README.md").write_text("[one](notebooks/00_start_here.ipynb)")
    for name in ("00_start_here.ipynb", "01_from_a_friend.ipynb"):
        (tmp_path / "notebooks" / name).write_text("{}")
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    assert [path.name for path in tool.series()] == ["00_start_here.ipynb"]


def test_a_folder_that_is_no_environment_is_never_removed(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    done = bootstrap("env", VENV=str(tmp_path))
    assert done.returncode == 1 and "not a Python environment" in done.stderr
    assert (tmp_path / "thesis.txt").exists()


def test_make_shows_what_there_is_to_do():
    done = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    for target in ("lab", "test", "notebooks", "lint", "bench", "wheel", "clean"):
        assert f"make {target} " in done.stdout
