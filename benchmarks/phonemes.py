"""What a recogniser of phonemes hears in decoded sentences that it did not hear in the originals.

The first five seconds of sentences, coded and decoded as in benchmarks/codecs.py (half a second of
silence around each, moved back by the codec's delay, cut). The recogniser writes down the phonemes
of the original and of the decoded sound; counted is how many of them one must replace, leave out or
put in to come from one to the other, over how many the original has. That needs no transcript, and
says nothing of how well the recogniser hears; the row of the original 10 ms later shows how steady
it is. A codec in narrow band is to be compared with the original in that band.

The recogniser is no dependency of the project: hama (Apache 2.0; it brings its model along, needs
NumPy and no network). Without it the command says so, and the table stays as it is.

    pip install --no-deps hama==1.7.0
    python benchmarks/phonemes.py

Writes table.md and scores.json; what scores.json already holds is not measured again.
"""

from __future__ import annotations

import argparse
import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm.auto import tqdm

import vqlab
from vqlab import metrics
from vqlab.codec import Codec
from vqlab.datasets import Item
from vqlab.files import recordings_root, write_whole

import scoring  # isort: skip
from coders import Original, Ours, TelephoneBand, Uncoded  # isort: skip
from peers import RATE, Coded, Coder, installed, padded  # isort: skip

HERE = Path(__file__).resolve().parent
HEADING = "phonemes heard differently, %"
SECONDS = 5.0
LATE = RATE // 100  # samples; the recogniser decides every 20 ms


class Later(Original):
    """The original 10 ms later, between two of the recogniser's frames: how steady it is."""

    name = "original, 10 ms later"

    def code(self, clip: Tensor) -> Coded:
        return Coded(padded(clip).roll(LATE), None, None)


def changes(heard: Sequence[str], again: Sequence[str]) -> int:
    """The fewest phonemes to replace, leave out or put in that lead from one to the other.

    >>> changes("k ae t".split(), "k ae p s".split())
    2
    """
    before = list(range(len(again) + 1))  # of nothing against the first phonemes of `again`
    for n, phoneme in enumerate(heard, 1):
        row = [n]
        for m, other in enumerate(again, 1):
            row.append(min(before[m] + 1, row[-1] + 1, before[m - 1] + (phoneme != other)))
        before = row
    return before[-1]


def share(heard: Sequence[str], again: Sequence[str]) -> float | None:
    """`changes` in per cent of the phonemes heard first; None where none were."""
    return 100 * changes(heard, again) / len(heard) if heard else None


def recogniser() -> tuple[Callable[[Tensor], list[str]], str]:
    """Sound at 16 kHz -> phonemes, and the recogniser's name. Raises ValueError where it is not."""
    try:
        from hama import ASRModel
    except ImportError:
        raise ValueError(
            "The recogniser of phonemes is not here: pip install --no-deps hama==1.7.0"
        ) from None
    model = ASRModel()
    name = f"hama {importlib.metadata.version('hama')}"
    return lambda sound: model(sound.numpy(), RATE).phonemes, name


def measure(
    coder: Coder,
    clips: Sequence[Item],
    originals: Sequence[list[str]],
    hear: Callable[[Tensor], list[str]],
) -> dict[str, Any]:
    """One codec's rate, and its share of phonemes clip by clip."""
    coded = scoring.code_all(coder, clips)
    groups = {one.group for one in coded}
    delays = {group: scoring.delay_of_group(coder, group, clips, coded) for group in groups}
    sounds = scoring.cut(coded, clips, delays)
    stored = [one.stored_bits for one in coded if one.stored_bits is not None]
    seconds = sum(len(item.waveform) for item in clips) / RATE
    pairs = list(zip(originals, sounds, strict=True))
    shares = [share(o, hear(s)) for o, s in tqdm(pairs, f"{coder.name}: hearing", leave=False)]
    return {
        "codec": coder.name,
        "family": coder.family,
        "band": coder.band,
        "version": coder.version,
        "stored_kbps": round(sum(stored) / seconds / 1000, 5) if stored else None,
        "shares": [None if value is None else round(value, 3) for value in shares],
    }


