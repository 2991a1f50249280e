"""Speech Commands: one-second recordings of 35 words (30 in v0.01) by 2,618 people.

The one idea: the set comes with two lists of file names, for validation and for testing, made so
that no speaker is in two splits; what is in neither list is for training. A partly unpacked set
works: listed clips that are absent are left out and counted in the remarks. Mini Speech Commands,
8,000 clips of eight of the words, comes without lists: there the rule decides by which they were
made, so that its splits are those of the whole set. The bundled words, ten words that ship with the
project, have the same layout, so that a real set takes their place by one option.

P. Warden, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition", 2018
(arXiv:1804.03209), CC BY 4.0.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .. import files
from .items import Entry, Found, choose, counted

_CLIP = re.compile(r"([^.].*)_nohash_\d+\.(?:wav|flac)", re.IGNORECASE)
LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}

# Clips of each word in the complete sets (105,829, 64,721 and 8,000), so that a partly unpacked set
# can be told from a whole one.
CLIPS = {
    "v0.01": {
        "bed": 1713, "bird": 1731, "cat": 1733, "dog": 1746, "down": 2359, "eight": 2352,
        "five": 2357, "four": 2372, "go": 2372, "happy": 1742, "house": 1750, "left": 2353,
        "marvin": 1746, "nine": 2364, "no": 2375, "off": 2357, "on": 2367, "one": 2370,
        "right": 2367, "seven": 2377, "sheila": 1734, "six": 2369, "stop": 2380, "three": 2356,
        "tree": 1733, "two": 2373, "up": 2375, "wow": 1745, "yes": 2377, "zero": 2376,
    },
    "v0.02": {
        "backward": 1664, "bed": 2014, "bird": 2064, "cat": 2031, "dog": 2128, "down": 3917,
        "eight": 3787, "five": 4052, "follow": 1579, "forward": 1557, "four": 3728, "go": 3880,
        "happy": 2054, "house": 2113, "learn": 1575, "left": 3801, "marvin": 2100, "nine": 3934,
        "no": 3941, "off": 3745, "on": 3845, "one": 3890, "right": 3778, "seven": 3998,
        "sheila": 2022, "six": 3860, "stop": 3872, "three": 3727, "tree": 1759, "two": 3880,
        "up": 3723, "visual": 1592, "wow": 2123, "yes": 4044, "zero": 4052,
    },
    "mini": dict.fromkeys(("down", "go", "left", "no", "right", "stop", "up", "yes"), 1000),
}  # fmt: skip


def find(root: str | os.PathLike[str] | None = None, *, version: str = "v0.02") -> Path:
    """The folder that holds the word folders and the two lists, else FileNotFoundError.

    It is looked for as `SpeechCommands/speech_commands_v0.02`, as `speech_commands_v0.02`, and
    as the folder itself, under each of the places where recordings may be; the mini set, which has
    no lists, as `mini_speech_commands`.
    """
    mini = version == "mini"
    name = "mini_speech_commands" if mini else f"speech_commands_{version}"

    def look(place: Path) -> Path | None:
        for folder in (place / "SpeechCommands" / name, place / name):
            if folder.is_dir():
                return folder
        if mini:
            return place if place.name == name else None
        other = any(f"speech_commands_{v}" == place.name for v in CLIPS if v != version)
        listed = any((place / file).is_file() for file in LISTS.values())
        return place if listed and not other else None

    more = f", or fetch the set ({'182 MB' if mini else '2.4 GB'}) into your download folder: "
    more += f"python -m vqlab download {_named(version)}. "
    more += "The bundled set 'words' can take its place."
    holds = name if mini else f"SpeechCommands/{name}"
    return files.find_recordings(look, root, _titled(version), holds=holds, more=more)


def _named(version: str) -> str:
    return "mini_speech_commands" if version == "mini" else "speech_commands"


def _titled(version: str) -> str:
    return "Mini Speech Commands" if version == "mini" else f"Speech Commands {version}"


def index(
    split: str,
    *,
    root: str | os.PathLike[str] | None,
    words: str | Sequence[str] | None,
    version: str = "v0.02",
) -> Found:
    """The clips of a split, the words that are here, and sentences on what is missing.

    Raises ValueError for an unknown version or word, FileNotFoundError when nothing is there.
    """
    if version not in CLIPS:
        raise ValueError(f"Unknown version {version!r}; there are {', '.join(CLIPS)}.")
    clips = CLIPS[version]
    chosen = choose(words, clips, "word", _titled(version))
    folder = find(root, version=version)
    everything, listed, remarks = _clips_of(folder, lists=version != "mini")
    entries, more = _split_clips(everything, listed, split, words=set(chosen))
    here = Counter(entry.label for entry in everything)
    remarks += _what_is_missing({word: (here[word], clips[word]) for word in chosen}, version)
    if not any(here[word] for word in chosen):
        raise FileNotFoundError(
            f"No clip of {', '.join(map(repr, chosen))} in {folder}; the words here are "
            f"{', '.join(sorted(here)) or 'none'}. Choose among them, or complete the set: "
            f"python -m vqlab download {_named(version)}"
        )
    return entries, sorted(word for word in chosen if here[word]), remarks + more


def index_words(
    split: str, *, root: str | os.PathLike[str] | None, words: str | Sequence[str] | None
) -> Found:
    """The same of the bundled words, or of another folder of the same layout."""
    folder = files.bundled("words") if root is None else Path(root).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; leave root out for the bundled words.")
    everything, listed, odd = _clips_of(folder)
    here = {entry.label for entry in everything}
    if not here:
        raise FileNotFoundError(
            f"{folder} holds no clip named <word>/<speaker>_nohash_<take>.flac; "
            "the set 'folder' reads any folder of sound files."
        )
    chosen = choose(words, here, "word", f"the word set in {folder.name!r}")
    entries, remarks = _split_clips(everything, listed, split, words=set(chosen))
    return entries, chosen, odd + remarks


def _split_clips(
    everything: Sequence[Entry],
    listed: dict[str, list[Path]] | None,
    split: str,
    *,
    words: set[str],
) -> tuple[list[Entry], list[str]]:
    """The clips of `words` in a split, by the two lists; and sentences on what is odd.

    listed : paths of "validation" and "test"; None where the lists are missing, then the set's own
        rule is used, the hash of the speaker (`which_set`)
    A speaker of the test split is kept out of validation, and a speaker of either out of training;
    with the official lists nobody is, but a list may have been shortened.
    """
    if listed is None:
        chosen = [e for e in everything if split in ("all", which_set(e.speaker))]
        return [e for e in chosen if e.label in words], []
    remarks = []
    by_path = {entry.path: entry for entry in everything}
    members = {
        part: [by_path[path] for path in dict.fromkeys(paths) if path in by_path]
        for part, paths in listed.items()
    }
    in_lists = {entry.path for part in members.values() for entry in part}
    members["train"] = [entry for entry in everything if entry.path not in in_lists]
    members["all"] = list(everything)
    for part, paths in listed.items():
        count = len(set(paths) - by_path.keys())
        if count and split in (part, "all"):
            verb = "is" if count == 1 else "are"
            remarks.append(f"{counted(count, 'clip')} named in {LISTS[part]} {verb} not here.")
    held_out = {
        entry.speaker
        for part in {"validation": ["test"], "train": ["validation", "test"]}.get(split, [])
        for entry in members[part]
    }
    wanted = [entry for entry in members[split] if entry.label in words]
    kept = [entry for entry in wanted if entry.speaker not in held_out]
    if len(kept) < len(wanted):
        remarks.append(
            f"{counted(len(wanted) - len(kept), 'clip')} of the {split} split left out: a speaker "
            f"is also in the {'' if split == 'validation' else 'validation or '}test split."
        )
    return sorted(kept, key=lambda e: (e.label, e.path.name)), remarks


def which_set(speaker: str) -> str:
    """The split of a speaker by the set's published rule: SHA-1 of the name, 80 : 10 : 10."""
    most = 2**27 - 1
    number = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % (most + 1)
    percentage = number * (100.0 / most)
    return "validation" if percentage < 10 else "test" if percentage < 20 else "train"


