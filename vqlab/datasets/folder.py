"""Any folder of sound files as a data set, with its subfolders as labels.

The one idea: what the name of a file says about the speaker decides its split, so that nobody is
heard both in training and in testing; clips whose names do not say it are counted in the remarks.
The speakers are put in the order of a hash of their names; the first tenth is the test split, the
next tenth validation, the rest training. The same files always give the same splits; adding a
speaker can move another one, so keep the folder as it is between training and testing.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tqdm.auto import tqdm

from .. import files
from .items import Entry, Found, choose, counted, header_oddities, pieces, sentence

ENDINGS = frozenset(
    ".wav .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .snd .caf .w64 .rf64".split()
)

_LONG = 5  # lengths of a clip, from which on a recording is not one word with silence around it

# How well-known sets put the speaker into the file name (without its ending).
_SPEAKER = (
    re.compile(r"(.+)_nohash_\d+"),  # Speech Commands: 00b01445_nohash_0
    re.compile(r"\d+_(.+)_\d+"),  # Free Spoken Digit Dataset: 7_jackson_12
    re.compile(r"(\d+)-\d+-\d+"),  # LibriSpeech: 84-121123-0001
)


def index(
    split: str,
    *,
    root: str | os.PathLike[str] | None,
    words: str | Sequence[str] | None,
    seconds: float | None,
) -> Found:
    """The clips of a split, the labels, and sentences on what was left out or is odd.

    Every header is read: files that are no sound, and clips under 0.1 s, are left out and said. A
    recording of many times `seconds` is cut into pieces of that length.

    Raises FileNotFoundError when the folder is missing or holds no sound; ValueError for an unknown
    label, and when there are too few recordings for splits.
    """
    folder = files.recordings_roots(root)[0]
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is not a folder. Give the set 'folder' a folder of sound files as root."
        )
    odd: dict[str, list[Path]] = {"unreadable": [], "short": []}
    everything, others = [], Counter[str]()
    for path in tqdm(_files(folder), "reading headers", delay=2, leave=False):
        place = path.relative_to(folder)
        if not path.is_file():
            continue
        if path.suffix.lower() not in ENDINGS:
            others[path.suffix.lower()] += 1
            continue
        bad = header_oddities(path) & odd.keys()
        for kind in bad:
            odd[kind].append(path)
        if not bad:  # the label: the subfolders, or the folder's own name for what lies in it
            label = place.parent.as_posix().removeprefix(".") or folder.resolve().name
            everything.append(Entry(path, label, speaker(path)))
    remarks = [sentence(kind, found, dropped=True) for kind, found in odd.items() if found]
    if others:
        kinds = ", ".join(f"{n} {end or 'without ending'}" for end, n in others.most_common(4))
        remarks.append(
            f"Skipped what is no sound file: {counted(others.total(), 'file')} ({kinds})."
        )
    if not everything:
        raise FileNotFoundError(
            f"{folder} holds no sound file that can be read (wav, flac, ogg, mp3, aiff, au). "
            + " ".join(remarks)
        )
    nameless = sum(entry.speaker == entry.path.stem for entry in everything)
    if nameless:
        remarks.append(
            f"{counted(nameless, 'clip')} without a speaker in the file name: each counts as a "
            "speaker of its own, so one voice may be in two splits."
        )
    labels = {entry.label for entry in everything}
    chosen = choose(words, labels, "word", f"the folder {folder.name!r}")
    apart = [entry.speaker for entry in everything]
    if len(set(apart)) < 3 and split != "all":
        remarks.append("Fewer than three speakers: recordings of one voice are in several splits.")
        apart = [entry.path.relative_to(folder).as_posix() for entry in everything]
    part = split_of_speakers(set(apart))
    refuse_too_few(folder, part, split, "recording")
    entries = [
        entry
        for entry, name in zip(everything, apart, strict=True)
        if entry.label in chosen and split in ("all", part[name])
    ]
    if seconds is not None:
        entries, said = _cut(entries, seconds)
        remarks += said
    return entries, chosen, remarks


def _files(folder: Path) -> list[Path]:
    """All files below a folder, those behind links to other folders too, each folder once."""
    found, seen = [], {os.path.realpath(folder)}
    for place, below, names in os.walk(folder, followlinks=True):
        real = {name: os.path.realpath(os.path.join(place, name)) for name in below}
        below[:] = [name for name in below if name[0] != "." and real[name] not in seen]
        seen.update(real.values())
        found += [Path(place, name) for name in names if name[0] != "."]
    return sorted(found)


def _cut(entries: list[Entry], seconds: float) -> tuple[list[Entry], list[str]]:
    """Recordings of many lengths in pieces; others stay, to be cropped around their word."""
    found: list[Entry] = []
    long = cropped = 0
    for entry in entries:
        cut = pieces([entry], seconds)[0]
        long += len(cut) >= _LONG
        cropped += 2 <= len(cut) < _LONG
        found += cut if len(cut) >= _LONG else [entry]
    least = _LONG * seconds
    said = {
        f"of at least {least:g} s cut into pieces of {seconds:g} s.": long,
        f"of {2 * seconds:g} to {least:g} s cropped to the loudest {seconds:g} s.": cropped,
    }
    return found, [f"{counted(n, 'recording')} {what}" for what, n in said.items() if n]


def speaker(path: Path) -> str:
    """Who speaks, by the file's name; a name that says nothing counts as its own speaker.

    >>> speaker(Path("right/00b01445_nohash_0.wav")), speaker(Path("7_jackson_12.wav"))
    ('00b01445', 'jackson')
    """
    for pattern in _SPEAKER:
        found = pattern.fullmatch(path.stem)
        if found:
            return found.group(1)
    return path.stem


def split_of_speakers(speakers: set[str], *, share: float = 0.1) -> dict[str, str]:
    """Each speaker's split: a `share` each for validation and test, the rest for training.

    From three speakers on there is one at least in each.
    """
    order = sorted(speakers, key=lambda name: hashlib.sha1(name.encode()).hexdigest())
    few = max(1, round(share * len(order))) if len(order) >= 3 else 0
    return {
        name: "test" if n < few else "validation" if n < 2 * few else "train"
        for n, name in enumerate(order)
    }


def refuse_too_few(folder: Path, part: dict[str, str], split: str, noun: str) -> None:
    """Raises ValueError where nobody is in the split."""
    if split in ("validation", "test") and split not in part.values():
        raise ValueError(
            f"{folder} has {counted(len(part), noun)}, too few for a {split} split: add some, to "
            "three at least (in Python, split='all' takes what there is)."
        )
