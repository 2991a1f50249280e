"""Where in the spectrum each model of a grid errs.

The thesis draws the error of every frequency, averaged over the clip, for several models in one
figure (Hansen Vedal 2019, see `vqlab.lessons.result_table`). The one idea here: 512 bins jump from
one to the next, so a running mean stands in front of them as a thick line, and the bins themselves
stay behind it as a thin one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from vqlab.lessons.result_plots import COLORS, SHAPES, legend, plain, with_alt
from vqlab.lessons.result_table import MODELS, Row, chosen, label_of, some

from vqlab.plots import BLUE, GREEN, ORANGE, PINK, SKY, as_numpy, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMOOTH_ABOVE = 128
"""Rows above which a running mean is drawn, over a 32nd of them."""


def error_against_frequency(
    rows: Sequence[Row], errors: Mapping[str, Any], *, runs: Sequence[str] | None = None
) -> Figure:
    """Draw the error of each frequency, in decibels, against the frequency in kHz.

    errors : run -> mean absolute error of each row of the picture (rows,), over frames and test
             set; "hz" -> what frequency a row has: what is in the grid's errors.safetensors
    runs   : those to draw; a run of each model (`chosen`) where they are not given. The inversion
             alone is drawn as well, dashed, where it is known
    Returns the figure, with one axes.

    Raises ValueError where there are no frequencies or no errors of these runs.
    """
    named = {row["run"]: row for row in rows}
    runs = [row["run"] for row in chosen(rows)] if runs is None else list(runs)
    shown = [run for run in runs if run in errors and run in named]
    some(shown, f"There are no errors of {', '.join(runs) or 'any run'}")
    if "hz" not in errors:
        older = "They were evaluated by an older version; evaluate them again."
        pictures = all(row["seconds"] is None for row in rows)
        raise ValueError("Pictures have no frequencies." if pictures else older)
    khz = as_numpy(errors["hz"]) / 1000
    figure = new_figure(8.2, 4.2)
    ax = figure.subplots()
    models = [named[run]["model"] for run in shown]
    said = []
    for place, run in enumerate([*shown, *(["inversion"] if "inversion" in errors else [])]):
        alone, values = run == "inversion", as_numpy(errors[run])
        look = {} if alone else several(place, len(shown))
        look = {"color": COLORS["inversion"], "linestyle": "--"} if alone else look
        if not alone and len(set(models)) == len(models):  # the colour that it has elsewhere
            look["color"] = COLORS[named[run]["model"]]
        label = MODELS["inversion"] if alone else label_of(named[run])
        wide = len(values) // 32 if len(values) > SMOOTH_ABOVE else 1
        if wide > 1:
            ax.plot(khz, values, color=look["color"], linewidth=0.5, alpha=0.35, label="_bins")
        ax.plot(
            khz, smooth(values, wide), linewidth=1.6, label=f"{label}: {values.mean():.3g} dB",
            markevery=(0.02 + 0.015 * place, 0.1), markersize=5, **look,
        )  # fmt: skip
        at = int(smooth(values, wide).argmax())
        said.append(f"{label}: {values.mean():.3g} dB on average, most at {khz[at]:.2g} kHz")
    ax.set(xlabel="frequency (kHz)", ylabel="mean error of a bin (dB)")
    ax.set_xlim(0, khz[-1])
    ax.set_ylim(bottom=0)
    plain(ax)
    thin = "thick: running mean, thin: each bin" if wide > 1 else "each row of the picture"
    legend(figure, [ax], thin, columns=2)
    return with_alt(figure, "Error of each frequency.", "; ".join(said) + ".")


def smooth(values: np.ndarray, wide: int) -> np.ndarray:
    """The mean over `wide` neighbours, fewer at the ends.

    >>> smooth(np.array([0.0, 3.0, 0.0]), 3).tolist()
    [1.5, 1.0, 1.5]
    """
    ones = np.ones(wide)
    return np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")


def several(place: int, count: int) -> dict[str, Any]:
    """Colour and marker of one of several runs: our five colours, or more along viridis."""
    from matplotlib import colormaps

    colors: list[Any] = [BLUE, ORANGE, GREEN, PINK, SKY]
    if count > len(colors):
        colors = [colormaps["viridis"](0.85 * n / (count - 1)) for n in range(count)]
    return {"color": colors[place], "marker": SHAPES[place % len(SHAPES)]}
