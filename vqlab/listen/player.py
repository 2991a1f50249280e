"""The page behind `listen`: sounds, pictures and text, written into player.html.

`Player` holds finished versions (levels are the work of `listen`) and writes them as one
piece of HTML. The one idea: everything a reader needs is there without the script (label, rate,
peak, picture with alternative text, audio controls); the script in player.html finds these parts
by their class names and builds the player out of them. It relies on no ids, because JupyterLab
renames them, and on no network. Sounds are 16-bit FLAC, about half the size of WAV and read by all
browsers; pictures are PNGs with 34 colours.
"""

from __future__ import annotations

import html
import os
import warnings
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import torch

from ..files import whole_file, written_place
from ..plots import RANGE_DB, frequency_ticks
from ..plots.media import data_uri, magma, png, sound_uri
from ..spectral import MelConfig, mel, to_db

WIDTH, STRIP, BANDS = 360, 32, 80
"""Pixels of a picture: its width, the height of the waveform, of the spectrogram (mel bands)."""

_COLOURS = 32  # of the spectrogram

LARGE = 1_000_000
"""Above this many characters a player warns: a saved notebook grows by as much."""


def spectrogram_png(
    db: np.ndarray, samples: np.ndarray, *, vmax: float, full_scale: float
) -> bytes:
    """A small picture without axes: waveform above, spectrogram below.

    db         : (bands, frames), one pixel a band; NaN where there is nothing (left transparent)
    samples    : (samples,), NaN where there is nothing
    vmax       : decibels of the brightest colour; RANGE_DB below it is the darkest
    full_scale : amplitude that fills the strip of the waveform
    Made without a figure and with few colours, so that a second of speech takes 4 to 10 kB.
    """
    grid = _columns(db)[::-1]  # low frequencies at the bottom
    shade = np.clip((grid - vmax) / RANGE_DB + 1.0, 0.0, 1.0) * (_COLOURS - 1)
    pixels = np.where(np.isnan(shade), 0, np.nan_to_num(shade).round() + 2).astype(np.uint8)
    # Palette: 0 transparent, 1 the waveform's blue (seen on white and on black), then magma.
    palette = np.concatenate([[(0, 0, 0), (59, 130, 246)], magma(_COLOURS)]).astype(np.uint8)
    return png(np.vstack([_strip(samples, full_scale), pixels]), palette, transparency=0)


def _columns(grid: np.ndarray) -> np.ndarray:
    """(bands, frames) to (bands, WIDTH): the loudest of several frames, or the nearest frame."""
    frames = grid.shape[1]
    starts = np.arange(WIDTH) * frames // WIDTH
    return grid[:, starts] if frames <= WIDTH else np.fmax.reduceat(grid, starts, axis=1)


