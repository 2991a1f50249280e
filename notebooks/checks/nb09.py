"""The exercises of notebook 09: bits of a table, of a list, of a stage, of a context.

Also what the notebook reads from the measured results: `results` finds them in a checkout and
in a wheel, `peers` makes points for `codec_plots.rate_quality` of the codecs' table.

Notebook: 09
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vqlab.lessons.exercise import Exercise, value_of


def results(*parts: str) -> Path:
    """The path of a measured table, for example `results("words-small", "results.csv")`.

    Raises FileNotFoundError when neither the checkout's `docs/results` nor the wheel has it.
    """
    here = Path(__file__).resolve()
    places = [here.parents[2] / "docs" / "results", here.parents[1] / "results"]
    for place in places:
        path = place.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError(
        f"{'/'.join(parts)!r} is not among the results that come with vqlab (looked in "
        f"{' and '.join(map(str, places))}). Install vqlab again, or work in a full checkout."
    )


def peers() -> list[dict[str, Any]]:
    """The codecs of `docs/results/codecs/table.md`, without the originals.

    Each is a mapping as `codec_plots.rate_quality` takes it: "name", "family", "kbps" (stored
    size, None for a limit without codes), "stoi" and "pesq_wb" as (mean, low, high), and the band
    that it keeps, "band" ("wb" to 8 kHz, "nb" to 4 kHz).
    """
    lines = results("codecs", "table.md").read_text(encoding="utf-8").splitlines()
    cells = [[c.strip(" *") for c in line.strip("|").split("|")] for line in lines if "|" in line]
    head, _, *rows = cells
    points = []
    for row in (dict(zip(head, values, strict=True)) for values in rows):
        family, _, name = row["codec"].partition(" ")
        if family.startswith("original"):
            continue
        limit = row["stored kbit/s"] == "–"
        points.append(
            {
                "name": row["codec"] if limit else name,
                "family": "limit" if limit else family,
                "kbps": None if limit else float(row["stored kbit/s"]),
                "stoi": _interval(row["STOI"]),
                "pesq_wb": _interval(row["PESQ-wb"]),
                "band": row["band"],
            }
        )
    return points


def _interval(cell: str) -> tuple[float, float, float]:
    mean, low, high = (float(number) for number in re.findall(r"[\d.]+", cell))
    return mean, low, high


# --- the exercises --------------------------------------------------------------------------------


def _shares(counts: Tensor) -> Tensor:
    return counts / counts.sum()


def _entropy(counts: Tensor) -> Tensor:
    p = _shares(counts)[counts > 0]
    return -(p * p.log2()).sum()


_counts = torch.tensor([9.0, 3.0, 0.0, 2.0, 2.0])
table_entropy = Exercise(
    probe=value_of(_counts),
    right=_entropy,
    mistakes=(
        (
            lambda c: -(_shares(c) * _shares(c).log2()).sum(),
            "the result is not a number. A code that never occurs has p = 0, and 0 · log 0 is "
            "`nan` in a computer; it counts as 0, so leave such codes out.",
        ),
        (
            lambda c: -(_shares(c)[c > 0] * _shares(c)[c > 0].log()).sum(),
            "you take the natural logarithm; bits need `log2`.",
        ),
        (lambda c: -_entropy(c), "the sign is the wrong way round: log2 of a share is negative."),
        (
            lambda c: -_shares(c)[c > 0].log2().mean(),
            "you average −log2 p over the codes, each once. A frequent code is paid for more "
            "often: weigh each by its share p.",
        ),
        (
            lambda c: -(c[c > 0] * c[c > 0].log2()).sum(),
            "counts are not shares yet: divide them by their sum first.",
        ),
    ),
    hints=(
        "First the shares: p = counts / counts.sum().",
        "Keep p[p > 0], then minus the sum of p · log2 p.",
    ),
)


def _code_length(codes: Tensor, frequencies: Tensor) -> Tensor:
    return -_shares(frequencies.double())[codes].log2().sum()


_codes, _frequencies = torch.tensor([0, 0, 1, 0, 3, 2, 0, 2]), torch.tensor([40, 12, 9, 3])
code_length = Exercise(
    probe=value_of(_codes, _frequencies),
    right=_code_length,
    mistakes=(
        (
            lambda c, f: _code_length(c, f) / len(c),
            "this is the mean of a code; asked for is the length of the whole list.",
        ),
        (
            lambda c, f: len(c) * _entropy(f.double()),
            "you multiply the entropy of the *table* by the number of codes. That is right only "
            "for a list in which codes are just as frequent as in the table; look up each code.",
        ),
        (
            lambda c, f: len(c) * _entropy(torch.bincount(c).double()),
            "you count the list itself. The reader does not have it yet: both sides must use the "
            "table that was given.",
        ),
        (
            lambda c, f: len(c) * math.log2(len(f)),
            "log2 K is the price where all codes are equally frequent; use the table.",
        ),
        (
            lambda c, f: (-_shares(f.double())[c].log2()).ceil().sum(),
            "you round each code up to whole bits. A range coder need not: only the sum counts.",
        ),
        (
            lambda c, f: -_shares(f.double())[c].log().sum(),
            "you take the natural logarithm; bits need `log2`.",
        ),
    ),
    hints=(
        "The share of each code of the list: (frequencies / frequencies.sum())[codes].",
        "Minus the sum of their log2.",
    ),
)


def _range_step(low: int, width: int, frequencies: Sequence[int], code: int) -> tuple[int, int]:
    step = width // sum(frequencies)
    return low + step * sum(frequencies[:code]), step * frequencies[code]


_table = [5, 1, 7, 3]
range_step = Exercise(
    probe=lambda fn: (fn(0, 1000, list(_table), 0), fn(300, 1000, list(_table), 2)),
    right=_range_step,
    mistakes=(
        (
            lambda low, width, f, code: (
                low + width // sum(f) * sum(f[: code + 1]),
                width // sum(f) * f[code],
            ),
            "your part begins where the code's own part ends. Add up the frequencies *before* it: "
            "frequencies[:code].",
        ),
        (
            lambda low, width, f, code: (
                low + width * sum(f[:code]) // sum(f),
                width * f[code] // sum(f),
            ),
            "you multiply before you divide. The reader divides first (step = width // sum), so "
            "yours rounds to other numbers than the reader's, and the codes come back wrong.",
        ),
        (
            lambda low, width, f, code: (
                low + width / sum(f) * sum(f[:code]),
                width / sum(f) * f[code],
            ),
            "these are fractions: `/` instead of `//`. Whole numbers are what keeps two machines "
            "together.",
        ),
        (
            lambda low, width, f, code: _range_step(0, width, f, code),
            "the new interval lies inside the old one: add the old `low`.",
        ),
        (
            lambda low, width, f, code: (_range_step(low, width, f, code)[0], width // sum(f)),
            "each code's part is as wide as its frequency: step times frequencies[code].",
        ),
    ),
    hints=(
        "step = width // sum(frequencies) is what one unit of frequency is worth.",
        "Skip step · (all frequencies before the code); what is left is step · frequencies[code] "
        "wide.",
    ),
)


def _rvq_rate(depth: Tensor, sizes: Sequence[int], seconds: float) -> float:
    return sum(sum(math.log2(size) for size in sizes[:d]) for d in depth.tolist()) / seconds


_depth, _sizes = torch.tensor([1, 4, 3, 1, 2]), [1024, 256, 64, 64]
rvq_rate = Exercise(
    probe=value_of(_depth, _sizes, 0.25),
    right=_rvq_rate,
    mistakes=(
        (
            lambda d, s, t: _rvq_rate(torch.full_like(d, len(s)), s, t),
            "you count all stages at every position; `depth` says how many each one has.",
        ),
        (
            lambda d, s, t: d.sum() * math.log2(s[0]) / t,
            "every stage has its own codebook: take the size of the stage, not that of the first.",
        ),
        (lambda d, s, t: _rvq_rate(d, s, 1), "these are bits; divide by the seconds."),
        (
            lambda d, s, t: sum(math.log2(sum(s[:n])) for n in d.tolist()) / t,
            "the sizes multiply, they do not add: two stages of 64 make 64 · 64 sums. So their "
            "logarithms add.",
        ),
        (
            lambda d, s, t: sum(sum(s[:n]) for n in d.tolist()) / t,
            "a codebook of K rows costs log2 K bits, not K.",
        ),
    ),
    hints=(
        "One position of depth d costs log2 of the first d sizes, added up.",
        "Add over the positions, then divide by the seconds.",
    ),
)


def _bits_by_context(counts: Tensor) -> Tensor:
    weight = _shares(counts.sum(dim=1))
    return sum(w * _entropy(row) for w, row in zip(weight, counts, strict=True) if w > 0)  # type: ignore[return-value]


def _without_care(counts: Tensor) -> Tensor:
    p = counts / counts.sum(dim=1, keepdim=True)
    inside = torch.where(p == 0, 0.0, -p * p.log2()).sum(dim=1)
    return (_shares(counts.sum(dim=1)) * inside).sum()


_pairs = torch.tensor(
    [[12.0, 2.0, 0.0, 2.0], [1.0, 1.0, 1.0, 1.0], [0.0, 3.0, 9.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
)
bits_by_context = Exercise(
    probe=value_of(_pairs),
    right=_bits_by_context,
    mistakes=(
        (
            lambda c: _entropy(c.sum(dim=0)),
            "you add the rows up first: that is one table for all contexts. Take the entropy of "
            "each row.",
        ),
        (
            lambda c: sum(_entropy(row) for row in c if row.sum() > 0) / (c.sum(dim=1) > 0).sum(),
            "a context that is met often is paid for often: weigh each row's entropy by its share "
            "of all codes.",
        ),
        (
            lambda c: _entropy(c.flatten()),
            "these are the bits of context *and* code together. The context is known already.",
        ),
        (
            lambda c: sum(
                w * _entropy(row) for w, row in zip(_shares(c.sum(dim=0)), c.T, strict=True)
            ),
            "you go along the columns: a row is a context, a column is the code that follows.",
        ),
        (
            _without_care,
            "the result is not a number: a context that never occurs has no shares. Its weight is "
            "0, so leave it out.",
        ),
    ),
    hints=(
        "Entropy of each row with your function of exercise 9.1.",
        "Weigh it with row.sum() / counts.sum(), and leave out rows whose sum is 0.",
    ),
)

EXERCISES = {
    "table-entropy": table_entropy,
    "code-length": code_length,
    "range-step": range_step,
    "rvq-rate": rvq_rate,
    "bits-by-context": bits_by_context,
}
