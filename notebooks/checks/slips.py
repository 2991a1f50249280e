"""Slips, made by machine: a text with one thing changed, and what is to be said of the change.

The one idea: a slip is one change of the syntax tree, such as the other axis, a forgotten call or a
number that is one off, and a sentence that shows the changed place, not the right one.

Notebook: all of them
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_WORDS: dict[Any, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%",
    ast.LShift: "<<", ast.RShift: ">>", ast.BitXor: "^", ast.BitOr: "|", ast.BitAnd: "&",
    ast.Pow: "**", ast.MatMult: "@", ast.And: "and", ast.Or: "or", ast.USub: "-", ast.Not: "not",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.Invert: "~", ast.UAdd: "+",
}  # fmt: skip
_OPERATORS: dict[Any, list[Any]] = {
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
_AXES = ("dim", "axis", "start_dim")

Change = tuple[Any, str]  # what stands in a node's place; how that is told


@dataclass(frozen=True)
class Slip:
    """A text with one change: all of it, the line as it was and is, and what to tell of it."""

    text: str
    was: str
    line: str
    told: str


def slips(source: str) -> Iterator[Slip]:
    """Every single change of a source, as far as the text differs."""
    tree, whole = ast.parse(source), ast.unparse(ast.parse(source))
    seen = {whole}

    def new(told: str) -> Iterator[Slip]:
        text = ast.unparse(ast.fix_missing_locations(tree))
        if text not in seen:
            seen.add(text)
            yield Slip(text, *_lines_of(whole, text), told)

    words = {
        id(part) for f in ast.walk(tree) if isinstance(f, ast.JoinedStr) for part in ast.walk(f)
    }
    for parent in [node for node in ast.walk(tree) if id(node) not in words]:
        for place, old in _children(parent):
            for node, told in [*_changed(old, parent)]:
                _put(parent, place, node)
                yield from new(told)
            _put(parent, place, old)
        if isinstance(parent, ast.FunctionDef):
            names = [a.arg for a in parent.args.args if a.arg != "self"]
            for node in [n for n in ast.walk(parent) if isinstance(n, ast.Name)]:
                old = node.id
                if old in names and isinstance(node.ctx, ast.Load):
                    for node.id in names:
                        yield from new(f"`{node.id}` stands where another argument belongs")
                    node.id = old


def _changed(node: Any, parent: Any) -> Iterator[Change]:
    """What could stand in a node's place by mistake, and how to tell it."""
    other: Any
    match node:
        case ast.Constant(value=bool() | None):
            pass
        case ast.Constant(value=int(n)):
            for m in (n + 1, n - 1):
                if isinstance(parent, ast.keyword) and parent.arg in _AXES:
                    yield ast.Constant(m), f"`{parent.arg}={m}` names the wrong axis"
                else:
                    side = "more" if m > n else "less"
                    yield ast.Constant(m), f"a number is one {side} than it should be, {m}"
        case ast.Constant(value=float(x)):
            yield ast.Constant(2 * x), f"a number is twice what it should be, {2 * x:g}"
        case ast.Constant(value=str(word)) if word in _NAMES:
            yield ast.Constant(_NAMES[word]), f"`{_NAMES[word]!r}` stands for another word"
        case ast.BinOp(left, op, right):
            sign = _WORDS[type(op)]
            yield left, f"only `{_short(left)}` stands: what follows it with `{sign}` is missing"
            yield (
                right,
                f"only `{_short(right)}` stands: what goes before `{sign}` is missing",
            )
            other = ast.BinOp(right, op, left)
            if not isinstance(op, ast.LShift):  # 8 << 10 ** 9 fills the memory
                yield other, f"the two sides of `{sign}` are exchanged: `{_short(other)}`"
            for o in _OPERATORS.get(type(op), ()):
                other = ast.BinOp(left, o(), right)
                yield other, f"`{_WORDS[o]}` is the wrong operation: `{_short(other)}`"
        case ast.UnaryOp(op, operand) if not isinstance(operand, ast.Constant):
            yield operand, f"the `{_WORDS[type(op)]}` before `{_short(operand)}` is missing"
        case ast.Compare(left, [op], [right]):
            for o in _OPERATORS.get(type(op), ()):
                other = ast.Compare(left, [o()], [right])
                yield other, f"`{_WORDS[o]}` is the wrong comparison: `{_short(other)}`"
        case ast.BoolOp(op, values):
            other = _OPERATORS[type(op)][0]
            yield ast.BoolOp(other(), values), f"`{_WORDS[other]}` joins two conditions wrongly"
            for value in values:
                yield value, f"`{_short(value)}` is the only condition: another is missing"
        case ast.IfExp(test, body, orelse):
            yield body, f"`{_short(body)}` is taken in every case"
            yield orelse, f"`{_short(orelse)}` is taken in every case"
            yield (
                ast.IfExp(test, orelse, body),
                f"the two cases of `if {_short(test)}` are exchanged",
            )
        case ast.Call(func, arguments, keywords):
            yield from _calls(func, arguments, keywords)
        case ast.Attribute(value, "T" | "mT"):
            yield value, f"`{_short(value)}` is not transposed"
        case ast.Attribute(value, attr, context) if attr in _NAMES:
            told = f"`{_NAMES[attr]}` stands where another name belongs"
            yield ast.Attribute(value, _NAMES[attr], context), told
        case ast.Name(word, ast.Load()) if word in _NAMES:
            told = f"`{_NAMES[word]}` stands where another name belongs"
            yield ast.Name(_NAMES[word], ast.Load()), told
        case ast.Subscript(value, _, ast.Load()):
            yield value, f"`{_short(value)}` has no index: wanted is a part of it"
        case ast.Slice(lower, upper, step):
            for first, last, how in (
                (None, upper, "begins too early"),
                (lower, None, "goes too far"),
            ):
                other = ast.Slice(first, last, step)
                yield other, f"a part that is taken {how}: `[{_short(other)}]`"
        case ast.Tuple([first, second, *rest], ast.Load()):
            other = ast.Tuple([second, first, *rest], ast.Load())
            yield other, f"two things in a row are exchanged: `{_short(other)}`"
        case ast.Expr(ast.Call(func)):
            yield ast.Pass(), f"`{_short(func)}` is not called"
        case ast.AugAssign(target, op, _):
            yield ast.Pass(), f"the line with `{_short(target)} {_WORDS[type(op)]}=` is missing"
        case ast.If(test, body, _):
            yield ast.If(ast.Constant(True), body, []), f"it is as if `{_short(test)}` always held"
            yield ast.Pass(), f"what is to be done if `{_short(test)}` is missing"
        case ast.Return(value):
            yield ast.Expr(value), "a `return` is missing"
        case ast.Yield(value):
            yield value, "a `yield` is missing"


