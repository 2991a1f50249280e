"""Write the repository's address wherever it belongs, or take it back.

    python tools/publish.py OWNER/NAME    the address of a repository on GitHub
    python tools/publish.py none          no address
    python tools/publish.py               the address that pyproject.toml has now, once more
    python tools/publish.py --check       say which files do not fit that address

The address stands in pyproject.toml, and everything else follows from it: the link to Colab in
each notebook's banner, the set-up cell, a paragraph of README.md, a line of CITATION.cff, and the
workflow that puts the website on GitHub Pages (a phone gives its microphone only to https). An
address that belongs to somebody else would run a stranger's code in a reader's Colab, so there is
no default. Nothing is written until all new texts are there.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from notebooks import COLAB, FOLDER, REPOSITORY, ROOT, bootstrap, colab_line
from vqlab.files import write_whole

ADDRESS = re.compile(r"(?!.*--)[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?/[A-Za-z0-9._-]{1,100}")
TABLE = re.compile(r'\[project\.urls\]\nRepository = "[^"\n]*"\n\n')
WORKFLOW = ROOT / ".github/workflows/pages.yml"
PAGES = """\
# Builds the website and publishes it on GitHub Pages (Settings, Pages, Source: GitHub Actions).
name: pages
on:
  push:
    branches: [main]
  workflow_dispatch:
permissions:
  contents: read
  pages: write
  id-token: write
concurrency:
  group: pages
  cancel-in-progress: true
jobs:
  publish:
    runs-on: ubuntu-latest
    environment:
      name: github-pages
      url: ${{ steps.deployment.outputs.page_url }}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - run: make html TORCH=cpu
      - uses: actions/upload-pages-artifact@v3
        with:
          path: dist/html
      - id: deployment
        uses: actions/deploy-pages@v4
"""
MARKED = re.compile(r"(<!-- colab -->\n).*?(<!-- end colab -->)", re.DOTALL)


def address(name: str) -> str:
    """The address of a repository that is called `owner/name`; "" for "" and "none".

    Raises ValueError for anything else.

    >>> address("ada/vqlab"), address("none")
    ('https://github.com/ada/vqlab', '')
    """
    if name in ("", "none"):
        return ""
    repository = name.rpartition("/")[2]
    if not ADDRESS.fullmatch(name) or repository in (".", "..") or repository.endswith(".git"):
        raise ValueError(
            f"{name!r} is no repository: say its owner and its name, as they stand in its address "
            "on GitHub after github.com/, for example REPO=owner/name; or REPO=none for no address"
        )
    return f"https://github.com/{name}"


def website(repository: str) -> str:
    """Where GitHub Pages shows the website of a repository.

    >>> website("https://github.com/Ada/vqlab")
    'https://ada.github.io/vqlab/'
    """
    owner, name = repository.split("/")[-2:]
    return f"https://{owner.lower()}.github.io/{name}/"


def project(text: str, repository: str) -> str:
    """pyproject.toml with that address."""
    text = TABLE.sub("", text)
    table = f'[project.urls]\nRepository = "{repository}"\n\n' if repository else ""
    return text.replace("[project.scripts]\n", f"{table}[project.scripts]\n", 1)


def readme(text: str, repository: str) -> str:
    """README.md with the paragraph on Colab for that address, where it is marked."""
    if repository:
        body = f"""\
{colab_line("00_start_here.ipynb", repository)}

Every notebook has a link at its top that opens it in Google Colab, where nothing has to be
installed. For a copy of your own: `git clone {repository}`
The website, with the codec live in a page: {website(repository)}
"""
    else:
        body = f"""\
In Google Colab: `make wheel` builds a file in `dist/` that carries the package, the sounds and the
weights. Upload a notebook at [colab.research.google.com]({COLAB}/#upload=true),
and that file in Colab's *Files* pane. The first cell installs it. `make publish REPO=owner/name`
gives every notebook a link of its own, once the repository has an address on GitHub.
"""
    return MARKED.sub(lambda match: match[1] + body + match[2], text)


def citation(text: str, repository: str) -> str:
    """CITATION.cff with that address."""
    text = re.sub(r"^repository-code: .*\n", "", text, flags=re.MULTILINE)
    return f'{text.rstrip()}\nrepository-code: "{repository}"\n' if repository else text


def notebook(path: Path, repository: str) -> str:
    """The text of a notebook whose banner and set-up cell have that address.

    Raises ValueError when the notebook has no banner or no set-up cell.
    """
    book = json.loads(path.read_text(encoding="utf-8"))
    banner, setup = book["cells"][0], next(c for c in book["cells"] if c["cell_type"] == "code")
    if banner["cell_type"] != "markdown" or "bootstrap" not in setup["metadata"].get("tags", []):
        raise ValueError(
            f"{path.name} does not begin with a banner and a code cell with the tag `bootstrap`"
        )
    lines = "".join(banner["source"]).rstrip().splitlines()
    if not any(COLAB in line for line in lines):
        lines += ["", COLAB]
    new = colab_line(path.name, repository)
    text = "\n".join(new if COLAB in line else line for line in lines)
    banner["source"] = text.splitlines(keepends=True)
    setup["source"] = bootstrap(repository).strip().splitlines(keepends=True)
    return json.dumps(book, ensure_ascii=False, indent=1, sort_keys=True) + "\n"  # as nbformat does


def texts(repository: str) -> dict[Path, str]:
    """Every file that holds the address, and what it has to say for this one."""
    new = {}
    for name, fill in (("pyproject.toml", project), ("README.md", readme)):
        new[ROOT / name] = fill((ROOT / name).read_text(encoding="utf-8"), repository)
    new[ROOT / "CITATION.cff"] = citation((ROOT / "CITATION.cff").read_text("utf-8"), repository)
    for path in sorted(FOLDER.glob("[0-9]*.ipynb")):
        new[path] = notebook(path, repository)
    new[WORKFLOW] = PAGES if repository else ""
    return {path: text for path, text in new.items() if present(path) != text}


def present(path: Path) -> str:
    """The text of a file, "" where there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the repository's address, or take it back.")
    parser.add_argument("name", nargs="?", metavar="OWNER/NAME", help="or none; or say nothing")
    parser.add_argument("--check", action="store_true", help="write nothing, say what would change")
    options = parser.parse_args(arguments)
    try:
        repository = REPOSITORY if options.name is None else address(options.name)
        changed = texts(repository)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for path, text in changed.items():
        print(path.relative_to(ROOT))
        if not options.check and text:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text.encode())
        elif not options.check:
            path.unlink()
    state = "these do not fit" if options.check and changed else "all files fit"
    print(f"{state} {repository or 'no address'}")
    return 1 if options.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
