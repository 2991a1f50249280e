"""The two types every data set returns: `Item`, one sound, and `Dataset`, a sequence of them.

The one idea: a data set is a list of paths with their label and speaker, and a file is decoded only
when its item is asked for. So 105,000 clips load as readily as 30. What decoding shows to be odd
(a silent clip, two channels, another sample rate) is kept and said in `Dataset.remarks`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor
from tqdm.auto import tqdm

from .. import audio

SAMPLE_RATE = 16000
SHORTEST_SECONDS = 0.1
SILENT_BELOW = 1e-4  # peak; three steps of 16 bits, so that a dithered silence counts as one

# What can be odd about a clip, and what is said about it. The first three make `scan` drop it.
_SAID = {
    "unreadable": "cannot be read as sound",
    "silent": "silent (no sample above 0.0001)",
    "short": f"shorter than {SHORTEST_SECONDS} s",
    "channels": "with more than one channel, mixed to one",
    "rate": f"at another sample rate, resampled to {SAMPLE_RATE} Hz",
}
_DROPPED = ("unreadable", "silent", "short")


@dataclass(frozen=True)
class Entry:
    """One clip before decoding: where it is and what is known about it.

    `start` in seconds marks a piece of a longer recording; None is all of it.
    """

    path: Path
    label: str
    speaker: str
    start: float | None = None


Found = tuple[list[Entry], list[str], list[str]]
"""What the index of a set gives: the clips of a split, the classes, and remarks."""


@dataclass(frozen=True, eq=False)
class Item:
    """One sound.

    waveform : Tensor (samples,), float32 in [-1, 1]
    gain_db : what level normalisation added; `waveform / 10 ** (gain_db / 20)` takes it back
    """

    waveform: Tensor
    sample_rate: int
    label: str
    speaker: str
    path: Path
    gain_db: float = 0.0


def choose(
    values: str | Sequence[str] | None, allowed: Iterable[str], what: str, where: str
) -> list[str]:
    """The chosen names, each once and sorted; None and "all" choose all there are.

    Raises ValueError for a name that `where` does not have, and for an empty choice.

    >>> choose("b", ("b", "a"), "word", "it"), choose(None, ("b", "a"), "word", "it")
    (['b'], ['a', 'b'])
    """
    allowed = sorted(allowed)
    names = allowed if values is None else [values] if isinstance(values, str) else list(values)
    names = allowed if "all" in names else names
    unknown = [name for name in names if name not in allowed]
    if unknown or (not names and values is not None):
        wrong = f"Unknown {what} {unknown[0]!r}" if unknown else f"No {what} was chosen"
        every = "choose 'all'" if what == "word" else "leave it out for all"
        raise ValueError(f"{wrong}; {where} has {', '.join(allowed)}, or {every}.")
    return sorted(set(names))


def spread(count: int, limit: int) -> list[int]:
    """At most `limit` numbers below `count`, evenly. Raises ValueError for a limit below 1."""
    if limit < 1:
        raise ValueError(f"limit is {limit}; give a number from 1, or None for all.")
    return [n * count // limit for n in range(limit)] if limit < count else list(range(count))


def spread_over_speakers(labels: Sequence[str], speakers: Sequence[str], limit: int) -> list[int]:
    """At most `limit` places in a list of clips, so that speakers and labels come equally often.

    `spread` alone may meet the same speaker in every label. Raises ValueError as it does.

    >>> spread_over_speakers(["a", "a", "b", "b"], ["x", "y", "x", "y"], 2)
    [0, 3]
    """
    left = list(zip(range(len(labels)), labels, speakers, strict=True))
    heard, spoke, chosen = Counter[str](), Counter[str](), []
    for _ in spread(len(left), limit):
        rarest = min(left, key=lambda clip: heard[clip[1]] + spoke[clip[2]])
        left.remove(rarest)
        n, label, speaker = rarest
        heard[label], spoke[speaker] = heard[label] + 1, spoke[speaker] + 1
        chosen.append(n)
    return sorted(chosen)


def header_oddities(path: Path) -> set[str]:
    """What the file's header alone shows to be odd, without decoding it.

    Returns a subset of `{"unreadable", "short", "channels", "rate"}`.
    """
    try:
        with audio.opened(path) as header:
            seconds = header.frames / header.samplerate
    except (OSError, ValueError):
        return {"unreadable"}
    rate, short = header.samplerate != SAMPLE_RATE, seconds < SHORTEST_SECONDS
    seen = {"short": short, "channels": header.channels > 1, "rate": rate}
    return {kind for kind, so in seen.items() if so}


def counted(n: int, noun: str) -> str:
    """A number with its noun: `1 clip`, `1,200 clips`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def sentence(kind: str, paths: Iterable[Path], *, dropped: bool) -> str:
    """One sentence on the clips that are odd in the same way, with up to three of their names."""
    names = sorted(f"{path.parent.name}/{path.name}" for path in paths)
    few = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"{counted(len(names), 'clip')} {_SAID[kind]}{': left out' if dropped else ''} ({few})."