def table(entries: Sequence[dict[str, Any]], speakers: Sequence[str | None]) -> str:
    """Markdown: references first, then by stored rate, and below what the means are over."""
    lines: list[dict[str, Any]] = []
    for entry in sorted(
        entries, key=lambda e: (e["family"] != "reference", -(e["stored_kbps"] or 0))
    ):
        own = zip(entry["shares"], speakers, strict=True)
        rows = [{"shares": value, "speaker": speaker} for value, speaker in own]
        found = metrics.summarise(rows, metrics=["shares"])["shares"]
        bold = "**" if entry["family"] in ("reference", "vqlab") else ""
        kbps = entry["stored_kbps"]
        lines.append(
            {
                "codec": f"{bold}{entry['codec']}{bold}",
                "band": entry["band"],
                "kbps": "–" if kbps is None else f"{kbps:.2f}",
                "shares": f"{found.mean:.1f} [{found.low:.1f}, {found.high:.1f}]",
            }
        )
    columns = {"codec": "codec", "band": "band", "kbps": "stored kbit/s", "shares": HEADING}
    versions = dict.fromkeys(e["version"] for e in entries if e["version"])
    note = (
        f"Means and 95 % intervals (bootstrap over {len(set(speakers))} speakers) of "
        f"{len(speakers)} clips. Codecs in narrow band (nb) start from the row *original, 8 kHz "
        "band*: so much is heard differently only for want of what lies above 4 kHz.\n\n"
        f"Measured with {'; '.join([*versions, *dict.fromkeys(e['scorer'] for e in entries)])}."
    )
    return f"{metrics.markdown_table(columns, lines)}\n\n{note}\n"


def rows(codec: Codec, kbps: Sequence[float]) -> list[Coder]:
    """The reference rows, and vqlab's."""
    return [
        Original(),
        Later(),
        TelephoneBand(),
        Uncoded("mel frames, no codes", codec, network=False),
        Uncoded("network, nothing quantised", codec, network=True),
        *(Ours("vqlab", codec, rate) for rate in sorted(kbps, reverse=True)),  # one search for all
    ]


def main() -> None:
    """Measure what is not measured yet, print the table and write the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, default=HERE / "clips_librispeech.txt")
    parser.add_argument("--root", type=Path, help="folder that the list's paths start from")
    parser.add_argument("--codec", default="speech", help="shipped name, or file")
    parser.add_argument("--kbps", nargs="+", type=float, default=[0.5, 0.75, 1.0, 1.65])
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "results" / "phonemes")
    arguments = parser.parse_args()
    try:
        hear, name = recogniser()
        root = recordings_root(arguments.root)
        clips = metrics.clips_from_list(arguments.clips, root, seconds=SECONDS)
        arguments.out.mkdir(parents=True, exist_ok=True)
        results = scoring.Results(arguments.out, clips)
        others, absent = installed()
        originals = [hear(item.waveform) for item in tqdm(clips, "originals", leave=False)]
        coders = rows(vqlab.load_pretrained(arguments.codec), arguments.kbps) + others
        entries = [row for row in results.entries.values() if row["family"] in absent]
        for coder in tqdm(coders, "codecs", unit="codec"):
            entry = results.entries.get(coder.name)
            if entry is None or (entry["version"], entry["scorer"]) != (coder.version, name):
                entry = measure(coder, clips, originals, hear) | {"scorer": name}
                results.add(entry)
            entries.append(entry)
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    results.entries = {entry["codec"]: entry for entry in entries}
    results.save()
    text = table(entries, results.clips["speakers"])
    print(*absent.values(), text, sep="\n")
    write_whole(arguments.out / "table.md", text.encode())


if __name__ == "__main__":
    main()
