"""The exercises of notebook 12: crossing stages, aligning, codes that follow codes, drawing.

Notebook: 12
"""

from __future__ import annotations

import math
from collections import Counter

import torch
from torch import Tensor

from vqlab import edit
from vqlab.lessons.exercise import Exercise, value_of


def _joined(a: Tensor, b: Tensor, stages: int) -> Tensor:
    return torch.cat([a[:, :stages], b[:, stages:]], dim=1)


_a = torch.tensor([[[7, 8, 9, 6], [3, 4, -1, 5], [1, -1, -1, 2], [0, -1, -1, -1]]])
_b = torch.tensor([[[20, 21, 22, 23], [30, 31, 32, -1], [40, 41, 42, -1], [50, -1, 52, -1]]])
cross = Exercise(
    probe=lambda fn: (fn(_a.clone(), _b.clone(), 2), fn(_a.clone(), _b.clone(), 3)),
    right=edit.cross,
    mistakes=(
        (
            _joined,
            "the stages come from the right voices, but a −1 of `a` may now be followed by codes "
            "of `b`. What stands below a −1 must be −1.",
        ),
        (lambda a, b, n: edit.cross(b, a, n), "the first stages should come from `a`."),
        (
            lambda a, b, n: torch.cat([a[..., :n], b[..., n:]], dim=2),
            "you cut along the positions (axis 2); the stages are axis 1.",
        ),
        (lambda a, b, n: edit.cross(a, b, n - 1), "one stage too few comes from `a`."),
        (
            lambda a, b, n: _joined(a, b, n).where((a >= 0) & (b >= 0), -1),
            "you also take away codes where only the *other* voice has a −1. Look at the joined "
            "codes alone.",
        ),
    ),
    hints=(
        "First `torch.cat([a[:, :stages], b[:, stages:]], dim=1)`, then look for gaps.",
        "`(joined >= 0).long().cumprod(dim=1)` is 1 until the first −1 of a position, then 0.",
    ),
)


def _cheapest(cost: Tensor) -> float:
    return _totals(cost)[-1][-1]


def _totals(cost: Tensor, *, diagonal: bool = True, first: bool = True) -> list[list[float]]:
    """The least sum on a way to each cell, from the top left one on."""
    rows = cost.tolist()
    total = [[math.inf] * len(rows[0]) for _ in rows]
    for i, row in enumerate(rows):
        for j, here in enumerate(row):
            before = [total[i - 1][j]] if i else []
            before += [total[i][j - 1]] if j else []
            before += [total[i - 1][j - 1]] if i and j and diagonal else []
            total[i][j] = min(before) + here if before else (here if first else 0.0)
    return total


def _greedy(cost: Tensor) -> float:
    rows, i, j = cost.tolist(), 0, 0
    total = rows[0][0]
    while (i, j) != (len(rows) - 1, len(rows[0]) - 1):
        steps = [(i + 1, j + 1), (i + 1, j), (i, j + 1)]
        there = [(r, c) for r, c in steps if r < len(rows) and c < len(rows[0])]
        i, j = min(there, key=lambda place: rows[place[0]][place[1]])
        total += rows[i][j]
    return total


_cost = torch.tensor(
    [
        [1.0, 5.0, 6.0, 9.0, 8.0],
        [4.0, 2.0, 7.0, 6.0, 9.0],
        [3.0, 7.0, 9.0, 1.0, 2.0],
        [9.0, 8.0, 1.0, 7.0, 4.0],
    ]
)
cheapest_way = Exercise(
    probe=value_of(_cost),
    right=_cheapest,
    mistakes=(
        (
            lambda cost: _totals(cost, diagonal=False)[-1][-1],
            "a step may also lead down and right at once, to [i + 1, j + 1].",
        ),
        (
            lambda cost: _totals(cost, first=False)[-1][-1],
            "the cell where the way begins, [0, 0], costs something, too.",
        ),
        (
            _greedy,
            "the cheapest *next* cell may lead to dear ones. Keep, for every cell, the least sum "
            "with which it can be reached.",
        ),
        (
            lambda cost: cost.min(dim=1).values.sum(),
            "the least cell of every row is not a way: it jumps back and forth in time.",
        ),
        (
            lambda cost: min(_totals(cost)[-1]),
            "the way may not end anywhere in the last row: both words must be finished.",
        ),
    ),
    hints=(
        "A table of the same size: the least sum with which each cell can be reached.",
        "total[i][j] = cost[i][j] + min(total[i−1][j], total[i][j−1], total[i−1][j−1]).",
    ),
)


def _bits(codes: list[int]) -> float:
    pairs, before = _pairs(codes), Counter(codes[:-1])
    return -sum(n * math.log2(n / before[a]) for (a, _), n in pairs.items()) / (len(codes) - 1)


def _pairs(codes: list[int]) -> Counter[tuple[int, int]]:
    return Counter(zip(codes[:-1], codes[1:], strict=True))


def _entropy(counts: Counter) -> float:
    total = sum(counts.values())
    return -sum(n / total * math.log2(n / total) for n in counts.values())


def _unweighted(codes: list[int]) -> float:
    rows: dict[int, Counter] = {}
    for a, b in zip(codes[:-1], codes[1:], strict=True):
        rows.setdefault(a, Counter())[b] += 1
    return sum(_entropy(row) for row in rows.values()) / len(rows)


