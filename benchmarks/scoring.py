"""Scores of codecs, clip by clip: measured once, kept in a file, and summed up with intervals.

The one idea: a run over many codecs takes minutes, so each codec's figures are written as soon as
they are known, with all that they hang on (the clips, the versions of codec and measures); the next
run takes what still holds and measures the rest. Used by benchmarks/codecs.py.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm.auto import tqdm

from vqlab import metrics
from vqlab.datasets import Item
from vqlab.files import write_whole

from peers import PAD, RATE, Coded, Coder, delay_of, padded  # isort: skip

METHOD = 1  # raised when the way of measuring changes, so that old scores are not kept
CLIPS_FOR_DELAY = 40


def measure(coder: Coder, clips: Sequence[Item]) -> tuple[dict[str, Any], list[Tensor]]:
    """Everything about one codec, and the decoded clips, aligned and cut."""
    coded = code_all(coder, clips)
    delays = {
        group: delay_of_group(coder, group, clips, coded) for group in {c.group for c in coded}
    }
    decoded = cut(coded, clips, delays)
    scored = [
        metrics.score(item.waveform, sound, RATE)
        for item, sound in tqdm(
            list(zip(clips, decoded, strict=True)), f"{coder.name}: scoring", leave=False
        )
    ]
    seconds = [len(item.waveform) / RATE for item in clips]
    entry = {
        "codec": coder.name,
        "family": coder.family,
        "band": coder.band,
        "version": coder.version,
        "scorer": scorer(),
        "delays": delays,
        **_rates(coded, seconds),
        "values": {name: [_round(row[name]) for row in scored] for name in metrics.METRICS},
    }
    return entry, decoded


def _rates(coded: Sequence[Coded], seconds: Sequence[float]) -> dict[str, float | None]:
    """Payload and stored kbit/s over all clips together, and the largest stored one of a clip."""
    pairs = list(zip(coded, seconds, strict=True))
    stored = [(c.stored_bits / 1000, t) for c, t in pairs if c.stored_bits is not None]
    payload = [c.payload_kbps * t for c, t in pairs if c.payload_kbps is not None]
    return {
        "kbps": _round(sum(payload) / sum(seconds)) if payload else None,
        "stored_kbps": _round(sum(bits for bits, _ in stored) / sum(seconds)) if stored else None,
        "most_stored_kbps": _round(max((bits / t for bits, t in stored), default=None)),
    }


def code_all(coder: Coder, clips: Sequence[Item]) -> list[Coded]:
    progress = tqdm(clips, f"{coder.name}: coding", leave=False)
    return [coder.code(item.waveform) for item in progress]


def cut(coded: Sequence[Coded], clips: Sequence[Item], delays: dict[str, int]) -> list[Tensor]:
    """The decoded sounds without silence and delay, each as long as its clip.

    Raises ValueError where a codec gave back too little.
    """
    decoded = []
    for one, item in zip(coded, clips, strict=True):
        start = PAD + delays[one.group]
        sound = one.waveform[start : start + len(item.waveform)]
        if len(sound) < len(item.waveform):
            raise ValueError(f"{item.path.name}: the decoded sound ends before the clip does.")
        decoded.append(sound)
    return decoded


def delay_of_group(coder: Coder, group: str, clips: Sequence[Item], coded: Sequence[Coded]) -> int:
    if coder.delay is not None:
        return coder.delay
    both = zip(clips, coded, strict=True)
    pairs = [(padded(item.waveform), c.waveform) for item, c in both if c.group == group]
    step = max(1, len(pairs) // CLIPS_FOR_DELAY)
    originals, decoded = zip(*pairs[::step][:CLIPS_FOR_DELAY], strict=True)
    return delay_of(originals, decoded)


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def scorer() -> str:
    """What the scores hang on besides codec and clips."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("pystoi", "pesq", "soxr")]
    return ", ".join([*versions, f"method {METHOD}"])


class Listener:
    """The word classifier with a name for its weights; `words` is empty where there is none."""

    def __init__(self) -> None:
        self.words: list[str] = []
        try:
            from vqlab.lessons.classifier import load_classifier

            self.classifier = load_classifier()
        except (ImportError, FileNotFoundError):
            self.absent = "the weights of the word classifier are not here"
            return
        self.absent = ""
        self.words = self.classifier.words
        digest = hashlib.sha256()
        for name, tensor in sorted(self.classifier.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().numpy().tobytes())
        self.identity = digest.hexdigest()[:8]

    def knows(self, clips: Sequence[Item]) -> bool:
        """Whether it can judge any of the clips."""
        return any(item.label in self.words for item in clips)

    def hear(self, clips: Sequence[Item], sounds: Sequence[Tensor]) -> dict[str, Any]:
        """What it takes each clip for; None where the clip is none of its words."""
        known = [n for n, item in enumerate(clips) if item.label in self.words]
        heard: list[str | None] = [None] * len(clips)
        answers = self.classifier.recognise([sounds[n] for n in known], RATE) if known else []
        for n, word in zip(known, answers, strict=True):
            heard[n] = word
        return {"by": self.identity, "words": heard}


