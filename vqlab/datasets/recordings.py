"""LibriSpeech and eight smaller public sets of speech, by one table.

The one idea: a set is a folder, a pattern that tells speaker and label from a file's path, and a
list of the speakers kept out of training. The lists are fixed, so a larger copy of a set moves
nobody from one split to another. What is not listed is for training. A training batch needs items
of one length, so recordings are cut into pieces, one after the other.

Labels: of LibriSpeech its folder (`train-clean-100`), of speechocean762 how old the speaker is
(children up to 12, teenagers up to 15, adults), of the sets in several languages the language, else
the set.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .. import files
from .items import Entry, Found, counted, pieces


@dataclass(frozen=True)
class Layout:
    """Where a set's sound files are, what their paths tell, and who is not for training."""

    folder: str
    path: str  # a pattern for all of a path below the folder: groups speaker, label, test
    credit: str
    validation: str = ""
    test: str = ""
    highest: int = 0  # so many of those in training, by number, are for validation instead


LAYOUTS = {
    "librispeech": Layout(
        "LibriSpeech",
        r"(?P<label>(train|(?P<test>test))-[^/]+)/(?P<speaker>[^/-]+)/[^/]+/[^/]+\.flac",
        "V. Panayotov and others, LibriSpeech, ICASSP 2015, CC BY 4.0, openslr.org/12",
        highest=8,
    ),
    "speechocean762": Layout(
        "speechocean762",
        r"WAVE/SPEAKER(?P<speaker>\d+)/\d+\.(wav|WAV|flac)",
        "J. Zhang and others, speechocean762, Interspeech 2021 (OpenSLR 101), CC BY 4.0",
        validation="0048 0765 1203 1469 2014 2740 2937 3020 5039 9107 9640 9649",
        test="0005 0594 1092 1099 1408 1502 2031 2089 2236 3068 3075 3412 5220 5432 5547 6067 "
        "8153 9558 9613 9635",
    ),
    "vctk": Layout(
        "VCTK",
        r"(?P<group>wav\w*)/(?P<speaker>p\d+)/p\d+_\d+.*\.(wav|flac)",
        "C. Veaux, J. Yamagishi, K. MacDonald, CSTR VCTK Corpus, University of Edinburgh, "
        "CC BY 4.0",
        validation="p230 p244",
        test="p236 p273",
    ),
    "cmu_arctic": Layout(
        "cmu_arctic",
        r"cmu_us_(?P<speaker>\w+)_arctic/wav/arctic_\w+\.(wav|flac)",
        "J. Kominek, A. Black, CMU ARCTIC, Carnegie Mellon University, 2003, free with its notice",
        test="clb",
    ),
    "an4": Layout(
        "an4",
        r"wav/an4\w*/(?P<speaker>\w+)/.*\.(wav|flac)",
        "A. Acero and others, AN4, Carnegie Mellon University, 1991, free with its notice",
        validation="fbbh mblw mtje",
        test="fwxs mgah mscg2",
    ),
    "ljspeech": Layout(
        "LJSpeech",
        r"wavs/(?P<speaker>LJ)\d+-\d+\.(wav|flac)",
        "K. Ito, L. Johnson, The LJ Speech Dataset, 2017, public domain",
    ),
    "voice_datasets": Layout(
        "voice-datasets",
        r"(?P<label>[a-z]{2}_[A-Z]{2})/(?P<speaker>\w+)/.*\.(mp3|wav|flac)",
        "Nabu Casa and speakers, voice-datasets, CC0 1.0",
        validation="dave faber ronnie",
        test="berta darkman dmitri jeff joe paola pim",
    ),
    "kerstin": Layout(
        "dataset-voice-kerstin",
        r"verified/(?P<label>de)_(?P<speaker>rhasspy)-\d+\.(wav|flac)",
        "Kerstin, M. Hansen, dataset-voice-kerstin, CC0 1.0",
    ),
    "precise": Layout(
        "Precise-Community-Data",
        r"[\w-]+/(?P<label>es)/(?P<speaker>(not-)?wakeword)-es-.*\.(wav|flac)",
        "adocampo, Precise Community Data, public domain",
    ),
}


def find(name: str, root: str | os.PathLike[str] | None = None) -> Path:
    """The folder of a set, under its own name or holding what it should; else FileNotFoundError."""
    layout = LAYOUTS[name]

    def look(place: Path) -> Path | None:
        if (place / layout.folder).is_dir():
            return place / layout.folder
        return place if place.name == layout.folder and place.is_dir() else None

    what = f"{layout.folder} ({layout.credit})"
    return files.find_recordings(look, root, what, holds=f"{layout.folder}/")


def index(
    name: str, split: str, *, root: str | os.PathLike[str] | None, seconds: float | None
) -> Found:
    """The recordings of a split, or pieces of `seconds` of them; the labels; and remarks."""
    folder, layout = find(name, root), LAYOUTS[name]
    ages = _ages(folder / "spk2age")
    held = dict.fromkeys(layout.validation.split(), "validation")
    held |= dict.fromkeys(layout.test.split(), "test")
    everything: list[tuple[Entry, str]] = []
    for path in sorted(folder.rglob("*")):
        if found := re.fullmatch(layout.path, path.relative_to(folder).as_posix()):
            told = found.groupdict()
            who = told["speaker"]
            entry = Entry(path, told.get("label") or ages.get(who, name), who)
            everything.append((entry, "test" if told.get("test") else held.get(who, "train")))
    training = {entry.speaker for entry, part in everything if part == "train"}
    highest = set(sorted(training, key=lambda who: who.zfill(8))[len(training) - layout.highest :])
    chosen = []
    for entry, part in everything:
        part = "validation" if part == "train" and entry.speaker in highest else part
        if split in ("all", part):
            chosen.append(entry)
    labels = sorted({entry.label for entry, _ in everything})
    remarks = [f"{folder.name}: {counted(len(chosen), 'recording')} in the {split} split."]
    if seconds is None:
        return chosen, labels, remarks
    cut, dropped = pieces(chosen, seconds)
    return cut, labels, remarks + dropped


def _ages(path: Path) -> dict[str, str]:
    """What speechocean762 tells about ages: each speaker's group."""
    if not path.is_file():
        return {}
    pairs = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    return {
        speaker: "children" if int(age) <= 12 else "teenagers" if int(age) <= 15 else "adults"
        for speaker, age in pairs
    }
