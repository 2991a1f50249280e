"""Experiments: a file that describes a grid of trainings, and what is done with it.

The one idea: a configuration cannot lie. `schema` says which keys there are and refuses all others
with file and line, `grid` turns lists of values into single runs, `build` makes a codec of each,
`run` trains them into folders that describe themselves, `watch` shows how far they are, and
`evaluate` measures every model again on the test set. The recipe of the grids is a thesis's on
compressing spectrograms (Hansen Vedal 2019, "Unsupervised Audio Spectrogram Compression using
Vector Quantized Autoencoders").
"""

from __future__ import annotations

from .. import features as front  # under this name notebooks import it
