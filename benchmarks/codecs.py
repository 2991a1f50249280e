"""Speech codecs side by side: what they cost in bits, and how near they stay to the original.

Codec2, Opus and Speex (where their programs are installed), vqlab at several rates, and reference
rows: the original, the original in telephone band, the mel frames without any codes, and the
shipped network without its quantiser. Every clip gets 0.5 s of silence on both sides, is
coded and decoded, moved back by the codec's delay, cut to its own length and scored by itself;
means are over clips, 95 % intervals over speakers. "kbit/s" is the payload (nominal for codecs of
constant rate, the packets over the clip for Opus, what lies behind the header for vqlab); "stored"
is the size of the file of the bare clip over its duration. vqlab's setting is chosen on the bare
clip, the best whose file is at most the rate asked for, and codes the clip with its silence.

    python benchmarks/codecs.py
    python benchmarks/codecs.py --clips benchmarks/clips_librispeech.txt --seconds 5 \\
        --out docs/results/codecs_sentences
    python benchmarks/codecs.py --folder MY_RECORDINGS --codec runs/mine/codec.safetensors --out X

Writes table.md, quality.png, scores.json and, of words, short.md for the README; what scores.json
already holds is not measured again.
"""

from __future__ import annotations

import argparse
import dataclasses
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import vqlab
from vqlab import audio, datasets, metrics
from vqlab.datasets import Item
from vqlab.files import recordings_root, write_whole
from vqlab.lessons import codec_plots

from coders import Original, Ours, TelephoneBand, Uncoded  # isort: skip
from peers import RATE, Coder, installed  # isort: skip
from scoring import Listener, Results, score_all, summarise  # isort: skip

HERE = Path(__file__).resolve().parent
HEADINGS = {
    "stoi": "STOI",
    "estoi": "ESTOI",
    "pesq_wb": "PESQ-wb",
    "pesq_nb": "PESQ-nb",
    "log_mel_db": "log-mel dB",
    "words": "words right, %",
    "points": "against the original, points",
}
# What the README shows of it; docs/results.md has all.
SHORT = (
    "original", "vqlab 0.75", "vqlab 1", "vqlab 1.65", "Codec2 700C", "Codec2 1200", "Codec2 3200",
    "Opus 6 60 ms vbr", "Opus 9 60 ms vbr", "Opus 16 60 ms vbr", "Speex nb q2",
)  # fmt: skip
SHORT_COLUMNS = ("stoi", "pesq_wb", "log_mel_db")
FORMATS = {"stoi": ".3f", "estoi": ".3f", "words": ".1f", "points": "+.1f"}


def table(
    entries: Sequence[dict[str, Any]],
    clips: dict[str, Any],
    remarks: Sequence[str] = (),
    measures: Iterable[str] = HEADINGS,
) -> str:
    """Markdown: references first, then by stored rate, and below what the means are over."""
    columns = [n for n in measures if any(entry["summary"][n] for entry in entries)]
    lines = [
        "| " + " | ".join(["codec", "band", "kbit/s", "stored kbit/s", *map(HEADINGS.get, columns)])
        + " |",
        "|---|---|" + "--:|" * (2 + len(columns)),
    ]  # fmt: skip
    for entry in entries:
        name = entry["codec"] if entry["family"] not in ("vqlab", "reference") else (
            f"**{entry['codec']}**")  # fmt: skip
        rates = ["–" if entry[k] is None else f"{entry[k]:.2f}" for k in ("kbps", "stored_kbps")]
        cells = [_cell(entry["summary"][column], FORMATS.get(column, ".2f")) for column in columns]
        lines.append("| " + " | ".join([name, entry["band"], *rates, *cells]) + " |")
    total = len(clips["names"])
    counts = ", ".join(
        f"{HEADINGS[c]} {min(entry['summary'][c][3] for entry in entries if entry['summary'][c])}"
        for c in columns
        if c != "points"
    )
    notes = [
        f"Means and 95 % intervals (bootstrap over {len(set(clips['speakers']))} speakers) of "
        f"{total} clips; clips that count, where a measure is defined: {counts}.",
        *remarks,
        *(
            f"{entry['codec']}: {entry['version']}; the largest file of a clip makes "
            f"{entry['most_stored_kbps']:.2f} kbit/s."
            for entry in entries
            if entry["family"] == "vqlab"
        ),
    ]
    versions = dict.fromkeys(e["version"] for e in entries if e["family"] in PEERS)
    notes.append(f"Measured with {'; '.join([*versions, entries[0]['scorer']])}.")
    return "\n".join(lines) + "\n\n" + "\n\n".join(notes) + "\n"


PEERS = ("Codec2", "Opus", "Speex")


def _cell(summary: Sequence[float] | None, form: str) -> str:
    if summary is None:
        return "–"
    mean, low, high = (format(value, form) for value in summary[:3])
    return f"{mean} [{low}, {high}]"


