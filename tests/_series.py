"""A notebook of the series as the tests see it: its cells, what they teach, its solutions."""

import functools
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from _support import ROOT

NOTEBOOKS = ROOT / "notebooks"
NUMBERS = [f"{number:02}" for number in range(14)]


def notebook(number: str) -> Path:
    (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    return path


@functools.cache
def cells(number: str) -> list[dict[str, Any]]:
    """All cells, each with its source as one string."""
    saved = json.loads(notebook(number).read_text(encoding="utf-8"))["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in saved]


def sources(number: str, kind: str = "code") -> list[str]:
    """The sources of the cells of one kind, code or markdown."""
    return [cell["source"] for cell in cells(number) if cell["cell_type"] == kind]


def taught(number: str, *ids: str, **names: Any) -> dict[str, Any]:
    """What cells of a notebook bring forth: those with these ids, or all tagged `defines`.

    ids   : without the notebook's own beginning, such as "s1-network"
    names : what the cells find there before them, such as torch
    """
    for cell in cells(number):
        tags = cell["metadata"].get("tags", [])
        if cell["id"].removeprefix(f"nb{number}-") in ids if ids else "defines" in tags:
            exec(cell["source"], names)  # the notebook's own text
    return names


def sections(number: str, name: str) -> list[tuple[str, str]]:
    """Ids and sources of the code cells in the sections whose code uses `name`, in order."""
    parts: list[list[tuple[str, str]]] = [[]]
    for cell in cells(number):
        if cell["cell_type"] == "markdown" and re.search(r"^## ", cell["source"], re.MULTILINE):
            parts.append([])
        elif cell["cell_type"] == "code":
            parts[-1].append((cell["id"].removeprefix(f"nb{number}-"), cell["source"]))
    return [
        row for part in parts if any(re.search(rf"\b{name}\b", s) for _, s in part) for row in part
    ]


@functools.cache
def solutions(number: str) -> ModuleType:
    path = NOTEBOOKS / "solutions" / f"{notebook(number).stem}.py"
    if not path.exists():  # all its exercises are pieces of the codec
        path = NOTEBOOKS / "solutions" / "my_codec.py"
    spec = importlib.util.spec_from_file_location(f"solutions_{number}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(number: str, short: str) -> Any:
    """The solution of an exercise: `vae-loss` is the function `vae_loss`, `gaussian` a class."""
    found = {name.lower(): value for name, value in vars(solutions(number)).items()}
    return found.get(short.replace("-", "_")) or found.get(short.replace("-", ""))


def shapes_of_symbols(number: str) -> dict[str, list[str]]:
    """The arrays of the table of symbols: name -> axes, such as "z_e" -> ["1", "dim", "positions"].

    Rows whose names are more than names, or whose shapes are not plain, are left out.
    """
    table = "\n".join(sources(number, "markdown")).split("## Symbols")[1].split("## Sources")[0]
    shapes = {}
    for line in table.splitlines():
        if not line.startswith("| "):
            continue
        *_, code, shape, _ = line.strip("| ").split(" | ")
        names, found = re.findall(r"`([A-Za-z_]\w*)`", code), re.findall(r"\(([\w, /+]*)\)", shape)
        if re.sub(r"`\w+`|[,\s]", "", code) or len(found) not in (1, len(names)):
            continue
        for name, axes in zip(names, found * len(names), strict=False):
            shapes[name] = [axis.strip() for axis in axes.split(",") if axis.strip()]
    return shapes


def fits(axes: list[str], shape: list[int]) -> bool:
    """Whether an array has these axes: as many, and a number where the table has one."""
    return len(axes) == len(shape) and all(
        not axis.isdigit() or int(axis) == length for axis, length in zip(axes, shape, strict=True)
    )
