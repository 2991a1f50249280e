"""How a piece of `my_codec.py` is checked, and how mistakes are made of its reference.

The one idea: a mistake is an edit of the reference's text. So it stays a mistake of today's
reference, and takes a line: what is written, what somebody writes instead, what to tell them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vqlab.lessons.exercise import Exercise, Probe
from vqlab.lessons.own_file import program, reference

Swap = tuple[str, str, str]  # written in the reference; instead of it; the hint


def variant(name: str, old: str, new: str) -> Callable[..., Any]:
    """The piece with an edit, made when it is called. Raises ValueError where nothing is edited."""
    section = reference()[1][name]
    if old not in section.text:
        raise ValueError(f"{name} has no {old!r}")
    text = section.text.replace(old, new)

    @functools.cache
    def made() -> Callable[..., Any]:
        return getattr(program({name: replace(section, text=text)}), section.defines)

    return lambda *arguments, **options: made()(*arguments, **options)


def piece(
    name: str,
    probe: Probe,
    *swaps: Swap,
    hints: tuple[str, ...],
    parts: Mapping[str, str] | None = None,
) -> Exercise:
    """A piece's exercise: the reference is right, edits of it are the known mistakes.

    parts : words of an outcome's keys, and what to look at where that part is wrong
    """
    right = getattr(program({}), reference()[1][name].defines)
    mistakes = tuple((variant(name, old, new), hint) for old, new, hint in swaps)
    return Exercise(probe, right, mistakes, hints, tuple((parts or {}).items()))


def form(value: Any) -> str:
    """What something is, whatever it holds: a number, a shape, several in a row.

    >>> form((torch.zeros(2, 3), 4))
    '(2, 3), a number'
    """
    if isinstance(value, tuple | list):
        return ", ".join(map(form, value))
    if isinstance(value, Tensor) and value.ndim:
        return str(tuple(value.shape))
    if isinstance(value, np.ndarray):
        return f"a NumPy array {value.shape}"
    return "a number" if isinstance(value, Tensor | int | float) else type(value).__name__


def noise(*shape: int, seed: int = 0) -> Tensor:
    """The same random numbers each time, standard normal."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def seeded(action: Callable[[], Any]) -> Any:
    """What an action gives with the random numbers of seed 0, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return action()
