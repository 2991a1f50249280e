"""Data sets of sounds behind one call, `load(name, split)`; pictures by `load_pictures`.

The one idea: whatever the set, an item has a waveform, a sample rate, a label and a speaker, and no
speaker is in two splits. So a notebook goes from the bundled words to the real recordings by
changing one name. Each set has one file here; each returns the same `Dataset`. For musical notes
the label is the family of the instrument, and the instrument stands for the speaker.

>>> load("wrods")  # doctest: +ELLIPSIS
Traceback (most recent call last):
    ...
ValueError: Unknown data set 'wrods'; there are words, voices, ...

Notebook: 06
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..files import bundled
from . import folder, nsynth, recordings, speech_commands
from . import notes as made_notes
from .download import download
from .items import SAMPLE_RATE, Dataset, Item, spread
from .pictures import Pictures, load_pictures

__all__ = ["SAMPLE_RATE", "Dataset", "Item", "Pictures", "download", "load", "load_pictures"]

_APART = (
    "words", "voices", "speech_commands", "mini_speech_commands", "folder", "nsynth", "notes",
)  # fmt: skip
NAMES = (*_APART, *recordings.LAYOUTS)
SPLITS = ("train", "validation", "test", "all")


def load(
    name: str = "words",
    split: str = "train",
    *,
    root: str | os.PathLike[str] | None = None,
    words: str | Sequence[str] | None = None,
    families: str | Sequence[str] | None = None,
    sources: str | Sequence[str] | None = None,
    version: str = "v0.02",
    seconds: float | None = 1.0,
    level_db: float | None = None,
    limit: int | None = None,
) -> Dataset:
    """Find a data set; its clips are decoded when they are asked for.

    name : "words" (bundled, synthesised), "voices" (bundled, a few recorded people to listen to:
        split "all", labels are languages), "speech_commands" (the real set),
        "mini_speech_commands" (8,000 clips of it), "folder" (any sound files), "nsynth" (notes of
        four seconds), "notes" (the same made by synthesisers, no files), or one of
        `recordings.LAYOUTS` (sentences, cut into pieces of `seconds`: "librispeech", …)
    split : "train", "validation", "test" or "all"; no speaker is in two of the first three
    root : the folder with the recordings; None looks in VQLAB_DATA, then the download folder
    words : one word, a list of words, or "all"; None is "right" for speech_commands, else all
    families, sources : of "nsynth" and "notes", one or several; None for all. See `nsynth.FAMILIES`
        and `nsynth.SOURCES`
    version : "v0.02" or "v0.01", of speech_commands
    seconds : length of every item, padded evenly or cropped around the word; None leaves it
    level_db : RMS level in dBFS every item is brought to; `item.gain_db` takes it back
    limit : keep at most so many clips, spread evenly over the split, so that all words stay in

    Raises ValueError for an unknown name, split, version or word, and for a split that is empty;
    FileNotFoundError when the recordings are not there, with the ways to provide them.
    """
    if name not in NAMES:
        raise ValueError(f"Unknown data set {name!r}; there are {', '.join(NAMES)}.")
    if split not in SPLITS:
        raise ValueError(f"Unknown split {split!r}; there are {', '.join(SPLITS)}.")
    if name not in ("nsynth", "notes") and (families is not None or sources is not None):
        raise ValueError(f"families and sources are for nsynth and notes; {name!r} has words.")
    if name in ("nsynth", "notes") and words is not None:
        raise ValueError(f"{name!r} has no words; choose by families=… and sources=….")
    if name == "voices" and split != "all":
        raise ValueError("The voices are too few to split; give split='all'.")
    if name in ("nsynth", "notes"):
        notes = nsynth if name == "nsynth" else made_notes
        found = notes.index(split, root=root, families=families, sources=sources)
    elif name in recordings.LAYOUTS:
        found = recordings.index(name, split, root=root, seconds=seconds)
    elif name == "speech_commands":
        words = "right" if words is None else words
        found = speech_commands.index(split, root=root, words=words, version=version)
    elif name == "mini_speech_commands":
        found = speech_commands.index(split, root=root, words=words, version="mini")
    elif name == "words":
        found = speech_commands.index_words(split, root=root, words=words)
    else:
        root = bundled("voices") if name == "voices" else root
        found = folder.index(split, root=root, words=words, seconds=seconds)
    entries, classes, remarks = found
    if not entries:
        raise ValueError(
            f"The {split} split of {name!r} has no clip of {', '.join(classes)} here. "
            f"Choose others, another split, or split='all'. {' '.join(remarks)}".rstrip()
        )
    if limit is not None:
        entries = [entries[n] for n in spread(len(entries), limit)]
    kind = made_notes.Notes if name == "notes" else Dataset
    return kind(entries, classes=classes, remarks=remarks, seconds=seconds, level_db=level_db)
