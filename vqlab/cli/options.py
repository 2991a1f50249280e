"""The command line: `python -m vqlab COMMAND`.

    train        learn a codec from recordings, or every model of an experiment's file
    evaluate     measure trained models: on their own test sets, or as codecs on any clips
    compress     a sound file to a small file of codes
    decompress   the small file back to sound
    reconstruct  both at once, of one model or several: a page, a sound, or a folder of sounds
    info         what a compressed file or a codec holds
    score        the one-kilobit challenge: how good anybody's compress and decompress are
    download     fetch Speech Commands, NSynth, CIFAR-10 or MNIST

A mistake that a person can make ends in one sentence and exit status 2.
"""

from __future__ import annotations

import argparse
import io
import sys
import warnings
from collections.abc import Sequence

from .. import __version__
from . import commands
from .streams import printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, or 2 after a mistake."""
    for stream in (sys.stdout, sys.stderr):  # names that the terminal's letters cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _options(arguments)
    try:
        with warnings.catch_warnings():  # which puts back how warnings were shown
            warnings.showwarning = _show_warning
            options.run(options)
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        print(printable(f"vqlab: {_sentence(error)}"), file=sys.stderr)
        return 2
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, which may stand anywhere: argparse takes no OUT behind one."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    late = [word for word in rest if word == "-" or not word.startswith("-")]
    if rest and rest == late[:1] and getattr(options, "output", "") is None:
        options.output = rest.pop()
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vqlab", description="Hear a neural codec being built: train, compress, decompress."
    )
    parser.add_argument("--version", action="version", version=f"vqlab {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    p = verbs.add_parser("train", help="learn a codec from recordings, or an experiment's models")
    p.set_defaults(run=commands.train, parser=p)
    p.add_argument("-f", "--file", metavar="FILE", help="train the experiments that a YAML file "
                   "describes, or one that ships, such as words-minimal; of the options below "
                   "only --out, --device, --threads and --allow-fewer go with it")  # fmt: skip
    p.add_argument("--out", metavar="FOLDER", help="where the run is kept; an unfinished run with "
                   "the same settings goes on there (with --file, default: runs/NAME)")  # fmt: skip
    _add_data(p)
    budget = p.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, help="how long to train")
    budget.add_argument("--steps", type=int, help="how long to train; exactly repeatable")
    p.add_argument("--model", choices=["speech", "variable_speech"],
                   help="speech (default): that of the notebooks; variable_speech: that of the "
                   "weights that ship")  # fmt: skip
    p.add_argument("--start", metavar="RUN", help="go on from these weights with a new budget")
    p.add_argument("--codebook-size", type=int, metavar="K", help="codes of a stage")
    p.add_argument("--stages", type=int, help="of the residual quantiser")
    p.add_argument("--speeds", type=float, nargs="*", default=[], metavar="FACTOR",
                   help="learn from copies at these speeds too, such as 0.9 1.1")  # fmt: skip
    p.add_argument("--hop-length", type=int, metavar="SAMPLES", help="default: 160")
    p.add_argument("--learning-rate", type=float, default=5e-4)
    p.add_argument("--batch-size", type=int, default=16)
    p.add_argument("--seed", type=int, nargs=1, default=[0])
    p.add_argument("--report-every", type=int, default=100, metavar="STEPS")
    _add_fewer(p)
    p.add_argument("--device", help="cpu, cuda or mps (default: the fastest there is)")
    p.add_argument("--threads", type=int, help="of the processor (default: all)")

    p = verbs.add_parser("evaluate", help="measure trained models")
    p.set_defaults(run=commands.evaluate, parser=p)
    p.add_argument("codecs", nargs="+", metavar="RUN", help="folders of runs or grids, "
                   "or that hold such, codec files, shipped weights. Without other options each is "
                   "measured on the test set that its own file names, if it names one")  # fmt: skip
    _add_data(p)
    p.add_argument("--split", default="test", choices=["train", "validation", "test", "all"])
    p.add_argument("--clips", metavar="LIST", help="instead: a text file that names the clips")
    p.add_argument("--seconds", type=float, help="with --clips: only the beginning of each")
    p.add_argument("--kbps", type=float, nargs="+", metavar="RATE", help="of the stored files, at "
                   "most (default: 0.5 1.0 1.5, as far as a model has them)")  # fmt: skip
    p.add_argument("--out", metavar="FOLDER", help="for table.md, scores.json, spectrograms.png")
    _add_fewer(p)
    p.add_argument("--threads", type=int, help="of the processor (default: all)")

    for name, run, wanted, output in (
        ("compress", commands.compress, "a sound file to a small file of codes", "IN.vql"),
        ("decompress", commands.decompress, "a small file of codes to sound", "IN.wav"),
        (
            "reconstruct",
            commands.reconstruct,
            "both at once: a page, a sound, or a folder of sounds; IN may be a folder",
            "IN.reconstructed.html, a page; one sound if it ends in .wav or .flac; without an "
            "ending a folder of sounds and pictures",
        ),
    ):
        p = verbs.add_parser(name, help=wanted)
        p.set_defaults(run=run, parser=p)
        p.add_argument("input", metavar="IN")
        p.add_argument("output", metavar="OUT", nargs="?", help=f"default: {output}")
        if name == "reconstruct":
            p.add_argument("--model", nargs="+", default=["speech"], metavar="RUN", help="shipped "
                           "weights, codec files, or folders of runs or grids")  # fmt: skip
        else:
            p.add_argument("--model", help="shipped weights, a codec.safetensors, or the folder of "
                           "a run (default: speech; of a packed file what it was made "
                           "with)")  # fmt: skip
            p.set_defaults(model="speech" if name == "compress" else None)
        p.add_argument("-f", "--force", action="store_true", help="replace an existing file")
        if name == "compress":
            p.add_argument("--kbps", type=float, help="of the file, at most (default: 1, or the "
                           "lowest rate of the model)")  # fmt: skip
        if name == "reconstruct":
            p.add_argument("--kbps", type=float, nargs="+", metavar="RATE", help="of the files, at "
                           "most (default: 0.5 1.0 1.5 on a page, 1.0 for one sound)")  # fmt: skip

    p = verbs.add_parser("info", help="what a compressed file or a codec holds")
    p.set_defaults(run=commands.info)
    p.add_argument("input")
    p.add_argument("--model", help="what the file was compressed with (default: found by itself)")

    p = verbs.add_parser("score", help="the one-kilobit challenge: a file's compress, decompress")
    p.set_defaults(run=commands.score)
    p.add_argument("files", nargs="+", metavar="FILE.py", help="with compress(waveform) -> bytes "
                   "and decompress(bytes) -> waveform; run only files that you trust")  # fmt: skip
    p.add_argument("--clips", choices=["words", "people"], default="words", help="those that ship "
                   "(default), or 176 recordings of Speech Commands (VQLAB_DATA)")  # fmt: skip
    p.add_argument("--limit", type=int, help="only so many clips, spread over speakers and words: "
                   "to try it out")  # fmt: skip
    p.add_argument("--seconds", type=float, help="time limit of each half (default: 60 s, and 40 "
                   "for each second of sound)")  # fmt: skip
    p.add_argument("--csv", metavar="OUT.csv", help="write a line for each file")

    p = verbs.add_parser("download", help="fetch a data set")
    p.set_defaults(run=commands.download)
    p.add_argument("name", choices=["mini_speech_commands", "speech_commands", "nsynth", "cifar10",
                                    "mnist"])  # fmt: skip
    p.add_argument("--version", choices=["v0.01", "v0.02"],
                   help="of speech_commands (default: v0.02)")  # fmt: skip
    p.add_argument("--split", choices=["test", "validation", "train"],
                   help="of nsynth: 0.3, 1.1 and 24 GB to fetch (default: all three)")  # fmt: skip
    p.add_argument("--root", help="where to (default: the user's download folder)")
    return parser


def _add_data(p: argparse.ArgumentParser) -> None:
    p.add_argument("--dataset", default=["words"], nargs="+", metavar="NAME",
                   help="words (bundled), speech_commands, librispeech, vctk, …")  # fmt: skip
    p.add_argument("--root", help="where the recordings are (default: VQLAB_DATA, then downloads)")
    p.add_argument("--words", nargs="+", metavar="WORD", help="which words, or all")


def _add_fewer(p: argparse.ArgumentParser) -> None:
    p.add_argument("--allow-fewer", action="store_true", help="go on where a data set has fewer "
                   "items than the file asks for")  # fmt: skip


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(printable(f"vqlab: {message}"), file=sys.stderr)
