"""Google Colab: add what the notebooks need and Colab lacks, and leave the rest as it is.

The one idea: every version that is installed is handed to pip as a constraint. pip can then only
add; it can neither replace torch or numpy nor anything else that Colab brought and may have
imported already, so nothing has to be restarted. What is needed is read from the package's own
list of dependencies. The first cell of each notebook calls `prepare`.

Notebook: 00
"""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib import metadata
from pathlib import Path

from . import DISTRIBUTION

NOT_THERE = ("ipython", "jupyterlab")
"""Dependencies that Colab has its own form of."""

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[A-Za-z0-9.]+)?")


def needed() -> list[str]:
    """The names of the packages that the notebooks need in Colab.

    Read in the checkout where there is one, since what an editable installation knows of itself
    may be older; else in what pip wrote down.
    """
    project = Path(__file__).resolve().parent.parent / "pyproject.toml"
    if project.is_file():
        lines = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    else:
        lines = [line for line in metadata.requires(DISTRIBUTION) or [] if "extra ==" not in line]
    names = [re.split(r"[^\w.-]", line)[0] for line in lines]
    return [name for name in names if name not in NOT_THERE]


def installed() -> dict[str, str]:
    """Name and version of everything that is installed, as pip sees it.

    Where a package lies in two folders, the first one counts, as in an import. Versions in a form
    that pip would not read (Debian's own packages have some) are left out.
    """
    found: dict[str, str] = {}
    for package in metadata.distributions():
        name, version = package.metadata["Name"], package.version
        if name and version and _NAME.fullmatch(name) and _VERSION.fullmatch(version):
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return found


def missing() -> list[str]:
    """Those of `needed` that are not installed in any version."""
    have = installed()
    return [name for name in needed() if re.sub(r"[-_.]+", "-", name).lower() not in have]


def prepare() -> None:
    """Install what is missing, change nothing that is there, and let Colab show our widgets.

    Raises RuntimeError with pip's own reason when something cannot be added.
    """
    names = missing()
    if names:
        _add(names)
    importlib.invalidate_caches()
    # Colab shows widgets that it does not know only after this call.
    importlib.import_module("google.colab.output").enable_custom_widget_manager()


def _add(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        have = Path(folder) / "have.txt"
        lines = [f"{name}=={version}\n" for name, version in installed().items()]
        have.write_text("".join(lines), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "-c", str(have), *names]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        reason = errors[0].removeprefix("ERROR: ").rstrip(".") if errors else "pip gave no reason"
        raise RuntimeError(
            f"pip could not add {', '.join(names)} to what is installed: {reason}. "
            "Without a network nothing can be added; else run the cell again."
        )
