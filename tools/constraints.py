"""Write constraints.txt: the installed version of everything that vqlab needs, directly or not.

Run it in an environment in which `make test` has just passed:

    .venv/bin/python tools/constraints.py
"""

import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from vqlab.files import write_whole

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# The versions that `make test` passed with (Python 3.11, Linux), written by tools/constraints.py.
# `make lab` and `make test` install under these; pyproject.toml has the lower bounds.
"""


def closure() -> dict[str, str]:
    """Name and version of each package that vqlab-speech[test,metrics] draws in here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    waiting = [Requirement(line) for line in project["dependencies"]]
    waiting += [Requirement(line) for name in ("test", "metrics") for line in extras[name]]
    seen: set[tuple[str, frozenset[str]]] = set()
    versions: dict[str, str] = {}
    while waiting:
        requirement = waiting.pop()
        name, wanted = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        package = metadata.distribution(name)
        versions[name] = Version(package.version).public  # torch 2.13.0+cpu is written 2.13.0
        for line in package.requires or []:
            needed = Requirement(line)
            choices = [{"extra": extra} for extra in (wanted or {""})]
            if needed.marker is None or any(needed.marker.evaluate(c) for c in choices):
                waiting.append(needed)
    return versions


if __name__ == "__main__":
    lines = [f"{name}=={version}\n" for name, version in sorted(closure().items())]
    write_whole(ROOT / "constraints.txt", (HEADER + "".join(lines)).encode())
