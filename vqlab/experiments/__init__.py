"""Experiments: a file that describes a grid of trainings, and what is done with it.

The one idea: a configuration cannot lie. `schema` says which keys there are and refuses all others
with file and line, `grid` turns lists of values into single runs, `run` trains them into folders
that describe themselves, `evaluate` measures every model again on the test set, and `predict` makes
a recording heard through them. The recipe is that of a thesis on compressing spectrograms (Hansen
Vedal 2019, "Unsupervised Audio Spectrogram Compression using Vector Quantized Autoencoders").

Notebook: 11
"""

from __future__ import annotations

from pathlib import Path

from .. import features as front  # under this name notebooks import it

__all__ = [
    "front",
    "is_experiment",
]


def is_experiment(path: str | Path) -> bool:
    """Whether this is the folder of a grid or of one of its runs (and not a codec's)."""
    return any((Path(path) / name).is_file() for name in ("grid.yaml", "config.yaml"))
