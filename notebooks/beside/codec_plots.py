"""Codecs on one chart: quality against stored bits, every point named.

The one idea: a rate is the size of a file over the duration of its sound, header included, on a
logarithmic axis, and a reader needs no legend to know which point is which: each name is written
where it covers least of the others.

Notebook: 09
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vqlab.plots import BLUE, GREEN, MARKERS, ORANGE, PINK, SKY, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = [ORANGE, BLUE, GREEN, PINK, SKY]


def rate_quality(
    points: Sequence[Mapping[str, Any]],
    *,
    measures: Mapping[str, str],
    lines: Sequence[str] = ("vqlab",),
) -> Figure:
    """Draw quality against bits for several codecs, one panel a measure, all points named.

    points   : mappings with "name", "family" (one colour and marker each), "kbps" (stored size;
               None draws a dashed line across: a limit that has no rate) and, for each measure,
               (mean, low, high, …) or None
    measures : key in the points -> name of the panel's axis
    lines    : families whose points are joined, drawn strongest
    Returns the figure; its axes are in the order of the measures.

    Raises ValueError where no point has a rate.
    """
    rated = [point for point in points if point["kbps"] is not None]
    if not rated:
        raise ValueError("No point has a rate in kbit/s; give at least one codec's.")
    others = sorted({point["family"] for point in rated} - set(lines))
    families = [*lines, *others]  # so that a family keeps its look where there is no line
    looks = dict(zip(families, zip(_COLORS * 3, MARKERS * 3, strict=False), strict=False))
    figure = new_figure(8.2, 0.6 + 4.6 * len(measures))
    axes = figure.subplots(len(measures), 1, sharex=True, squeeze=False)[:, 0]
    rates = [point["kbps"] for point in rated]
    for ax, (measure, title) in zip(axes, measures.items(), strict=True):
        for family, (color, marker) in looks.items():
            mine = [point for point in rated if point["family"] == family and point[measure]]
            mine.sort(key=lambda point: point["kbps"])
            if not mine:
                continue
            x = [point["kbps"] for point in mine]
            y, low, high = np.array([point[measure][:3] for point in mine]).reshape(-1, 3).T
            strong = family in lines
            ax.vlines(x, low, high, color=color, linewidth=1, alpha=1 if strong else 0.35)
            ax.plot(
                x, y, marker, color=color, label=family, linestyle="-" if strong else "none",
                linewidth=2, markersize=8 if strong else 6, zorder=3 if strong else 2,
            )  # fmt: skip
        limits = [point for point in points if point["kbps"] is None and point[measure]]
        for number, point in enumerate(limits):
            ax.axhline(point[measure][0], color="0.55", linestyle="--", linewidth=1, zorder=0)
            # Each name farther to the right: two lines may lie close together.
            place, across = (0.006 + 0.2 * number, point[measure][0]), ax.get_yaxis_transform()
            ax.text(*place, point["name"], transform=across, va="bottom", fontsize=8, color="0.3")
        ax.set(xscale="log", ylabel=title, xlim=(0.75 * min(rates), 1.35 * max(rates)))
        ax.margins(y=0.08)
        ax.grid(color="0.92", linewidth=0.7)
        ax.set_axisbelow(True)
    ticks = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256]
    first, last = axes[-1].get_xlim()
    axes[-1].set_xticks([rate for rate in ticks if first <= rate <= last])
    axes[-1].set_xticks([], minor=True)
    axes[-1].xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes[-1].set_xlabel("stored kbit/s: size of the file over the duration (logarithmic)")
    axes[0].legend(loc="lower right", fontsize=9, framealpha=0.9)
    for ax, measure in zip(axes, measures, strict=True):
        named = [point for point in rated if point[measure]]
        _name_points(
            ax,
            [(point["kbps"], point[measure][0]) for point in named],
            [point["name"] for point in named],
            [looks[point["family"]][0] for point in named],
        )
    return figure


def _name_points(
    ax: Axes, places: Sequence[tuple[float, float]], names: Sequence[str], colors: Sequence[str]
) -> None:
    """Write names beside points, each where it covers the least of the others."""
    from matplotlib.transforms import Bbox

    figure: Any = ax.figure
    figure.draw_without_rendering()  # the layout is final, so pixels can be compared
    dots = [ax.transData.transform(place) for place in places]
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in dots]
    taken += [text.get_window_extent() for text in ax.texts]
    legend = ax.get_legend()
    taken += [legend.get_window_extent()] if legend else []
    # Joined points: small boxes along the line, so that no name lies on it.
    for line in ax.get_lines():
        if line.get_linestyle() == "-":
            ends = ax.transData.transform(line.get_xydata())
            for start, end in zip(ends[:-1], ends[1:], strict=True):
                steps = np.linspace(start, end, 40)
                taken += [Bbox.from_bounds(x - 2, y - 2, 4, 4) for x, y in steps]
    offsets = [
        (radius * np.cos(angle), radius * np.sin(angle))
        for radius in (9, 15, 22, 32)
        for angle in np.deg2rad([0, 45, -45, 90, -90, 180, 135, -135])
    ]
    for place, name, color in zip(places, names, colors, strict=True):
        best = None
        for dx, dy in offsets:
            text = ax.annotate(
                name, place, (dx, dy), textcoords="offset points", fontsize=8, color=color,
                ha="left" if dx > 1 else "right" if dx < -1 else "center",
                va="center" if abs(dy) < 1 else "bottom" if dy > 0 else "top",
            )  # fmt: skip
            box = text.get_window_extent()
            inside = ax.get_window_extent()
            outside = Bbox.intersection(box, inside)
            cost = box.width * box.height
            cost -= outside.width * outside.height if outside else 0.0
            for other in taken:
                both = Bbox.intersection(box, other)
                cost += both.width * both.height if both else 0.0
            if best is None or cost < best[0] - 1e-6:
                if best is not None:
                    best[1].remove()
                best = cost, text, box
            else:
                text.remove()
            if cost < 1e-6:
                break
        assert best is not None
        taken.append(best[2])
