"""The command line: ``python -m vqlab COMMAND``.

    train        learn a codec from recordings
    evaluate     score trained codecs on test speakers
    compress     a sound file to a small file of codes
    decompress   the small file back to sound
    reconstruct  both at once: what a listener gets
    info         what a compressed file or a codec holds
    download     fetch Speech Commands

A mistake that a person can make ends in one sentence and exit status 2.

Notebook: 00
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__, audio, packing, pretrained
from .checkpoints import write_whole
from .codec import Codec

if TYPE_CHECKING:
    from . import datasets


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0, or 2 after a mistake, 130 after ctrl-C)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    warnings.showwarning = _show_warning
    try:
        options.run(options)
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        print(f"vqlab: {_sentence(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vqlab: interrupted", file=sys.stderr)
        return 130
    return 0


def train(options: argparse.Namespace) -> None:
    """Train a codec and leave it, with its reports, in a folder."""
    import torch

    from . import training
    from .codec import Recipe
    from .features import Features
    from .spectral import MelConfig

    _set_threads(options.threads)
    sets = {"train": _load(options, "train"), "validation": _load(options, "validation", limit=512)}
    recipe = Recipe(
        "speech",
        {
            "codebook_size": options.codebook_size,
            "stages": options.stages,
            "dropout": options.dropout,
        },
    )
    torch.manual_seed(options.seed)
    codec = Codec(recipe, Features(MelConfig(hop_length=options.hop_length)))
    waveforms = {split: codec.normalise_all(dataset) for split, dataset in sets.items()}
    codec.features = codec.features.fitted(waveforms["train"])
    print(
        f"{len(waveforms['train'])} clips to learn from, {len(waveforms['validation'])} to choose "
        f"by; rates {', '.join(f'{rate / 1000:g}' for rate in codec.rates)} kbit/s; "
        f"training goes to {options.out}"
    )
    run = training.fit(
        codec.model,
        waveforms["train"],
        waveforms["validation"],
        features=codec.features,
        augment=training.shift_and_gain,
        out=options.out,
        minutes=options.minutes,
        steps=options.steps,
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
        seed=options.seed,
        device=options.device,
    )
    codec.trained = {
        "dataset": options.dataset,
        "words": options.words or "default",
        "clips": len(waveforms["train"]),
        "steps": run.step,
        "seconds": round(run.seconds),
        "seed": options.seed,
        "versions": {"vqlab": __version__, "torch": torch.__version__},
    }
    codec.model.cpu()
    codec.save(Path(options.out) / "codec.safetensors")
    print(
        f"{'Interrupted' if run.stopped else 'Done'} after {run.step} steps; lowest validation "
        f"error {run.best['validation_error']:.2f} dB; the codec is "
        f"{Path(options.out) / 'codec.safetensors'}"
    )


def evaluate(options: argparse.Namespace) -> None:
    """Score codecs on clips and write one table, one picture."""
    from . import evaluation, metrics
    from ._paths import recordings_root

    _set_threads(options.threads)
    if options.clips:
        clips: Sequence = metrics.clips_from_list(
            options.clips, recordings_root(options.root), seconds=options.seconds
        )
    else:
        clips = list(_load(options, options.split))
    names = [Path(path).name for path in options.codecs]
    if len(set(names)) < len(names):
        names = options.codecs
    codecs = {
        name: Codec.load(_codec_file(path))
        for name, path in zip(names, options.codecs, strict=True)
    }
    rows = [evaluation.score_features(next(iter(codecs.values())), clips)]
    for name, codec in codecs.items():
        for stages in range(len(codec.rates), 0, -1):
            rows.append(evaluation.score_rate(codec, clips, name, stages=stages))
    text = evaluation.table(rows)
    print(text)
    if options.out:
        out = Path(options.out)
        out.mkdir(parents=True, exist_ok=True)
        evaluation.save_rows(rows, out / "scores.json")
        write_whole(out / "table.md", (text + "\n").encode())
        item = _picture(list(codecs.values())[-1], clips, out / "spectrograms.png")
        print(f"Table, scores and a picture of a typical clip ({item.label!r}) are in {out}")


def _picture(codec: Codec, clips: Sequence, path: Path) -> datasets.Item:
    """Draw the original and each rate of the clip with the median error; returns the clip."""
    from . import evaluation, plots, spectral

    item = evaluation.typical_clip(codec, clips)
    heard = {"original": item.waveform}
    for stages in range(len(codec.rates), 0, -1):
        rate = f"{codec.rates[stages - 1] / 1000:g} kbit/s"
        heard[rate] = codec.reconstruct(item.waveform, stages)
    config = codec.features.config
    pictures = {name: spectral.log_mel(waveform, config) for name, waveform in heard.items()}
    plots.compare_spectrograms(pictures, config).savefig(path, dpi=80)
    return item


def compress(options: argparse.Namespace) -> None:
    """A sound file to a packed file."""
    out = options.output or Path(options.input).with_suffix(".vql")
    _refuse_to_overwrite(out, options.force)
    data = pretrained.compress(options.input, out, model=options.model, kbps=options.kbps)
    packed = packing.unpack(data)
    seconds = packed.samples / pretrained.load_pretrained(options.model).sample_rate
    print(
        f"{out}: {len(data)} bytes for {seconds:.2f} s, {8 * len(data) / seconds / 1000:.2f} "
        f"kbit/s stored ({packed.stages} stages)"
    )


def decompress(options: argparse.Namespace) -> None:
    """A packed file to a sound file."""
    out = options.output or Path(options.input).with_suffix(".wav")
    _refuse_to_overwrite(out, options.force)
    waveform, sample_rate = pretrained.decompress(options.input, model=options.model)
    audio.save(out, waveform, sample_rate)
    print(f"{out}: {len(waveform) / sample_rate:.2f} s at {sample_rate} Hz")


def reconstruct(options: argparse.Namespace) -> None:
    """A sound file to what is heard after compressing and decompressing it."""
    out = options.output or Path(options.input).with_suffix(".reconstructed.wav")
    _refuse_to_overwrite(out, options.force)
    data = pretrained.compress(options.input, model=options.model, kbps=options.kbps)
    waveform, sample_rate = pretrained.decompress(data, model=options.model)
    audio.save(out, waveform, sample_rate)
    print(f"{out}: {len(waveform) / sample_rate:.2f} s, from {len(data)} bytes")


def info(options: argparse.Namespace) -> None:
    """What a packed file or a codec holds."""
    path = Path(options.input)
    if path.suffix == ".safetensors" or path.is_dir():
        print(json.dumps(Codec.load(_codec_file(path)).describe(), indent=1))
        return
    data = pretrained.read(path)
    packed = packing.unpack(data)
    print(
        f"{path}: {len(data)} bytes, {packed.samples} samples, {packed.stages} stages, "
        f"gain {packed.gain_db:+g} dB, made with the weights {packed.identity.hex()}"
    )


def download(options: argparse.Namespace) -> None:
    """Fetch a data set into the download folder."""
    from . import datasets

    print(datasets.download(options.name, version=options.version, root=options.root))


def _load(options: argparse.Namespace, split: str, limit: int | None = None) -> datasets.Dataset:
    from . import datasets

    words = options.words
    if words and "all" in words:
        words = "all"
    dataset = datasets.load(
        options.dataset, split, root=options.root, words=words, seconds=1.0, limit=limit
    )
    dataset = dataset.scan()  # silent, too short and unreadable clips teach nothing
    for note in dataset.notes:
        print(note)
    if not len(dataset):
        raise ValueError(f"no clip of the {split} split can be used: {' '.join(dataset.notes)}")
    return dataset


def _set_threads(threads: int | None) -> None:
    import torch

    if threads is not None:
        if threads < 1:
            raise ValueError(f"--threads is {threads}: give a number from 1, or leave it out")
        torch.set_num_threads(threads)


def _codec_file(path: str | Path) -> Path:
    """The codec in a run's folder, or the file itself."""
    path = Path(path)
    return path / "codec.safetensors" if path.is_dir() else path


