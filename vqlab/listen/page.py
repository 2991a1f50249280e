"""One listening page of a recording: itself, and what a codec makes of it at several rates.

The one idea: everything that is heard has been a file. Each version is compressed to bytes, as
`vqlab compress` writes them, and decoded from nothing but those; the page says how many there
were. It holds sounds, pictures and script itself, and asks the network for nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm.auto import tqdm

from .. import audio
from ..codec.shipped import compress, decompress, load_pretrained
from . import comparing as listen
from .player import Player

RATES = (0.5, 1.0, 1.5)
"""kbit/s that are tried where nobody says which."""

MOST_SECONDS = 60
"""Length of recording that a page takes. With four versions of a minute it has about 6 MB."""


def destination(
    recording: str | Path, out: str | Path | None, rates: Sequence[float] | None = None
) -> Path:
    """Where to write: `out`, or beside the recording, as `NAME.reconstructed.html`.

    Raises ValueError for another ending than .html, .wav and .flac and for a sound at several
    `rates`, FileNotFoundError for a folder that is not there.
    """
    out = Path(out or f"{os.path.splitext(recording)[0]}.reconstructed.html")
    if out.suffix.lower() not in (".html", ".wav", ".flac"):
        raise ValueError(
            f"{out} must end in .html for a listening page, or in .wav or .flac for one sound"
        )
    if out.suffix.lower() != ".html" and len(rates or ()) > 1:
        raise ValueError(
            f"{out} holds one sound, not {len(rates or ())}: give one rate, or a name that ends in "
            ".html"
        )
    if not out.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {out.parent}: make it first")
    return out


def page(
    path: str | Path, *, model: str = "speech", rates: Sequence[float] | None = None
) -> Player:
    """A player with the recording and each rate, lowest first, and the sizes of their files.

    rates : in kbit/s, of the whole file, at most. None: `RATES`, as far as the model has them, or
        else the lowest that it has.

    The recording is heard as the codec gets it: one channel at the codec's sample rate.
    Raises ValueError or FileNotFoundError for what cannot be read or coded, and for a recording of
    more than `MOST_SECONDS`.
    """
    codec = load_pretrained(model)
    sample_rate = codec.sample_rate
    waveform, _ = audio.load(path, sample_rate=sample_rate)
    seconds = len(waveform) / sample_rate
    if seconds > MOST_SECONDS:
        raise ValueError(
            f"{path} lasts {seconds:.0f} s, a page takes at most {MOST_SECONDS} s: cut it, or name "
            "an output that ends in .wav or .flac to get one sound"
        )
    if rates is None:
        lowest = codec.rates[0] / 1000
        rates = [kbps for kbps in RATES if kbps >= lowest] or [lowest]
    versions, sizes = {"original": waveform}, {"original": os.path.getsize(path)}
    for kbps in tqdm(sorted(set(rates)), "coding", delay=2, leave=False):
        data = compress(waveform, model=model, kbps=kbps)
        label = f"{kbps:g} kbit/s"
        versions[label], _ = decompress(data, model=model)
        sizes[label] = len(data)
    bits = {label: 8 * size / seconds for label, size in sizes.items()}
    title = f"{Path(path).name}: {seconds:.2f} s, as one channel at {sample_rate / 1000:g} kHz"
    player = listen.compare(versions, sample_rate, bits=bits, title=title)
    sized = [
        replace(version, bits=f"{sizes[version.label]:,} bytes, {version.bits}")
        for version in player.versions
    ]
    notes = (*player.notes, "sizes and rates are those of whole files, header included")
    return replace(player, versions=sized, notes=notes)
