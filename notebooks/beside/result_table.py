"""The evaluation table of a grid of trainings, and what can be computed from it alone.

`python -m vqlab evaluate` writes the table, a run a line; here it is read. The one idea: runs
that differ in their seed only are one point, with a mean and a standard deviation, so that a
difference between two models can be told from a difference between two starts. Beside it, in the
same form, stand the figures of the thesis that these grids repeat: A. Hansen Vedal, "Unsupervised
Audio Spectrogram Compression using Vector Quantized Autoencoders", KTH Royal Institute of
Technology, 2019.

Notebook: 09
"""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vqlab.experiments.evaluate import COLUMNS

Row = Mapping[str, Any]

MODELS = {
    "vq": "VQ-VAE",
    "ae": "AE",
    "rvq": "residual VQ",
    "fsq": "finite scalars",
    "vae": "VAE",
    "inversion": "inversion alone",
}
"""Models of the table -> their names, in the order in which they are drawn."""

_TEXTS = ("grid", "run", "dataset", "model")
_NEWER = ("stored_bits_per_second", "train_asked", "train_got", "test_asked", "test_got")
"""Columns that tables of older versions lack."""


def read_table(path: str | Path) -> list[Row]:
    """The rows of an evaluation table (CSV); numbers are floats, empty cells None.

    Raises ValueError where a column is missing, a cell is no number, or there is no row.
    """
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        missing = [name for name in COLUMNS if name not in (*columns, "grid", *_NEWER)]
        if missing:
            raise ValueError(
                f"{path} has no column {missing[0]!r}, so it is not an evaluation table; "
                "`python -m vqlab evaluate` writes one."
            )
        rows = [_parsed(row, f"{path}, line {reader.line_num}") for row in reader]
    return some(rows, f"{path} holds no run")


def _parsed(row: Mapping[str, str], where: str) -> Row:
    values: dict[str, Any] = dict(row)
    for name in [name for name in COLUMNS if name not in _TEXTS]:
        try:
            values[name] = float(row[name]) if row.get(name) else None
        except ValueError:
            raise ValueError(f"{where}: {name} is {row[name]!r}, not a number.") from None
        if values[name] is not None and math.isnan(values[name]):
            values[name] = None
    return values


def published(dataset: str | None) -> list[Row]:
    """Validation errors of the thesis, as rows of a table; [] for data it has nothing like.

    Squared errors summed over a picture, read off the figures of Hansen Vedal (KTH, 2019): NSynth
    (keyboards; pictures of 512 x 512 for 4.152 s, 128 x 128 latent positions) for "nsynth" and the
    made notes, CIFAR-10 (32 x 32, 8 x 8 positions) for "cifar10" and its stand-in "patches", where
    VQ-VAEs of D = 10 and 11 were trained and it is not known here which of them these are.
    """
    if dataset in ("nsynth", "notes"):
        sizes = [64, 128, 256, 512, 1024, 2048]
        vq = {256: [186, 153, 128, 102, 97, 93], 10: [189, 165, 152, 130, 119, 102]}
        ae = [215, 164, 90, 58, 42, 30, 16, 10, 8, 5]
        return [
            *_published("NSynth", "vq", 128 * 128, vq, sizes),
            *(
                row
                for d, error in enumerate(ae, 1)
                for row in _published("NSynth", "ae", 128 * 128, {d: [error]}, [None])
            ),
        ]
    if dataset in ("cifar10", "patches"):
        sizes = [32, 64, 128, 256, 512, 1024, 2048, 4096]
        errors = [16.8, 13.8, 12.0, 10.8, 9.2, 8.4, 7.7, 7.6]
        return _published("CIFAR-10", "vq", 8 * 8, {"10 or 11": errors}, sizes)
    return []


def _published(
    data: str, model: str, positions: int, errors: Mapping[Any, Sequence[float]], sizes: Sequence
) -> list[Row]:
    return [
        {
            "dataset": data, "model": model, "D": d, "K": k, "stages": None, "seed": None,
            "positions": positions, "sse": float(error),
            "latent_bits": positions * (math.log2(k) if k else 32.0 * d),
        }
        for d, values in errors.items()
        for k, error in zip(sizes, values, strict=True)
    ]  # fmt: skip


