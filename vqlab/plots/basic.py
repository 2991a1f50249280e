"""Spectrograms in decibels as figures, and what every figure here shares.

Every function draws into the axes it is given, or makes new ones, and returns the axes; none shows
anything by itself. Colours are matplotlib's "magma" map (van der Walt and Smith, 2015), which rises
evenly in brightness, and the colours of Okabe and Ito (2008): both can be told apart with any kind
of colour vision.

Notebook: 02
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..spectral import MelConfig, hz_to_mel
from .media import RANGE_DB

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"
"""Colours of lines: five of Okabe and Ito's eight."""

MARKERS = ["D", "o", "s", "^", "v"]


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
    values = array_of(db, 2, "A spectrogram")
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
    ax = ax or new_axes(6.4, 2.6)
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
    return titled(ax, title)


def compare_spectrograms(spectrograms: Mapping[str, Any], config: MelConfig) -> Figure:
    """Draw several mel spectrograms in decibels below one another, on one colour scale.

    spectrograms : title -> (bands, frames), decibels
    Returns the figure; its axes are in the order given, the colour bar last.
    """
    if not spectrograms:
        raise ValueError("There is nothing to draw; pass at least one title and spectrogram.")
    values = {name: array_of(db, 2, "A spectrogram") for name, db in spectrograms.items()}
    vmax = max(float(db.max()) for db in values.values())
    figure = new_figure(6.4, 0.5 + 1.7 * len(values))
    axes = figure.subplots(len(values), 1, sharex=True, squeeze=False)[:, 0]
    for ax, (name, db) in zip(axes, values.items(), strict=True):
        spectrogram(db, config, ax, vmax=vmax, title=name, colorbar=False)
        ax.label_outer()
    figure.colorbar(axes[0].images[0], ax=list(axes), label="dB", pad=0.02)
    return figure


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


def array_of(values: Any, dimensions: int, what: str) -> np.ndarray:
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


def new_axes(width: float, height: float) -> Axes:
    return new_figure(width, height).subplots()


def titled(ax: Axes, title: str | None) -> Axes:
    if title:
        ax.set_title(title, fontsize=10, loc="left")
    return ax
