"""Quantisers: a vector becomes the number of a code, and the number a vector again.

`base` has what every bottleneck can do, `steps` the five steps, `codebook` the layer with one
codebook, `residual` several in a row, `scalar` rounding without a codebook, and `usage` counts
which codes are used.
"""

from .base import Bottleneck, Quantized
from .codebook import VectorQuantizer, WrongAxesVectorQuantizer
from .residual import QUALITY_STEPS, ResidualQuantizer
from .scalar import FiniteScalarQuantizer
from .steps import (
    distances,
    kmeans,
    lookup,
    nearest,
    nearest_codes,
    one_hot,
    straight_through,
    to_grid,
    to_vectors,
    to_vectors_wrong_axes,
)
from .usage import CodebookStats, batch_perplexity, entropy_bits