def curves(
    rows: Sequence[Row], x: str, y: str, models: Sequence[str] = tuple(MODELS)
) -> list[Curve]:
    """The curves of a table: of each model over what varies most, from the rows with x and y.

    VQ-VAE: a curve for each D, over K. Residual VQ: for each D and K over stages, or, where K has
    more values, for each D and number of stages over K. The others: one curve each.
    """
    there = [row for row in rows if row.get(x) is not None and row.get(y) is not None]
    groups: dict[tuple[str, str], dict[tuple[Any, ...], list[Row]]] = {}
    for model in (name for name in MODELS if name in models):
        mine = [row for row in there if row["model"] == model]
        for row in sorted(mine, key=lambda row: _or_zero(row["D"])):
            setting = (row["D"], row["K"], row["stages"])
            points = groups.setdefault((model, _curve_label(row, mine)), {})
            points.setdefault(setting, []).append(row)
            _only_seeds_differ(points[setting])
    found = []
    for (model, label), points in groups.items():
        places = {s: statistics.fmean(row[x] for row in same) for s, same in points.items()}
        ordered = sorted(points, key=lambda setting: places[setting])
        errors = [[row[y] for row in points[setting]] for setting in ordered]
        found.append(
            Curve(
                model,
                label,
                x=np.array([places[setting] for setting in ordered]),
                mean=np.array([statistics.fmean(values) for values in errors]),
                deviation=np.array([statistics.stdev(v) if len(v) > 1 else 0.0 for v in errors]),
                seeds=np.array([len(values) for values in errors]),
                settings=[setting[:2] for setting in ordered],
            )
        )
    return found


def _only_seeds_differ(rows: Sequence[Row]) -> None:
    """Raise ValueError where the mean of these would hide a difference that is not the seed."""
    for row in rows[:-1]:
        if row["seed"] == rows[-1]["seed"]:
            raise ValueError(
                f"{row['run']} and {rows[-1]['run']} have the same D, K, stages and seed, so they "
                "differ in what the table does not say; give the rows of one of them."
            )


def _curve_label(row: Row, rows: Sequence[Row]) -> str:
    name, d = MODELS[row["model"]], f", D = {as_text(row['D'])}"
    if row["model"] == "vq":
        return name + d
    if row["model"] == "rvq":
        sizes, stages = ({other[key] for other in rows} for key in ("K", "stages"))
        fixed = "stages" if len(sizes) > len(stages) else "K"
        return f"{name}{d}, {fixed} = {as_text(row[fixed])}"
    return name


def chosen(rows: Sequence[Row]) -> list[Row]:
    """A run of each model: the setting with the lowest validation error, of the first seed."""
    seeds = [row["seed"] for row in rows if row["seed"] is not None]
    known = [row for row in rows if row["validation_error"] is not None]
    first = [row for row in known if row["seed"] == min(seeds, default=None)] or known
    best: dict[str, Row] = {}
    for row in sorted(first, key=lambda row: row["validation_error"], reverse=True):
        best[row["model"]] = row
    return [best[model] for model in MODELS if model in best]


def label_of(row: Row) -> str:
    """A run's model and sizes, without its seed.

    >>> label_of({"model": "rvq", "D": 16.0, "K": 256.0, "stages": 3.0})
    'residual VQ, D = 16, K = 256, 3 stages'
    """
    shown = [("D", row["D"]), ("K", row["K"])]
    label = ", ".join(
        [MODELS[row["model"]], *(f"{name} = {as_text(value)}" for name, value in shown if value)]
    )
    return f"{label}, {row['stages']:g} stages" if (row["stages"] or 1) > 1 else label


@dataclass(frozen=True)
class Curve:
    """Points that are joined: a setting each, the mean over its seeds and their deviation."""

    model: str
    label: str
    x: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray  # sample standard deviation (n - 1); 0 where there is one seed
    seeds: np.ndarray  # how many there are of each point
    settings: list[tuple[Any, Any]]  # (D, K) of each point


def as_text(value: Any) -> str:
    """A number without a needless point; anything else as it is."""
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _or_zero(value: Any) -> float:
    return value if isinstance(value, int | float) else 0.0


def some(things: Any, sentence: str) -> Any:
    """What was given, or ValueError with this sentence where it is empty."""
    if not len(things):
        raise ValueError(f"{sentence}; there is nothing to draw.")
    return things


def one_dataset(rows: Sequence[Row]) -> str:
    """The name of the rows' data set; ValueError where there are several, or no row."""
    names = sorted({row["dataset"] for row in some(rows, "The table holds no run")})
    if len(names) > 1:
        raise ValueError(
            f"The table holds runs of {', '.join(names)}, and errors of different data do not "
            "compare; give the rows of one data set."
        )
    return names[0]
