"""Pictures for the series: waveforms, spectrograms, losses, codes.

Every function draws into the axes it is given, or makes new ones, and returns the axes; none shows
anything by itself. The one idea: a notebook shows a picture with `show`, which gives it
alternative text, so that a reader who does not see it loses nothing. Colours are matplotlib's
"magma" and "viridis" maps (van der Walt and Smith, 2015), which rise evenly in brightness, and the
colours of Okabe and Ito (2008): both can be told apart with any kind of colour vision.

Notebook: 02
"""

from __future__ import annotations

import html
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..spectral import MelConfig, hz_to_mel
from .media import RANGE_DB, data_uri

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"
"""Colours of lines: five of Okabe and Ito's eight."""

MARKERS = ["D", "o", "s", "^", "v"]


def waveform(
    waveform: Any, sample_rate: int, ax: Axes | None = None, *, title: str | None = None
) -> Axes:
    """Draw a waveform (samples,) over time in seconds. Returns the axes."""
    samples = _array(waveform, 1, "A waveform")
    ax = ax or _axes(6.4, 1.8)
    ax.plot(np.arange(len(samples)) / sample_rate, samples, linewidth=0.7, color=BLUE)
    ax.set(xlabel="time (s)", ylabel="amplitude", xlim=(0, max(len(samples), 1) / sample_rate))
    ax.axhline(0, color="0.6", linewidth=0.5)
    return _titled(ax, title)


def spectrogram(
    db: Any,
    config: MelConfig,
    ax: Axes | None = None,
    *,
    kind: str = "mel",
    vmin: float | None = None,
    vmax: float | None = None,
    title: str | None = None,
    colorbar: bool = True,
) -> Axes:
    """Draw a spectrogram in decibels, with time in seconds and frequency in Hz on its axes.

    db         : (bands, frames), decibels (power goes through `spectral.to_db` first)
    kind       : "mel" (config.n_mels bands) or "linear" (config.bins of them)
    vmin, vmax : decibels at the ends of the colour scale; the loudest point and 70 dB below it
                 where they are not given. Give both to compare two pictures.
    Raises ValueError where the shape does not fit `config` and `kind`.
    """
    values = _array(db, 2, "A spectrogram")
    if kind not in ("mel", "linear"):
        raise ValueError(f"kind must be 'mel' or 'linear', not {kind!r}.")
    bands = config.n_mels if kind == "mel" else config.bins
    if len(values) != bands:
        raise ValueError(
            f"A {kind} spectrogram of this configuration has {bands} bands, not {len(values)}; "
            "pass the configuration it was made with, or the other kind."
        )
    vmax = float(values.max()) if vmax is None else vmax
    vmin = vmax - RANGE_DB if vmin is None else vmin
    ax = ax or _axes(6.4, 2.6)
    seconds = values.shape[1] * config.hop_length / config.sample_rate
    picture = ax.imshow(
        values,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=vmin,
        vmax=vmax,
        extent=(0.0, seconds, 0.0, float(bands)),
        interpolation="nearest",
    )
    ticks = frequency_ticks(config, kind)
    ax.set_yticks([place * bands for place, _ in ticks], [text for _, text in ticks])
    ax.set(xlabel="time (s)", ylabel="frequency (Hz)")
    if colorbar and ax.figure is not None:
        ax.figure.colorbar(picture, ax=ax, label="dB", pad=0.02)
    return _titled(ax, title)


def compare_spectrograms(spectrograms: Mapping[str, Any], config: MelConfig) -> Figure:
    """Draw several mel spectrograms in decibels below one another, on one colour scale.

    spectrograms : title -> (bands, frames), decibels
    Returns the figure; its axes are in the order given, the colour bar last.
    """
    if not spectrograms:
        raise ValueError("There is nothing to draw; pass at least one title and spectrogram.")
    values = {name: _array(db, 2, "A spectrogram") for name, db in spectrograms.items()}
    vmax = max(float(db.max()) for db in values.values())
    figure = new_figure(6.4, 0.5 + 1.7 * len(values))
    axes = figure.subplots(len(values), 1, sharex=True, squeeze=False)[:, 0]
    for ax, (name, db) in zip(axes, values.items(), strict=True):
        spectrogram(db, config, ax, vmax=vmax, title=name, colorbar=False)
        ax.label_outer()
    figure.colorbar(axes[0].images[0], ax=list(axes), label="dB", pad=0.02)
    return figure


def usage(counts: Any, *, stage: int = 0) -> Axes:
    """Draw how often each code was used, the most used first, beside equal use of all of them.

    counts : (codebook_size,) counts, or a `quantize.CodebookStats` (then of its stage `stage`)
    """
    if hasattr(counts, "codebook_sizes"):
        counts = counts.counts[stage]
    values = np.sort(_array(counts, 1, "A list of counts"))[::-1]
    if len(values) == 0 or values.min() < 0:
        raise ValueError("Counts of codes are at least one number and none below 0.")
    ax = _axes(6.4, 2.2)
    ax.bar(np.arange(len(values)), values, width=1.0, color=BLUE, linewidth=0)
    equal = values.sum() / len(values)
    ax.axhline(equal, color=ORANGE, linestyle="--", linewidth=1, label=f"equal use: {equal:.3g}")
    used = int((values > 0).sum())
    ax.set(xlabel="codes, the most used first", ylabel="times used", xlim=(-0.5, len(values) - 0.5))
    ax.legend(fontsize=8, frameon=False)
    return _titled(ax, f"{used} of {len(values)} codes used")


