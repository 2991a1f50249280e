"""Mistakes made by machine: edit each piece's reference in one place, ask its check about each.

    python tools/mutants.py                           all pieces, a table
    python tools/mutants.py 05-residual --list        and what is answered to each mistake

An edit (`slips`) changes one node of the syntax tree: a dropped term, the other axis, a number one
off, a call left out, `<` for `<=`. An edit with the values of the reference, on the check's inputs
and on others drawn at random, is equal to it and no mistake. Of the others none may pass. An answer
is the *hint* of a known mistake; or it has *named* the slip, because the same comes out of the
reference with it; or it gives the *line* that one change makes right, where what she wrote is no
edit of the reference; or it tells what is *seen*: which part of the result is wrong and what it
should be, what kind of mistake the numbers look like, or what the names hold in the line where it
stops; or it is *general*: what differs, or Python's own words. The check makes the same edits, so
that nearly all are named says that they can be told apart; `tests/test_mutants.py` has edits of
other right ways too.
"""

import argparse
import linecache
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mutants_tried
import torch
from tqdm import tqdm

from vqlab import lessons
from vqlab.lessons import checking, own_file, recognising, slips, telling
from vqlab.lessons.exercise import difference

GENERAL = re.compile(
    r".*(is missing|should consist of \d+ parts|is an? \w+, not an? \w+|should be \(.*\)"
    r"|should be [\w.+-]+|, not (True|False|None|'.*'|b'.*'|\".*\")"
    r"|of its cell( \(`.*`\))?\. \w+(: .*)?|cannot be used\..*)\.?"
)
"""Sentences that say what differs, or Python's own words, and nothing of the kind of mistake."""
_ADVISED = re.compile("which is given|" + "|".join(re.escape(a) for _, a in telling.ADVICE))


@dataclass(frozen=True)
class Mutant:
    """An edit of a piece, and how its check takes it.

    state : "equal", "passed", "hint" (of a known mistake), "named" (the slip), "line" (to mend),
        "seen" (what is told from the result, or from the values where it stops) or "general"
    """

    name: str
    change: str
    state: str
    sentence: str


def tried(name: str, text: str, change: str = "") -> Mutant:
    """How the check of a piece answers a text, which is compared with the reference by itself."""
    fn = built(name, text)
    if isinstance(fn, Exception):
        return Mutant(name, change, "seen", f"{type(fn).__name__}: {fn}")  # by Python, in her cell
    exercise, verdict = lessons.find(name), checking.check(name, fn)
    if verdict:
        return Mutant(name, change, "equal" if _alike(name, fn) else "passed", verdict.sentence)
    hints = {f"{name}: {hint}" for _, hint in exercise.mistakes}
    general = GENERAL.fullmatch(verdict.sentence) and not _ADVISED.search(verdict.sentence)
    state = "general" if general else "seen"
    state = "line" if recognising.ALMOST in verdict.sentence else state
    state = "named" if recognising.NAMED in verdict.sentence else state
    state = "hint" if verdict.sentence in hints else state
    return Mutant(name, change, state, verdict.sentence)


def built(name: str, text: str) -> Any:
    """The piece of a text among our others, as from a cell of a notebook; or what stopped it."""
    cell = f"cell of {name}"
    linecache.cache[cell] = (len(text), None, text.splitlines(keepends=True), cell)
    try:
        return recognising.built(name, text, cell)
    except Exception as error:
        return error


def _alike(name: str, fn: Callable[..., Any]) -> bool:
    """Whether a piece does what the reference does on inputs drawn at random."""
    right, again = lessons.find(name).right, mutants_tried.AGAIN[name]
    try:
        with telling.in_time(20.0):
            return all(difference(again(fn, n), again(right, n)) is None for n in range(4))
    except Exception:  # it fails where the reference does not
        return False


def table(found: list[Mutant]) -> str:
    """For each piece how its mutants were taken, in Markdown."""
    states = ("hint", "named", "line", "seen", "general")
    lines = [
        f"| piece | edits | equal | mistakes | pass | {' | '.join(states)} | the first three |"
    ]
    lines.append("|---|" + "--:|" * 10)
    for name in [*dict.fromkeys(m.name for m in found), "all"]:
        counts = Counter(m.state for m in found if name in (m.name, "all"))
        wrong = counts.total() - counts["equal"]
        row = [name, counts.total(), counts["equal"], wrong, counts["passed"]]
        row += [counts[state] for state in states]
        share = sum(counts[state] for state in states[:3]) / max(1, wrong)
        lines.append(f"| {' | '.join(map(str, row))} | {share:.0%} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; status 1 where a mistake passes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pieces", nargs="*", help="names of pieces; without any, all")
    parser.add_argument("--list", action="store_true", help="print every mistake and its answer")
    options = parser.parse_args(arguments)
    found = []
    for name in options.pieces or mutants_tried.AGAIN:
        for slip in tqdm([*slips.slips(own_file.reference()[1][name].text)], desc=name):
            found.append(tried(name, slip.text, slip.line))
            if options.list:
                print(f"{found[-1].state:8}{slip.line}\n        {found[-1].sentence}", flush=True)
    print(table(found))
    return int(any(m.state == "passed" for m in found))


if __name__ == "__main__":
    torch.set_num_threads(1)
    checking.MOST_SECONDS, recognising.MOST_SECONDS = 0.5, 1e9
    raise SystemExit(main())
