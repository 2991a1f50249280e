"""LibriSpeech: sentences read aloud, from which pieces of a fixed length are cut.

The one idea: a training batch needs items of one length, so every utterance is cut into pieces, one
after the other. The eight speakers with the highest numbers of the training folders are for
validation, the `test-…` folders for testing; no speaker is in two splits. A partly unpacked set
works.

V. Panayotov, G. Chen, D. Povey, S. Khudanpur, "LibriSpeech: an ASR corpus based on public domain
audio books", ICASSP 2015, CC BY 4.0.
"""

from __future__ import annotations

import os
from pathlib import Path

from .. import files
from .items import Entry, counted, pieces

VALIDATION_SPEAKERS = 8


def find(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder that holds `train-clean-100` and the like.

    Raises FileNotFoundError with the ways to provide it.
    """
    places = [Path(os.path.abspath(place)) for place in files.recordings_roots(root)]
    for place in places:
        for folder in (place / "LibriSpeech", place):
            if any(folder.glob("train-*")) or any(folder.glob("test-*")):
                return folder
    raise FileNotFoundError(
        f"No LibriSpeech in {' or '.join(map(str, places))}. Fetch an archive from "
        "openslr.org/12, unpack it, and name the folder that holds LibriSpeech/ by the option "
        "root=… or by the environment variable VQLAB_DATA."
    )


def index(
    split: str, *, root: str | os.PathLike[str] | None = None, seconds: float | None = None
) -> tuple[list[Entry], list[str], list[str]]:
    """The pieces of a split, the labels (folders such as `train-clean-100`), and remarks.

    seconds : length of the pieces; what is left at the end of an utterance is not used. None gives
        whole utterances.
    Raises FileNotFoundError when nothing is there.
    """
    folder = find(root)
    utterances = [
        Entry(path, path.relative_to(folder).parts[0], path.stem.split("-")[0])
        for path in sorted(folder.glob("*/*/*/*.flac"))
        if path.relative_to(folder).parts[0].startswith(("train-", "test-"))
    ]
    training = {entry.speaker for entry in utterances if entry.label.startswith("train-")}
    validation = set(sorted(training, key=lambda name: name.zfill(8))[-VALIDATION_SPEAKERS:])

    def split_of(entry: Entry) -> str:
        if entry.label.startswith("test-"):
            return "test"
        return "validation" if entry.speaker in validation else "train"

    chosen = [entry for entry in utterances if split in ("all", split_of(entry))]
    labels = sorted({entry.label for entry in utterances})
    remarks = [f"LibriSpeech: {counted(len(chosen), 'utterance')} in the {split} split."]
    if seconds is None:
        return chosen, labels, remarks
    cut, dropped = pieces(chosen, seconds)
    return cut, labels, remarks + dropped
