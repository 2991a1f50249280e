"""Hear versions of a sound against each other: a player that lives in the page.

`compare` makes one piece of HTML with everything inside (sounds, pictures, script), so it
works in JupyterLab, in Colab and in an exported page, without a network. The one idea: a fair
comparison. All versions are brought to the level of the first, because of two versions the louder
one sounds better; one common gain then keeps every one from clipping; the versions run in step, so
that switching changes nothing but the version; and the pictures share one colour scale. Without
its script (a notebook that is not trusted) labels, pictures and plain audio controls remain.

Notebook: 00
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..audio import one_sound
from .player import Player, Version

SILENCE_DB = -75.0
"""Sounds with a level below this (dBFS) count as silent and are never turned up."""


def compare(
    versions: Mapping[str, Any],
    sample_rate: int = 16000,
    *,
    bits: Mapping[str, float] | None = None,
    files: Mapping[str, bytes] | None = None,
    title: str | None = None,
    match_level: bool = True,
) -> Player:
    """A player that switches between versions of one sound at the same place.

    versions    : label -> waveform (samples,) or (1, samples), Tensor or array, in [-1, 1]
    sample_rate : Hz, of all versions
    bits        : label -> bits per second, shown beside the label as kbit/s ("–" for the others)
    files       : label -> bytes of the packed file that a version was decoded from; the page keeps
        them, so that a codec in it can decode them anew
    match_level : bring every version to the level of the first that is not silent

    Raises ValueError for a waveform that is empty, not mono, or not finite.
    """
    if int(sample_rate) != sample_rate or not 1000 <= sample_rate <= 192000:
        raise ValueError(f"sample_rate is a whole number from 1000 to 192000, not {sample_rate!r}.")
    sample_rate = int(sample_rate)
    if not versions:
        raise ValueError("There is nothing to play; pass at least one label and waveform.")
    for name, given in (("bits", bits), ("files", files)):
        if unknown := sorted(set(given or {}) - set(versions)):
            raise ValueError(
                f"{name} has {unknown[0]!r}, which is not among the versions: "
                f"{', '.join(versions)}."
            )
    waveforms = {label: _checked(waveform, label) for label, waveform in versions.items()}
    first = next((w for w in waveforms.values() if active_level(w, sample_rate) > SILENCE_DB), None)
    levels = [active_level(w, sample_rate, like=first) for w in waveforms.values()]
    gains, common = _gains(list(waveforms.values()), levels, match_level)
    made = [
        Version(
            label=label,
            samples=waveform * 10 ** ((gain + common) / 20),
            bits=None if bits is None else _kbps(bits.get(label)),
            gain_db=gain,
            silent=level <= SILENCE_DB,
            file=(files or {}).get(label),
        )
        for (label, waveform), gain, level in zip(waveforms.items(), gains, levels, strict=True)
    ]
    return Player(made, sample_rate, title, tuple(_remarks(made, common, match_level)))


def play(waveform: Any, sample_rate: int = 16000, label: str = "sound") -> Player:
    """A player for one sound, with its picture: see `compare`."""
    return compare({label: waveform}, sample_rate)


def active_level(samples: np.ndarray, sample_rate: int, *, like: np.ndarray | None = None) -> float:
    """RMS level in dBFS of the active part: the 20 ms frames within 30 dB of the loudest one.

    Over the whole clip, a word with long pauses would count as quieter than the same word without
    them. Noise in the pauses would make a version count as quieter, too: where `like`, a version of
    the same sound, is about as long, its active frames are tried as well, and the higher level
    counts. Returns -inf for silence.
    """
    power = _frame_power(samples, sample_rate)
    choices = [power[power >= power.max() * 1e-3]]
    if like is not None and abs(len(like) - len(samples)) <= 0.05 * len(like):
        other = _frame_power(like, sample_rate)
        count = min(len(power), len(other))
        choices.append(power[:count][other[:count] >= other.max() * 1e-3])
    level = max(float(choice.mean()) if choice.size else 0.0 for choice in choices)
    return float(10 * np.log10(level)) if level > 0 else -np.inf


def _frame_power(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    frame = min(max(1, sample_rate // 50), len(samples))
    power = np.square(samples[: len(samples) // frame * frame], dtype=np.float64)
    return power.reshape(-1, frame).mean(axis=1)


def _checked(waveform: Any, label: str) -> np.ndarray:
    """Check one version and return it as float64 (samples,)."""
    if not isinstance(label, str) or not label.strip():
        raise ValueError(f"A label is a text that is not empty, not {label!r}.")
    single = np.ndim(waveform) == 2 and len(waveform) == 1
    return one_sound(waveform[0] if single else waveform, repr(label)).double().numpy()


def _gains(
    waveforms: list[np.ndarray], levels: list[float], match_level: bool
) -> tuple[list[float], float]:
    """Gain in dB of each version to the first one's level, and the common gain (0 or below)."""
    target = next((level for level in levels if level > SILENCE_DB), None)
    gains = [
        target - level if match_level and target is not None and level > SILENCE_DB else 0.0
        for level in levels
    ]
    peaks = [
        float(np.abs(samples).max()) * 10 ** (gain / 20)
        for samples, gain in zip(waveforms, gains, strict=True)
    ]
    # A hair under full scale, so that rounding to 16 bits cannot clip either.
    common = 20 * np.log10(0.999 / max(peaks)) if max(peaks) > 1.0 else 0.0
    return gains, float(common)


def _remarks(versions: list[Version], common: float, match_level: bool) -> list[str]:
    remarks = []
    changed = [version for version in versions if abs(version.gain_db) >= 0.05]
    silent = [version.label for version in versions if version.silent]
    heard = [version for version in versions if not version.silent]
    if changed:
        first = "the first version" if heard[0] is versions[0] else f"“{heard[0].label}”"
        each = ", ".join(f"{version.label} {_signed(version.gain_db)} dB" for version in changed)
        remarks.append(f"matched to {first}: {each}")
    elif len(versions) > 1:
        remarks.append("levels as they were" if not match_level else "levels were equal")
    else:
        remarks.append("level as it was")
    if silent:
        remarks.append(f"silent, left as it was: {', '.join(silent)}")
    if common < 0:
        whole = "all turned down" if len(versions) > 1 else "turned down"
        remarks.append(f"{whole} {max(-common, 0.01):.2g} dB so that nothing clips")
    return remarks


def _signed(db: float) -> str:
    return f"{db:+.1f}".replace("-", "−")


def _kbps(bits: float | None) -> str:
    """Bits per second as text: 2304 -> "2.3 kbit/s"; "– kbit/s" where unknown."""
    if bits is None:
        return "– kbit/s"
    kbps = float(bits) / 1000 if isinstance(bits, int | float | np.number) else np.nan
    if not np.isfinite(kbps) or kbps < 0:
        raise ValueError(f"bits are bits per second, a number from 0 up, not {bits!r}.")
    digits = 0 if kbps >= 100 else 1 if kbps >= 10 else 2
    text = f"{kbps:.{digits}f}"
    return f"{text[:-1] if digits == 2 and text.endswith('0') else text} kbit/s"
