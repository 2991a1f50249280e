"""Data sets of speech behind one call, ``load(name, split)``.

The one idea: whatever the set, an item has a waveform, a sample rate, a label and a speaker, and no
speaker is in two splits. So a notebook goes from the bundled words to the real recordings by
changing one name. Each set has one file here; each returns the same `Dataset`.

>>> load("wrods")
Traceback (most recent call last):
    ...
ValueError: Unknown data set 'wrods'; there are words, voices, speech_commands, librispeech, folder.

Notebook: 06
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from vqlab._paths import bundled
from vqlab.datasets import folder, librispeech, speech_commands
from vqlab.datasets import words as bundled_words
from vqlab.datasets.download import download
from vqlab.datasets.items import SAMPLE_RATE, Dataset, Item

__all__ = ["SAMPLE_RATE", "Dataset", "Item", "download", "load"]

NAMES = ("words", "voices", "speech_commands", "librispeech", "folder")
SPLITS = ("train", "validation", "test", "all")


def load(
    name: str = "words",
    split: str = "train",
    *,
    root: str | os.PathLike[str] | None = None,
    words: str | Sequence[str] | None = None,
    version: str = "v0.02",
    seconds: float | None = 1.0,
    level_db: float | None = None,
    limit: int | None = None,
) -> Dataset:
    """Find a data set; its clips are decoded when they are asked for.

    name : "words" (bundled, synthesised), "voices" (bundled, a few recorded people to listen to:
        split "all", labels are languages), "speech_commands" (the real set), "librispeech"
        (sentences, cut into pieces of ``seconds``), or "folder" (any sound files)
    split : "train", "validation", "test" or "all"; no speaker is in two of the first three
    root : the folder with the recordings; None looks in VQLAB_DATA, then the download folder
    words : one word, a list of words, or "all"; None is "right" for speech_commands, else all
    version : "v0.02" or "v0.01", of speech_commands
    seconds : length of every item, padded evenly or cropped around the word; None leaves it
    level_db : RMS level in dBFS every item is brought to; ``item.gain_db`` takes it back
    limit : keep at most so many clips, spread evenly over the split, so that all words stay in

    Raises ValueError for an unknown name, split, version or word, and for a split that is empty;
    FileNotFoundError when the recordings are not there, with the ways to provide them.
    """
    if name not in NAMES:
        raise ValueError(f"Unknown data set {name!r}; there are {', '.join(NAMES)}.")
    if split not in SPLITS:
        raise ValueError(f"Unknown split {split!r}; there are {', '.join(SPLITS)}.")
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; give a number of clips from 1, or None for all.")
    if words is None:
        words = "right" if name == "speech_commands" else "all"
    chosen = None if words == "all" else [words] if isinstance(words, str) else list(words)
    if chosen is not None and "all" in chosen:
        chosen = None
    if name == "speech_commands":
        found = speech_commands.index(split, root=root, words=chosen, version=version)
    elif name == "librispeech":
        found = librispeech.index(split, root=root, seconds=seconds)
    elif name == "voices":
        if split != "all":
            raise ValueError("The voices are too few to split; give split='all'.")
        found = folder.index("all", root=bundled("voices"), words=chosen)
    elif name == "words":
        found = bundled_words.index(split, root=root, words=chosen)
    else:
        found = folder.index(split, root=root, words=chosen)
    entries, classes, notes = found
    if not entries:
        raise ValueError(
            f"The {split} split of {name!r} has no clip of {', '.join(classes)} here. "
            f"Choose other words, another split, or split='all'. {' '.join(notes)}".rstrip()
        )
    if limit is not None and limit < len(entries):
        entries = [entries[n * len(entries) // limit] for n in range(limit)]
    return Dataset(entries, classes=classes, notes=notes, seconds=seconds, level_db=level_db)
