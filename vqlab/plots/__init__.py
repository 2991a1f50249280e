"""Pictures of sounds, spectrograms and codes, each with a text for those who cannot see it.

What only notebooks show lies beside them, in `notebooks/plots` (in an installed wheel with its
data).
"""

from ..files import beside_notebooks
from .basic import (
    BLUE,
    GREEN,
    MARKERS,
    ORANGE,
    PINK,
    RANGE_DB,
    SKY,
    as_numpy,
    compare_spectrograms,
    frequency_ticks,
    new_figure,
    spectrogram,
)

__path__ += beside_notebooks("plots")

from .shown import Picture, codes_as_picture, show, usage, waveform  # noqa: E402 (beside)