class Results:
    """scores.json: the clips, and for each codec its figures clip by clip.

    Raises ValueError where the file is there and about other clips.
    """

    def __init__(self, folder: Path, clips: Sequence[Item]) -> None:
        self.path = folder / "scores.json"
        digest = hashlib.sha256()
        for item in clips:
            digest.update(f"{item.label} {item.path.name} {item.speaker}".encode())
            digest.update(item.waveform.numpy().tobytes())
        self.clips = {
            "identity": digest.hexdigest()[:16],
            "names": [f"{item.label}/{item.path.name}" for item in clips],
            "labels": [item.label for item in clips],
            "speakers": [item.speaker for item in clips],
        }
        self.entries: dict[str, dict[str, Any]] = {}
        self.read()

    def read(self) -> None:
        """Take over what the file holds, where there is one."""
        if not self.path.is_file():
            return
        try:
            old = json.loads(self.path.read_text(encoding="utf-8"))
            identity, entries = old["clips"]["identity"], old["codecs"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{self.path} holds no scores: delete it, or use --out.") from None
        if identity != self.clips["identity"]:
            raise ValueError(
                f"{self.path} holds scores of other clips: give another folder with --out."
            )
        self.entries |= {entry["codec"]: entry for entry in entries}

    def finished(self, coder: Coder) -> dict[str, Any] | None:
        """The figures of this codec, where they were measured with these very versions."""
        entry = self.entries.get(coder.name)
        same = entry and (entry["version"], entry["scorer"]) == (coder.version, scorer())
        return entry if same else None

    def kept(self, families: Iterable[str]) -> list[dict[str, Any]]:
        """Rows of codecs that cannot run here but did run on these clips."""
        rows = self.entries.values()
        return [row for row in rows if row["family"] in families and row["scorer"] == scorer()]

    def add(self, entry: dict[str, Any]) -> None:
        """Write one codec's figures into the file, beside what another run may have put there."""
        self.read()
        self.entries[entry["codec"]] = entry
        self.save()

    def save(self) -> None:
        """Write all, one codec a line."""
        lines = ",\n".join(json.dumps(entry) for entry in self.entries.values())
        text = f'{{"clips": {json.dumps(self.clips)},\n"codecs": [\n{lines}\n]}}\n'
        write_whole(self.path, text.encode())


def score_all(
    coders: Sequence[Coder], clips: Sequence[Item], results: Results, listener: Listener
) -> list[dict[str, Any]]:
    """Measure what is not measured yet, saving after each codec."""
    entries = []
    for coder in tqdm(coders, "codecs", unit="codec"):
        entry, decoded = results.finished(coder), None
        if entry is None:
            entry, decoded = measure(coder, clips)
        if listener.knows(clips) and entry.get("heard", {}).get("by") != listener.identity:
            decoded = decoded or cut(code_all(coder, clips), clips, entry["delays"])
            entry["heard"] = listener.hear(clips, decoded)
        results.add(entry)
        entries.append(entry)
    return entries


def summarise(entries: Sequence[dict[str, Any]], clips: dict[str, Any], by: str | None) -> None:
    """Give each entry its means and intervals; `by`: the classifier whose answers count."""

    def right(entry: dict[str, Any]) -> list[float | None]:
        heard = entry.get("heard", {})
        if by is None or heard.get("by") != by:
            return [None] * len(clips["labels"])
        pairs = zip(heard["words"], clips["labels"], strict=True)
        return [None if word is None else 100.0 * (word == label) for word, label in pairs]

    original = right(next(entry for entry in entries if entry["codec"] == "original"))
    for entry in entries:
        words = right(entry)
        pairs = list(zip(words, original, strict=True))
        points = [None if None in pair else pair[0] - pair[1] for pair in pairs]
        columns = entry["values"] | {"words": words, "points": points}
        rows = [
            {name: values[n] for name, values in columns.items()} | {"speaker": speaker}
            for n, speaker in enumerate(clips["speakers"])
        ]
        found = metrics.summarise(rows, metrics=tuple(columns))
        entry["summary"] = {
            name: [_round(x) for x in (s.mean, s.low, s.high)] + [s.n] if s.n else None
            for name, s in found.items()
        }
