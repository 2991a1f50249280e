"""Synthesised notes of eight families of instruments: the stand-in for NSynth without a download.

The one idea: a note is computed from its name. `guitar_synthetic_003-060-100` seeds the knobs of
the third guitar (the same for all its notes) and the small accidents of this one note, so no file
is needed and every run hears the same. As in NSynth the key is held for three seconds of the four,
and a harder velocity is louder and brighter. The synthesisers are classics: frequency modulation
(Chowning 1973), discrete summation (Moorer 1976: all harmonics of a tone with a falling spectrum in
one closed formula), the plucked string (Karplus and Strong 1983), drawbars, and the modes of a bar.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .items import SAMPLE_RATE, Dataset, Entry, Found, choose
from .nsynth import Note, parse

SECONDS = 4.0
HELD = 3.0  # seconds until the key is let go
VARIANTS = 10  # instruments of a family
_HELD_OUT = {8: "validation", 9: "test"}  # those before are for training
VELOCITIES = (25, 50, 75, 100, 127)
# Lowest and highest pitch of each family; notes are three semitones apart.
RANGES = {
    "bass": (28, 52), "brass": (46, 76), "flute": (60, 84), "guitar": (40, 76),
    "keyboard": (36, 84), "mallet": (53, 83), "organ": (36, 84), "string": (43, 79),
}  # fmt: skip

_TIME = np.arange(round(SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
_HIGHEST = 7600.0  # Hz; what lies above would come back mirrored at half the sample rate


def index(
    split: str,
    *,
    root: object,
    families: str | Sequence[str] | None,
    sources: str | Sequence[str] | None,
) -> Found:
    """The notes of a split (labels are families, speakers instruments), the families, and remarks.

    An instrument's notes are in the order of a hash, so that a part of a split, taken in even
    steps, has all pitches and velocities.

    Raises ValueError for an unknown family or source, and for a folder.
    """
    if root is not None:
        raise ValueError("The notes are computed, not read; leave root out.")
    choose(sources, ["synthetic"], "source", "the synthesiser")
    wanted = choose(families, RANGES, "family", "the synthesiser")
    entries = []
    for family, variant in itertools.product(wanted, range(VARIANTS)):
        if split in ("all", _HELD_OUT.get(variant, "train")):
            speaker = f"{family}_synthetic_{variant:03}"
            pitches = range(RANGES[family][0], RANGES[family][1] + 1, 3)
            names = [f"{speaker}-{p:03}-{v:03}" for p in pitches for v in VELOCITIES]
            names.sort(key=lambda name: hashlib.sha1(name.encode()).hexdigest())
            entries += [Entry(Path(f"{name}.wav"), family, speaker) for name in names]
    return entries, wanted, ["Notes made by small synthesisers, no recordings."]


def synthesise(note: Note) -> Tensor:
    """The sound of a note: Tensor (64000,) float32, its peak 0.9 at the hardest velocity.

    Raises ValueError for a family or a pitch that no synthesiser here plays.
    """
    if note.family not in RANGES:
        raise ValueError(f"No synthesiser for {note.family!r}; there are {', '.join(RANGES)}.")
    if not 21 <= note.pitch <= 108 or not 1 <= note.velocity <= 127:
        raise ValueError(
            f"Pitch {note.pitch}, velocity {note.velocity}; allowed are 21 to 108 and 1 to 127."
        )
    knobs = _random(note.instrument)
    accidents = _random(f"{note.instrument}-{note.pitch}-{note.velocity}")
    hertz = 440 * 2 ** ((note.pitch - 69 + knobs.uniform(-0.08, 0.08)) / 12)
    strength = note.velocity / 127
    sound = _PLAYERS[note.family](hertz, strength, knobs, accidents)
    sound = sound * _release(knobs.uniform(0.05, 0.3))
    loudness = 0.9 * strength ** knobs.uniform(0.8, 1.6)
    return torch.from_numpy(sound * (loudness / np.abs(sound).max())).float()


# The building blocks: arrays of one value a sample; a phase is in radians.


def phase(hertz: float, *, depth: float = 0.0, rate: float = 5.0, delay: float = 0.3) -> np.ndarray:
    """The phase of a tone of `hertz`, its pitch swaying by `depth` semitones (vibrato)."""
    sway = depth * np.sin(2 * np.pi * rate * _TIME) * np.clip((_TIME - delay) / 0.5, 0, 1)
    return 2 * np.pi * np.cumsum(hertz * 2 ** (sway / 12)) / SAMPLE_RATE


def summed(angle: np.ndarray, brightness: np.ndarray | float, count: int) -> np.ndarray:
    """The sum of `brightness ** (k - 1) * sin(k * angle)` for k from 1 to `count`.

    In closed form, whatever the number of harmonics (Moorer 1976). brightness is below 1.
    """
    b = np.asarray(brightness)
    top = np.sin(angle) - b**count * np.sin((count + 1) * angle)
    top += b ** (count + 1) * np.sin(count * angle)
    return top / (1 - 2 * b * np.cos(angle) + b**2)


def modulated(angle: np.ndarray, ratio: float, index: np.ndarray) -> np.ndarray:
    """Frequency modulation (Chowning 1973): a sine whose phase another sine pushes about."""
    return np.sin(angle + index * np.sin(ratio * angle))


def plucked(hertz: float, *, loss: float, softness: float, burst: np.ndarray) -> np.ndarray:
    """A string: a burst of noise that goes round in a loop (Karplus and Strong 1983).

    loss : amplitude that is left after one round; softness, 0 to 0.5, takes the high ones faster
    burst : noise for the first round, at least one period long
    The loop is as long as the period: whole samples, and linear interpolation for the rest.
    """
    period = SAMPLE_RATE / hertz - softness
    whole = int(period)
    rest = period - whole
    taps = loss * np.convolve([1 - softness, softness], [1 - rest, rest])
    sound = np.zeros(len(_TIME) + whole + 2)
    sound[: whole + 2] = burst[: whole + 2]
    for start in range(whole + 2, len(sound), whole):  # a round at a time; it needs the one before
        end = min(start + whole, len(sound))
        for k, tap in enumerate(taps):
            sound[start:end] += tap * sound[start - whole - k : end - whole - k]
    return sound[-len(_TIME) :]


def decay(seconds: float) -> np.ndarray:
    """An exponential that has fallen to a thousandth (-60 dB) after `seconds`."""
    return 10 ** (-3 * _TIME / seconds)


def attack(seconds: float) -> np.ndarray:
    """From 0 to 1 within `seconds`, without a corner at either end."""
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(_TIME / seconds, 0, 1))


def _release(seconds: float) -> np.ndarray:
    """1 while the key is held, then a fall to a thousandth; 0 at the end of the four seconds."""
    falling = 10 ** (-3 * np.clip(_TIME - HELD, 0, None) / seconds)
    return falling * np.clip((_TIME[-1] - _TIME) / 0.01, 0, 1)


def _harmonics(hertz: float) -> int:
    return max(1, int(_HIGHEST / hertz))


# The instruments: (frequency in Hz, strength 0 to 1, the instrument's knobs, accidents of the note)

_Random = np.random.Generator


def _bass(hertz: float, strength: float, knobs: _Random, accidents: _Random) -> np.ndarray:
    """A synthesiser's bass: a bright tone whose filter closes, over an octave below."""
    opened, closes, low = knobs.uniform(0.7, 0.95), knobs.uniform(0.3, 2.0), knobs.uniform(0, 0.5)
    angle = phase(hertz) + accidents.uniform(0, 2 * np.pi)
    brightness = 0.3 + (opened - 0.3) * (0.4 + 0.6 * strength) * decay(closes)
    sound = summed(angle, brightness, _harmonics(hertz)) + low * np.sin(angle / 2)
    return sound * attack(0.005) * decay(knobs.uniform(3, 12))


