"""Result plots: error against size and rate, from the evaluation table alone.

The one idea: the old picture and the new one side by side. `error_against_latent` is the
thesis's own plot, with a broken axis between the latents of VQ-VAEs and those of autoencoders that
take many times as many bits (Hansen Vedal 2019, see `vqlab.lessons.result_table`);
`error_against_rate` is how codecs are compared today: bits per second, logarithmic. Each
function returns a figure whose label is its alternative text; `picture` takes both.

Notebook: 09
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vqlab.lessons.result_table import (
    MODELS,
    Curve,
    Row,
    as_text,
    curves,
    one_dataset,
    published,
    some,
)

from vqlab.plots import BLUE, GREEN, MARKERS, ORANGE, PINK, SKY, Picture, new_figure, show

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = {
    "vq": BLUE, "ae": ORANGE, "rvq": GREEN, "fsq": PINK, "vae": SKY, "inversion": "0.3",
}  # fmt: skip
SHAPES = [*MARKERS[1:], "D", "P", "X", "*"]
_DASHES = ["-", "--", ":", "-."]


def error_against_latent(rows: Sequence[Row]) -> Figure:
    """Draw the error against the size of the latent, as the thesis does: the axis is broken.

    rows : of one data set, see `read_table`. VQ-VAE on the left of the break, a curve for
           each D over K; AE on its right, over D. Other models are left out.
    The thesis's own figures are grey, "published, other data": among ours where a latent has as
    many positions and the largest errors are within a factor of 4, else in a panel of their own.
    Returns the figure; the axes of a panel are its two parts, ours first.

    Raises ValueError where no VQ-VAE and no AE has an error, or there are several data sets.
    """
    data = one_dataset(rows)
    ours = curves(rows, "latent_bits", "sse", ("vq", "ae"))
    some(ours, "No VQ-VAE or AE of the table has both latent_bits and sse")
    old = published(data)
    theirs = curves(old, "latent_bits", "sse")
    source = old[0]["dataset"] if old else ""
    note = f"published, other data: validation error on {source}, Hansen Vedal 2019"
    together = bool(theirs) and _alike(rows, old, ours, theirs)
    title = f"{data}, test error: {_seeds(ours)}"
    if together:
        panels = [(f"{title}\ngrey: {note}", ours, theirs)]
    else:
        panels = [(title, ours, []), (note, [], theirs)][: 2 if theirs else 1]
    figure = new_figure(8.2, 0.3 + 3.5 * len(panels))
    figure.get_layout_engine().set(wspace=0.0, w_pad=0.03)  # type: ignore[union-attr, call-arg]
    parts = figure.subfigures(len(panels), 1, squeeze=False)[:, 0]
    for part, (title, strong, grey) in zip(parts, panels, strict=True):
        _broken(part, title, strong, grey)
    said = [f"{title}. {_said(a, 'bits')} {_said(b, 'bits')}" for title, a, b in panels]
    return with_alt(
        figure, "Squared error against latent size, on an axis broken between VQ-VAE and AE.", *said
    )


def _alike(
    rows: Sequence[Row], old: Sequence[Row], ours: Sequence[Curve], theirs: Sequence[Curve]
) -> bool:
    """Whether two sets of errors can share axes without misleading."""
    same = {row["positions"] for row in rows if row["model"] in ("vq", "ae")}
    tops = [max(curve.mean.max() for curve in some) for some in (ours, theirs)]
    return same == {row["positions"] for row in old} and 1 / 4 < tops[0] / tops[1] < 4


def _broken(part: Any, title: str, strong: Sequence[Curve], grey: Sequence[Curve]) -> None:
    """One panel: an axis for the VQ-VAEs, one for the AE, and between them slanted marks."""
    drawn = list(zip(strong, _looks(strong), strict=True))
    for curve, look in zip(grey, _looks(grey, "0.5"), strict=True):
        label = f"published: {curve.label}" if strong else curve.label
        drawn.append((replace(curve, label=label), look))
    kinds = [kind for kind in ("vq", "ae") if any(curve.model == kind for curve, _ in drawn)]
    axes = part.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for ax, kind in zip(axes, kinds, strict=True):
        mine = [(curve, look) for curve, look in drawn if curve.model == kind]
        for curve, look in mine:
            _draw(ax, curve, look)
        at = 1 if kind == "vq" else 0  # K names a point of a VQ-VAE, D one of an AE
        points = [point for curve, _ in mine for point in zip(curve.x, curve.settings, strict=True)]
        names = {f"{x:.4g}": (x, as_text(setting[at])) for x, setting in points}
        top = ax.secondary_xaxis("top")
        top.set_xticks([x for x, _ in names.values()], [k for _, k in names.values()], fontsize=8)
        top.set_xlabel("DK"[at], fontsize=8, labelpad=3)
        ax.xaxis.set_major_formatter(lambda value, _: _short(value))
        ax.locator_params(axis="x", nbins=6)
        ax.margins(x=0.08)
        plain(ax)
    highest = max(float((curve.mean + curve.deviation).max()) for curve, _ in drawn)
    axes[0].set_ylim(0, 1.08 * highest)
    axes[0].set_ylabel("squared error, summed")
    sizes = {
        kind: [x for curve, _ in drawn if curve.model == kind for x in curve.x] for kind in kinds
    }
    if len(axes) == 2 and max(sizes["vq"]) < min(sizes["ae"]):
        _break(*axes)
    part.supxlabel("latent size (bits for a picture)", fontsize=10)
    legend(part, axes, title)


def _break(left: Axes, right: Axes) -> None:
    """Make two axes look like one that is cut: no line between them, slanted marks at the cut."""
    left.spines["right"].set_visible(False)
    right.spines["left"].set_visible(False)
    right.tick_params(axis="y", left=False)
    slash: Any = [(-1, -2), (1, 2)]
    for ax, end in ((left, 1), (right, 0)):
        low, high = ax.get_xlim()
        edge = 0.04 * (high - low)  # a number there would lie under a mark
        ax.set_xticks([x for x in ax.get_xticks() if low + edge < x < high - edge])
        ax.plot(
            [end, end], [0, 1], marker=slash, markersize=11, linestyle="none", color="black",
            markeredgewidth=1, clip_on=False, transform=ax.transAxes, label="_break",
        )  # fmt: skip


def error_against_rate(rows: Sequence[Row]) -> Figure:
    """Draw the error of all models against the rate in bits per second, on a logarithmic axis.

    rows : of one data set. Of sound: mean error per bin in dB, and STOI where it is known; the
           inversion alone, which has no rate, is a dashed line. Of pictures: squared error against
           bits a picture.
    Points are means over seeds; bars are one standard deviation up and down. Returns the figure, an
    axes a measure.

    Raises ValueError where no run has a rate and a measure, or there are several data sets.
    """
    data = one_dataset(rows)
    sound = any(row["bits_per_second"] is not None for row in rows)
    x = "bits_per_second" if sound else "latent_bits"
    names = {"db": "mean error per bin (dB)", "stoi": "STOI", "sse": "squared error, summed"}
    panels = {key: curves(rows, x, key) for key in names}
    wanted = [key for key in (("db", "stoi") if sound else ("sse",)) if panels[key]]
    wanted = wanted or [key for key in names if panels[key]][:1]
    some(wanted, f"No run of the table has {x} and an error")
    figure = new_figure(8.2, 0.9 + 3.6 * len(wanted))
    axes = figure.subplots(len(wanted), 1, sharex=True, squeeze=False)[:, 0]
    # One look a label, the same in every panel even where a curve is missing from one of them.
    first = {curve.label: curve for key in wanted for curve in panels[key]}
    looks = dict(zip(first, _looks(list(first.values())), strict=True))
    for ax, key in zip(axes, wanted, strict=True):
        for curve in panels[key]:
            _draw(ax, curve, looks[curve.label])
        for row in rows:
            if row["model"] == "inversion" and row[key] is not None:
                ax.axhline(row[key], color="0.3", linestyle="--", linewidth=1, zorder=0)
                across = ax.get_yaxis_transform()
                ax.text(0.01, row[key], "inversion alone", transform=across, fontsize=8,
                        color="0.3", ha="left", va="bottom")  # fmt: skip
        ax.set(xscale="log", ylabel=names[key])
        plain(ax)
    _log_ticks(axes[-1])
    unit = "bits per second" if sound else "bits for a picture"
    axes[-1].set_xlabel(f"rate ({unit}, logarithmic; AE and VAE: 32 bits a number)")
    drawn = [curve for key in wanted for curve in panels[key]]
    legend(figure, axes, f"{data}: {_seeds(drawn)}")
    said = [f"{names[key]}: {_said(panels[key], unit)}" for key in wanted]
    return with_alt(figure, f"Error against rate for {data}; {_seeds(drawn)}.", *said)


def picture(figure: Figure) -> Picture:
    """A figure of this module as a picture, with the alternative text that its label holds."""
    return show(figure, str(figure.get_label()))


def _short(value: float) -> str:
    """1500000 as 1.5M, 64000 as 64k; three digits."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _seeds(drawn: Sequence[Curve]) -> str:
    counts = sorted({int(n) for curve in drawn for n in curve.seeds})
    if counts == [1]:
        return "one seed"
    many = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    return f"mean of {many} seeds, bars: ± one standard deviation"


