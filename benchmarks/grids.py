"""Pictures of a grid of trainings, from its evaluation table.

Reads what `python -m vqlab evaluate GRID_FOLDER` wrote there (results.csv, results.md and
errors.safetensors) and the reports of its runs (metrics.jsonl), and writes the table, the pictures
and a page with both to a folder that can be committed.

    python benchmarks/grids.py runs/nsynth-small --out docs/results/nsynth-small
"""

from __future__ import annotations

import argparse
import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vqlab.lessons.result_frequency import error_against_frequency
from vqlab.lessons.result_plots import error_against_latent, error_against_rate, picture
from vqlab.lessons.result_table import Row, chosen, read_table

from vqlab.files import load_tensors, write_whole

from run_plots import codebook_usage, loss, reconstructions  # isort: skip

MOST = 8  # runs whose use of codes is drawn


def history(folder: Path, run: str) -> list[dict[str, Any]]:
    """The reports of a run; none where its folder is not there."""
    path = folder / run / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def coded(rows: list[Row]) -> list[Row]:
    """Runs of the first seed with codes: all K of one model, D and depth if there are; a few."""
    seeds = [row["seed"] for row in rows if row["seed"] is not None]
    first = [row for row in rows if row["K"] and row["seed"] == min(seeds, default=None)]
    families: dict[tuple[Any, ...], list[Row]] = {}
    for row in first:
        families.setdefault((row["model"], row["D"], row["stages"]), []).append(row)
    largest = sorted(max(families.values(), key=len, default=[]), key=lambda row: row["K"])
    largest = largest if len(largest) > 1 else first
    return largest[:: -(-len(largest) // MOST) or 1]


def figures(folder: Path, rows: list[Row]) -> dict[str, Callable[[], Any]]:
    """Name of a picture -> what draws it."""
    errors = folder / "errors.safetensors"
    tensors = load_tensors(errors)[0] if errors.exists() else {}
    best, sizes = chosen(rows), coded(rows)
    reports = {row["run"]: history(folder, row["run"]) for row in (*best, *sizes)}
    return {
        "error_against_latent": lambda: error_against_latent(rows),
        "error_against_rate": lambda: error_against_rate(rows),
        "error_against_frequency": lambda: error_against_frequency(rows, tensors),
        "reconstructions": lambda: reconstructions(rows, tensors),
        "loss": lambda: loss(best, reports),
        "codebook_usage": lambda: codebook_usage(sizes, reports),
    }


def main() -> None:
    """Draw, copy the table, and say what was written."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("grid", type=Path, help="folder of a grid that has been evaluated")
    parser.add_argument("--out", type=Path, help="folder for table and pictures (default: plots "
                        "in the grid's folder)")  # fmt: skip
    arguments = parser.parse_args()
    folder, out = arguments.grid, arguments.out or arguments.grid / "plots"
    if not (folder / "results.csv").is_file():
        parser.error(f"{folder} has no results.csv; run `python -m vqlab evaluate {folder}` first")
    try:
        rows = read_table(folder / "results.csv")
        drawings = figures(folder, rows)
    except ValueError as error:
        parser.error(str(error))
    out.mkdir(parents=True, exist_ok=True)
    page = [f"# {folder.resolve().name}"]
    for name, draw in drawings.items():
        try:
            drawn = picture(draw())
        except ValueError as error:
            print(f"{name}: not drawn. {error}")
            continue
        keep(out / f"{name}.png", drawn.png)
        alt = html.escape(drawn.alt)
        page.append(f'<img src="{name}.png" width="{drawn.width}" alt="{alt}">')
    for name in ("results.csv", "results.md"):
        if (folder / name).is_file():
            keep(out / name, (folder / name).read_bytes())
    page.append("The table: [results.csv](results.csv).")
    keep(out / "README.md", ("\n\n".join(page) + "\n").encode())


def keep(path: Path, data: bytes) -> None:
    write_whole(path, data)
    print(f"{path}: {len(data) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
