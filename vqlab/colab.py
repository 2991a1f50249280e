"""Google Colab: add what the notebooks need and Colab lacks, and leave the rest as it is.

The one idea: every version that is installed is handed to pip as a constraint. pip can then only
add; it can neither replace torch or numpy nor anything else that Colab brought and may have
imported already, so nothing has to be restarted. What is needed is read from the package's own
list of dependencies. The first cell of each notebook calls `prepare`.

In Colab every notebook has a machine of its own, so the learner's codec does not come along by
itself. It can lie in her Google Drive, if she says so once by `keep_in_drive`; or she uploads it.

Notebook: 06
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .lessons import Answer

from . import DISTRIBUTION

DRIVE = Path("/content/drive")
"""Where Colab shows Google Drive; the codec lies in `MyDrive/vqlab` there."""

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

    Then it says which codec this notebook goes on with: one in Drive, one that was uploaded, ours.
    Raises RuntimeError with pip's own reason when something cannot be added.
    """
    names = missing()
    if names:
        _add(names)
    importlib.invalidate_caches()
    # Colab shows widgets that it does not know only after this call.
    importlib.import_module("google.colab.output").enable_custom_widget_manager()
    _say_whose_codec()


def _say_whose_codec() -> None:
    from IPython.display import display

    from .lessons import Answer, own_file  # needs what has just been installed

    kept, name = _kept(), own_file.where().name
    if kept.exists():
        os.environ["VQLAB_MY_CODEC"] = str(kept)
    if own_file.where().exists():
        said = f"Your codec is {own_file.where()}."
    else:
        said = (
            f"There is no {name} on this machine, so this notebook starts from our codec. To go on "
            f"with yours, put {name} and its .npz among the Files; or keep both in your Google "
            "Drive from now on: from vqlab import colab; colab.keep_in_drive()"
        )
    display(Answer(said))


def keep_in_drive() -> Answer:
    """Have the learner's codec in her Google Drive, for every notebook that asks for it there.

    Colab asks her for permission. What is on this machine is copied, unless Drive has a codec.
    """
    from .lessons import Answer, own_file, training

    if training().running:
        return Answer(
            "Your training writes to this machine: lessons.training().stop() it, run this again, "
            "then start it anew; it goes on where it was."
        )
    importlib.import_module("google.colab.drive").mount(str(DRIVE))
    here, kept = own_file.where(), _kept()
    kept.parent.mkdir(parents=True, exist_ok=True)
    if kept.exists():
        said = f"Your codec is {kept}."
    else:
        for path in here.parent.glob(f"{here.stem}.*"):
            shutil.copy(path, kept.with_name(path.name))
        said = f"Your codec is {kept} from now on."
    os.environ["VQLAB_MY_CODEC"] = str(kept)
    return Answer(said)


def _kept() -> Path:
    return DRIVE / "MyDrive" / "vqlab" / "my_codec.py"


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
