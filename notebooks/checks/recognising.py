"""A slip recognised: what ends as hers does, or which line of hers one change makes right.

The one idea: a learner's result that no known mistake explains is compared with what the reference
gives after each single change (`slips`). Where the two are equal, the answer names that change, and
shows the changed place, not the right one. Somebody who writes it in another way gets her own text
changed in the same manner: where one change makes it right, the answer names the line.

Notebook: all of them
"""

from __future__ import annotations

import ast
import functools
import linecache
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from vqlab.lessons.slips import Slip, slips
from vqlab.lessons.telling import codes_of, in_time

from vqlab.lessons.exercise import Exercise, difference
from vqlab.lessons.own_file import pieces, program, reference, where

MOST_SECONDS = 1.0
"""Of the processor, for either search, after which no further slip is tried in this attempt."""
LONGER = 5
"""Times as long as the reference a slip may take; some do not end."""

NAMED = "Our solution gives the same with one slip:"
"""So begins the sentence that names a slip."""
ALMOST = "One small change makes this line of yours right:"
"""So begins the sentence that names a line of hers."""


def built(name: str, text: str, filename: str = "a slip") -> Any:
    """The piece that a text makes among our others."""
    names = dict(program({}).__dict__)
    exec(compile(text, filename, "exec"), names)
    return names[reference()[1][name].defines]


def recognised(
    name: str, exercise: Exercise, fn: Callable[..., Any], outcome: Any, *, before: str
) -> str:
    """A sentence, and after it the slip that ends in the same outcome, or a line of hers to mend.

    fn : the learner's; of slips with one outcome, one whose line stands in her text is told
    outcome : what the probe gave, or the error
    """
    text = _text(fn)
    if name not in pieces() or not text or not can_stop():  # a slip may run for ever
        return before
    error = repr(outcome) if isinstance(outcome, Exception) else ""
    hers, alike = {line.strip() for line in text.splitlines()}, []
    for slip, theirs, raised in _tried(name).outcomes(exercise, hers, MOST_SECONDS):
        if error and raised == error or not error and not raised and _equal(theirs, outcome):
            alike.append(slip)
            if slip.line in hers:
                break
    if not alike:
        line = _almost(name, exercise, text)
        return f"{before} {ALMOST} `{line}`." if line else before
    chosen = alike[-1] if alike[-1].line in hers else alike[0]
    return f"{before} {NAMED} {chosen.told}."


def can_stop() -> bool:
    """Whether what does not end can be stopped here."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


class _Tried:
    """The slips of a piece and their outcomes, as far as they have been tried."""

    def __init__(self, name: str) -> None:
        self.name, self.done = name, list[tuple[Slip, Any, str]]()
        self.todo = [*slips(reference()[1][name].text)]

    def outcomes(
        self, exercise: Exercise, first: set[str], seconds: float
    ) -> Iterator[tuple[Slip, Any, str]]:
        """Those tried before, then others for so many seconds; those of some lines come first."""
        yield from [*self.done]
        self.todo.sort(key=lambda slip: slip.line not in first)
        for row in _outcomes(self.name, exercise, [*self.todo], seconds):
            self.todo.remove(row[0])
            self.done.append(row)
            yield row


def _outcomes(
    name: str, exercise: Exercise, tried: Iterable[Slip], seconds: float
) -> Iterator[tuple[Slip, Any, str]]:
    """Slips with what each ends in, or its error, for so many seconds of the processor."""
    begun = time.process_time()
    exercise.probe(exercise.right)
    most = LONGER * (time.process_time() - begun) + 0.05
    for slip in tried:
        if time.process_time() - begun >= seconds:
            return
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings(action="ignore"):
            try:
                with in_time(most):
                    outcome, error = exercise.probe(built(name, slip.text)), ""
            except Exception as raised:
                outcome, error = None, repr(raised)
        yield slip, outcome, error


def _almost(name: str, exercise: Exercise, text: str) -> str:
    """The line of a text that one change makes right; empty where there is none."""
    expected = exercise.probe(exercise.right)
    tried = _outcomes(name, exercise, slips(text), MOST_SECONDS)
    right = (s.was for s, outcome, error in tried if not error and _equal(expected, outcome))
    return next(right, "")


@functools.cache
def _tried(name: str) -> _Tried:
    return _Tried(name)


def _equal(theirs: Any, outcome: Any) -> bool:
    try:
        return difference(outcome, theirs) is None
    except Exception:  # of kinds that cannot be compared
        return False


def _text(fn: Callable[..., Any]) -> str:
    """The definitions in the cell where a function is written; none for one of her whole file."""
    cells = [code.co_filename for code in codes_of(fn)[:1] if code.co_filename != str(where())]
    lines = (line for cell in cells for line in linecache.getlines(cell))
    try:
        body = ast.parse("".join(lines)).body
    except SyntaxError:  # a cell with a line for the shell, say
        return ""
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    return "\n".join(ast.unparse(node) for node in body if isinstance(node, kinds))