def chart(entries: Sequence[dict[str, Any]], path: Path) -> None:
    """STOI and PESQ against the stored rate; references without a rate as horizontal lines."""
    points, lines = [], []
    for entry in entries:
        if entry["codec"] == "original":
            continue
        family, name = entry["family"], entry["codec"]
        if family == "vqlab":
            family = name.rsplit(" ", 1)[0]  # one line for each of several models
            lines += [family] * (family not in lines)
        points.append(
            {
                "name": name.removeprefix(f"{family} "),
                "family": family,
                "kbps": None if family == "reference" else entry["stored_kbps"],
                "stoi": entry["summary"]["stoi"],
                "pesq_wb": entry["summary"]["pesq_wb"],
            }
        )
    measures = {"stoi": "STOI", "pesq_wb": "PESQ, wide band"}
    figure = codec_plots.rate_quality(
        points, measures=measures, lines=list(dict.fromkeys(lines)) or ["vqlab"]
    )
    figure.savefig(path, dpi=110)


def read_clips(arguments: argparse.Namespace) -> list[Item]:
    """The clips at 16 kHz. Raises ValueError or FileNotFoundError for what is not there."""
    items: Iterable[Item]
    if arguments.folder is not None:
        items = datasets.load("folder", "all", root=arguments.folder, seconds=None)
    else:
        items = metrics.clips_from_list(arguments.clips, recordings_root(arguments.root))
    clips = []
    for item in items:
        waveform = audio.resample(item.waveform, item.sample_rate, RATE)
        if arguments.seconds is not None:
            waveform = waveform[: round(arguments.seconds * RATE)]
        clips.append(dataclasses.replace(item, waveform=waveform, sample_rate=RATE))
    return clips


def ours(arguments: argparse.Namespace) -> list[Coder]:
    """vqlab's rows, the reference rows first."""
    coders: list[Coder] = [Original(), TelephoneBand()]
    rows: list[Coder] = []
    for name in arguments.codec:
        codec = vqlab.load_pretrained(name)
        path = Path(name)
        label = "vqlab" if name == "speech" else path.parent.name if path.stem == "codec" else name
        if not rows:
            coders.append(Uncoded("mel frames, no codes", codec, network=False))
            coders.append(Uncoded("network, nothing quantised", codec, network=True))
        rates = sorted(arguments.kbps, reverse=True)  # one search serves all
        rows += [Ours(Path(label).stem, codec, kbps) for kbps in rates]
    return coders + rows


def main() -> None:
    """Measure, print the table and write the files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--clips", type=Path, default=HERE / "clips_words.txt", help="list of clips")
    where.add_argument("--folder", type=Path, help="take all sound files of this folder instead")
    parser.add_argument("--root", type=Path, help="folder that the list's paths start from")
    parser.add_argument("--seconds", type=float, help="keep so much of each clip's beginning")
    parser.add_argument("--codec", nargs="*", default=["speech"], help="shipped name, or file")
    parser.add_argument("--kbps", nargs="+", type=float, default=[0.75, 1.0, 1.65])
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "results" / "codecs")
    arguments = parser.parse_args()
    try:
        clips = read_clips(arguments)
        arguments.out.mkdir(parents=True, exist_ok=True)
        results = Results(arguments.out, clips)
        others, absent = installed()
        print(*absent.values(), sep="\n", end="\n" if absent else "")
        listener = Listener()
        with warnings.catch_warnings():
            warnings.filterwarnings("once", message="PESQ is left out")
            entries = score_all(ours(arguments) + others, clips, results, listener)
        report(entries + results.kept(absent), results, listener, absent, arguments.out)
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))


def report(
    entries: list[dict[str, Any]],
    results: Results,
    listener: Listener,
    absent: dict[str, str],
    out: Path,
) -> None:
    """Print the table, and write it, the scores and the chart."""
    judged = listener.words and set(listener.words) & set(results.clips["labels"])
    summarise(entries, results.clips, listener.identity if judged else None)
    remarks = []
    for family, sentence in absent.items():
        old = any(entry["family"] == family for entry in entries)
        remarks.append(sentence + (" Its rows are from an earlier run." if old else ""))
    if not judged:
        why = listener.absent or "no clip is one of the words that the classifier knows"
        remarks.append(f"No column of words: {why}.")
    entries.sort(key=lambda entry: (entry["family"] != "reference", -(entry["stored_kbps"] or 0)))
    text = table(entries, results.clips, remarks)
    print(text)
    results.entries = {entry["codec"]: entry for entry in entries}
    results.save()
    write_whole(out / "table.md", text.encode())
    if judged:
        few = [entry for entry in entries if entry["codec"] in SHORT]
        write_whole(out / "short.md", table(few, results.clips, measures=SHORT_COLUMNS).encode())
    chart(entries, out / "quality.png")


if __name__ == "__main__":
    main()
