"""An error in a learner's function, told: her line, what its names hold, and what is meant.

Notebook: all of them
"""

from __future__ import annotations

import contextlib
import inspect
import linecache
import re
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

from torch import Tensor, nn

ADVICE = (
    ("numpy.ndarray", "That is a NumPy array: torch has a function of the same name."),
    ("Can't call numpy()", "NumPy knows no gradients: torch has a function of the same name."),
    ("NoneType", "Is a `return` missing?"),
    ("before Module.__init__", "Call `super().__init__()` first."),
    ("attribute '_", "Is `super().__init__(...)` called?"),
    ("not a Module subclass", "A layer is made by a call, such as `nn.Linear(3, 4)`."),
    ("does not require grad", "What comes out does not depend on the weights."),
    ("but got float", "Sizes are whole numbers: `//` divides to one."),
    ("element of type float", "Sizes are whole numbers: `//` divides to one."),
    ("must be tuple of ints, not float", "Are two arguments exchanged?"),
    ("must be Tensor, not", "Are two arguments exchanged?"),
)
"""What Python and PyTorch say, and what that means here."""


def codes_of(fn: Callable[..., Any]) -> list[CodeType]:
    """The code of a function below its decorators, or of a class's methods."""
    inner: Any = inspect.unwrap(fn)
    methods = [inspect.unwrap(m) for m in vars(inner).values()] if isinstance(inner, type) else []
    return [c for c in (getattr(part, "__code__", None) for part in (inner, *methods)) if c]


def told(error: Exception, fn: Callable[..., Any]) -> str:
    """The error as a sentence with the line of the learner's code, and what its names hold."""
    files = {code.co_filename for code in codes_of(fn)}
    frames = list(traceback.walk_tb(error.__traceback__))
    theirs = [(f, n) for f, n in frames if f.f_code.co_filename in files]
    lines = str(error).strip().splitlines() or [""]
    message = " ".join(lines[: 2 if lines[0].endswith(":") else 1]).strip().rstrip(".")
    words = f"{type(error).__name__}: {message}" if message else type(error).__name__
    words += _given([f for f, _ in frames]) + "."
    words += next((f" {advice}" for said, advice in ADVICE if said in message), "")
    if theirs:
        frame, number = theirs[-1]
        line = linecache.getline(frame.f_code.co_filename, number).strip()
        shown = f" (`{line}`)" if line else ""
        held = f", where {held}" if (held := _held(frame, line)) else ""
        return f"your function stops at line {number} of its cell{shown}{held}. {words}"
    if isinstance(error, TypeError) and "argument" in message:
        return f"your function cannot be called as the exercise calls it. {words}"
    return f"what your function returns cannot be used. {words}"


def _held(frame: FrameType, line: str) -> str:
    """What the names in a line hold: the shapes of tensors, numbers, and what is None."""
    told = {}
    for word in re.findall(r"[A-Za-z_][\w.]*", line):
        first, *rest = word.split(".")
        value = frame.f_locals.get(first, frame)
        for name in rest[:1] if isinstance(value, nn.Module) else ():
            first, value = f"{first}.{name}", getattr(value, name, frame)
        if isinstance(value, Tensor):
            told[first] = f"has shape {tuple(value.shape)}"
        elif isinstance(value, int) and value.bit_length() > 64:
            told[first] = f"has {value.bit_length()} bits"
        elif value is None or isinstance(value, int | float):
            told[first] = f"is {value:.6g}" if isinstance(value, float) else f"is {value}"
        elif isinstance(value, list | tuple | bytes):
            told[first] = f"is a {type(value).__name__} of {len(value)}"
        elif value is not frame and first != "self":
            told[first] = f"is a {type(value).__name__}"
    return ", ".join(f"`{name}` {what}" for name, what in told.items())


def _given(frames: list[FrameType]) -> str:
    """The layer in which an error happened, and what it was given; empty where there is none."""
    for frame in reversed(frames):
        layer, x = (frame.f_locals.get(name) for name in ("self", "input"))
        if isinstance(layer, nn.Module) and isinstance(x, Tensor) and not list(layer.children()):
            return f", in `{layer!r}`, which is given {tuple(x.shape)}"
    return ""


@contextlib.contextmanager
def in_time(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in what does not end; on Windows, and outside of the main thread, wait."""
    main = threading.current_thread() is threading.main_thread()
    if not (main and hasattr(signal, "setitimer")):
        yield
        return

    def late(*_: Any) -> None:
        raise TimeoutError(f"it has not come to an end after {seconds:g} s")

    before = signal.signal(signal.SIGVTALRM, late)
    # Again and again, because Python drops an error that is raised in a callback.
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