def pieces(entries: Sequence[Entry], seconds: float) -> tuple[list[Entry], list[str]]:
    """Recordings cut into pieces of `seconds`, one after the other; and remarks on what failed.

    What is left at the end of a recording is not used. Raises ValueError for no length.
    """
    if not seconds > 0:
        raise ValueError(f"seconds is {seconds}; give a positive number, or None.")
    cut, unreadable = [], []
    for entry in entries:
        try:
            with audio.opened(entry.path) as file:
                samples = file.promise.samples or sum(map(len, audio.blocks(file)))
                whole = int(samples / file.samplerate / seconds)
        except (OSError, ValueError):
            unreadable.append(entry.path)
            continue
        cut += [dataclasses.replace(entry, start=i * seconds) for i in range(whole)]
    return cut, [sentence("unreadable", unreadable, dropped=True)] if unreadable else []


class Dataset(Sequence[Item]):
    """A sequence of `Item`; indexing decodes a file, a slice is a smaller Dataset.

    labels, speakers : one per item, known without decoding
    classes : the labels of the whole set, sorted, the same in every split
    seconds : length every item is padded or cropped to; None leaves the natural length
    level_db : RMS level in dBFS every item is brought to; None leaves it
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        *,
        classes: Sequence[str] | None = None,
        remarks: Sequence[str] = (),
        seconds: float | None = 1.0,
        level_db: float | None = None,
    ) -> None:
        if seconds is not None and not 0 < seconds < float("inf"):
            raise ValueError(f"seconds is {seconds}; give a positive number, or None.")
        if level_db is not None and not -80 <= level_db <= 0:
            raise ValueError(f"level_db is {level_db}; allowed is -80 to 0 (dBFS), or None.")
        self.entries = list(entries)
        self.labels = [entry.label for entry in self.entries]
        self.speakers = [entry.speaker for entry in self.entries]
        self.classes = sorted(set(self.labels)) if classes is None else list(classes)
        self.seconds = seconds
        self.level_db = level_db
        self._remarks = list(remarks)
        self._odd: dict[str, set[Path]] = {kind: set() for kind in _SAID}
        self._last: tuple[Path, Tensor] | None = None

    @property
    def remarks(self) -> list[str]:
        """Sentences on what is missing or odd: known at loading, and seen in decoding so far."""
        seen = [sentence(kind, odd, dropped=False) for kind, odd in self._odd.items() if odd]
        return self._remarks + seen

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Dataset: ...
    def __getitem__(self, index: int | slice) -> Item | Dataset:
        if isinstance(index, slice):
            return self._like(self.entries[index], self._remarks)
        return self._decode(self.entries[index])

    def __repr__(self) -> str:
        few = ", ".join(self.classes[:4]) + (", …" if len(self.classes) > 4 else "")
        return (
            f"Dataset({len(self):,} clips, {len(set(self.speakers)):,} speakers, "
            f"{len(self.classes)} labels: {few})"
        )

    def at_most(self, each: int) -> Dataset:
        """A Dataset with the first `each` clips of every label."""
        seen, entries = Counter[str](), []
        for entry in self.entries:
            seen[entry.label] += 1
            entries += [entry] if seen[entry.label] <= each else []
        return self._like(entries, self._remarks)

    def waveforms(self, *, progress: bool = True) -> Tensor:
        """Every item decoded once, as Tensor (N, samples) float32; a bar after two seconds.

        One second at 16 kHz takes 64 kB: 3,000 clips 0.2 GB, the whole of Speech Commands 7 GB.
        Silent clips stay in (the rows follow `labels`) and `remarks` says so; `scan` drops them.

        Raises ValueError for a clip that cannot be read, and for `seconds=None` when the clips
        have different lengths.
        """
        if not self.entries:
            return torch.zeros(0, round((self.seconds or 0) * SAMPLE_RATE))
        rows: Tensor | None = None
        bar = tqdm(self.entries, "reading clips", delay=2, leave=False, disable=not progress)
        for n, entry in enumerate(bar):
            waveform = self._decode(entry).waveform
            if rows is None:  # one block from the start: a list of 100,000 tensors doubles memory
                rows = torch.empty(len(self), waveform.shape[-1])
            if waveform.shape[-1] != rows.shape[-1]:
                raise ValueError(
                    f"The clips have different lengths ({rows.shape[-1]:,} and "
                    f"{waveform.shape[-1]:,} samples: {entry.path.name}). Load them with "
                    "seconds=1.0 (any number) to make them equal."
                )
            rows[n] = waveform
        assert rows is not None
        return rows

    def scan(self) -> Dataset:
        """Decode every clip once and return a Dataset without those that are no use.

        Left out and said in its `remarks`: clips that cannot be read, silent ones, and those under
        0.1 s. The clips that stay but were mixed or resampled are counted there too.
        """
        seen = self._like(self.entries, [])
        for entry in tqdm(self.entries, "checking clips", delay=2, leave=False):
            try:
                seen._load(entry)
            except (ValueError, OSError):
                seen._odd["unreadable"].add(entry.path)
        dropped = {kind: seen._odd.pop(kind) for kind in _DROPPED}
        bad = set().union(*dropped.values())
        said = [sentence(kind, odd, dropped=True) for kind, odd in dropped.items() if odd]
        kept = self._like([e for e in self.entries if e.path not in bad], self._remarks + said)
        kept._odd |= {kind: odd - bad for kind, odd in seen._odd.items()}
        return kept

    def _like(self, entries: Sequence[Entry], remarks: Sequence[str]) -> Dataset:
        options: dict[str, Any] = {"seconds": self.seconds, "level_db": self.level_db}
        return type(self)(entries, classes=self.classes, remarks=remarks, **options)

    def _load(self, entry: Entry) -> Tensor:
        """Decode one file to (samples,) at 16 kHz and remember what is odd about it."""
        path = entry.path
        if entry.start is not None and self._last is not None and self._last[0] == path:
            return self._last[1]  # the next piece of one recording
        for kind in header_oddities(path) - {"unreadable"}:  # audio.load says why it is unreadable
            self._odd[kind].add(path)
        waveform, _ = audio.load(path, sample_rate=SAMPLE_RATE)
        if waveform.abs().max() < SILENT_BELOW:
            self._odd["silent"].add(path)
        self._last = (path, waveform) if entry.start is not None else None
        return waveform

    def _decode(self, entry: Entry) -> Item:
        try:
            waveform = self._load(entry)
        except ValueError as error:
            raise ValueError(f"{error} Remove it, or let Dataset.scan() leave it out.") from error
        gain_db = 0.0
        if self.seconds is not None:
            samples = round(self.seconds * SAMPLE_RATE)
            if entry.start is not None:
                waveform = waveform[round(entry.start * SAMPLE_RATE) :][:samples]
            waveform = audio.fit_length(waveform, samples)
        if self.level_db is not None:
            waveform, gain_db = audio.set_level(waveform, self.level_db)
        known = entry.label, entry.speaker, entry.path
        return Item(waveform, SAMPLE_RATE, *known, gain_db=float(gain_db))
