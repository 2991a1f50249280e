"""Pictures of the runs of a grid: reconstructions, losses, use of the codebook.

What a table cannot hold: these are drawn from the runs' reports (metrics.jsonl) and from the errors
per frequency and example pictures that `python -m vqlab evaluate` leaves beside its table
(errors.safetensors). The one idea: every model is seen on the same item, and every minimum is
marked. Each function returns a figure whose label is its alternative text, see
`vqlab.lessons.result_plots`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from vqlab.lessons.result_frequency import several
from vqlab.lessons.result_plots import COLORS, SHAPES, legend, plain, with_alt
from vqlab.lessons.result_table import MODELS, Row, chosen, label_of, some

from vqlab.plots import as_numpy, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Reports = Sequence[Mapping[str, Any]]


def reconstructions(
    rows: Sequence[Row], errors: Mapping[str, Any], *, runs: Sequence[str] | None = None
) -> Figure:
    """Draw an original, reconstructions of it and the error per frequency side by side.

    errors : run -> mean error of a row of the picture (rows,), run.original and run.reconstruction
             -> one picture (rows, columns): what is in the grid's errors.safetensors
    runs   : those to draw; a run of each model (`chosen`) where they are not given
    Returns the figure; the axes are the original, the reconstructions and the errors.

    Raises ValueError where there is no picture of these runs.
    """
    named = {row["run"]: row for row in rows}
    runs = [row["run"] for row in chosen(rows)] if runs is None else list(runs)
    shown = [run for run in runs if f"{run}.reconstruction" in errors and run in named]
    some(shown, f"There is no reconstruction of {', '.join(runs) or 'any run'}")
    sound = any(row["seconds"] is not None for row in rows)
    original = as_numpy(errors[f"{shown[0]}.original"])
    pictures = {"original": original}
    for run in shown:
        model, sizes = label_of(named[run]).split(", ", maxsplit=1)
        title = f"{model}\n{sizes}\n{_measured(named[run])}"
        pictures[title] = as_numpy(errors[f"{run}.reconstruction"])
    columns = len(pictures) + 1 if len(pictures) < 4 else 3
    lines = math.ceil((len(pictures) + 1) / columns)
    khz = as_numpy(errors["hz"]) / 1000 if "hz" in errors else None
    across = "time (s)" if sound else "column"
    down = "row" if khz is None else "frequency (kHz)"
    figure = new_figure(8.2, 0.8 + 2.3 * lines)
    grid = figure.add_gridspec(lines, columns)
    look: dict[str, Any] = {"cmap": "gray", "aspect": "equal", "origin": "upper"}
    if sound:  # the lowest frequency is the first row, and belongs below
        look = {"cmap": "magma", "aspect": "auto", "origin": "lower"}
        look["extent"] = (0, named[shown[0]]["seconds"], -0.5, len(original) - 0.5)
    for place, (title, values) in enumerate(pictures.items()):
        ax = figure.add_subplot(grid[divmod(place, columns)])
        ax.imshow(
            values, vmin=original.min(), vmax=original.max(), interpolation="nearest", **look
        )  # fmt: skip
        ax.set_title(title, fontsize=9, loc="left")
        ax.set_xlabel(across, fontsize=8, labelpad=1)
        ax.tick_params(labelsize=8)
    # The errors take what is left of the last line of panels.
    ax = figure.add_subplot(grid[lines - 1, len(pictures) % columns :])
    _errors_by_row(ax, {run: errors[run] for run in (*shown, "inversion") if run in errors}, named)
    ax.set_ylim(figure.axes[0].get_ylim())
    ax.set_xlabel("error (dB)" if sound else "error", fontsize=8, labelpad=1)
    ax.tick_params(labelsize=8)
    for ax in figure.axes:
        if khz is not None:
            ax.yaxis.set_major_formatter(lambda y, _: f"{np.interp(y, range(len(khz)), khz):.2g}")
    for ax in figure.axes[::columns]:
        ax.set_ylabel(down, fontsize=8)
    legend(figure, figure.axes[-1:], "Curves: mean error of each row over the test set")
    names = "; ".join(title.replace("\n", ", ") for title in pictures if title != "original")
    return with_alt(figure, f"An original and its reconstructions, {names}; beside them the error "
                     "of each row of the picture.")  # fmt: skip


def loss(rows: Sequence[Row], histories: Mapping[str, Reports]) -> Figure:
    """Draw loss and validation error over the epochs of some runs, the minimum of each marked.

    rows      : of the runs to draw
    histories : run -> its reports, the lines of its metrics.jsonl
    Returns the figure; its axes are the loss and the validation error.

    Raises ValueError where no run has a report.
    """
    rows = some([row for row in rows if histories.get(row["run"])], "No run has a report")
    models = [row["model"] for row in rows]
    figure = new_figure(8.2, 5.6)
    axes = figure.subplots(2, 1, sharex=True)
    labels = []
    for place, row in enumerate(rows):
        look = several(place, len(rows))
        if len(set(models)) == len(models):  # then each has the colour that it has elsewhere
            look["color"] = COLORS[row["model"]]
        keys = ("loss", "validation_error")
        curves = [_series(histories[row["run"]], key) for key in keys]
        least = [
            f"{key.replace('_', ' ')} {y.min():.4g} at epoch {x[y.argmin()]:.4g}"
            for key, (x, y) in zip(keys, curves, strict=True)
            if len(x)
        ]
        labels.append(f"{label_of(row)}: {', '.join(least) or 'no numbers'}")
        for ax, (x, y) in zip(axes, curves, strict=True):
            ax.plot(x, y, linewidth=1.2, label=labels[-1], markevery=0.1, markersize=4, **look)
            at = [y.argmin()] if len(x) else []
            ax.plot(x[at], y[at], "o", color=look["color"], markersize=10, fillstyle="none",
                    markeredgewidth=1.6, label="_minimum")  # fmt: skip
    for ax, title in zip(axes, ("loss", "validation error"), strict=True):
        ax.set_ylabel(title)
        _log_if_wide(ax)
        plain(ax)
    axes[-1].set_xlabel("epoch")
    axes[-1].locator_params(axis="x", integer=True)
    legend(figure, axes, "ringed: the least of each; errors are means, a loss is a sum over the "
           "picture or a mean, as its file says", columns=1)  # fmt: skip
    return with_alt(figure, f"Loss and validation error over epochs; {'; '.join(labels)}.")


def codebook_usage(rows: Sequence[Row], histories: Mapping[str, Reports]) -> Figure:
    """Draw how many codes are used over training, and their perplexity, on logarithmic axes.

    histories : run -> its reports. Of several stages, codes used are added and perplexities
                averaged; perplexity is 2 to the power of the codes' entropy since the last report.
                Thin lines: all there are.
    Returns the figure; its axes are codes used and perplexity.

    Raises ValueError where no run reports its codes.
    """
    named = [row for row in rows if _series(histories.get(row["run"], []), "used")[0].size]
    some(named, "No run of the table reports codes (`used` in its metrics.jsonl)")
    named = sorted(named, key=lambda row: (list(MODELS).index(row["model"]), row["K"] or 0))
    figure = new_figure(8.2, 5.6)
    axes = figure.subplots(2, 1, sharex=True)
    said = []
    for ax, key in zip(axes, ("used", "entropy_bits"), strict=True):
        for place, row in enumerate(named):
            look = several(place, len(named))
            x, y = _series(histories[row["run"]], key)
            ax.plot(x, y, linewidth=1.2, label=label_of(row), markevery=0.1, markersize=5, **look)
            if row["K"]:
                all_codes = row["K"] * (row["stages"] or 1 if key == "used" else 1)
                ax.axhline(all_codes, color=look["color"], linewidth=0.6, linestyle=":")
            if key == "used":
                said.append(f"{label_of(row)}: {y[-1]:.4g} codes at the end")
        ax.set_yscale("log", base=2)
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        plain(ax)
    axes[0].set_ylabel("codes used")
    axes[1].set_ylabel("perplexity")
    axes[1].set_xlabel("epoch")
    axes[1].locator_params(axis="x", integer=True)
    legend(figure, axes[:1], "dotted: all codes there are")
    return with_alt(figure, "Codes used and perplexity over training.", "; ".join(said) + ".")


def _errors_by_row(ax: Axes, errors: Mapping[str, Any], named: Mapping[str, Row]) -> None:
    for place, (run, values) in enumerate(errors.items()):
        model = named[run]["model"] if run in named else run
        ax.plot(
            as_numpy(values), np.arange(len(values)), color=COLORS[model], linewidth=1.2,
            label=MODELS[model], marker=SHAPES[place], markevery=(0.06, 0.12), markersize=5,
        )  # fmt: skip
    ax.set_xlim(left=0)
    plain(ax)


def _series(history: Reports, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs and values of the reports that have a finite value; lists are reduced to a number."""
    points = []
    for report in history:
        value = report.get(key)
        if value is None or report.get("epoch") is None:
            continue
        if key == "entropy_bits":
            value = np.mean(np.exp2(value))
        value = float(np.sum(value))
        if math.isfinite(value):
            points.append((float(report["epoch"]), value))
    x, y = np.array(points).reshape(-1, 2).T
    return x, y


def _measured(row: Row) -> str:
    if row["db"] is not None:
        return f"{row['db']:.3g} dB"
    return f"squared error {row['sse']:.4g}" if row["sse"] is not None else ""


def _log_if_wide(ax: Axes) -> None:
    values = [y for line in ax.get_lines() for y in np.asarray(line.get_ydata(), float)]
    if values and min(values) > 0 and max(values) > 20 * min(values):
        ax.set_yscale("log")
