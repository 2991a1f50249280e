"""A recording heard through codecs: on one page, as one sound, or as a folder of sounds.

The one idea: everything that is heard has been a file. Each version is compressed to bytes, as
`vqlab compress` writes them, and decoded from nothing but those; the page says how many there
were. It holds sounds, pictures and script itself, and asks the network for nothing. Only a model
that has no codes (an autoencoder) is heard without any.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from .. import audio, spectral
from ..codec import Codec, load_pretrained
from ..features import Front, segments
from ..files import write_whole
from ..plots.media import grey, png
from . import comparing as listen
from .player import Player

MOST_SECONDS = 60
"""Length of recording that a page takes. With four versions of a minute it has about 6 MB."""


def page(
    path: str | Path,
    *,
    model: str | Mapping[str, Codec] = "speech",
    rates: Sequence[float] | None = None,
) -> Player:
    """A player with the recording and each rate, lowest first, and the sizes of their files.

    model : as `load_pretrained` takes it, or several codecs by name
    rates : in kbit/s, of the whole file, at most. None: the
        usual ones that a model has, or else the nearest.

    The recording is heard as the codec gets it: one channel at the codec's sample rate.
    Raises ValueError or FileNotFoundError for what cannot be read or coded, and for a recording of
    more than `MOST_SECONDS`.
    """
    codecs = {"": load_pretrained(model)} if isinstance(model, str) else model
    waveform, sample_rate = _recording(path, codecs, MOST_SECONDS)
    seconds = len(waveform) / sample_rate
    versions, sizes = {"original": waveform}, {"original": os.path.getsize(path)}
    for name, codec in codecs.items():
        if not codec.rates:
            versions[name] = codec.through(waveform)
            continue
        found, wanted = codec.analysis(waveform), sorted(set(rates or codec.usual_rates))
        files = {kbps: found.compress(kbps) for kbps in reversed(wanted)}  # one search serves all
        for kbps in tqdm(wanted, "decoding", delay=2, leave=False):
            label = ", ".join([name] * (len(codecs) > 1) + [f"{kbps:g} kbit/s"])
            versions[label] = codec.decode(*codec.from_bytes(files[kbps]))
            sizes[label] = len(files[kbps])
    bits = {label: 8 * size / seconds for label, size in sizes.items()}
    title = f"{Path(path).name}: {seconds:.2f} s, as one channel at {sample_rate / 1000:g} kHz"
    player = listen.compare(versions, sample_rate, bits=bits, title=title)
    sized = [
        replace(version, bits=f"{sizes[version.label]:,} bytes, {version.bits}")
        if version.label in sizes
        else version
        for version in player.versions
    ]
    remarks = (*player.remarks, "sizes and rates are those of whole files, header included")
    return replace(player, versions=sized, remarks=remarks)


def folder(
    path: str | Path, out: str | Path, codecs: Mapping[str, Codec], *, kbps: float | None = None
) -> dict[str, Tensor]:
    """Write what each codec makes of a recording into the folder `out`, as wav and as picture.

    kbps : of each file, at most; None: the codes of all stages

    Beside them stand the original and the way to what a network sees and back ("inversion", of
    each kind of features), so that one hears what the network lost and what that lost. Returns
    waveforms `(samples,)` by name; raises what `page` does.
    """
    waveform, sample_rate = _recording(path, codecs)
    Path(out).mkdir(parents=True, exist_ok=True)
    heard, seen = {"original": waveform}, list[object]()
    for name, codec in tqdm(codecs.items(), "reconstructing", delay=2, leave=False):
        shown, original = {}, _decibels(codec, waveform)
        if codec.features not in seen:
            seen.append(codec.features)
            number = "" if len(seen) == 1 else f"-{len(seen)}"
            heard[f"inversion{number}"] = codec.through(waveform, inversion=True)
            shown[f"inversion{number}"] = _decibels(codec, heard[f"inversion{number}"])
            shown[f"original{number}"] = original
        whole = codec.reconstruct if codec.rates else codec.through
        heard[name] = whole(waveform) if kbps is None else codec.reconstruct(waveform, kbps=kbps)
        shown[name] = _decibels(codec, heard[name])
        for key, db in shown.items():
            pixels = grey(db.flip(0), float(original.min()), float(original.max()))
            write_whole(Path(out) / f"{key}.png", png(pixels))
    for name, sound in heard.items():
        audio.save(Path(out) / f"{name}.wav", audio.quieter(sound), sample_rate)
    return heard


def _recording(
    path: str | Path, codecs: Mapping[str, Codec], longest: float | None = None
) -> tuple[Tensor, int]:
    sample_rates = {codec.sample_rate for codec in codecs.values()}
    if len(sample_rates) > 1:
        raise ValueError(f"the models know sounds of {sample_rates} Hz: give those of one rate")
    return audio.load(path, sample_rate=sample_rates.pop(), longest=longest)


def _decibels(codec: Codec, waveform: Tensor) -> Tensor:
    """What a codec's network sees of a sound, `(rows, frames)`; segments stand side by side."""
    features = codec.features
    if not isinstance(features, Front):
        return spectral.log_mel(waveform, features.config)
    return torch.cat(list(features.decibels(segments(waveform, features.samples))), dim=1)


def destination(
    recording: str | Path, out: str | Path | None, rates: Sequence[float] | None = None
) -> Path:
    """Where to write: `out`, or beside the recording, as `NAME.reconstructed.html`; beside a folder
    of recordings, as the folder `NAME-reconstructed`.

    Raises ValueError for another ending than .html, .wav, .flac or none (a folder), and where
    several `rates` or recordings do not go with it; FileNotFoundError for a folder that is not
    there.
    """
    many = Path(recording).is_dir()
    beside = os.path.splitext(recording)[0] + ".reconstructed.html"
    out = Path(out or (f"{Path(recording).resolve()}-reconstructed" if many else beside))
    if many and out.suffix:
        raise ValueError(
            f"{out} is one file, and {recording} a folder of recordings: give a name without an "
            "ending, for a folder"
        )
    if out.suffix.lower() not in (".html", ".wav", ".flac", ""):
        raise ValueError(
            f"{out} must end in .html for a listening page, in .wav or .flac for one sound, or "
            "have no ending for a folder of sounds and pictures"
        )
    if out.suffix.lower() != ".html" and len(rates or ()) > 1:
        raise ValueError(
            f"{out} holds each model at one rate, not at {len(rates or ())}: give one, or a name "
            "that ends in .html"
        )
    if not out.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {out.parent}: make it first")
    return out
