"""Running a learner's function and choosing the sentence that answers it.

The order of answers: not attempted yet, an error in the learner's own line, a known mistake, what
differs and the slip that it comes of. Nothing of ours is ever raised into the learner's page.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from .exercise import Exercise, Verdict, difference
from .own_file import lacking, pieces
from .recognising import recognised
from .telling import in_time, told

MOST_SECONDS = 60.0
"""Of the processor, after which a learner's function is taken to run for ever."""

_NUMPY = (
    "what you return is a NumPy array; the pieces hand each other tensors: take the function of "
    "the same name in torch, or `torch.from_numpy(...)` in the end."
)

_failed: dict[str, int] = {}


def check(name: str, fn: Callable[..., Any]) -> Verdict:
    """Compare a learner's function with the reference, and answer in one sentence.

    name : notebook number and exercise, for example "05-vq-loss".

    One more general hint opens with every failed attempt.
    Raises ValueError when there is no exercise of that name.
    """
    exercise = find(name)
    state, sentence = _judge(name, exercise, fn)
    if state == "passed":
        _failed.pop(name, None)
        return Verdict(name, state, sentence)
    opened = _failed.get(name, 0)
    if state == "wrong":
        _failed[name] = _failed.get(name, 0) + 1
    return Verdict(name, state, sentence, exercise.hints[:opened], exercise.hints[opened:])


def find(name: str) -> Exercise:
    """The exercise called `name`. Raises ValueError with the names there are."""
    if name in pieces():
        return importlib.import_module(f"{__package__}.own_checks").PIECES[name]
    number, _, short = name.partition("-")
    exercises = _exercises_of(number)
    if short not in exercises:
        known = ", ".join(exercise_names(number) or exercise_names())
        raise ValueError(f"There is no exercise {name!r}. Known: {known}.")
    return exercises[short]


def exercise_names(number: str | None = None) -> list[str]:
    """Names of the exercises of one notebook ("05"), or of all."""
    numbers = [number] if number is not None else _notebook_numbers()
    return [f"{n}-{short}" for n in numbers for short in _exercises_of(n)]


def _notebook_numbers() -> list[str]:
    package = importlib.import_module(__package__)
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name[2:] for name in names if name.startswith("nb"))


def _exercises_of(number: str) -> dict[str, Exercise]:
    if number not in _notebook_numbers():
        return {}
    return importlib.import_module(f"{__package__}.nb{number}").EXERCISES


def _judge(name: str, exercise: Exercise, fn: Callable[..., Any]) -> tuple[str, str]:
    """State and sentence for one attempt."""
    if not callable(fn):
        return "wrong", f"{name}: give the function itself, not what it returns ({fn!r})."
    expected = _expected(exercise)
    try:
        with in_time(MOST_SECONDS):
            outcome = exercise.probe(fn)
    except Exception as error:  # whatever the learner's line does, the answer is a sentence
        if _not_attempted(error):
            return "open", f"{name}: not attempted yet."
        if isinstance(error, NameError) and name in pieces():
            return "wrong", f"{name}: {lacking(error)}"
        hint = _fitting_hint(exercise, error=error)
        hint = hint or recognised(name, exercise, fn, error, before=told(error, fn))
        return "wrong", f"{name}: {hint}"
    if name in pieces() and _has_arrays(outcome):
        return "wrong", f"{name}: {_NUMPY}"
    if (found := difference(outcome, expected)) is None:
        return "passed", f"Passed: {name}."
    hint = _fitting_hint(exercise, outcome=outcome)
    hint = hint or recognised(name, exercise, fn, outcome, before=_general(exercise, found))
    return "wrong", f"{name}: {hint}"


def _fitting_hint(
    exercise: Exercise, *, outcome: Any = None, error: Exception | None = None
) -> str | None:
    """The hint of the known mistake that ends in the same outcome, or in the same error."""
    for n, (_, hint) in enumerate(exercise.mistakes):
        theirs, raised = _of_mistake(exercise, n)
        if (
            error is not None
            and raised == repr(error)
            or (error is None and not raised and difference(outcome, theirs) is None)
        ):
            return hint
    return None


@functools.cache
def _expected(exercise: Exercise) -> Any:
    """What the reference ends in."""
    return exercise.probe(exercise.right)


@functools.cache
def _of_mistake(exercise: Exercise, n: int) -> tuple[Any, str]:
    """What a known mistake ends in, or the error that it raises."""
    try:
        return exercise.probe(exercise.mistakes[n][0]), ""
    except Exception as raised:
        return None, repr(raised)


def _not_attempted(error: Exception) -> bool:
    """True for the stub's own NotImplementedError, not for one that PyTorch raises."""
    if not isinstance(error, NotImplementedError):
        return False
    last = traceback.extract_tb(error.__traceback__)[-1]
    return not str(error) or "NotImplementedError" in (last.line or "")


def _has_arrays(outcome: Any) -> bool:
    parts = outcome.values() if isinstance(outcome, dict) else [outcome]
    return any(isinstance(part, np.ndarray) for part in parts)


def _general(exercise: Exercise, found: str) -> str:
    """What differs, and what to look at there."""
    more = next((f" {text}" for part, text in exercise.parts if part in found), "")
    return found[0].lower() + found[1:] + more
