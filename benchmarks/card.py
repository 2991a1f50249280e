"""The shipped codec word by word, and by how loud its speakers were recorded: for the model card.

All clips of Speech Commands' test split that are at hand, each coded with half a second of silence
on both sides, at two rates of the stored file.

    python benchmarks/card.py
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import vqlab
from vqlab import datasets, metrics
from vqlab.audio.loudness import loudest
from vqlab.codec import Codec
from vqlab.files import write_whole

PAD = 8000
FEWEST = 5  # clips of a word; rarer ones are put together
LEVELS = {"under -30 dBFS": -30.0, "-30 to -20 dBFS": -20.0, "over -20 dBFS": 0.0}


def score(codec: Codec, clips: Sequence[datasets.Item], kbps: float) -> list[dict[str, Any]]:
    """A row of measures for each clip, coded at the quality that its own file allows."""

    def there_and_back(sound: Tensor) -> Tensor:
        codes, gain_db = codec.encode(sound, quality=codec.quality_for(sound[PAD:-PAD], kbps))
        return codec.decode(codes, len(sound), gain_db)

    return metrics.score_codec(there_and_back, clips, pad_seconds=PAD / codec.sample_rate)


def level(item: datasets.Item) -> str:
    """Which of LEVELS the loudest 0.4 s of the recording are in."""
    found = loudest(item.waveform, item.sample_rate)
    return next(name for name, most in LEVELS.items() if found <= most)


def table(groups: Sequence[str], scored: dict[float, list[dict[str, Any]]], heading: str) -> str:
    """A line for each group, with STOI and PESQ-wb at each rate."""
    columns = {"group": heading, "n": "clips"}
    lines = {name: {"group": name, "n": groups.count(name)} for name in dict.fromkeys(groups)}
    for kbps, rows in scored.items():
        for measure, title in (("stoi", "STOI"), ("pesq_wb", "PESQ-wb")):
            columns[f"{measure} {kbps}"] = f"{title} at {kbps:g}"
            for name, line in lines.items():
                own = [row for row, group in zip(rows, groups, strict=True) if group == name]
                found = metrics.summarise(own, metrics=[measure])[measure]
                line[f"{measure} {kbps}"] = _cell(found, 3 if measure == "stoi" else 2)
    return metrics.markdown_table(columns, sorted(lines.values(), key=lambda line: -line["n"]))


def _cell(found: metrics.Summary, digits: int) -> str:
    if not found.n:
        return "–"
    return f"{found.mean:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kbps", type=float, nargs="+", default=[0.75, 1.65])
    parser.add_argument("--out", type=Path, default=Path("docs/results/card"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    codec = vqlab.load_pretrained("speech")
    clips = list(datasets.load("speech_commands", "test", words="all", seconds=None))
    scored = {kbps: score(codec, clips, kbps) for kbps in arguments.kbps}
    labels = [item.label for item in clips]
    words = [word if labels.count(word) >= FEWEST else "other words" for word in labels]
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, groups, heading in (
        ("words", words, "word"),
        ("levels", [level(item) for item in clips], "recorded at"),
    ):
        text = table(groups, scored, heading)
        print(text, "\n")
        write_whole(arguments.out / f"{name}.md", (text + "\n").encode())


if __name__ == "__main__":
    main()
