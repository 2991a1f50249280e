"""What the commands of the command line do; `vqlab.cli` reads their options.

Each takes the parsed options, prints what a person wants to know, and raises `ValueError` or
`OSError` with one clear sentence, which the command line shows.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..codec import Codec, packing, shipped
from ..files import write_whole
from ..files.codecs import read
from .streams import STANDARD, result, say, source

if TYPE_CHECKING:
    from .. import datasets
    from ..experiments.schema import Grid

PLACES = {
    "dataset": "dataset.of", "root": "dataset.root", "words": "dataset.words",
    "speeds": "dataset.speeds", "hop_length": "spectrogram.hop_length",
    "codebook_size": "bottlenecks.0.K", "stages": "bottlenecks.0.stages",
    "steps": "training.steps", "minutes": "training.minutes", "batch_size": "training.batch",
    "learning_rate": "training.learning_rate", "report_every": "training.report_every",
    "seed": "training.seeds", "start": "training.start",
}  # fmt: skip
"""Options of `train` -> what they change in the file of `--model`."""


def train(options: argparse.Namespace) -> None:
    """Train what a file describes; without one, that of `--model` with other clips and budget."""
    from .. import processes
    from ..experiments import data, folders, reading, run

    _set_threads(options.threads)
    if options.file:
        for name in _given(options, "file", "out", "device", "threads", "allow_fewer"):
            raise ValueError(f"{name} does not go with --file, which says everything of that kind")
    elif options.out is None or (options.minutes is None) == (options.steps is None):
        raise ValueError(
            "give --out and one of --minutes and --steps to train a codec, or --file for the "
            "experiments of a YAML file"
        )
    grid = reading.read(reading.find(options.file)) if options.file else _changed(options)
    grid = data.allowing_fewer(grid) if options.allow_fewer else grid
    processes.start()
    try:
        out = run.train(grid, options.out, alone=not options.file, device=options.device)
        if processes.is_main():
            print("\n".join([*folders.remarks_in(out), _summary(out, grid)]))
        processes.barrier()  # no process leaves while another still talks to it
    finally:
        processes.stop()


def _changed(options: argparse.Namespace) -> Grid:
    """The grid of one run that the options of `train` describe."""
    from ..experiments import build, reading

    name, changes = options.model or "speech", {"training.steps": None}
    if options.start:
        if options.model or options.hop_length or options.codebook_size or options.stages:
            raise ValueError(
                "--start takes model and sizes from its codec: leave out --model, --stages, "
                "--codebook-size and --hop-length"
            )
        codec = Codec.load(options.start)
        name, changes = codec.recipe.architecture, changes | build.places_of(codec)
    given = {place: getattr(options, option) for option, place in PLACES.items()}
    return reading.adapted(name, changes | {p: v for p, v in given.items() if v is not None})


def _summary(out: Path, grid: Grid) -> str:
    """What to do with the runs in a folder, or with the only one."""
    from ..experiments import folders

    runs = folders.runs_in(out)
    if len(runs) > 1 or grid.dataset.name != "clips":
        return f"{len(runs)} runs are in {out}; their test error: python -m vqlab evaluate {out}"
    reports = folders.reports_of(runs[0])
    best = min(report["validation_error"] for report in reports)
    done = f"Done after {reports[-1]['step']} steps; lowest validation error {best:.2f} dB"
    return f"{done}; the codec is {runs[0] / 'codec.safetensors'}"


def _given(options: argparse.Namespace, *but: str) -> list[str]:
    """The options, but for these, that are not as they are when nothing is typed."""
    return [
        f"--{name.replace('_', '-')}"
        for name, value in vars(options).items()
        if name not in (*but, "run", "parser") and value != options.parser.get_default(name)
    ]


def evaluate(options: argparse.Namespace) -> None:
    """Measure models on their own test sets, or as codecs on clips."""
    from .. import metrics
    from ..experiments import evaluate as experiments
    from ..experiments import folders
    from ..files import recordings_root
    from ..metrics import codecs as evaluation

    _set_threads(options.threads)
    paths = [path for each in options.codecs for path in folders.grids_in(each)]
    own = not _given(options, "codecs", "threads", "allow_fewer")
    if own and all(map(folders.has_test_set, paths)):
        for path in paths:
            rows = experiments.evaluate(path, allow_fewer=options.allow_fewer)
            print(experiments.in_brief(rows))
            print(f"All columns: {path / 'results.csv'}; what they mean: results.md beside it\n")
        return
    codecs = folders.codecs_in(options.codecs)
    codecs = {name: codec for name, codec in codecs.items() if codec.rates}
    if not codecs:
        raise ValueError("none of these models has codes, so there are no files to score")
    if options.clips:
        clips: Sequence = metrics.clips_from_list(
            options.clips, recordings_root(options.root), seconds=options.seconds
        )
    else:
        clips = [item for name in options.dataset for item in _load(options, name, options.split)]
    rows = [evaluation.score_features(next(iter(codecs.values())), clips)]
    for name, codec in codecs.items():
        rows += evaluation.score_rates(codec, clips, name, options.kbps or codec.usual_rates)
    text = evaluation.table(rows)
    print(text)
    if options.out:
        out = Path(options.out)
        out.mkdir(parents=True, exist_ok=True)
        evaluation.save_rows(rows, out / "scores.json")
        write_whole(out / "table.md", (text + "\n").encode())
        codec = list(codecs.values())[-1]
        item = _picture(codec, clips, options.kbps or codec.usual_rates, out / "spectrograms.png")
        print(f"Table, scores and a picture of a typical clip ({item.label!r}) are in {out}")


def _picture(codec: Codec, clips: Sequence, rates: Sequence[float], path: Path) -> datasets.Item:
    """Draw the original and each rate of the clip with the median error; returns the clip."""
    from .. import plots, spectral
    from ..metrics import codecs as evaluation

    item = evaluation.typical_clip(codec, clips)
    heard, found = {"original": item.waveform}, codec.analysis(item.waveform)
    for kbps in sorted(rates, reverse=True):
        heard[f"{kbps:g} kbit/s"] = codec.decode(*codec.from_bytes(found.compress(kbps)))
    config = spectral.MelConfig(hop_length=codec.features.config.hop_length)
    pictures = {name: spectral.log_mel(waveform, config) for name, waveform in heard.items()}
    plots.compare_spectrograms(pictures, config).savefig(path, dpi=80)
    return item


def compress(options: argparse.Namespace) -> None:
    """A sound file to a packed file."""
    out = _output(options, ".vql")
    with (
        source(options.input) as path,
        result(out, ".vql", read=options.input, force=options.force) as place,
    ):
        data = shipped.compress(path, place, model=options.model, kbps=options.kbps)
    packed = packing.unpack(data)
    seconds = packed.samples / packed.sample_rate
    rate = 8 * len(data) / seconds / 1000
    say(f"{out}: {len(data)} bytes for {seconds:.2f} s, {rate:.2f} kbit/s stored", result=out)


def decompress(options: argparse.Namespace) -> None:
    """A packed file to a sound file."""
    out = _output(options, ".wav")
    with source(options.input) as path:
        data = read(path)
        packed = packing.unpack(data)  # what is none is said before anything about the result
        suffix = Path(out).suffix.lower() or ".wav"
        with result(out, suffix, read=options.input, force=options.force) as place:
            model = options.model or shipped.codec_of(data)
            seconds = shipped.decompress_to(data, place, model=model)
    say(f"{out}: {seconds:.2f} s at {packed.sample_rate} Hz", result=out)


def reconstruct(options: argparse.Namespace) -> None:
    """A sound file to what is heard of it: a page, one sound, or a folder of sounds."""
    from ..listen import page as listening

    streamed = (options.output or options.input) == STANDARD
    name = "standard output.wav" if streamed else options.output
    out = listening.destination(options.input, name, options.kbps)
    with source(options.input) as sound:
        told = _reconstructed(options, sound, out, STANDARD if streamed else out)
        say(told, result=STANDARD if streamed else out)


def _reconstructed(options: argparse.Namespace, sound: Path, out: Path, where: str | Path) -> str:
    """Write what is heard of `sound`, in the form of `out`, to `where`; what to tell of it."""
    from ..experiments import folders
    from ..listen import page as listening

    kbps = options.kbps[0] if options.kbps else None
    if not out.suffix:
        if out.exists() and not options.force:
            raise ValueError(f"{out} exists already: give another name, or -f to write into it")
        codecs, heard = folders.codecs_in(options.model), dict[str, Any]()
        places = _places(sound, out)
        for path, place in places.items():
            heard = listening.folder(path, place, codecs, kbps=kbps)
        many = f" of {len(places)} recordings, each in a folder of its own" * sound.is_dir()
        return f"{out}: {', '.join(heard)}{many}, each as .wav and .png"
    suffix = out.suffix.lower()
    with result(where, suffix, read=options.input, force=options.force) as place:
        if suffix == ".html":
            page = listening.page(sound, model=folders.codecs_in(options.model), rates=options.kbps)
            page.save(place)
            versions = [f"  {version.label}: {version.bits}" for version in page.versions]
            return "\n".join([f"{out}: open it in a browser to listen to", *versions])
        if len(options.model) > 1:
            raise ValueError(f"{out} holds one sound: give one model, or a name that ends in .html")
        data = shipped.compress(sound, model=options.model[0], kbps=kbps)
        seconds = shipped.decompress_to(data, place, model=options.model[0])
    return f"{out}: {seconds:.2f} s, from {len(data)} bytes"


def _places(sound: Path, out: Path) -> dict[Path, Path]:
    """The recordings that are meant, and a folder for each: for one itself `out`."""
    from .. import datasets

    if not sound.is_dir():
        return {sound: out}
    found = datasets.load("folder", "all", root=sound, seconds=None)
    say("\n".join(said for said in found.remarks if "split" not in said))  # nothing is, here
    paths = [entry.path.relative_to(sound) for entry in found.entries]
    named = Counter(path.with_suffix("") for path in paths)
    alike = {path for path in paths if named[path.with_suffix("")] > 1}
    return {sound / p: out / (p if p in alike else p.with_suffix("")) for p in paths}


def info(options: argparse.Namespace) -> None:
    """What a packed file or a codec holds."""
    path = Path(options.input)
    if path.suffix == ".safetensors" or path.is_dir():
        say(json.dumps(Codec.load(path).describe(), indent=1))
        return
    data = read(path)
    packed = packing.unpack(data)
    seconds = packed.samples / packed.sample_rate
    say(f"{path}: {len(data)} bytes, {8 * len(data) / seconds / 1000:.3f} kbit/s")
    say(f"sound     {packed.samples} samples at {packed.sample_rate} Hz, {seconds:.2f} s")
    say(f"level     {packed.gain_db:+g} dB before coding, undone afterwards")
    say(f"quality   {packed.quality}")
    say(f"codes     {len(packed.payload)} bytes{_codes_per_stage(data, options.model)}")
    say(f"weights   {packed.identity.hex()}\nchecksum  right")


def _codes_per_stage(data: bytes, model: str | None) -> str:
    try:
        codes, _, _ = shipped.load_pretrained(model or shipped.codec_of(data)).from_bytes(data)
    except ValueError as error:
        return f" ({error})"
    counts = [int((stage >= 0).sum()) for stage in codes[0]]
    used = " + ".join(str(count) for count in counts if count)
    return f", {sum(counts)} codes; stage by stage {used}"


def score(options: argparse.Namespace) -> None:
    """Score files with `compress` and `decompress`; one that fails is told, the others go on."""
    from ..datasets.items import spread_over_speakers
    from ..lessons.challenge import clips_named, score_file, table, write_csv

    clips = clips_named(options.clips)
    if options.limit is not None:
        labels, speakers = [clip.label for clip in clips], [clip.speaker for clip in clips]
        clips = [clips[n] for n in spread_over_speakers(labels, speakers, options.limit)]
    rows, failed = [], []
    for name in options.files:
        try:
            rows.append(score_file(Path(name), clips, seconds=options.seconds))
        except (ValueError, FileNotFoundError) as error:
            failed.append(str(error))
    if rows:
        say(f"{len(clips)} clips, {options.clips}\n\n{table(rows, options.clips)}")
        if options.csv:
            write_csv(rows, Path(options.csv))
    if failed:
        raise ValueError(" ".join(failed))


def download(options: argparse.Namespace) -> None:
    """Fetch a data set into the download folder."""
    from .. import datasets

    where = {"version": options.version, "split": options.split, "root": options.root}
    say(str(datasets.download(options.name, **where)))


def _load(options: argparse.Namespace, name: str, split: str) -> datasets.Dataset:
    from ..experiments import data

    found = data.find_clips(name, split, root=options.root, words=options.words)
    clips = data.useful(found, split)
    print("\n".join(clips.remarks), end="\n" * bool(clips.remarks))
    return clips


def _set_threads(threads: int | None) -> None:
    import torch

    if threads is not None:
        if threads < 1:
            raise ValueError(f"--threads is {threads}: give a number from 1, or leave it out")
        torch.set_num_threads(threads)


def _output(options: argparse.Namespace, suffix: str) -> str | Path:
    """What was given, or the input's name with another suffix; standard output for its input."""
    if options.output or options.input == STANDARD:
        return options.output or STANDARD
    return Path(options.input).with_suffix(suffix)