def _brass(hertz: float, strength: float, knobs: _Random, accidents: _Random) -> np.ndarray:
    """Brass: the louder, the brighter, and brightness comes after the tone (Risset)."""
    rises, most = knobs.uniform(0.04, 0.15), knobs.uniform(0.6, 0.85)
    angle = phase(hertz, depth=knobs.uniform(0, 0.25), rate=knobs.uniform(4.5, 6))
    brightness = 0.15 + (most - 0.15) * (0.3 + 0.7 * strength) * attack(2 * rises)
    brightness *= 1 - 0.2 * np.clip(_TIME - 0.2, 0, None) / SECONDS
    return summed(angle, brightness, _harmonics(hertz)) * attack(rises)


def _flute(hertz: float, strength: float, knobs: _Random, accidents: _Random) -> np.ndarray:
    """A flute: few harmonics, a vibrato, and breath that sounds near the tone."""
    depth, rate = knobs.uniform(0.05, 0.3), knobs.uniform(4, 6)
    angle = phase(hertz, depth=depth, rate=rate)
    levels = np.array([1, knobs.uniform(0.1, 0.6), knobs.uniform(0.05, 0.3), 0.05])
    levels *= (0.4 + 0.6 * strength) ** np.arange(4)
    sound = sum(a * np.sin(k * angle) for k, a in enumerate(levels, 1) if k * hertz < _HIGHEST)
    tremor = 1 + knobs.uniform(0.02, 0.15) * np.sin(2 * np.pi * rate * _TIME)
    breath = accidents.standard_normal(len(_TIME) + 8)
    breath = np.convolve(breath, np.hanning(11)[1:-1] / 5, "valid") * np.sin(angle)
    sound = sound * tremor + knobs.uniform(0.02, 0.15) * breath
    return sound * attack(knobs.uniform(0.05, 0.2))


