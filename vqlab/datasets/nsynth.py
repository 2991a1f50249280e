"""NSynth: 305,979 notes of four seconds, played by 1,006 instruments of eleven families.

The one idea: the name of a file says everything, `guitar_acoustic_014-060-127.wav` is the family,
the source, the number of the instrument, the pitch (a MIDI number) and the velocity (how hard the
key is struck, to 127). So a folder of notes is enough, and `examples.json`, which lies beside the
notes and says the same, is not opened. The set comes in three folders (nsynth-train, nsynth-valid,
nsynth-test), made so that no instrument of training is in the two others. A single folder is split
by a hash of the instrument's name.

J. Engel and others, "Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders", 2017
(arXiv:1704.01279), CC BY 4.0.

Notebook: 11
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import files
from .archives import unpacked
from .folder import refuse_too_few, split_of_speakers
from .items import Entry, Found, choose, counted

FAMILIES = tuple(
    "bass brass flute guitar keyboard mallet organ reed string synth_lead vocal".split()
)
SOURCES = ("acoustic", "electronic", "synthetic")
FOLDERS = {"train": "nsynth-train", "validation": "nsynth-valid", "test": "nsynth-test"}
LIMITS = {"most_bytes": 48 << 30, "most_files": 300_000}  # unpacked, training takes 37 GB

_NAMED = "<family>_<source>_<instrument>-<pitch>-<velocity>.wav"
_NAME = re.compile(
    r"(?P<instrument>(?P<family>[a-z]+(?:_[a-z]+)*)_(?P<source>acoustic|electronic|synthetic)_\d+)"
    r"-(?P<pitch>\d{3})-(?P<velocity>\d{3})"
)


@dataclass(frozen=True)
class Note:
    """What the name of a note says. `pitch` is a MIDI number (60 is middle C, 261.6 Hz)."""

    instrument: str
    family: str
    source: str
    pitch: int
    velocity: int


def parse(name: str) -> Note | None:
    """What a file's name (without its ending) says; None when it is not named as in the set.

    >>> parse("synth_lead_synthetic_011-060-127")  # doctest: +NORMALIZE_WHITESPACE
    Note(instrument='synth_lead_synthetic_011', family='synth_lead', source='synthetic',
    pitch=60, velocity=127)
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    facts = found.groupdict()
    pitch, velocity = int(facts.pop("pitch")), int(facts.pop("velocity"))
    return Note(**facts, pitch=pitch, velocity=velocity)


def index(
    split: str,
    *,
    root: str | os.PathLike[str] | None,
    families: str | Sequence[str] | None,
    sources: str | Sequence[str] | None,
) -> Found:
    """The notes of a split (labels are families, speakers instruments), the families, and remarks.

    root : the folder that holds nsynth-train and the others, or their archives
        (nsynth-train.jsonwav.tar.gz, unpacked at the first use), or one folder of notes, or one
        archive

    Raises FileNotFoundError when nothing is there; ValueError for an unknown family or source.
    """
    place = _find(root)
    official = _official(place)
    everything, remarks = (_official_split if official else _own_split)(place, split)
    here = {entry.label for part in everything.values() for entry in part}
    if official:  # the same in every split, whichever parts are unpacked
        here |= {*FAMILIES}
    wanted = choose(families, {*FAMILIES, *here}, "family", "NSynth")
    kept = choose(sources, SOURCES, "source", "NSynth")
    entries = [
        entry
        for part, found in everything.items()
        if split in ("all", part)
        for entry in found
        if entry.label in wanted and entry.speaker.split("_")[-2] in kept
    ]
    entries.sort(key=lambda entry: entry.path.name)
    return entries, [name for name in wanted if name in here] or wanted, remarks


def _find(root: str | os.PathLike[str] | None) -> Path:
    """The folder with the three official folders or their archives, or the one folder of notes.

    Looked for as `nsynth`, as `NSynth` and as the folder itself, under each of the places where
    recordings may be.
    """

    def look(place: Path) -> Path | None:
        if place.is_file():
            return _archive_alone(place)
        for folder in (place / "nsynth", place / "NSynth", place):
            if _official(folder) or any(parse(path.stem) for path in _wavs(folder)):
                return folder
        return None

    holds = "nsynth-train, nsynth-valid and nsynth-test (or their .jsonwav.tar.gz, or notes)"
    more = ", or fetch a part into your download folder: python -m vqlab download nsynth --split "
    more += "test. The set 'notes', made by synthesisers, can take its place."
    return files.find_recordings(look, root, "NSynth", holds=holds, more=more)


