"""The one-kilobit challenge: anybody's file with `compress` and `decompress`, scored like a codec.

The one idea: nothing but bytes gets from one side to the other. All sounds are compressed in one
process, in an empty folder; their bytes go to another process, in another, which gives the sounds
back. That keeps honest people honest; it is no sandbox, so run only files that you trust.
"""

from __future__ import annotations

import csv
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from vqlab.lessons.classifier import load_classifier

from vqlab import datasets
from vqlab.files import bundled, recordings_root
from vqlab.metrics.summary import clips_from_list, markdown_table, score, summarise

RATE = 16_000
PAD = RATE // 2  # silence before and after each clip, as the peers got it
COLUMNS = {
    "codec": "codec",
    "stored": "stored kbit/s",
    "stoi": "STOI",
    "pesq_wb": "PESQ-wb",
    "log_mel_db": "log-mel dB",
    "words": "words right, %",
}
PEERS = ("Opus 12 ", "Opus 6 60 ms vbr", "Codec2 3200", "Codec2 1200", "Codec2 700C", "**vqlab")

# What runs beside the file: lengths and bytes come in, lengths and bytes go out. A length below 0
# is that of a sentence about an error. What the file itself prints goes to stderr.
RUNNER = """
import faulthandler, os, runpy, struct, sys
faulthandler.dump_traceback_later(float(sys.argv.pop()), exit=True)  # where its parent was killed
out = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
import numpy, torch
path, verb = sys.argv[1:]
def say(data, sign=1):
    out.write(struct.pack("<q", sign * len(data)) + data)
    out.flush()
try:
    sys.path.insert(0, os.path.dirname(path))
    call = runpy.run_path(path)[verb]
    while head := sys.stdin.buffer.read(8):
        data = sys.stdin.buffer.read(struct.unpack("<q", head)[0])
        if verb == "compress":
            made = call(torch.frombuffer(bytearray(data), dtype=torch.float32))
            if not isinstance(made, (bytes, bytearray)):
                raise TypeError(f"it gave {type(made).__name__}, not bytes")
            say(bytes(made))
        else:
            sound = numpy.asarray(call(data), dtype="<f4").reshape(-1)
            say(sound.tobytes())
except BaseException as error:
    say(f"{type(error).__name__}: {error}".encode(), -1)
"""


def clips_named(name: str) -> Sequence[datasets.Item]:
    """The clips of a challenge: "words" are those that ship, "people" recordings of `VQLAB_DATA`.

    Raises ValueError for another name, FileNotFoundError where the recordings are not there.
    """
    if name == "words":
        clips = datasets.load("words", "test")
        return [clips[n] for n in range(len(clips))]
    if name == "people":
        return clips_from_list(bundled("clips_words.txt"), recordings_root())
    raise ValueError(f"There are no clips {name!r}: choose 'words' or 'people'.")


def score_file(
    path: Path, clips: Sequence[datasets.Item], *, seconds: float | None = None
) -> dict[str, Any]:
    """A row of the challenge: stored kbit/s of the bare clips, and means with intervals.

    path : a Python file with `compress(waveform) -> bytes` and `decompress(bytes) -> waveform`;
        waveform is a float32 Tensor (samples,) at 16 kHz
    seconds : time limit of each of the two processes; None for a minute and 20 for each second

    Raises ValueError, with a sentence, where the file fails.
    """
    path = path.absolute()
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    bare = [clip.waveform for clip in clips]
    length = sum(len(sound) for sound in bare) / RATE
    limit = seconds if seconds is not None else 60 + 40 * length
    sounds = [*bare, *(F.pad(sound, (PAD, PAD)) for sound in bare)]
    coded = _run(
        path, "compress", [sound.numpy().astype("<f4").tobytes() for sound in sounds], limit
    )
    back = _run(path, "decompress", coded[len(bare) :], limit)
    rows, heard = [], []
    for clip, data in zip(clips, back, strict=True):
        sound = torch.from_numpy(np.frombuffer(data, "<f4").copy())[PAD : PAD + len(clip.waveform)]
        if len(sound) < len(clip.waveform) or not bool(torch.isfinite(sound).all()):
            raise ValueError(f"{path.name}: a decompressed sound is too short, or not all numbers.")
        heard.append(sound)
        rows.append(score(clip.waveform, sound, RATE) | {"speaker": clip.speaker})
    for row, right in zip(rows, _recognised(clips, heard), strict=True):
        row["words"] = right
    means = summarise(rows, metrics=("stoi", "pesq_wb", "log_mel_db", "words"))
    stored = 8 * sum(map(len, coded[: len(bare)])) / length / 1000
    return {"codec": path.stem, "stored": stored, **means}


def _recognised(clips: Sequence[datasets.Item], sounds: Sequence[Tensor]) -> list[float | None]:
    """100 where the listener takes a sound for its word, 0 where not, None where it knows none."""
    listener = load_classifier()
    answers = listener.recognise(list(sounds), RATE)
    pairs = zip(clips, answers, strict=True)
    return [100.0 * (a == c.label) if c.label in listener.words else None for c, a in pairs]


def table(rows: Sequence[dict[str, Any]], name: str) -> str:
    """The rows as Markdown, and below them those of known codecs on the same clips."""
    text = markdown_table(COLUMNS, rows)
    if name != "people":
        return text + "\n\nKnown codecs were not measured on these clips; they were on 'people'."
    heading, _, *lines = bundled("results", "codecs", "table.md").read_text("utf-8").splitlines()
    names = [cell.strip() for cell in heading.strip("|").split("|")]
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0].startswith(PEERS):
            known = dict(zip(names, cells, strict=True))
            text += "\n| " + " | ".join(known[title] for title in COLUMNS.values()) + " |"
    return text


def write_csv(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """One line for each file: each measure's mean and the ends of its 95 % interval."""
    flat = []
    for row in rows:
        line = {"codec": row["codec"], "stored_kbps": round(row["stored"], 4)}
        for measure in ("stoi", "pesq_wb", "log_mel_db", "words"):
            for part in ("mean", "low", "high"):
                line[f"{measure}_{part}"] = round(getattr(row[measure], part), 4)
        flat.append(line)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(flat[0]))
        writer.writeheader()
        writer.writerows(flat)


def _run(path: Path, verb: str, items: Sequence[bytes], seconds: float) -> list[bytes]:
    """What the file makes of each item, in a process and an empty folder of its own."""
    sent = b"".join(struct.pack("<q", len(item)) + item for item in items)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", RUNNER, str(path), verb, str(seconds + 60)]
        try:
            done = subprocess.run(
                command, input=sent, cwd=folder, capture_output=True, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            raise ValueError(f"{path.name}: {verb} took more than {seconds:.0f} s.") from None
    found: list[bytes] = []
    data = done.stdout
    while len(data) >= 8:
        (size,) = struct.unpack("<q", data[:8])
        if size < 0:
            said = " ".join(data[8:].decode(errors="replace").split())
            raise ValueError(f"{path.name}: {verb} failed at clip {len(found) + 1}: {said}")
        found.append(data[8 : 8 + size])
        data = data[8 + size :]
    if len(found) != len(items):
        raise ValueError(f"{path.name}: {verb} ended after {len(found)} of {len(items)} clips.")
    return found
