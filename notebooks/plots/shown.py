"""What notebooks show: figures of waveforms and codes, and spectrograms as pixels for the widgets.

The one idea: a notebook shows a picture with `show`, which gives it alternative text, so that a
reader who does not see it loses nothing. Imported as `vqlab.plots.shown`, by its names from
`vqlab.plots`.

Notebook: 00
"""

from __future__ import annotations

import html
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from vqlab import spectral
from vqlab.plots.basic import BLUE, ORANGE, array_of, as_numpy, new_axes, titled
from vqlab.plots.media import RANGE_DB, data_uri, magma, png
from vqlab.spectral import MelConfig

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

_COLOURS = 64  # of a picture in pixels


def waveform(
    waveform: Any, sample_rate: int, ax: Axes | None = None, *, title: str | None = None
) -> Axes:
    """Draw a waveform (samples,) over time in seconds. Returns the axes."""
    samples = array_of(waveform, 1, "A waveform")
    ax = ax or new_axes(6.4, 1.8)
    ax.plot(np.arange(len(samples)) / sample_rate, samples, linewidth=0.7, color=BLUE)
    ax.set(xlabel="time (s)", ylabel="amplitude", xlim=(0, max(len(samples), 1) / sample_rate))
    ax.axhline(0, color="0.6", linewidth=0.5)
    return titled(ax, title)


def usage(counts: Any, *, stage: int = 0) -> Axes:
    """Draw how often each code was used, the most used first, beside equal use of all of them.

    counts : (codebook_size,) counts, or a `quantize.CodebookStats` (then of its stage `stage`)
    """
    if hasattr(counts, "codebook_sizes"):
        counts = counts.counts[stage]
    values = np.sort(array_of(counts, 1, "A list of counts"))[::-1]
    if len(values) == 0 or values.min() < 0:
        raise ValueError("Counts of codes are at least one number and none below 0.")
    ax = new_axes(6.4, 2.2)
    ax.bar(np.arange(len(values)), values, width=1.0, color=BLUE, linewidth=0)
    equal = values.sum() / len(values)
    ax.axhline(equal, color=ORANGE, linestyle="--", linewidth=1, label=f"equal use: {equal:.3g}")
    used = int((values > 0).sum())
    ax.set(xlabel="codes, the most used first", ylabel="times used", xlim=(-0.5, len(values) - 0.5))
    ax.legend(fontsize=8, frameon=False)
    return titled(ax, f"{used} of {len(values)} codes used")


def codes_as_picture(
    codes: Any,
    ax: Axes | None = None,
    *,
    codebook_size: int | None = None,
    title: str | None = None,
) -> Axes:
    """Draw codes (stages, positions) as a coloured grid, with the integers in it if they fit.

    One colour stands for one code. Codes are names, so the colours have no order: near numbers look
    as different as far ones. -1, no code, stays blank. A single list (positions,) is one stage.
    codebook_size is the number of colours; pictures with the same one have the same colours.
    """
    values = np.atleast_2d(np.asarray(as_numpy(codes)))
    if values.ndim != 2 or values.size == 0 or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"Codes are whole numbers of shape (stages, positions), not {values.dtype} of shape "
            f"{values.shape}; take one item of a batch with codes[0]."
        )
    stages, positions = values.shape
    size = max(codebook_size or 0, int(values.max()) + 1, 1)
    ax = ax or new_axes(6.4, 0.9 + 0.3 * stages)
    present = np.ma.masked_less(values, 0)
    ax.imshow(
        present,
        aspect="auto",
        cmap=_names(size),
        vmin=-0.5,
        vmax=size - 0.5,
        interpolation="nearest",
    )
    ax.set(xlabel="position", ylabel="stage")
    ax.set_yticks(range(stages), [str(stage + 1) for stage in range(stages)])
    if positions <= 26 and present.count() <= 260:
        for row, column in np.argwhere(values >= 0):
            ax.text(column, row, str(values[row, column]), ha="center", va="center", fontsize=7)
    return titled(ax, title)


def _names(size: int) -> ListedColormap:
    """Colours for names: all hues, shuffled, light enough for black figures on them."""
    from matplotlib.colors import ListedColormap, hsv_to_rgb

    random = np.random.default_rng(0)
    hues, strengths = random.permutation(size) / size, random.uniform(0.2, 0.6, size)
    return ListedColormap(hsv_to_rgb(np.stack([hues, strengths, np.ones(size)], axis=1)))


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


def spectrogram_uri(waveform: Tensor, config: MelConfig) -> str:
    """A mel spectrogram without axes as a data URI, a pixel a band, `RANGE_DB` to black."""
    power = spectral.mel(waveform, config)[:, : max(1, len(waveform) // config.hop_length)]
    return picture_uri(spectral.to_db(power))


def picture_uri(
    db: Tensor, *, width: int = 480, height: int = 200, loudest: float | None = None
) -> str:
    """Decibels (bands, frames) as a picture; where there are more than pixels, the loudest count.

    Low frequencies are at the bottom; black is `RANGE_DB` below `loudest`, the loudest point
    where it is not given.
    """
    grid = db.numpy().astype(np.float64)
    for axis, most in enumerate((height, width)):
        length = grid.shape[axis]
        if length > most:
            grid = np.maximum.reduceat(grid, np.arange(most) * length // most, axis=axis)
    top = grid.max() if loudest is None else loudest
    shade = np.clip((grid[::-1] - top) / RANGE_DB + 1.0, 0.0, 1.0)
    pixels = np.round(shade * (_COLOURS - 1)).astype(np.uint8)
    return data_uri("image/png", png(pixels, magma(_COLOURS)))