def _official_split(place: Path, split: str) -> tuple[dict[str, list[Entry]], list[str]]:
    """The notes of each official folder that is here, and what to say about them."""
    here = {part: _folder(place, name, split in ("all", part)) for part, name in FOLDERS.items()}
    if split != "all" and here[split] is None:
        others = ", ".join(folder.name for folder in here.values() if folder) or "an archive"
        raise FileNotFoundError(
            f"No {FOLDERS[split]} in {place}, only {others}. Fetch it: python -m vqlab download "
            f"nsynth --split {split}. Or name one of the folders itself as root: then its "
            "instruments are split."
        )
    read = {part: _read(folder) for part, folder in here.items() if folder is not None}
    everything = {part: found for part, (found, _) in read.items()}
    remarks = [said for part, (_, odd) in read.items() if split in ("all", part) for said in odd]
    validation, test = (
        {entry.speaker for entry in everything.get(part, [])} for part in ("validation", "test")
    )
    both = validation & test
    if both and split in ("validation", "test", "all"):
        remarks.append(
            f"NSynth's own validation and test splits have {counted(len(both), 'instrument')} in "
            "common, with different notes."
        )
    training = everything.get("train", [])
    kept = [note for note in training if note.speaker not in validation | test]
    if len(kept) < len(training) and split == "train":
        remarks.append(
            f"{counted(len(training) - len(kept), 'note')} of the train split left out: the "
            "instrument is also in the validation or test split."
        )
        everything["train"] = kept
    return everything, remarks


def _own_split(folder: Path, split: str) -> tuple[dict[str, list[Entry]], list[str]]:
    """One folder of notes, its instruments split 60 : 20 : 20 by a hash of their names."""
    found, remarks = _read(folder)
    # A fifth: what lies in one folder is a small excerpt, and a tenth of it would test nothing.
    part = split_of_speakers({entry.speaker for entry in found}, share=0.2)
    refuse_too_few(folder, part, split, "instrument")
    remarks.append(
        f"{counted(len(part), 'instrument')} in one folder, split by a hash of their names."
    )
    return {name: [e for e in found if part[e.speaker] == name] for name in FOLDERS}, remarks


def _read(folder: Path) -> tuple[list[Entry], list[str]]:
    """The notes in a folder or in its subfolder `audio`, and what to say about the others."""
    paths = _wavs(folder)
    found = [Entry(p, n.family, n.instrument) for p in paths if (n := parse(p.stem))]
    lost = len(paths) - len(found)
    return found, [f"{counted(lost, 'file')} not named {_NAMED} left out."] if lost else []


def _official(place: Path) -> bool:
    return any(
        (place / name).is_dir() or _archive(place, name).is_file() for name in FOLDERS.values()
    )


def _archive(place: Path, name: str) -> Path:
    return place / f"{name}.jsonwav.tar.gz"


def _archive_alone(archive: Path) -> Path:
    """The folder of notes in the one archive that `root` names."""
    inside = archive.name.removesuffix(".jsonwav.tar.gz")
    if inside not in FOLDERS.values():
        named = ", ".join(f"{name}.jsonwav.tar.gz" for name in FOLDERS.values())
        raise ValueError(f"{archive.name} is not an archive of NSynth; they are named {named}.")
    return unpacked(archive, inside, **LIMITS)


def _folder(place: Path, name: str, wanted: bool) -> Path | None:
    """An official folder, where it lies or its archive is unpacked to: at once if it is wanted."""
    archive, places = _archive(place, name), [place]
    if archive.is_file():
        if wanted:
            return unpacked(archive, name, **LIMITS)
        places.append(files.download_folder() / place.name)
    return next((folder / name for folder in places if (folder / name).is_dir()), None)


def _wavs(folder: Path) -> list[Path]:
    """The wavs of a folder or of its subfolder `audio`, without what macOS leaves beside them."""
    inner = folder / "audio"
    paths = (inner if inner.is_dir() else folder).glob("*.wav")
    return sorted(path for path in paths if not path.name.startswith("."))
