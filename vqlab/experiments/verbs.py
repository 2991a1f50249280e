"""What `train -f`, `evaluate` and `reconstruct --model` of the command line do for experiments.

The one idea: each takes the parsed options, prints what a person wants to know, and refuses options
that it would not read.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from . import evaluate, is_experiment, predict


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