def _clips_of(
    folder: Path, *, lists: bool = True
) -> tuple[list[Entry], dict[str, list[Path]] | None, list[str]]:
    """Every clip of a folder of word folders, the paths in its two lists, and what is odd.

    The paths stand under "validation" and "test", present or not; None where a list is missing.
    lists : whether the set comes with them
    """
    everything, strange, remarks = [], 0, []
    for path in sorted(folder.glob("*/*_nohash_*"), key=str):
        named = _CLIP.fullmatch(path.name)
        strange += named is None
        if named:
            everything.append(Entry(path, path.parent.name, named[1]))
    if strange:
        remarks = [f"{counted(strange, 'file')} not named <speaker>_nohash_<take>.wav left out."]
    if not lists:
        return everything, None, remarks
    if not all((folder / name).is_file() for name in LISTS.values()):
        remarks.append(
            f"{' or '.join(LISTS.values())} is missing in {folder.name}; the splits are made by "
            "the set's own rule, the hash of the speaker."
        )
        return everything, None, remarks
    listed = {}
    for part, name in LISTS.items():
        lines = map(str.strip, (folder / name).read_text(encoding="utf-8").splitlines())
        listed[part] = [folder / line for line in lines if line]
    return everything, listed, remarks


def _what_is_missing(counts: dict[str, tuple[int, int]], version: str) -> list[str]:
    """A sentence on the words with fewer clips than the complete set has; none when all is here."""
    here, complete = (sum(column) for column in zip(*counts.values(), strict=True))
    if here >= complete:
        return []
    fewer = {word: n for word, n in counts.items() if 0 < n[0] < n[1]}
    fewest = sorted(fewer, key=lambda word: fewer[word][0] / fewer[word][1])
    said = [f"word {word!r}: {fewer[word][0]:,} of {fewer[word][1]:,}" for word in fewest[:6]]
    if len(fewest) > 6:
        said.append(f"{len(fewest) - 6} more words with a part of their clips")
    if absent := [repr(word) for word, n in counts.items() if n[0] == 0]:
        said.append(f"none of {', '.join(absent)}")
    return [
        f"This copy of {_titled(version)} is not complete: it has {here:,} of {complete:,} clips "
        f"of the chosen words, all splits together ({'; '.join(said)})."
    ]
