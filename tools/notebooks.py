"""Run the notebooks and save their real outputs, or check what is saved.

    python tools/notebooks.py run [NAME ...]      run in a fresh kernel, tidy, write back
    python tools/notebooks.py check [NAME ...]    hold what is saved against the rules below

NAME is a path or the number of a notebook (`06`); none means all of notebooks/ and its solutions.
A saved notebook knows the checksum of the code that made its outputs, so that outputs older than
the code are found without running anything.
"""

import argparse
import getpass
import hashlib
import os
import re
import sys
import tempfile
import tomllib
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode

from vqlab.files import write_whole

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"
MAX_BYTES = 1_500_000
SECONDS = {"06": 120.0, "07": 120.0, "13": 480.0}  # of the processor, at most; all others 90
HANG = 600  # seconds after which a cell hangs, also where much else is running
COLAB = "https://colab.research.google.com"
WIDGET = "application/vnd.jupyter.widget-view+json"

# The one place with the repository's address is pyproject.toml; tools/publish.py writes it.
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY: str = PROJECT.get("urls", {}).get("Repository", "")
WHEEL = f"{PROJECT['name'].replace('-', '_')}-*.whl"

_BOOTSTRAP = """\
# Set-up. At home it does nothing; in Colab it adds what is missing and leaves the rest alone.
import importlib.util, pathlib, subprocess, sys

REPOSITORY = "@"  # empty: Colab takes vqlab from the $WHEEL that you upload
colab, here = "google.colab" in sys.modules, pathlib.Path.cwd()
home = [p for p in (here, *here.parents) if (p / "vqlab" / "__init__.py").exists()]
wheels = [str(p) for p in sorted(here.glob("$WHEEL"))]
source = f"git+{REPOSITORY}" if REPOSITORY else wheels[-1] if wheels else "$WHEEL"
if getattr(importlib.util.find_spec("vqlab"), "origin", None) is None:
    if home:
        sys.path.insert(0, str(home[0]))
    elif colab and (REPOSITORY or wheels):
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, source], check=True)
        importlib.invalidate_caches()
    else:
        what = "upload" if colab else "pip install"
        hint = "" if REPOSITORY else ", which `make wheel` builds,"
        raise SystemExit(f"vqlab is not installed here: {what} {source}{hint} and run this again.")
if colab:
    from vqlab.colab import prepare
    prepare()
"""


def bootstrap(repository: str) -> str:
    """The first code cell of every notebook, word for word."""
    return _BOOTSTRAP.replace("@", repository, 1).replace("$WHEEL", WHEEL)


def colab_line(name: str, repository: str) -> str:
    """The line of a notebook's banner that leads to Colab."""
    if repository:
        place = f"{repository.partition('github.com/')[2]}/blob/main/notebooks/{name}"
        return f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({COLAB}/github/{place})"
    return (
        f"[Open in Colab]({COLAB}/#upload=true): upload this notebook there, then put the "
        f"`{WHEEL}` that `make wheel` builds in `dist` among its *Files*."
    )


BOOTSTRAP = bootstrap(REPOSITORY)


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def is_bootstrap(cell: NotebookNode) -> bool:
    return "bootstrap" in cell.metadata.get("tags", [])


def code_checksum(notebook: NotebookNode) -> str:
    """sha256 of the sources of all code cells, in order, but for the set-up cell.

    That one is held word for word to BOOTSTRAP, and it changes no output when it changes.
    """
    cells = [cell for cell in code_cells(notebook) if not is_bootstrap(cell)]
    sources = "\0".join(cell.source for cell in cells)
    return hashlib.sha256(sources.encode()).hexdigest()


def seconds_allowed(path: Path) -> float:
    return SECONDS.get(path.name[:2], 90.0)


def execute(path: Path, **environment: str) -> tuple[NotebookNode, float]:
    """Run a notebook from a fresh kernel in its own folder; return it and its processor's seconds.

    environment : more variables for the kernel

    Raises CellExecutionError for a cell that fails, CellTimeoutError for one that hangs.
    """
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # the kernel of this environment
    notebook = read(path)
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        timeout=HANG,
        startup_timeout=HANG,
        iopub_timeout=HANG,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    start = os.times()
    # Several threads would add in another order, with other last digits; a training of the
    # learner's own would go on after the notebook.
    settings = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "VQLAB_TRAINING": "off"}
    client.execute(env=os.environ | settings | environment)
    end = os.times()  # the kernel has ended, and so counts among the children
    return notebook, sum(end[2:4]) - sum(start[2:4])


