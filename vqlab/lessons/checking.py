"""Running a learner's function and choosing the sentence that answers it.

The order of answers: not attempted yet, an error in the learner's own line, a known mistake, what
differs in general. Nothing of ours is ever raised into the learner's page.
"""

from __future__ import annotations

import importlib
import inspect
import linecache
import pkgutil
import traceback
from collections.abc import Callable
from types import CodeType
from typing import Any

from .exercise import Exercise, Verdict, difference
from .own_file import lacking, pieces

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
    expected = exercise.probe(exercise.right)
    try:
        outcome = exercise.probe(fn)
    except Exception as error:  # whatever the learner's line does, the answer is a sentence
        if _not_attempted(error):
            return "open", f"{name}: not attempted yet."
        if isinstance(error, NameError) and name in pieces():
            return "wrong", f"{name}: {lacking(error)}"
        hint = _fitting_hint(exercise, error=error)
        return "wrong", f"{name}: {hint or _told(error, fn)}"
    if (found := difference(outcome, expected)) is None:
        return "passed", f"Passed: {name}."
    return "wrong", f"{name}: {_fitting_hint(exercise, outcome=outcome) or _sentence(found)}"


def _fitting_hint(
    exercise: Exercise, *, outcome: Any = None, error: Exception | None = None
) -> str | None:
    """The hint of the known mistake that ends in the same outcome, or in the same error."""
    for mistake, hint in exercise.mistakes:
        try:
            theirs = exercise.probe(mistake)
        except Exception as raised:
            if error is not None and str(raised) == str(error) and type(raised) is type(error):
                return hint
            continue
        if error is None and difference(outcome, theirs) is None:
            return hint
    return None


def _not_attempted(error: Exception) -> bool:
    """True for the stub's own NotImplementedError, not for one that PyTorch raises."""
    if not isinstance(error, NotImplementedError):
        return False
    last = traceback.extract_tb(error.__traceback__)[-1]
    return not str(error) or "NotImplementedError" in (last.line or "")


def codes_of(fn: Callable[..., Any]) -> list[CodeType]:
    """The code of a function below its decorators, or of a class's methods."""
    inner: Any = inspect.unwrap(fn)
    methods = [inspect.unwrap(m) for m in vars(inner).values()] if isinstance(inner, type) else []
    return [c for c in (getattr(part, "__code__", None) for part in (inner, *methods)) if c]


def _told(error: Exception, fn: Callable[..., Any]) -> str:
    """The error as a sentence with the line of the learner's code where it happened."""
    files = {code.co_filename for code in codes_of(fn)}
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if f.filename in files]
    message = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    told = f"{type(error).__name__}: {message}" if message else type(error).__name__
    if theirs:
        frame = theirs[-1]
        line = (frame.line or linecache.getline(frame.filename, frame.lineno or 0)).strip()
        shown = f" (`{line}`)" if line else ""
        return f"your function stops at line {frame.lineno} of its cell{shown}. {told}."
    if isinstance(error, TypeError) and "argument" in message:
        return f"your function cannot be called as the exercise calls it. {told}."
    return f"what your function returns cannot be used. {told}."


def _sentence(text: str) -> str:
    return text[0].lower() + text[1:]
