"""Mistakes made by machine: edit each piece's reference in one place, ask its check about each.

    python tools/mutants.py                           all pieces, a table
    python tools/mutants.py 05-residual --list        and what is answered to each mistake

An edit changes one node of the syntax tree: a dropped term, the other axis, a factor transposed, a
number one off, a call left out, `<` for `<=`. An edit with the values of the reference, on the
check's inputs and on others drawn at random, is equal to it and no mistake. Of the others none may
pass. An answer is the *hint* of a known mistake, or it is told from what is *seen*: which part of
the result is wrong and what it should be, what kind of mistake the numbers look like, or what the
names hold in the line where it stops; or it is *general*: what differs, or Python's own words.
"""

import argparse
import ast
import linecache
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mutants_tried
import torch

from vqlab import lessons
from vqlab.lessons import checking, own_file, telling
from vqlab.lessons.exercise import difference

GENERAL = re.compile(
    r".*(is missing|should consist of \d+ parts|is an? \w+, not an? \w+|should be \(.*\)"
    r"|should be [\w.+-]+|, not (True|False|None|'.*'|b'.*'|\".*\")"
    r"|of its cell( \(`.*`\))?\. \w+(: .*)?|cannot be used\..*)\.?"
)
"""Sentences that say what differs, or Python's own words, and nothing of the kind of mistake."""
_ADVISED = re.compile("which is given|" + "|".join(re.escape(a) for _, a in telling.ADVICE))

_OPERATORS = {
    ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Div], ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Div], ast.Mod: [ast.FloorDiv], ast.LShift: [ast.RShift],
    ast.RShift: [ast.LShift], ast.BitXor: [ast.BitOr], ast.BitOr: [ast.BitXor],
    ast.Lt: [ast.LtE, ast.Gt], ast.LtE: [ast.Lt, ast.GtE], ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt, ast.LtE], ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq],
    ast.And: [ast.Or], ast.Or: [ast.And],
}  # fmt: skip
_NAMES = {
    "sum": "mean", "mean": "sum", "min": "max", "max": "min", "minimum": "maximum",
    "argmin": "argmax", "square": "abs", "abs": "square", "log10": "log", "rfft": "fft",
    "irfft": "ifft", "ceil": "floor", "zeros": "ones", "ones": "zeros", "cos": "sin",
    "encoder": "decoder", "decoder": "encoder", "Conv1d": "ConvTranspose1d",
    "ConvTranspose1d": "Conv1d", "Encoder": "Decoder", "Decoder": "Encoder", "big": "little",
    "train": "eval", "eval": "train", "sums": "counts", "stack": "cat", "beta": "decay",
    "mse_loss": "l1_loss", "reshape": "view",
}  # fmt: skip
_MODULES = ("torch", "math", "np", "nn", "F", "fft")


@dataclass(frozen=True)
class Mutant:
    """An edit of a piece, and how its check takes it.

    state : "equal", "passed", "hint" (of a known mistake), "seen" (what is told from the result or
        from the values at the line where it stops) or "general"
    """

    name: str
    change: str
    state: str
    sentence: str


def edits(source: str) -> Iterator[tuple[str, str]]:
    """What is changed, and the whole text with it, for every single edit of a source."""
    tree, whole = ast.parse(source), ast.unparse(ast.parse(source))
    seen = {whole}
    words = {
        id(part) for f in ast.walk(tree) if isinstance(f, ast.JoinedStr) for part in ast.walk(f)
    }
    for parent in [node for node in ast.walk(tree) if id(node) not in words]:
        names = _parameters(parent) if isinstance(parent, ast.FunctionDef) else []
        for place, old in _children(parent):
            others = [*_changed(old, parent)]
            for new in others:
                _put(parent, place, new)
                text = ast.unparse(ast.fix_missing_locations(tree))
                if text not in seen:
                    seen.add(text)
                    yield _line(whole, text), text
            _put(parent, place, old)
        yield from _renamed(tree, parent, names, seen, whole)


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
    state = "hint" if verdict.sentence in hints else "general" if general else "seen"
    return Mutant(name, change, state, verdict.sentence)


def built(name: str, text: str) -> Any:
    """The piece of a text among our others, as from a cell of a notebook; or what stopped it."""
    module, cell = own_file.program({}), f"cell of {name}"
    linecache.cache[cell] = (len(text), None, text.splitlines(keepends=True), cell)
    try:
        exec(compile(text, cell, "exec"), module.__dict__)
    except Exception as error:
        return error
    return getattr(module, own_file.reference()[1][name].defines)


def _alike(name: str, fn: Callable[..., Any]) -> bool:
    """Whether a piece does what the reference does on inputs drawn at random."""
    right, again = lessons.find(name).right, mutants_tried.AGAIN[name]
    try:
        with telling.in_time(20.0):
            return all(difference(again(fn, n), again(right, n)) is None for n in range(4))
    except Exception:  # it fails where the reference does not
        return False


