"""The bundled words: ten spoken words that ship with the project, for work without a download.

The one idea: the same layout as Speech Commands (a folder for each word, the speaker in the file
name, two lists for validation and testing), so that the real set takes the place of these words by
one option.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .. import files
from . import speech_commands
from .items import Entry, choose


def index(
    split: str,
    *,
    root: str | os.PathLike[str] | None = None,
    words: str | Sequence[str] | None = None,
) -> tuple[list[Entry], list[str], list[str]]:
    """The clips of a split, the words, and sentences on what is odd.

    root : another folder of the same layout; None for the bundled one
    Raises ValueError for an unknown word, FileNotFoundError when the folder is not there.
    """
    folder = files.bundled("words") if root is None else Path(root).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; leave root out for the bundled words.")
    everything, listed, odd = speech_commands.clips_of(folder)
    here = {entry.label for entry in everything}
    if not here:
        raise FileNotFoundError(
            f"{folder} holds no clip named <word>/<speaker>_nohash_<take>.flac; "
            "load('folder', root=…) reads any folder of sound files."
        )
    chosen = choose(words, here, "word", f"the word set in {folder.name!r}")
    entries, remarks = speech_commands.split_clips(everything, listed, split, words=set(chosen))
    return entries, chosen, odd + remarks