def _calls(func: Any, arguments: list[Any], keywords: list[Any]) -> Iterator[Change]:
    """A call left out, its arguments exchanged, one of its options forgotten; detach moved."""
    other: Any
    method, called = isinstance(func, ast.Attribute), _short(func)
    if method and ast.unparse(func.value).split(".")[0] not in _MODULES:
        if not isinstance(func.value, ast.Call) or ast.unparse(func.value) != "super()":
            yield func.value, f"`.{func.attr}(…)` is missing after `{_short(func.value)}`"
        elif func.attr == "__init__":  # a row of layers
            for n, layer in enumerate(arguments):
                other = ast.Call(func, arguments[:n] + arguments[n + 1 :], keywords)
                yield other, f"number {n + 1} in the row is missing, `{_short(layer)}`"
    elif arguments and ast.unparse(func) not in ("range", "iter", "next", "zip", "enumerate"):
        yield arguments[0], f"`{called}(…)` around `{_short(arguments[0])}` is missing"
    if len(arguments) > 1:
        first, second, *rest = arguments
        other = ast.Call(func, [second, first, *rest], keywords)
        yield other, f"two arguments are exchanged: `{_short(other)}`"
    for n, option in enumerate(keywords):
        other = ast.Call(func, arguments, keywords[:n] + keywords[n + 1 :])
        yield other, f"`{option.arg}` is not given to `{called}`"
    if method and func.attr == "detach" and isinstance(func.value, ast.BinOp):
        left, op, right = func.value.left, func.value.op, func.value.right
        for other in (
            ast.BinOp(ast.Call(ast.Attribute(left, "detach"), [], []), op, right),
            ast.BinOp(left, op, ast.Call(ast.Attribute(right, "detach"), [], [])),
        ):
            yield other, f"only a part is detached: `{_short(other)}`"


class _Shortened(ast.NodeTransformer):
    """Leaves the outer layers of an expression; what lies deeper becomes dots."""

    def __init__(self, depth: int) -> None:
        self.depth = depth

    def visit(self, node: ast.AST) -> ast.AST:
        if not isinstance(node, ast.expr):
            return self.generic_visit(node)
        if isinstance(node, ast.Name | ast.Constant | ast.JoinedStr):
            return node
        if self.depth == 0:
            return ast.Name("…", ast.Load())
        return _Shortened(self.depth - 1).generic_visit(node)


def _short(node: ast.AST) -> str:
    """An expression on few letters: what lies deep in it is dots."""
    for depth in (4, 3, 2, 1):
        text = ast.unparse(_Shortened(depth).visit(copy.deepcopy(node)))
        if len(text) <= 40:
            return text
    return "…"


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


def _lines_of(whole: str, text: str) -> tuple[str, str]:
    """The first line in which two texts differ, as it is in each."""
    old, new = whole.splitlines(), text.splitlines()
    n = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(new) - 1)
    return old[min(n, len(old) - 1)].strip(), new[n].strip()
