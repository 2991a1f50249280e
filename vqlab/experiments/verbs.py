"""What `train -f`, `evaluate` and `reconstruct --model` of the command line do for experiments.

The one idea: each takes the parsed options, prints what a person wants to know, and refuses options
that it would not read.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import processes
from . import evaluate, folders, is_experiment, predict, reading, run


def train(options: argparse.Namespace) -> None:
    """Train the grid of `options.file`, in one process or in all that torchrun started."""
    _refuse_others(options, "file", "out", "device", "threads")
    grid = reading.read(reading.find(options.file))
    processes.start()
    try:
        out = run.train(grid, options.out, device=options.device)
        if processes.is_main():
            for note in folders.notes_in(out):
                print(note)
            count = len(folders.runs_in(out))
            print(f"{count} runs are in {out}; their test error: python -m vqlab evaluate {out}")
        processes.barrier()  # no process leaves while another still talks to it
    finally:
        processes.stop()


def measure(options: argparse.Namespace) -> None:
    """Measure runs and grids on their test sets."""
    _refuse_others(options, "codecs", "threads")
    for path in options.codecs:
        if not is_experiment(path):
            raise ValueError(f"{path} is no experiment: evaluate codecs by themselves")
        rows = evaluate.evaluate(path)
        print(evaluate.as_markdown(rows))
        print(f"The table is {Path(path) / 'results.csv'}, and as text results.md")


def reconstruct(options: argparse.Namespace) -> None:
    """Make a recording heard through the runs and grids that `options.model` names."""
    out = Path(options.output or f"{Path(options.input).with_suffix('')}.reconstructed")
    for path in options.model:
        if not is_experiment(path):
            raise ValueError(f"{path} is no experiment's folder: give codecs one at a time")
    _refuse_others(options, "input", "output", "model", "force")
    if out.exists() and not options.force:
        raise ValueError(f"{out} exists already: give another name, or -f to write into it")
    heard = predict.reconstruct(options.input, out, options.model)
    print(f"{out}: {', '.join(heard)}, each as .wav and .png")


def _refuse_others(options: argparse.Namespace, *read: str) -> None:
    """Raise ValueError if an option was given that is not among those which are read here."""
    for name, value in vars(options).items():
        if name not in (*read, "run", "parser") and value != options.parser.get_default(name):
            raise ValueError(
                f"--{name.replace('_', '-')} does not go with experiments: their files and folders "
                f"say everything but {', '.join(read)}"
            )