def _refuse_to_overwrite(path: str | Path, force: bool) -> None:
    if Path(path).exists() and not force:
        raise ValueError(f"{path} exists already: give another name, or -f to replace it")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vqlab", description="Hear a neural codec being built: train, compress, decompress."
    )
    parser.add_argument("--version", action="version", version=f"vqlab {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    p = commands.add_parser("train", help="learn a codec from recordings")
    p.set_defaults(run=train)
    p.add_argument("--out", required=True, metavar="FOLDER", help="where the run is kept; an "
                   "unfinished run with the same settings goes on there")  # fmt: skip
    _add_data(p)
    budget = p.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float, help="how long to train")
    budget.add_argument("--steps", type=int, help="how long to train; exactly repeatable")
    p.add_argument("--codebook-size", type=int, default=1024, metavar="K")
    p.add_argument("--stages", type=int, default=3, help="of the residual quantiser")
    p.add_argument("--dropout", type=float, default=0.5, help="of quantiser stages")
    p.add_argument("--hop-length", type=int, default=160, metavar="SAMPLES")
    p.add_argument("--learning-rate", type=float, default=5e-4)
    p.add_argument("--batch-size", type=int, default=16)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--device", help="cpu, cuda or mps (default: the fastest there is)")
    p.add_argument("--threads", type=int, help="of the processor (default: all)")

    p = commands.add_parser("evaluate", help="score codecs on test speakers")
    p.set_defaults(run=evaluate)
    p.add_argument("codecs", nargs="+", metavar="RUN", help="folders of runs, or codec files")
    _add_data(p)
    p.add_argument("--split", default="test", choices=["train", "validation", "test", "all"])
    p.add_argument("--clips", metavar="LIST", help="instead: a text file that names the clips")
    p.add_argument("--seconds", type=float, help="with --clips: only the beginning of each")
    p.add_argument("--out", metavar="FOLDER", help="for table.md, scores.json, spectrograms.png")
    p.add_argument("--threads", type=int, help="of the processor (default: all)")

    for name, run, wanted in (
        ("compress", compress, "a sound file to a small file of codes"),
        ("decompress", decompress, "a small file of codes to sound"),
        ("reconstruct", reconstruct, "a sound file to what is heard after both"),
    ):
        p = commands.add_parser(name, help=wanted)
        p.set_defaults(run=run)
        p.add_argument("input")
        p.add_argument("output", nargs="?", help="default: the same name, another ending")
        p.add_argument("--model", default="speech", help="shipped weights, or a codec.safetensors")
        p.add_argument("-f", "--force", action="store_true", help="replace an existing file")
        if name != "decompress":
            p.add_argument("--kbps", type=float, default=1.0, help="nominal rate, upper bound")

    p = commands.add_parser("info", help="what a compressed file or a codec holds")
    p.set_defaults(run=info)
    p.add_argument("input")

    p = commands.add_parser("download", help="fetch Speech Commands")
    p.set_defaults(run=download)
    p.add_argument("name", choices=["speech_commands"])
    p.add_argument("--version", default="v0.02", choices=["v0.01", "v0.02"])
    p.add_argument("--root", help="where to (default: the user's download folder)")
    return parser


def _add_data(p: argparse.ArgumentParser) -> None:
    p.add_argument("--dataset", default="words", help="words (bundled), speech_commands or folder")
    p.add_argument("--root", help="where the recordings are (default: VQLAB_DATA, then downloads)")
    p.add_argument("--words", nargs="+", metavar="WORD", help="which words, or all")


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"vqlab: {message}", file=sys.stderr)
