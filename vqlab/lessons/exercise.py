"""What an exercise is: one probe, the right function, the usual mistakes with their hints.

The idea: a wrong answer is recognised by *what it computes*. The probe runs any function on fixed
inputs; a learner's outcome that equals the outcome of a known mistake gets that mistake's hint.

Notebook: all of them
"""

from __future__ import annotations

import copy
import html
import re
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from .kinds import kind_of, kind_of_shape, same

Probe = Callable[[Callable[..., Any]], Any]


@dataclass(frozen=True)
class Exercise:
    """One exercise, as data.

    probe : runs a function on fixed inputs and returns the outcome that is compared.
    right : the reference function.
    mistakes : pairs (function that makes the mistake, the hint that fits it).
    hints : general hints, from a gentle one to almost the answer.
    parts : pairs (words of an outcome's key, what to look at where that part is wrong).
    """

    probe: Probe
    right: Callable[..., Any]
    mistakes: tuple[tuple[Callable[..., Any], str], ...]
    hints: tuple[str, ...]
    parts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The answer to one attempt. True when passed; Jupyter shows it as one line and folded hints.

    state : "passed", "open" (not attempted yet) or "wrong".
    """

    name: str
    state: str
    sentence: str
    open_hints: tuple[str, ...] = ()
    folded_hints: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.state == "passed"

    def __repr__(self) -> str:
        return "\n".join([self.sentence, *(f"Hint: {hint}" for hint in self.open_hints)])

    def _repr_html_(self) -> str:
        colour = {"passed": "#1b7837", "open": "#8a8a8a", "wrong": "#b35806"}[self.state]
        lines = [f"<div>{_inline(self.sentence)}</div>"]
        lines += [f"<div><b>Hint:</b> {_inline(hint)}</div>" for hint in self.open_hints]
        first = len(self.open_hints) + 1
        lines += [
            f"<details><summary>Hint {first + i}</summary>{_inline(hint)}</details>"
            for i, hint in enumerate(self.folded_hints)
        ]
        style = f"border-left:4px solid {colour};padding:2px 0 2px 10px;margin:4px 0"
        return f'<div style="{style}">{"".join(lines)}</div>'


def value_of(*arguments: Any) -> Probe:
    """A probe that calls the function on fresh copies of `arguments` and returns its value."""

    def probe(fn: Callable[..., Any]) -> Any:
        return fn(*copy.deepcopy(arguments))

    return probe


def difference(outcome: Any, expected: Any, what: str = "") -> str | None:
    """None when the two are the same; otherwise a sentence that says what differs.

    Tensors, arrays and numbers are compared by shape and value (relative tolerance 1e-4), tuples
    and dictionaries part by part. `what` names the part, for example "the loss".
    """
    name = what or "the result"
    if outcome is None and expected is not None:
        return f"{name} is None: is a `return` missing?"
    if isinstance(expected, dict):
        given = outcome if isinstance(outcome, dict) else {}
        for key, part in sorted(expected.items(), key=lambda row: row[0] not in given):
            if key not in given:
                return f"{key} is missing."
            if found := difference(given[key], part, key):
                return found
        return None
    if isinstance(expected, tuple | list):
        if not isinstance(outcome, tuple | list) or len(outcome) != len(expected):
            return f"{name} should consist of {len(expected)} parts."
        for i, (part, right) in enumerate(zip(outcome, expected, strict=True)):
            if found := difference(part, right, f"part {i + 1} of {name}"):
                return found
        return None
    if expected is None or isinstance(expected, str | bool | bytes):
        found, right = reprlib.repr(outcome), reprlib.repr(expected)
        return None if outcome == expected else f"{name} is {found}, not {right}."
    return _numbers_differ(outcome, expected, name)


def _numbers_differ(outcome: Any, expected: Any, name: str) -> str | None:
    """The numeric part of `difference`: kind, shape, then the first differing value."""
    found, right = _as_array(outcome), _as_array(expected)
    if found is None or right is None:
        return f"{name} is a {type(outcome).__name__}, not a {type(expected).__name__}."
    if found.shape != right.shape:
        told = kind_of_shape(found.shape, right.shape)
        return f"{name} has shape {found.shape}; it should be {right.shape}. {told}".strip()
    if np.iscomplexobj(found) != np.iscomplexobj(right):
        return f"{name} has values of type {found.dtype}; they should be {right.dtype}."
    wrong = ~same(found, right)
    if not wrong.any():
        return None
    told = kind_of(found, right)
    if right.ndim == 0:
        return f"{name} is {found.item():.6g}; it should be {right.item():.6g}. {told}".strip()
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    place = ", ".join(str(i) for i in first)
    return (
        f"{name} has the right shape, but {int(wrong.sum())} of {wrong.size} values differ; "
        f"at [{place}] yours is {found[first]:.6g} and it should be {right[first]:.6g}. {told}"
    ).strip()


def _as_array(value: Any) -> np.ndarray | None:
    """A numeric array of a tensor, array or number; None when it is something else."""
    if isinstance(value, Tensor):
        return value.detach().cpu().resolve_conj().numpy()
    if isinstance(value, np.ndarray | np.generic | int | float | complex):
        array = np.asarray(value)
        return array if array.dtype.kind in "biufc" else None
    return None


def _inline(text: str) -> str:
    """HTML of a sentence in which `code` stands between backquotes, and *this* between stars."""
    parts = html.escape(text).split("`")
    slanted = (re.sub(r"\*(\w+)\*", r"<em>\1</em>", p) for p in parts)
    return "".join(
        f"<code>{p}</code>" if i % 2 else q
        for i, (p, q) in enumerate(zip(parts, slanted, strict=True))
    )