def tidy(notebook: NotebookNode) -> None:
    """Drop what changes from run to run or belongs to one machine; the outputs stay real."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "file_extension": ".py"},
            "vqlab": {"code_sha256": code_checksum(notebook)},
        }
    )
    for cell in code_cells(notebook):
        cell.metadata.pop("execution", None)
        outputs: list[NotebookNode] = []
        for output in joined(cell.outputs):
            if output.output_type == "stream":
                output.text = output.text.replace(f"{ROOT}{os.sep}", "")
                if output.name == "stderr":
                    output.text = without_bars(output.text)
                    if not output.text:
                        continue
            elif WIDGET in output.get("data", {}):
                # A widget lives in its kernel; what is saved is the picture or text beside it.
                del output.data[WIDGET]
                if set(output.data) <= {"text/plain"}:
                    continue
            outputs.append(output)
        cell.outputs = joined(outputs)


def without_bars(text: str) -> str:
    r"""What is left of stderr without progress bars, which a fast machine does not even draw.

    >>> without_bars("10 %|# | 1/9\r99 %|##| 9/9\r         \rWarning: soft\n")
    'Warning: soft\n'
    """
    lines = [re.sub(r".*\r(?!\n)", "", line) for line in text.splitlines(keepends=True)]
    return "".join(line for line in lines if line.strip() and not re.search(r"\d+ ?%\|", line))


def joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """The outputs of a cell; those that follow each other on one stream become one."""
    made: list[NotebookNode] = []
    for output in outputs:
        if output.output_type == "stream" and made and made[-1].get("name") == output.name:
            made[-1].text += output.text
        else:
            made.append(output)
    return made


def run(path: Path) -> float:
    """Run a notebook and write it back with its outputs; return its processor's seconds.

    It runs as for somebody who has solved nothing, whatever `my_codec.py` lies beside it.
    """
    with tempfile.TemporaryDirectory() as nobodys:
        notebook, seconds = execute(path, VQLAB_MY_CODEC=str(Path(nobodys, "my_codec.py")))
    tidy(notebook)
    write_whole(path, f"{nbformat.writes(notebook)}\n".encode())
    return seconds


def machine_traces(text: str) -> list[str]:
    """Paths and names in a text that belong to the machine it was made on.

    >>> machine_traces("saved in /home/ada/words and in data/words")
    ['/home/ada']
    """
    text = re.sub(r"[A-Za-z0-9+/=]{200,}", "", text)  # base64: could hold any short word by chance
    found = re.findall(r"/home/\w+|/Users/\w+|/root\b|/tmp/\w*|[A-Z]:\\+Users\\+\w+", text)
    found += [place for place in {str(ROOT), str(Path.home())} if len(place) > 5 and place in text]
    user = getpass.getuser()
    if user not in ("root", "user", "runner", "admin") and re.search(rf"\b{user}\b", text):
        found.append(user)
    return sorted(set(found))


def check(path: Path) -> list[str]:
    """What is wrong with a saved notebook; an empty list if nothing is."""
    notebook = read(path)
    cells = code_cells(notebook)
    problems = []
    if path.stat().st_size > MAX_BYTES:
        problems.append(f"{path.stat().st_size} bytes, more than {MAX_BYTES}")
    ids = [cell.get("id") for cell in notebook.cells]
    if None in ids or len(set(ids)) < len(ids):
        problems.append("cells without an id of their own")
    if "widgets" in notebook.metadata:
        problems.append("saved widget state in the metadata")
    if notebook.metadata.get("vqlab", {}).get("code_sha256") != code_checksum(notebook):
        problems.append("the outputs are older than the code: run it again")
    filled = [cell for cell in cells if cell.source.strip()]
    if [cell.execution_count for cell in filled] != list(range(1, len(filled) + 1)):
        problems.append("code cells that were not run, or not in order")
    for number, cell in enumerate(cells, 1):
        for output in cell.outputs:
            if output.output_type == "error":
                problems.append(f"code cell {number} ended in {output.ename}")
            if WIDGET in output.get("data", {}):
                problems.append(f"code cell {number} saved a widget, which nobody else can see")
    traces = machine_traces(nbformat.writes(notebook))
    if traces:
        problems.append(f"traces of a machine: {', '.join(traces)}")
    if path.parent == FOLDER or path.parent.name == "notebooks":
        problems += _check_lesson(notebook, path.name)
    return problems


def _check_lesson(notebook: NotebookNode, name: str) -> list[str]:
    problems = []
    cells = code_cells(notebook)
    if not cells or cells[0].source.strip() != BOOTSTRAP.strip():
        problems.append("the first code cell is not BOOTSTRAP of tools/notebooks.py")
    if not cells or [is_bootstrap(c) for c in cells] != [True] + [False] * (len(cells) - 1):
        problems.append("the first code cell, and no other, must have the tag `bootstrap`")
    first = notebook.cells[0] if notebook.cells else {}
    banner = first.get("source", "") if first.get("cell_type") == "markdown" else ""
    if not re.search(r"\]\(\d\d_\w+\.ipynb\)", banner) or not re.search(r"\bmin", banner):
        problems.append("no banner: links to other notebooks and the minutes, in the first cell")
    if [line for line in banner.splitlines() if COLAB in line] != [colab_line(name, REPOSITORY)]:
        problems.append("the banner's link to Colab is not the current one: run `make publish`")
    return problems


def find(names: list[str]) -> list[Path]:
    """The notebooks that are meant: paths, numbers, or all."""
    everything = sorted(FOLDER.glob("[0-9]*.ipynb")) + sorted(FOLDER.glob("solutions/*.ipynb"))
    if not names:
        return everything
    paths = []
    for name in names:
        fitting = [path for path in everything if path.parent == FOLDER and path.name[:2] == name]
        if Path(name).is_file():
            fitting = [Path(name).resolve()]
        if not fitting:
            raise FileNotFoundError(f"{name!r} is neither a notebook nor the number of one")
        paths += fitting
    return paths


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run or check the notebooks.")
    parser.add_argument("what", choices=["run", "check"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="a path or a number, as 06")
    options = parser.parse_args(arguments)
    try:
        paths = find(options.names)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    bad = 0
    for path in paths:
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        if options.what == "run":
            try:
                print(f"{name}: {run(path):.0f} s of the processor", flush=True)
            except (CellExecutionError, CellTimeoutError) as error:
                bad += 1
                print(f"{name}: not saved, because\n{error}", file=sys.stderr, flush=True)
        else:
            problems = check(path)
            bad += bool(problems)
            print(f"{name}: {'good' if not problems else ''}")
            print("".join(f"    {problem}\n" for problem in problems), end="")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