def _said(drawn: Sequence[Curve], unit: str) -> str:
    """What the curves show, in words."""
    ends = [(curve, curve.x[[0, -1]], curve.mean[[0, -1]]) for curve in drawn]
    text = "; ".join(
        f"{curve.label}: {y[0]:.3g} at {_short(x[0])} {unit}"
        + (f" to {y[1]:.3g} at {_short(x[1])}" if len(curve.x) > 1 else "")
        for curve, x, y in ends
    )
    return text + "." if text else ""


def _looks(drawn: Sequence[Curve], color: str | None = None) -> list[dict[str, Any]]:
    """Colour by model; the curves of one model differ in marker, filling and dashes."""
    looks, seen = [], dict.fromkeys(MODELS, 0)
    for place, curve in enumerate(drawn):
        number, own = seen[curve.model], color or COLORS[curve.model]
        seen[curve.model] += 1
        looks.append(
            {
                "color": own,
                "marker": SHAPES[place % len(SHAPES)],
                "linestyle": _DASHES[number % len(_DASHES)],
                "markerfacecolor": "white" if number % 2 else own,
                "zorder": 1 if color else 3,
            }
        )
    return looks


def _draw(ax: Axes, curve: Curve, look: Mapping[str, Any]) -> None:
    bars = curve.deviation if (curve.seeds > 1).any() else None
    ax.errorbar(
        curve.x, curve.mean, bars, label=curve.label, capsize=3, linewidth=1.4, markersize=6, **look
    )


def plain(ax: Axes) -> None:
    """A faint grid behind the curves."""
    ax.grid(color="0.92", linewidth=0.7)
    ax.set_axisbelow(True)


def legend(figure: Any, axes: Any, title: str, *, columns: int = 3) -> None:
    """One legend above all axes, every curve in it once."""
    handles: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        handles.values(), handles, title=title, loc="outside upper left", fontsize=8,
        ncols=columns, title_fontsize=9, alignment="left", frameon=False, handlelength=3,
    )  # fmt: skip


def _log_ticks(ax: Axes) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    low, high = ax.get_xlim()
    steps = (1, 2, 5) if high / low < 2000 else (1,)
    ax.xaxis.set_major_locator(LogLocator(subs=steps, numticks=20))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda value, _: _short(value))


def with_alt(figure: Figure, *sentences: str) -> Figure:
    """Give a figure its alternative text."""
    figure.set_label(" ".join(sentences))
    return figure
