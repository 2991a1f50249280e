"""Pieces of her codec: checked as they would stand in `my_codec.py`, put there, given back.

The one idea: what is checked is the text that goes into the file, among our versions of all other
pieces. So a piece that leans on something of the notebook fails at once, with its name.

Notebook: all of them
"""

from __future__ import annotations

import ast
import builtins
import linecache
from collections.abc import Callable, Iterator
from typing import Any

from IPython.display import display

from . import checking, own_file, telling
from .exercise import Verdict
from .guesses import Answer
from .own_file import Section

_passed: dict[str, Callable[..., Any]] = {}  # of this kernel, by name: exercises that are no piece


def check(name: str, fn: Callable[..., Any]) -> Verdict:
    """Compare a learner's function with the reference, and answer in one sentence.

    A piece of the codec that passes is put into her file; of any other exercise it is noted.

    name : notebook number and exercise, for example "05-residual".

    One more general hint opens with every failed attempt.
    Raises ValueError when there is no exercise of that name.
    """
    if name not in own_file.pieces():
        verdict = checking.check(name, fn)
        if verdict:
            _passed[name] = fn
            own_file.note("passed", name, True)
        return verdict
    try:
        source, built = _rebuilt(name, fn)
    except ValueError as error:
        return Verdict(name, "wrong", f"{name}: {error}")
    verdict = checking.check(name, built)
    if not verdict:
        return verdict
    where = own_file.where().name
    put = not _of_the_file(fn) and own_file.put(name, source)
    said = f"it is in {where}" if put else f"{where} keeps what you put or changed there"
    return Verdict(name, "passed", f"Passed: {name}; {said}.")


def mine(name: str, theirs: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """The piece `name` to go on with: hers if it passes its check, else ours. Says which.

    theirs : what the notebook has now; without it, what her file has. An edit in the file by hand
        goes before what the notebook put there. Whatever is given leans on her other pieces.

    An exercise that is no piece of the codec leaves the file alone: hers is then `theirs`, or what
    passed before in this kernel.

    Raises ValueError when there is no exercise of that name.
    """
    if name not in own_file.pieces():
        return _of_the_notebook(name, theirs)
    passed = theirs is not None and bool(check(name, theirs))
    section = own_file.read()[1].get(name)
    if section is not None and section.hers:
        ours, fault = from_file(name, section)
        if ours is not None:
            _say(f"{name}: yours" + ("." if passed else f", from {own_file.where().name}."))
            if passed and section.code == _source(theirs):  # type: ignore
                return theirs  # type: ignore
            return getattr(own(), section.defines)
        _say(f"{name}: ours, because the one in {own_file.where().name} does not pass: {fault}")
    else:
        _say(f"{name}: ours, until yours passes.")
    return getattr(own(), own_file.reference()[1][name].defines)


def _of_the_notebook(name: str, theirs: Callable[..., Any] | None) -> Callable[..., Any]:
    ours = checking.find(name).right
    hers = _passed.get(name) if theirs is None else theirs
    if hers is not None and check(name, hers):
        _say(f"{name}: yours.")
        return hers
    _say(f"{name}: ours, until yours passes.")
    return ours


def own() -> Any:
    """Her codec as it stands, a module: the pieces of hers that pass, and ours for the others."""
    head, sections = own_file.read()
    pieces = own_file.pieces()
    good = {n: s for n, s in sections.items() if n not in pieces or s.hers and from_file(n, s)[0]}
    return own_file.program(good, head)


def from_file(name: str, section: Section) -> tuple[Callable[..., Any] | None, str]:
    """The piece as it stands in the file, and what is wrong with it."""
    try:
        module = own_file.program({name: section})
        fn = getattr(module, section.defines)
    except Exception as error:  # whatever stands there, the answer is a sentence
        return None, f"{type(error).__name__}: {error}"
    verdict = checking.check(name, fn)
    return (fn, "") if verdict else (None, verdict.sentence.partition(": ")[2])


def _rebuilt(name: str, fn: Callable[..., Any]) -> tuple[str, Callable[..., Any]]:
    """The text of a piece, and what it makes among our other pieces."""
    if not callable(fn):
        raise ValueError(f"give the function or class itself, not what it returns ({fn!r}).")
    wanted = own_file.reference()[1][name].defines
    if fn.__name__ != wanted:
        raise ValueError(f"its name in the file is `{wanted}`; yours is `{fn.__name__}`.")
    filename, nodes = _nodes(fn)
    _same_settings(filename, nodes)
    module = own_file.program({})
    place = ast.Module(body=nodes, type_ignores=[])
    try:
        exec(compile(place, filename, "exec"), module.__dict__)
    except NameError as error:
        raise ValueError(own_file.lacking(error)) from None
    return _text(filename, nodes), getattr(module, wanted)


def _same_settings(filename: str, nodes: list[ast.stmt]) -> None:
    """Raise ValueError where a cell gives a setting that its piece uses a value of its own."""
    here = own_file.settings("".join(linecache.getlines(filename)))
    used = {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}
    for name, value in own_file.settings(own_file.read()[0]).items():
        if name in used and here.get(name, value) != value:
            raise ValueError(
                f"`{name}` is a setting at the top of {own_file.where().name}, {value} there and "
                f"{here[name]} here: change it there; here it has to be the same."
            )


def _source(fn: Callable[..., Any]) -> str:
    return _text(*_nodes(fn))


def _of_the_file(fn: Callable[..., Any]) -> bool:
    """Whether a piece is what `mine` gave: a cell that is run again hands it back."""
    return any(code.co_filename == str(own_file.where()) for code in telling.codes_of(fn))


def _nodes(fn: Callable[..., Any]) -> tuple[str, list[ast.stmt]]:
    """The file or cell where a piece is written, and its definition with what it uses of there."""
    codes = telling.codes_of(fn)
    lines = linecache.getlines(codes[0].co_filename) if codes else []
    try:
        body = ast.parse("".join(lines)).body
    except SyntaxError:  # a cell with a line for the shell, say
        body = []
    named = {name: node for node in body for name in _binds(node)}
    if fn.__name__ not in named:
        raise ValueError("write it with `def` or `class` in a cell: its text cannot be found.")
    known = own_file.program({}).__dict__.keys() | vars(builtins).keys()
    wanted, todo = {fn.__name__}, [fn.__name__]
    while todo:
        used = {node.id for node in ast.walk(named[todo.pop()]) if isinstance(node, ast.Name)}
        new = (used & named.keys()) - known - wanted
        wanted |= new
        todo += new
    return codes[0].co_filename, [node for node in body if wanted & set(_binds(node))]


def _binds(node: ast.stmt) -> Iterator[str]:
    """The names that a statement of a cell defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Assign):
        yield from (
            n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        )


def _text(filename: str, nodes: list[ast.stmt]) -> str:
    lines = linecache.getlines(filename)
    parts = []
    for node in nodes:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        parts.append("".join(lines[first - 1 : node.end_lineno]).rstrip())
    return "\n\n\n".join(parts)


def _say(sentence: str) -> None:
    display(Answer(sentence))
