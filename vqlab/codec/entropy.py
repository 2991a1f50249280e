"""Entropy coding: frequent codes get few bits, rare ones many.

A code that occurs with share p is worth -log2 p bits (Shannon 1948). A range coder (Martin 1979)
comes within a few bits of that sum for a whole file: it keeps an interval of numbers, cuts it up in
proportion to a table of frequencies, goes on with the part that belongs to the code, and in the end
writes the shortest number inside. The one idea here is which table is used when. Each stage has a
table of its own, and the first stage one for each *context*: what the code one position before was
like, because a vowel is followed by more of the vowel; networks (`context`) can say more. With
whole numbers for frequencies, which follow from what is stored with the model, the coder calculates
with whole numbers alone, so that a file decodes to the same codes on every machine.

Notebook: 09
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import constriction
import numpy as np
import torch
from torch import Tensor

from ..quantize import kmeans, nearest_codes
from .context import LEAST_BITS, Net

TOTAL = 1 << 24
"""Sum of the frequencies of every table: the coder's precision."""
LARGEST_WEIGHT = 32767
"""Tables are stored as weights from 1 to this, which fit into two bytes."""
CONTEXTS = 64
"""Groups of similar codes that the first stage's tables tell apart."""


@dataclass(frozen=True, eq=False)
class Tables:
    """How often each code occurs: weights, whole numbers from 1 to `LARGEST_WEIGHT`.

    context : int (K,), the group of each code of the first stage
    first : int (groups, K), a row of weights for each group the code before may be in; the first
        position of all counts as following group 0
    later : for each further stage, int (K,)
    nets : those of the first so many stages, in place of their tables
    """

    context: np.ndarray
    first: np.ndarray
    later: Sequence[np.ndarray]
    nets: Sequence[Net] = ()

    def cost(self, codes: np.ndarray) -> np.ndarray:
        """Ideal length in bits of each of `codes (stages, positions)`; 0 where a code is -1."""
        bits = np.zeros(codes.shape)
        for stage, row in enumerate(codes):
            for some in _chunks(row >= 0):
                expected = self._expected(stage, codes, some)[np.arange(len(some)), row[some]]
                bits[stage, some] = math.log2(TOTAL) - np.log2(expected)
        return bits

    def encode(self, codes: np.ndarray) -> bytes:
        """Bytes of `codes (stages, positions)`, int, -1 where a position has none.

        All codes of the first stage come first, then those of the second, and so on.
        """
        coder = constriction.stream.queue.RangeEncoder()
        for stage, row in enumerate(codes.astype(np.int32)):
            for some in _chunks(row >= 0):
                coder.encode(row[some], _EACH, _told(self._expected(stage, codes, some)))
        return _shortest(coder)

    def decode(
        self, data: bytes, positions: int, depth: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """The inverse of `encode`: codes `(stages, positions)`, int32, -1 where none.

        depth : tells from the first stage's codes how many stages each position has

        Raises `ValueError` for bytes that `encode` does not write.
        """
        most = self._frequencies[0].max()
        least = LEAST_BITS if self.nets else max(math.log2(TOTAL / most), 0.001)  # bits of a code
        if positions * least > 8 * len(data) + 64:  # before anything is allocated
            said = f"{len(data)} bytes of codes cannot hold {positions} positions"
            raise ValueError(f"{said}: the file is not valid")
        words = np.frombuffer(data + bytes(-len(data) % 4), ">u4").astype(np.uint32)
        coder = constriction.stream.queue.RangeDecoder(words)
        again = constriction.stream.queue.RangeEncoder()
        codes = np.full((1 + len(self.later), positions), -1, np.int32)

        def take(stage: int, some: np.ndarray) -> None:
            told = _told(self._expected(stage, codes, some))
            codes[stage, some] = coder.decode(_EACH, told)
            again.encode(codes[stage, some], _EACH, told)

        try:
            for position in range(positions):
                take(0, np.array([position]))
            stages = depth(codes[0])
            for stage in range(1, len(codes)):
                for some in _chunks(stages > stage):
                    take(stage, some)
        except (AssertionError, ValueError):  # numbers outside the interval
            raise ValueError("its codes cannot be decoded: the file is not valid") from None
        if _shortest(again) != data:
            raise ValueError("its codes have bytes too many or too few: the file is not valid")
        return codes

    def _expected(self, stage: int, codes: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Frequencies (n, K) of a stage's codes at `positions (n,)`; codes before are known."""
        if stage < len(self.nets):
            return frequencies(self.nets[stage].weights(codes, positions))
        if stage == 0:
            return self._frequencies[0][self.context[codes[0, positions - 1]] * (positions > 0)]
        return self._frequencies[stage][None].repeat(len(positions), axis=0)

    @property
    def version(self) -> int:
        """Of the format that a file of them has."""
        return 3 if self.nets else 2

    @cached_property
    def _frequencies(self) -> list[np.ndarray]:
        return [frequencies(weights) for weights in (self.first, *self.later)]


def frequencies(weights: np.ndarray) -> np.ndarray:
    """Whole numbers from 1 in proportion to `weights (..., K)`; each row sums to `TOTAL`.

    Every code gets 1, and what is left in proportion, rounded down; what remains after that goes to
    the first of the heaviest codes.
    """
    weights = np.asarray(weights, np.int64)
    size = weights.shape[-1]
    table = 1 + weights * (TOTAL - size) // weights.sum(axis=-1, keepdims=True)
    heaviest = weights.argmax(axis=-1, keepdims=True)
    missing = TOTAL - table.sum(axis=-1, keepdims=True)
    np.put_along_axis(table, heaviest, np.take_along_axis(table, heaviest, -1) + missing, -1)
    return table


def uniform(codebook_sizes: Sequence[int]) -> Tables:
    """Tables that know nothing: every code costs log2 K bits."""
    first, *later = [np.ones(size, np.int64) for size in codebook_sizes or [0]]
    return Tables(np.zeros(len(first), np.int64), first[None], later)


def fit(codes: Sequence[np.ndarray], codebook_sizes: Sequence[int], context: np.ndarray) -> Tables:
    """Tables of the codes that were counted in recordings.

    codes : for each recording, int `(stages, positions)`, -1 where a position has none
    context : int (K,), groups of the first stage's codes (`group_codes`)

    What was never seen must stay possible: each further stage's code is counted half a time more
    (Krichevsky and Trofimov 1981), and a context's table leans on that of all contexts together,
    as much as if `LEAN` of its positions had been seen there.
    """
    groups = int(context.max()) + 1
    counts = [np.full(size, 0.5) for size in codebook_sizes]
    first = np.zeros((groups, codebook_sizes[0]))
    for recording in codes:
        before = np.concatenate([[0], context[recording[0][:-1]]])
        np.add.at(first, (before, recording[0]), 1)
        for row, count in zip(recording[1:], counts[1:], strict=False):
            np.add.at(count, row[row >= 0], 1)
    counts[0] += first.sum(axis=0)
    first += LEAN * counts[0] / counts[0].sum()
    return Tables(context, _weights(first), [_weights(count) for count in counts[1:]])


LEAN = 200.0
"""See `fit`; chosen on validation speakers."""


def group_codes(codebook: Tensor, groups: int = CONTEXTS) -> np.ndarray:
    """Similar codes in one group: int (K,), by k-means of the code vectors `codebook (K, dim)`.

    With no more codes than groups every code has its own; with very many there are fewer groups,
    so that their tables stay below two megabytes.
    """
    groups = min(groups, max(1, 2**20 // len(codebook)))
    if len(codebook) <= groups:
        return np.arange(len(codebook))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        centres = kmeans(codebook.float(), groups)
    return nearest_codes(codebook.float(), centres).numpy()


def _weights(counts: np.ndarray) -> np.ndarray:
    """Counts `(..., K)` as weights: in proportion, the largest `LARGEST_WEIGHT`."""
    share = counts / counts.max(axis=-1, keepdims=True)
    return np.maximum(1, np.round(share * LARGEST_WEIGHT)).astype(np.int64)


def _chunks(there: np.ndarray) -> list[np.ndarray]:
    """Where it is true, 64 places at a time: frequencies of a long sound would fill the memory."""
    found = np.flatnonzero(there)
    return np.split(found, range(64, len(found), 64)) if len(found) else []


_EACH = constriction.stream.model.Categorical(perfect=False)  # a model of its own for each code


def _told(table: np.ndarray) -> np.ndarray:
    # The library gives every code 1 and shares out the rest, TOTAL - K, in proportion. Told numbers
    # that sum to just this rest, its factor is exactly 1, and its table exactly this one.
    return (table - 1).astype(np.float64)


def _shortest(coder: constriction.stream.queue.RangeEncoder) -> bytes:
    """The fewest bytes that say a number inside the coder's last interval.

    Any number in it would do, and a reader takes zeros for what is missing at the end.
    """
    words = coder.get_compressed()
    if not len(words):
        return b""
    _, (low, width) = coder.pos()  # the last 64 bits; the library ends on a multiple of 2**32
    number = int.from_bytes(words.astype(">u4").tobytes(), "big") << 32
    lowest = number - (-low) % (1 << 32)
    for zeros in range(8, -1, -1):  # bytes of zeros at the end
        unit = 1 << (8 * zeros)
        found = -(-lowest // unit) * unit
        if found < lowest + width:
            break
    # Zeros further left stay: a file's length shall bound what it can hold.
    return found.to_bytes(4 * len(words) + 4, "big")[: 4 * len(words) + 4 - zeros]
