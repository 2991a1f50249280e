"""Each notebook runs from a fresh kernel in its time, and what is saved is real and clean."""

import ast
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from _series import fits, shapes_of_symbols
from _series import notebook as lesson
from _support import HANG, ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from vqlab import lessons
from vqlab.lessons import own_file


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebooks_tool", ROOT / "tools/notebooks.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = _tool()
SERIES = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks/solutions").glob("*.ipynb"))
SCRIPTS = sorted((ROOT / "notebooks/solutions").glob("*.py"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT / "notebooks"))


@pytest.mark.parametrize("number", [f"{number:02}" for number in range(14)])
def test_the_notebook_exists(number):
    assert [path.name for path in SERIES if path.name.startswith(f"{number}_")]


@pytest.mark.parametrize("path", SERIES + SOLUTIONS, ids=relative)
def test_what_is_saved_is_complete_and_clean(path):
    assert tool.check(path) == []


WATCH = """
def watch(_):
    for name in {names}:
        if hasattr(value := get_ipython().user_ns.get(name), "shape"):
            watch.seen.setdefault(name, []).append(list(value.shape))
watch.seen = {{}}
get_ipython().events.register("post_run_cell", watch)
"""


@pytest.mark.parametrize("path", SERIES + SOLUTIONS, ids=relative)
def test_it_runs_from_a_fresh_kernel_in_its_time(path, tmp_path, monkeypatch):
    """What is more, arrays have the shapes that the table of symbols says, at some time."""
    folder = tmp_path / "notebooks"
    shutil.copytree(ROOT / "notebooks", folder, ignore=shutil.ignore_patterns(".*"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    copy, allowed = folder / relative(path), tool.seconds_allowed(path)
    shapes = shapes_of_symbols(path.name[:2]) if path in SERIES else {}
    notebook = tool.read(copy)
    notebook.cells.insert(0, new_code_cell(WATCH.format(names=list(shapes))))
    notebook.cells.append(new_code_cell("import json; print(json.dumps(watch.seen))"))
    nbformat.write(notebook, copy)
    ran, seconds = tool.execute(copy)
    assert seconds < allowed
    seen = json.loads(ran.cells[-1].outputs[-1].text)
    for name in seen:
        assert any(fits(shapes[name], shape) for shape in seen[name]), (name, shapes[name])


@pytest.mark.parametrize("number", ["05", "06"])
def test_it_runs_on_what_a_learner_wrote(number, tmp_path, monkeypatch):
    """Each piece is written in its cell, passes, is given back, and all other cells use it."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook, pieces = tool.read(lesson(number)), []
    for cell in tool.code_cells(notebook):
        cell.source = cell.source.replace("STEPS = 300", "STEPS = 10")
        for name in lessons.pieces():
            section = own_file.reference()[1][name]
            stub = re.search(rf"^(def|class) {section.defines}\b", cell.source, re.MULTILINE)
            if stub and "raise NotImplementedError" in cell.source:
                cell.source = cell.source[: stub.start()] + section.text
                pieces.append(name)
    nbformat.write(notebook, tmp_path / "solved.ipynb")
    ran, _ = tool.execute(tmp_path / "solved.ipynb")
    said = str([cell.outputs for cell in tool.code_cells(ran)])
    assert len(pieces) >= 4
    assert all(f"Passed: {name}; it is in" in said and f"{name}: yours." in said for name in pieces)


SHORTER = {"steps = steps if FAST": "steps = 5 if FAST", "STEPS = 200": "STEPS = 5"}


@pytest.mark.parametrize("number", ["04", "07"])
def test_it_runs_on_answers_that_are_no_pieces(number, tmp_path, monkeypatch):
    """The same where all answers are used: here those of the solutions, written into the cells."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook, names = tool.read(lesson(number)), lessons.exercise_names(number)
    solutions = ast.parse((ROOT / "notebooks/solutions" / f"{lesson(number).stem}.py").read_text())
    written = {getattr(node, "name", ""): ast.unparse(node) for node in solutions.body}
    for cell in tool.code_cells(notebook):
        for old, new in SHORTER.items():
            cell.source = cell.source.replace(old, new)
        if "exercise" in cell.metadata.get("tags", []):
            cell.source = written[re.match(r"(?:def|class) (\w+)", cell.source).group(1)]
    nbformat.write(notebook, tmp_path / "solved.ipynb")
    ran, _ = tool.execute(tmp_path / "solved.ipynb")
    said = str([cell.outputs for cell in tool.code_cells(ran)])
    assert all(f"Passed: {name}." in said and f"{name}: yours." in said for name in names)


@pytest.mark.parametrize("path", SCRIPTS, ids=relative)
def test_the_solution_runs(path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr


# The checks themselves, on a small notebook that is right, spoiled in one place at a time.


@pytest.fixture
def good(tmp_path, monkeypatch):
    """A notebook that passes every check, and the place where a test saves it."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    setup = tool.BOOTSTRAP.strip()
    run = [
        new_code_cell(setup, execution_count=1, metadata={"tags": ["bootstrap"]}),
        new_code_cell("1 + 1", execution_count=2),
    ]
    run[1].outputs = [new_output("execute_result", {"text/plain": "2"}, execution_count=2)]
    colab = tool.colab_line("01_small.ipynb", tool.REPOSITORY)
    banner = new_markdown_cell(f"[contents](00_start_here.ipynb) · 2 minutes\n\n{colab}")
    notebook = new_notebook(cells=[banner, *run])
    notebook.metadata["vqlab"] = {"code_sha256": tool.code_checksum(notebook)}
    (tmp_path / "notebooks").mkdir()
    return notebook, tmp_path / "notebooks" / "01_small.ipynb"


def problems(notebook, path):
    nbformat.write(notebook, path)
    return " ".join(tool.check(path))


def test_a_good_notebook_passes(good):
    assert problems(*good) == ""


def test_code_changed_after_the_run_is_found(good):
    notebook, path = good
    notebook.cells[2].source = "1 + 2"
    assert "older than the code" in problems(notebook, path)


def test_a_saved_error_is_found(good):
    notebook, path = good
    notebook.cells[2].outputs = [new_output("error", ename="KeyError", evalue="", traceback=[])]
    assert "KeyError" in problems(notebook, path)


def test_cells_run_out_of_order_are_found(good):
    notebook, path = good
    notebook.cells[1].execution_count = 7
    assert "not in order" in problems(notebook, path)


def test_a_machine_path_is_found(good):
    notebook, path = good
    notebook.cells[2].outputs[0].data["text/plain"] = "/home/ada/vqlab/data"
    assert "/home/ada" in problems(notebook, path)


def test_a_saved_widget_is_found(good):
    notebook, path = good
    notebook.cells[2].outputs[0].data[tool.WIDGET] = {"model_id": "1"}
    assert "widget" in problems(notebook, path)


def test_another_set_up_cell_is_found(good):
    notebook, path = good
    notebook.cells[1].source = "import vqlab"
    assert "BOOTSTRAP" in problems(notebook, path)


def test_another_set_up_cell_does_not_make_the_outputs_old(good):
    notebook, path = good
    notebook.cells[1].source = "import vqlab"
    assert "older" not in problems(notebook, path)


def test_only_the_first_code_cell_may_be_left_out_of_the_checksum(good):
    notebook, path = good
    notebook.cells[2].metadata["tags"] = ["bootstrap"]
    assert "no other" in problems(notebook, path)


@pytest.mark.parametrize("line", ["", f"[Open in Colab]({tool.COLAB}/github/a/b.ipynb)"])
def test_a_banner_with_another_link_to_colab_is_found(good, line):
    notebook, path = good
    notebook.cells[0].source = notebook.cells[0].source.splitlines()[0] + "\n\n" + line
    assert "link to Colab" in problems(notebook, path)


def test_running_saves_real_outputs_that_pass_the_check(good):
    notebook, path = good
    notebook.cells[2].source = """\
import sys
print("a")
print(" 10%|# | 1/9\\r 20%|##| 2/9\\r", end="", file=sys.stderr, flush=True)
print("            \\r", end="", file=sys.stderr, flush=True)
print("b")
print(" 90%|##| 9/9\\rsoft", file=sys.stderr, flush=True)
6 * 7"""
    notebook.cells[2].outputs = []
    nbformat.write(notebook, path)
    tool.run(path)
    assert tool.check(path) == []
    outputs = tool.read(path).cells[2].outputs
    said = [o.get("text") or o.data["text/plain"] for o in outputs]
    assert sorted(said) == ["42", "a\nb\n", "soft\n"]


def test_running_leaves_a_failing_notebook_as_it_was(good):
    notebook, path = good
    notebook.cells[2].source = "1 / 0"
    nbformat.write(notebook, path)
    before = path.read_bytes()
    with pytest.raises(tool.CellExecutionError):
        tool.run(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_the_set_up_cell_does_nothing_where_vqlab_is_installed():
    before = list(sys.path)
    exec(tool.BOOTSTRAP, {})
    assert sys.path == before


@pytest.mark.parametrize("inside", [True, False])
def test_the_set_up_cell_finds_a_checkout_or_says_what_to_do(inside, tmp_path):
    """Run by a Python without vqlab: -I ignores the folder and PYTHONPATH, -S the environment."""
    folder = ROOT / "tests" if inside else tmp_path
    code = tool.BOOTSTRAP + "\nprint(importlib.util.find_spec('vqlab').origin)"
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if inside:
        assert done.stdout.strip() == str(ROOT / "vqlab/__init__.py")
    else:
        assert done.returncode == 1
        assert done.stderr.startswith("vqlab is not installed here")