def _changed(node: Any, parent: Any) -> Iterator[Any]:
    """What could stand in a node's place by mistake; None: nothing."""
    match node:
        case ast.Constant(value=bool() | None):
            pass
        case ast.Constant(value=int(n)):
            yield from (ast.Constant(n + 1), ast.Constant(n - 1))
        case ast.Constant(value=float(x)):
            yield ast.Constant(2 * x)
        case ast.Constant(value=str(word)) if word in _NAMES:
            yield ast.Constant(_NAMES[word])
        case ast.BinOp(left, op, right):
            yield from (left, right)
            yield ast.BinOp(right, op, left)
            yield from (ast.BinOp(left, o(), right) for o in _OPERATORS.get(type(op), ()))
        case ast.UnaryOp(operand=operand) if not isinstance(operand, ast.Constant):
            yield operand
        case ast.Compare(left, [op], [right]):
            yield from (ast.Compare(left, [o()], [right]) for o in _OPERATORS[type(op)])
        case ast.BoolOp(op, values):
            yield ast.BoolOp(_OPERATORS[type(op)][0](), values)
            yield from values
        case ast.IfExp(test, body, orelse):
            yield from (body, orelse, ast.IfExp(test, orelse, body))
        case ast.Call(func, arguments, keywords):
            yield from _calls(func, arguments, keywords)
        case ast.Attribute(value, "T" | "mT"):
            yield value
        case ast.Attribute(value, attr, context) if attr in _NAMES:
            yield ast.Attribute(value, _NAMES[attr], context)
        case ast.Name(word, ast.Load()) if word in _NAMES:
            yield ast.Name(_NAMES[word], ast.Load())
        case ast.Subscript(value, _, ast.Load()):
            yield value
        case ast.Slice(lower, upper, step):
            yield from (ast.Slice(None, upper, step), ast.Slice(lower, None, step))
        case ast.Tuple([first, second, *rest], ast.Load()):
            yield ast.Tuple([second, first, *rest], ast.Load())
        case ast.Expr(ast.Call()) | ast.AugAssign():
            yield ast.Pass()
        case ast.If(test, body, _):
            yield ast.If(ast.Constant(True), body, [])
            yield ast.Pass()
        case ast.Return(value):
            yield ast.Expr(value)
        case ast.Yield(value):
            yield value


def _calls(func: Any, arguments: list[Any], keywords: list[Any]) -> Iterator[Any]:
    """A call left out, its arguments exchanged, one of its options forgotten; detach moved."""
    method = isinstance(func, ast.Attribute)
    if method and ast.unparse(func.value).split(".")[0] not in _MODULES:
        if not isinstance(func.value, ast.Call) or ast.unparse(func.value) != "super()":
            yield func.value
        elif func.attr == "__init__":  # a row of layers
            for n in range(len(arguments)):
                yield ast.Call(func, arguments[:n] + arguments[n + 1 :], keywords)
    elif arguments and ast.unparse(func) not in ("range", "iter", "next", "zip", "enumerate"):
        yield arguments[0]
    if len(arguments) > 1:
        first, second, *rest = arguments
        yield ast.Call(func, [second, first, *rest], keywords)
    for n in range(len(keywords)):
        yield ast.Call(func, arguments, keywords[:n] + keywords[n + 1 :])
    if method and func.attr == "detach" and isinstance(func.value, ast.BinOp):
        left, op, right = func.value.left, func.value.op, func.value.right
        yield ast.BinOp(ast.Call(ast.Attribute(left, "detach"), [], []), op, right)
        yield ast.BinOp(left, op, ast.Call(ast.Attribute(right, "detach"), [], []))


def _renamed(tree: Any, function: Any, names: list[str], seen: set[str], whole: str) -> Any:
    """Another of the function's arguments in the place of one."""
    for node in ast.walk(function) if len(names) > 1 else ():
        if isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load):
            old = node.id
            for node.id in names:
                if (text := ast.unparse(tree)) not in seen:
                    seen.add(text)
                    yield _line(whole, text), text
            node.id = old


def _parameters(function: ast.FunctionDef) -> list[str]:
    return [a.arg for a in function.args.args if a.arg != "self"]


def _children(parent: Any) -> Iterator[tuple[Any, Any]]:
    for field, value in ast.iter_fields(parent):
        if isinstance(value, list):
            yield from (((field, n), v) for n, v in enumerate(value) if isinstance(v, ast.AST))
        elif isinstance(value, ast.AST):
            yield field, value


def _put(parent: Any, place: Any, node: Any) -> None:
    if isinstance(place, tuple):
        getattr(parent, place[0])[place[1]] = node
    else:
        setattr(parent, place, node)


def _line(whole: str, text: str) -> str:
    """The first line of a text that is not in the whole, or the one that it lacks."""
    old, new = whole.splitlines(), text.splitlines()
    n = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(new) - 1)
    return f"{n + 1:2} {new[n].strip()}"


def table(found: list[Mutant]) -> str:
    """For each piece how its mutants were taken, in Markdown."""
    lines = ["| piece | edits | equal | mistakes | pass | hint | hint or seen | general |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|--:|")
    for name in [*dict.fromkeys(m.name for m in found), "all"]:
        states = Counter(m.state for m in found if name in (m.name, "all"))
        wrong = states.total() - states["equal"]
        row = [name, states.total(), states["equal"], wrong, states["passed"], states["hint"]]
        share = (states["hint"] + states["seen"]) / max(1, wrong)
        lines.append(f"| {' | '.join(map(str, row))} | {share:.0%} | {states['general']} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; status 1 where a mistake passes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pieces", nargs="*", help="names of pieces; without any, all")
    parser.add_argument("--list", action="store_true", help="print every mistake and its answer")
    options = parser.parse_args(arguments)
    found = []
    for name in options.pieces or mutants_tried.AGAIN:
        for change, text in edits(own_file.reference()[1][name].text):
            found.append(tried(name, text, change))
            if options.list:
                print(f"{found[-1].state:8}{change}\n        {found[-1].sentence}", flush=True)
    print(table(found))
    return int(any(m.state == "passed" for m in found))


if __name__ == "__main__":
    torch.set_num_threads(1)
    checking.MOST_SECONDS = 0.5
    raise SystemExit(main())
