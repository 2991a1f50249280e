"""YAML read as plain values, with the line of every key.

The one idea: the file is read as a tree of nodes that know their places, and turned into values
here, so that a mistake found later can be named with its line. Nothing but numbers, text, true,
false, null, lists and mappings comes out, whatever the file asks for.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS = {"": None, "~": None, "null": None, "true": True, "false": False}
_TAGS = [f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")]
_LARGEST = 100_000  # bytes
_DEEPEST = 10  # lists and mappings in one another


def read(path: str | Path) -> tuple[Any, dict[tuple, int]]:
    """The values of a YAML file, and the line of each place, such as ("bottlenecks", 0, "K").

    Raises ValueError with `FILE:LINE` for what is no YAML, a key given twice, references,
    and tags.
    """
    path = Path(path)
    data = path.read_bytes()
    if len(data) > _LARGEST:
        raise ValueError(f"{path}: {len(data)} bytes are no experiment's file: give a YAML file")
    lines: dict[tuple, int] = {}
    try:
        text = data.decode("utf-8")
        _check_events(text, path)
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except UnicodeDecodeError:
        raise ValueError(f"{path}: this is no text in UTF-8: give a YAML file") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ValueError(f"{path}:{line}: this is not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path}:1: this is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(node, yaml.MappingNode):
        raise ValueError(f"{path}:1: the file must hold keys and values, such as `name: words`")
    return _value(node, (), lines, path), lines


def write(values: Any) -> str:
    """Plain values as YAML that `read` turns into the same values."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=95)


def line_of(place: tuple, lines: dict[tuple, int]) -> int:
    """The line of a place, or of the nearest one around it; 1 for the file."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def _check_events(text: str, path: Path) -> None:
    """Refuse what could make a small file take for ever: references, and depth without end."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(
                f"{path}:{line}: *{event.anchor} refers to another place: write the values out"
            )
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ValueError(
                f"{path}:{line}: more than {_DEEPEST} lists and sections in one another: an "
                "experiment's file has four"
            )


def _value(node: Any, place: tuple, lines: dict[tuple, int], path: Path) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(place, line)
    if node.tag not in _TAGS:
        raise ValueError(f"{path}:{line}: the tag {node.tag} is not allowed: leave it out")
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*place, n), lines, path) for n, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode):
        return node.value if node.style else _scalar(node.value)
    values: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        line, key = key_node.start_mark.line + 1, key_node.value
        if not isinstance(key, str):
            raise ValueError(f"{path}:{line}: a key must be one word, not a list or mapping")
        if key in values:
            before = lines[(*place, key)]
            raise ValueError(
                f"{path}:{line}: the key {key!r} is given twice, first in line {before}: keep one"
            )
        lines[(*place, key)] = line
        values[key] = _value(value_node, (*place, key), lines, path)
    return values


def _scalar(text: str) -> Any:
    """What a word without quotation marks stands for, after YAML 1.2: `no` is the word no."""
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if _INT.fullmatch(text):
        return int(text) if len(text) < 20 else float(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


class _Dumper(yaml.SafeDumper):
    """Puts a text into quotation marks wherever it would be read as something else."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style=None if _scalar(text) == text else "'"
    ),
)
