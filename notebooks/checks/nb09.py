"""The optional exercise of notebook 09, Huffman's code; its core ones stand in `own_bytes`.

Also what the notebook reads from the measured results: `results` finds them in a checkout and
in a wheel, `peers` makes points for `codec_plots.rate_quality` of the codecs' table.

Notebook: 09
"""

from __future__ import annotations

import itertools
import math
import operator
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vqlab.lessons.exercise import Exercise


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


# --- 09-huffman: {letter: share} -> {letter: word} ------------------------------------------------

Words = dict[str, str]

_ALPHABETS = {
    "two letters": {"a": 0.9, "b": 0.1},
    "the four letters above": {"a": 0.6, "b": 0.2, "c": 0.1, "d": 0.1},
    "four letters, equally frequent": dict.fromkeys("abcd", 0.25),
    "six letters": {"a": 0.3, "b": 0.25, "c": 0.2, "d": 0.12, "e": 0.08, "f": 0.05},
}


def _what_counts(fn: Callable[..., Any]) -> dict[str, Any]:
    """The mean length and whether the words can be told apart: which side has the 0 is open."""
    told: dict[str, Any] = {}
    for name, shares in _ALPHABETS.items():
        words = fn(dict(shares))
        told[f"the letters of {name}"] = "".join(sorted(words))
        told[f"bits a letter, {name}"] = sum(p * len(words[k]) for k, p in shares.items())
        told[f"whether no word begins another, {name}"] = not any(
            a.startswith(b) for a, b in itertools.permutations(words.values(), 2)
        )
    return told


def _joined(
    *, rarest: bool = True, front: bool = True, share: Callable[..., float] = operator.add
) -> Callable[[Mapping[str, float]], Words]:
    """rarest : join the two rarest groups, else the most frequent; front : digits go in front of a
    word, else to its end; share : of two groups together."""

    def fn(shares: Mapping[str, float]) -> Words:
        groups = [(p, {letter: ""}) for letter, p in shares.items()]
        while len(groups) > 1:
            groups.sort(key=lambda group: group[0], reverse=not rarest)
            (p, zero), (q, one), *others = groups
            words = {k: f"0{w}" if front else f"{w}0" for k, w in zero.items()}
            words |= {k: f"1{w}" if front else f"{w}1" for k, w in one.items()}
            groups = [*others, (share(p, q), words)]
        return groups[0][1]

    return fn


def _equally_long(shares: Mapping[str, float]) -> Words:
    bits = math.ceil(math.log2(len(shares)))
    return {letter: f"{n:0{bits}b}" for n, letter in enumerate(shares)}


def _one_after_the_other(shares: Mapping[str, float]) -> Words:
    """The most frequent one 0, the next 10, the next 110, …"""
    order = sorted(shares, key=lambda letter: -shares[letter])
    return {k: "1" * n + "0" * (n < len(order) - 1) for n, k in enumerate(order)}


def _rounded_up(shares: Mapping[str, float]) -> Words:
    """Shannon's code of 1948: each word as long as its letter's bits, rounded up."""
    order = sorted(shares, key=lambda letter: -shares[letter])
    words, before = {}, 0.0
    for letter in order:
        bits = math.ceil(-math.log2(shares[letter]))
        words[letter] = f"{math.floor(before * 2**bits + 1e-9):0{bits}b}"
        before += shares[letter]
    return words


huffman = Exercise(
    probe=_what_counts,
    right=_joined(),
    mistakes=(
        (
            _joined(rarest=False),
            "you join the two most frequent groups; join the two *rarest*.",
        ),
        (
            _joined(front=False),
            "the digit of a fork goes in *front* of the words so far: what is joined last is read "
            "first. At the end it makes words that begin others.",
        ),
        (
            _joined(share=max),
            "two groups together are as frequent as both: add their shares.",
        ),
        (
            _joined(share=min),
            "two groups together are as frequent as both: add their shares.",
        ),
        (
            _equally_long,
            "all words are equally long, whatever the shares: frequent letters should be shorter.",
        ),
        (
            _one_after_the_other,
            "each letter gets one digit more than the one before. That is right for some shares "
            "only: with equal ones, two groups of two are better. Join the two rarest *groups*, "
            "and count a group with the shares of all its letters added up.",
        ),
        (
            _rounded_up,
            "you round each letter's bits up. These words can be read back, but Huffman's are "
            "shorter: join the two rarest groups instead.",
        ),
    ),
    hints=(
        "A group is a share and the words of its letters so far; at first each letter is one, "
        "with an empty word.",
        "Sort by share; take the first two groups away; put a 0 in front of all words of the one, "
        "a 1 in front of those of the other; put both back as one group, with both shares added.",
        "Stop when one group is left: its words are the answer.",
    ),
)

EXERCISES = {"huffman": huffman}