def _strip(samples: np.ndarray, full_scale: float) -> np.ndarray:
    """Waveform as pixels (STRIP, WIDTH): 1 between the extremes of each column, else 0."""
    if len(samples) < WIDTH:
        samples = samples[np.arange(WIDTH) * len(samples) // WIDTH]
    starts = np.arange(WIDTH) * len(samples) // WIDTH
    half = (STRIP - 3) / 2  # two free lines above the spectrogram
    scale = half / full_scale if full_scale > 0 else 0.0
    top = np.round(half - scale * np.fmax.reduceat(samples, starts))
    bottom = np.round(half - scale * np.fmin.reduceat(samples, starts))
    rows = np.arange(STRIP)[:, None]
    return ((rows >= top) & (rows <= bottom)).astype(np.uint8)


@dataclass(frozen=True)
class Version:
    """One version as it is played.

    samples : float64 (samples,), after both gains
    bits    : rate as text, "– kbit/s" where unknown, None where no rates are shown
    gain_db : gain that matched it to the first version
    silent  : its level is at most SILENCE_DB, so it was not matched
    file    : bytes of the packed file it was decoded from, None where there is none; in the page
        they stand in base64 as `data-vql` of the version's element
    """

    label: str
    samples: np.ndarray
    bits: str | None
    gain_db: float
    silent: bool
    file: bytes | None = None

    @property
    def peak_db(self) -> float:
        """Largest sample in dBFS; -inf for silence."""
        peak = float(np.abs(self.samples).max())
        return float(20 * np.log10(peak)) if peak > 0 else -np.inf


@dataclass(frozen=True, repr=False)
class Player:
    """What `listen.compare` returns: shown by the notebook, saved as a page by `save`."""

    versions: list[Version]
    sample_rate: int
    title: str | None
    remarks: tuple[str, ...]

    @property
    def html(self) -> str:
        """The player as one piece of HTML, to be put into any page."""
        page = _template().replace("<!--PLAYER-->", self._body())
        # One element holds it all, so that the script finds its player around itself.
        return f'<div class="vqlab-player"{self._data()}>\n{page}</div>'

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a page that needs nothing else; an old file stays until the new one is whole."""
        path = Path(path)
        name = html.escape(self.title or "vqlab player")
        page = (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<title>{name}</title>\n<link rel="icon" href="data:,">\n'
            "<style>:root { color-scheme: light dark; } body { margin: 16px; "
            "background: Canvas; color: CanvasText; }</style>\n"
            f"</head>\n<body>\n<main>\n{self.html}\n</main>\n</body>\n</html>\n"
        )
        with whole_file(written_place(path)) as file:
            file.write(page.encode())
        return path

    def _repr_html_(self) -> str:
        page = self.html
        if len(page) > LARGE:
            warnings.warn(
                f"This player takes {len(page) / 1e6:.1f} MB in the saved notebook; play a shorter "
                "part, or write it to a page of its own with .save(path).",
                stacklevel=2,
            )
        return page

    def __repr__(self) -> str:
        sounds = ", ".join(
            f"{version.label} ({len(version.samples) / self.sample_rate:.2f} s)"
            for version in self.versions
        )
        return f"[player: {sounds}]"

    def _data(self) -> str:
        ticks = ";".join(
            f"{100 * (STRIP + (1 - height) * BANDS) / (STRIP + BANDS):.1f}:{int(text) / 1000:g} kHz"
            for height, text in frequency_ticks(self._analysis())
            if int(text) >= 500 and height < 0.97
        )
        return f' data-seconds="{self._longest() / self.sample_rate:.6f}" data-ticks="{ticks}"'

    def _longest(self) -> int:
        return max(len(version.samples) for version in self.versions)

    def _analysis(self) -> MelConfig:
        """Settings of the pictures: windows of at least 32 ms, about one frame a pixel."""
        n_fft = 512
        while n_fft < 0.032 * self.sample_rate:
            n_fft *= 2
        return MelConfig(
            sample_rate=self.sample_rate,
            n_fft=n_fft,
            hop_length=min(max(1, self._longest() // WIDTH), n_fft // 4),
            n_mels=BANDS,
            f_max=self.sample_rate / 2,
        )

    def _pictures(self) -> list[bytes]:
        config, longest = self._analysis(), self._longest()
        strips, grids = [], []
        for version in self.versions:
            missing = longest - len(version.samples)  # nothing is drawn after the end
            sound = torch.from_numpy(np.pad(version.samples, (0, missing)).astype(np.float32))
            grid = to_db(mel(sound, config)).numpy().astype(np.float64)
            grid[:, -(-len(version.samples) // config.hop_length) + 1 :] = np.nan
            grids.append(grid)
            strips.append(np.pad(version.samples, (0, missing), constant_values=np.nan))
        vmax = max(float(np.nanmax(grid)) for grid in grids)  # one reference for all pictures
        full_scale = max(float(np.nanmax(np.abs(strip))) for strip in strips)
        return [
            spectrogram_png(grid, strip, vmax=vmax, full_scale=full_scale)
            for grid, strip in zip(grids, strips, strict=True)
        ]

    def _body(self) -> str:
        parts = []
        if self.title:
            parts.append(f'<p class="vq-title"><strong>{html.escape(self.title)}</strong></p>')
        parts.append('<div class="vq-versions">')
        for version, picture in zip(self.versions, self._pictures(), strict=True):
            facts = [] if version.bits is None else [version.bits]
            facts.append(_peak(version))
            label = html.escape(version.label)
            spans = "".join(f" · <span>{html.escape(fact)}</span>" for fact in facts)
            kept = "" if version.file is None else f' data-vql="{b64encode(version.file).decode()}"'
            parts.append(
                f'<div class="vq-version"{kept}>'
                f'<p class="vq-head"><strong>{label}</strong>{spans}</p>'
                f'<img class="vq-picture" width="{WIDTH}" height="{STRIP + BANDS}" '
                f'alt="{html.escape(self._alt(version))}" '
                f'src="{data_uri("image/png", picture)}">'
                f'<div class="vq-plain"><audio controls preload="metadata" aria-label="{label}" '
                f'src="{sound_uri(version.samples, self.sample_rate)}"></audio></div></div>'
            )
        parts.append("</div>")
        config = self._analysis()
        said = "; ".join(self.remarks)
        parts.append(
            f'<p class="vq-note">{html.escape(said[:1].upper() + said[1:])}. Above the waveform, '
            f"below the spectrogram from 0 to {config.f_max / 1000:g} kHz (mel scale, "
            f"{RANGE_DB:.0f} dB from black to white, the same scale for all).</p>"
        )
        return "\n".join(parts)

    def _alt(self, version: Version) -> str:
        seconds = len(version.samples) / self.sample_rate
        text = f"Waveform and spectrogram of {version.label}: {seconds:.2f} s, {_peak(version)}"
        if version.peak_db == -np.inf:
            return text
        low, high = _band(version.samples, self.sample_rate)
        frame = max(1, self.sample_rate // 50)
        power = np.convolve(np.square(version.samples, dtype=np.float64), np.ones(frame), "same")
        loudest = int(power[: len(version.samples)].argmax()) / self.sample_rate
        band = f"between {low} and {high} Hz" if low < high else f"at {low} Hz"
        return (
            f"{text}, loudest at {loudest:.2f} s, 90 % of its energy {band}; "
            f"frequencies from 0 to {self.sample_rate / 2000:g} kHz."
        )


def _peak(version: Version) -> str:
    if version.peak_db == -np.inf:
        return "silent"
    return f"peak {version.peak_db:.1f} dBFS".replace("-0.0", "0.0").replace("-", "−")


def _band(samples: np.ndarray, sample_rate: int) -> tuple[int, int]:
    """Frequencies in Hz that leave out 5 % of the energy below and 5 % above, rounded to 10."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    share = np.cumsum(power) / power.sum()
    low, high = np.searchsorted(share, [0.05, 0.95]) * sample_rate / len(samples)
    return int(round(low, -1)), int(round(high, -1))


@cache
def _template() -> str:
    return resources.files(__package__).joinpath("player.html").read_text(encoding="utf-8")
