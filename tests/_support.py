"""Helpers for the tests: what to do where a part of the outside world is missing."""

import importlib
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent
HANG = 300  # seconds; a time-out is against hangs only, because a busy machine is no fault
IN_CI = os.environ.get("VQLAB_CI") == "1"


def missing(what: str) -> NoReturn:
    """Skip the running test, or fail it under VQLAB_CI=1, where nothing may be missing."""
    if IN_CI:
        pytest.fail(f"{what}, and VQLAB_CI=1 allows no skips")
    pytest.skip(what)


def need(module_or_program: str) -> Any:
    """Return the imported module, or else the program's path; skip (in CI: fail) without it.

    >>> need("json").loads("[1]")
    [1]
    """
    module = _module(module_or_program)
    if module is not None:
        return module
    program = shutil.which(module_or_program)
    if program is None:
        missing(f"{module_or_program} is not installed")
    return program


def script(folder: str, name: str) -> Any:
    """A script of the project as a module, for example `script("tools", "website")`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / folder)
        return importlib.import_module(name)


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
