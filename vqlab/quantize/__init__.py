"""Quantisers: a vector becomes the number of a code, and the number a vector again.

`steps` has the five steps, `codebook` the layer with one codebook, `residual` several in a row,
`scalar` rounding without a codebook, and `usage` counts which codes are used.
"""

from .codebook import VectorQuantizer, WrongAxesVectorQuantizer
from .residual import QUALITY_STEPS, ResidualQuantizer
from .scalar import FiniteScalarQuantizer
from .steps import (
    Quantized,
    check_codes,
    check_shape,
    distances,
    extend_paths,
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
from .usage import CodebookStats, batch_perplexity, count_codes, entropy_bits

__all__ = [
    "CodebookStats",
    "FiniteScalarQuantizer",
    "QUALITY_STEPS",
    "Quantized",
    "ResidualQuantizer",
    "VectorQuantizer",
    "WrongAxesVectorQuantizer",
    "batch_perplexity",
    "check_codes",
    "check_shape",
    "count_codes",
    "distances",
    "entropy_bits",
    "extend_paths",
    "kmeans",
    "lookup",
    "nearest",
    "nearest_codes",
    "one_hot",
    "straight_through",
    "to_grid",
    "to_vectors",
    "to_vectors_wrong_axes",
]