def _backwards(codes: list[int]) -> float:
    after = Counter(codes[1:])
    return -sum(n * math.log2(n / after[b]) for (_, b), n in _pairs(codes).items()) / (
        len(codes) - 1
    )


def _whole_counts(codes: list[int]) -> float:
    every = Counter(codes)
    return -sum(n * math.log2(n / every[a]) for (a, _), n in _pairs(codes).items()) / (
        len(codes) - 1
    )


bits_given_before = Exercise(
    probe=value_of([3, 3, 3, 5, 3, 3, 8, 5, 8, 8, 5, 3, 5, 8, 8, 3, 8, 5]),
    right=_bits,
    mistakes=(
        (
            lambda codes: _entropy(Counter(codes)),
            "this is the entropy of the codes alone; nothing in it looks at the code before.",
        ),
        (
            lambda codes: _entropy(_pairs(codes)),
            "this is the entropy of the pairs, both codes together. The first of each pair is "
            "known: divide a pair's count by how often its *first* code comes.",
        ),
        (lambda codes: _bits(codes) * math.log(2), "this is in nats; take `math.log2`."),
        (
            _backwards,
            "you divide by how often the second code comes: that is the price of the code "
            "*before*, given the one after.",
        ),
        (
            _unweighted,
            "you average over the different codes. A code that comes before more often counts more "
            "often.",
        ),
        (
            _whole_counts,
            "the last code has no follower; as a code before, it must not be counted.",
        ),
    ),
    hints=(
        "Count pairs (before, code) and, apart, the codes that come before: all but the last.",
        "Mean over all pairs of −log2(count of the pair / count of its first code).",
    ),
)


def _cool(logits: Tensor, temperature: float) -> Tensor:
    return (logits / temperature).softmax(dim=-1)


cool = Exercise(
    probe=lambda fn: tuple(fn(torch.tensor([2.0, 1.0, 0.0, -3.0]), t) for t in (0.5, 1.0, 2.0)),
    right=_cool,
    mistakes=(
        (
            lambda x, t: (x * t).softmax(dim=-1),
            "you multiply: a low temperature should make the differences larger. Divide.",
        ),
        (
            lambda x, t: x.softmax(dim=-1) / t,
            "you divide the probabilities, and they no longer sum to 1. Divide before the softmax.",
        ),
        (
            lambda x, t: (x.softmax(dim=-1) / t).softmax(dim=-1),
            "these are two softmaxes, one after the other. Divide the logits, then one softmax.",
        ),
        (
            lambda x, t: x.softmax(dim=-1) ** (1 / t),
            "right up to a factor: the powers no longer sum to 1. Divide by their sum.",
        ),
        (lambda x, t: x / t, "these are still logits: a softmax makes probabilities of them."),
    ),
    hints=(
        "Divide, then softmax.",
        "`(logits / temperature).softmax(dim=-1)`.",
    ),
)


def _top(p: Tensor, share: float) -> Tensor:
    kept = _kept(p, share)
    return kept / kept.sum()


def _kept(p: Tensor, share: float, *, crossing: bool = True) -> Tensor:
    sums = p.sort(descending=True)
    total = sums.values.cumsum(0)
    keep = total - sums.values < share if crossing else total <= share
    return torch.zeros_like(p).scatter(0, sums.indices, sums.values * keep)


def _sorted(p: Tensor, share: float) -> Tensor:
    return _top(p, share).sort(descending=True).values


def _one(keep: Tensor, p: Tensor) -> Tensor:
    return torch.where(keep, p, 0) / torch.where(keep, p, 0).sum()


top_p = Exercise(
    probe=lambda fn: tuple(
        fn(torch.tensor([0.08, 0.3, 0.02, 0.4, 0.14, 0.06]), share) for share in (0.35, 0.8, 1.0)
    ),
    right=_top,
    mistakes=(
        (_kept, "the codes that stay are right; now make their probabilities sum to 1 again."),
        (
            lambda p, s: _kept(p, s, crossing=False) / _kept(p, s, crossing=False).sum(),
            "the code with which the sum reaches `share` stays, too. Otherwise a single code that "
            "is more probable than `share` would leave nothing.",
        ),
        (
            _sorted,
            "the probabilities are right but sorted: each must stand in the place of its code.",
        ),
        (
            lambda p, s: _one(p >= p.max() * (1 - s), p),
            "you keep what is probable enough in comparison with the best one. Here the *sum* of "
            "the probabilities decides.",
        ),
        (
            lambda p, s: _one(p.cumsum(0) - p < s, p),
            "you add up in the order of the codes' numbers; begin with the most probable.",
        ),
        (
            lambda p, s: _one(p.argsort().argsort() >= round((1 - s) * len(p)), p),
            "you keep a share of the *number* of codes; their probabilities should have that "
            "share.",
        ),
    ),
    hints=(
        "Sort, add up from the most probable on, and see where the sum first reaches `share`.",
        "A code stays while the sum of those before it, `p.cumsum(0) - p` after sorting, is below "
        "`share`. `scatter` puts it back into its place.",
    ),
)

EXERCISES = {
    "cross": cross,
    "cheapest-way": cheapest_way,
    "bits-given-before": bits_given_before,
    "cool": cool,
    "top-p": top_p,
}