def codes_as_picture(
    codes: Any,
    ax: Axes | None = None,
    *,
    codebook_size: int | None = None,
    title: str | None = None,
) -> Axes:
    """Draw codes (stages, positions) as a coloured grid, with the integers in it if they fit.

    One colour stands for one code (neighbouring colours mean neighbouring numbers, not neighbouring
    sounds); -1, no code, stays blank. A single list (positions,) is one stage. codebook_size sets
    the end of the colours.
    """
    values = np.atleast_2d(np.asarray(as_numpy(codes)))
    if values.ndim != 2 or values.size == 0 or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"Codes are whole numbers of shape (stages, positions), not {values.dtype} of shape "
            f"{values.shape}; take one item of a batch with codes[0]."
        )
    stages, positions = values.shape
    top = (codebook_size or int(values.max()) + 1) - 1
    ax = ax or _axes(6.4, 0.9 + 0.3 * stages)
    present = np.ma.masked_less(values, 0)
    ax.imshow(
        present, aspect="auto", cmap="viridis", vmin=0, vmax=max(top, 1), interpolation="nearest"
    )
    ax.set(xlabel="position", ylabel="stage")
    ax.set_yticks(range(stages), [str(stage + 1) for stage in range(stages)])
    if positions <= 26 and present.count() <= 260:
        for row, column in np.argwhere(values >= 0):
            code = values[row, column]
            dark = code < 0.45 * max(top, 1)  # viridis is dark below, bright above
            ax.text(
                column,
                row,
                str(code),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "black",
            )
    return _titled(ax, title)


@dataclass(frozen=True)
class Picture:
    """A PNG with alternative text, as the last line of a cell or through IPython's display."""

    png: bytes
    alt: str
    width: int

    def _repr_html_(self) -> str:
        return (
            f'<img class="vqlab-picture" width="{self.width}" alt="{html.escape(self.alt)}" '
            f'src="{data_uri("image/png", self.png)}">'
        )

    def __repr__(self) -> str:
        return f"[picture: {self.alt}]"


def show(figure: Figure | Axes, alt: str, *, dpi: int = 90) -> Picture:
    """Turn a figure, or the figure of some axes, into a picture with alternative text.

    Write it as the last line of a cell, or hand it to `IPython.display.display`. The figure is
    closed, so that it is not shown a second time.

    Raises ValueError without an alternative text: say in it what the picture shows.
    """
    if not alt or not alt.strip():
        raise ValueError("A picture needs alternative text: alt='what the picture shows'.")
    from matplotlib import pyplot
    from PIL import Image

    whole: Any = figure if hasattr(figure, "savefig") else figure.get_figure()
    memory = io.BytesIO()
    whole.savefig(memory, format="png", dpi=dpi, bbox_inches="tight", facecolor="white")
    pyplot.close(whole)
    # 256 colours are enough for any figure here and halve what a saved notebook weighs.
    small = io.BytesIO()
    few = Image.open(memory).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(small, format="png", optimize=True)
    png = small.getvalue()
    return Picture(png, " ".join(alt.split()), int.from_bytes(png[16:20], "big"))


def frequency_ticks(config: MelConfig, kind: str = "mel") -> list[tuple[float, str]]:
    """Round frequencies for the axis of a spectrogram: (height from 0 to 1, text in Hz)."""
    nice = [0, 250, 500, 1000, 2000, 4000, 8000, 16000]
    low, high = (config.f_min, config.f_max) if kind == "mel" else (0.0, config.sample_rate / 2)

    def place(hz: float) -> float:
        return float(hz_to_mel(hz, config.scale)) if kind == "mel" else hz

    ticks: list[tuple[float, str]] = []
    for hz in nice:
        if not low <= hz <= high:
            continue
        height = (place(hz) - place(low)) / (place(high) - place(low))
        if not ticks or height - ticks[-1][0] > 0.09:
            ticks.append((height, f"{hz}"))
    return ticks


def as_numpy(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _array(values: Any, dimensions: int, what: str) -> np.ndarray:
    array = np.asarray(as_numpy(values), dtype=np.float64)
    if array.ndim != dimensions:
        raise ValueError(
            f"{what} has {dimensions} dimension(s) here, not shape {array.shape}; take one item of "
            "a batch with x[0]."
        )
    return array


def new_figure(width: float, height: float) -> Figure:
    from matplotlib import pyplot

    return pyplot.figure(figsize=(width, height), layout="constrained")


def _axes(width: float, height: float) -> Axes:
    return new_figure(width, height).subplots()


def _titled(ax: Axes, title: str | None) -> Axes:
    if title:
        ax.set_title(title, fontsize=10, loc="left")
    return ax