def _guitar(hertz: float, strength: float, knobs: _Random, accidents: _Random) -> np.ndarray:
    """A plucked string; where it is plucked, some harmonics are missing."""
    lasts, softness, place = (
        knobs.uniform(1.5, 6), knobs.uniform(0.1, 0.5), knobs.uniform(0.08, 0.35)
    )  # fmt: skip
    length = int(SAMPLE_RATE / hertz) + 2
    burst = accidents.uniform(-1, 1, length)
    smooth = 0.9 * (1 - strength) * knobs.uniform(0.5, 1)  # a soft stroke starts with less treble
    for n in range(1, length):
        burst[n] += smooth * (burst[n - 1] - burst[n])
    burst = burst - np.roll(burst, max(1, round(place * length)))
    loss = 10 ** (-3 / (hertz * lasts))
    sound = plucked(hertz, loss=loss, softness=softness, burst=burst)
    return sound - sound[:length].mean() * decay(lasts)  # the mean goes round in the loop as well


def _keyboard(hertz: float, strength: float, knobs: _Random, accidents: _Random) -> np.ndarray:
    """An electric piano: a tone that is modulated, and a short metallic stroke above it."""
    body, tine = knobs.uniform(0.5, 2.5), knobs.uniform(0.1, 0.5)
    ratio, lasts = knobs.choice([1, 1, 2, 3]), knobs.uniform(2, 7)
    angle = phase(hertz) + accidents.uniform(0, 2 * np.pi)
    # The sidebands reach about (index + 1) * ratio harmonics up: less of it for high notes.
    room = max(0.0, _HIGHEST / hertz / ratio - 2)
    sound = modulated(angle, ratio, min(body * strength, room) * decay(lasts / 2))
    stroke = knobs.choice([7, 11, 14])
    if stroke * hertz < _HIGHEST:
        sound = sound + tine * strength * np.sin(stroke * angle) * decay(0.6)
    return sound * attack(0.004) * decay(lasts)


def _mallet(hertz: float, strength: float, knobs: _Random, accidents: _Random) -> np.ndarray:
    """A struck bar: its modes are no harmonics, and the higher ones die away sooner."""
    tuned = knobs.choice([2.756, 3.0, 4.0])  # a free bar, a xylophone's, a marimba's second mode
    modes = np.array([1, tuned, tuned * 1.96, tuned * 3.24]) * knobs.uniform(0.99, 1.01, 4)
    levels = np.array([1, *(knobs.uniform(0.2, 0.8, 3) * (0.2 + 0.8 * strength))])
    lasts = knobs.uniform(0.6, 4)
    sound = sum(
        level * np.sin(2 * np.pi * hertz * mode * _TIME + start) * decay(lasts / mode)
        for mode, level, start in zip(modes, levels, accidents.uniform(0, 6.28, 4), strict=True)
        if hertz * mode < _HIGHEST
    )
    return sound * attack(0.003)


def _organ(hertz: float, strength: float, knobs: _Random, accidents: _Random) -> np.ndarray:
    """An organ: nine drawbars, each a sine, none of which changes while the key is held."""
    bars = np.array([0.5, 1.5, 1, 2, 3, 4, 5, 6, 8])
    levels = knobs.uniform(0, 1, 9) ** 2 * (0.5 + 0.5 * strength) ** bars
    levels[2] = 1
    angle = phase(hertz, depth=knobs.choice([0, 0, 0.15]), rate=6.5, delay=0)
    starts = accidents.uniform(0, 2 * np.pi, 9)
    sound = sum(
        level * np.sin(bar * angle + start)
        for bar, level, start in zip(bars, levels, starts, strict=True)
        if bar * hertz < _HIGHEST
    )
    return sound * attack(knobs.uniform(0.005, 0.03))


def _string(hertz: float, strength: float, knobs: _Random, accidents: _Random) -> np.ndarray:
    """A bowed string: several players, each a little off, with slow attack and vibrato."""
    players, bright = knobs.integers(1, 4), knobs.uniform(0.65, 0.9)
    depth, rate, rises = knobs.uniform(0.1, 0.35), knobs.uniform(4.5, 6.5), knobs.uniform(0.08, 0.4)
    sound = np.zeros(len(_TIME))
    for _ in range(players):
        detuned = hertz * 2 ** (accidents.normal(0, 0.04) / 12)
        angle = phase(detuned, depth=depth, rate=rate + accidents.uniform(-0.3, 0.3))
        angle += accidents.uniform(0, 2 * np.pi)
        brightness = bright * (0.7 + 0.3 * strength) * (0.6 + 0.4 * attack(rises))
        sound += summed(angle, brightness, _harmonics(detuned * 2 ** (depth / 12)))
    bow = accidents.standard_normal(len(_TIME)) * 0.01
    return (sound + bow) * attack(rises)


_PLAYERS = {
    "bass": _bass, "brass": _brass, "flute": _flute, "guitar": _guitar,
    "keyboard": _keyboard, "mallet": _mallet, "organ": _organ, "string": _string,
}  # fmt: skip


class Notes(Dataset):
    """A `Dataset` whose items are computed; `item.path` is a name, no file."""

    def _load(self, entry: Entry) -> Tensor:
        note = parse(entry.path.stem)
        assert note is not None  # `index` made the name
        return synthesise(note)


def _random(name: str) -> _Random:
    """Random numbers that belong to a name, the same everywhere."""
    return np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
