"""An experiment's file read into the schema, and sentences on what is wrong in it.

The one idea: whatever is refused is named as FILE:LINE, with what was found and what is allowed.
Three things are checked: that it is YAML (`yaml_lines`), that every key and value is one that the
schema knows, and that the values go together.

Notebook: 11
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..datasets import SAMPLE_RATE
from ..spectral import MelConfig
from . import schema, yaml_lines
from .grid import singles
from .schema import ClipSet, Grid, LogMel, MelFrames, PictureSet

_PACKAGE = Path(__file__).resolve().parent.parent


def find(name: str | Path) -> Path:
    """The file of that path, or the shipped experiment of that name.

    Raises FileNotFoundError with the shipped names.
    """
    path = Path(name)
    if path.is_file():
        return path
    places = [_PACKAGE.parent / "experiments", _PACKAGE / "_data" / "experiments"]
    shipped = {p.stem: p for place in places for p in sorted(place.glob("*.yaml"))}
    if str(name) in shipped:
        return shipped[str(name)]
    raise FileNotFoundError(
        f"there is no file {name}, and no such experiment ships with vqlab: give the path of a "
        f"YAML file, or one of {', '.join(shipped)}"
    )


def read(path: str | Path) -> Grid:
    """The grid that a YAML file describes.

    Raises ValueError with `FILE:LINE`, what is wrong and what is allowed.
    """
    values, lines = yaml_lines.read(path)
    return check(values, lambda place: f"{path}:{yaml_lines.line_of(place, lines)}: ")


def check(values: Any, where: Callable[[tuple], str]) -> Grid:
    """The grid that these values describe. Raises ValueError that begins with `where` it is."""
    try:
        grid = Grid.model_validate(values)
    except ValidationError as error:
        found = error.errors()  # a misspelt key is the cause where another is missing
        first = min(found, key=lambda each: each["type"] != "extra_forbidden")
        place = _without_tags(first["loc"])
        if first["type"] == "union_tag_invalid":
            place = (*place, first["ctx"]["discriminator"].strip("'"))
        raise ValueError(where(place) + _sentence(dict(first), values)) from None
    for place, sentence in _impossible(grid):
        raise ValueError(where(place) + sentence)
    try:
        singles(grid)
    except ValueError as error:
        raise ValueError(where(("bottlenecks",)) + str(error)) from None
    return grid


def adapted(name: str, changes: Mapping[str, Any]) -> Grid:
    """The shipped grid of that name with other values, by place, such as "bottlenecks.0.K".

    Raises ValueError for what `read` refuses.
    """
    values, _ = yaml_lines.read(find(name))
    for place, value in changes.items():
        *path, key = [int(part) if part.isdigit() else part for part in place.split(".")]
        section = values
        for part in path:
            section = section[part]
        section[key] = value
    return check(values, lambda _: "")


def write(grid: Grid) -> str:
    """The grid as YAML with every key, defaults included; `read` reads it back."""
    return yaml_lines.write(grid.model_dump())


def _impossible(grid: Grid) -> Iterator[tuple[tuple, str]]:
    """What no single key shows: where, and a sentence on what does not go together."""
    data, seen, network, at = grid.dataset, grid.spectrogram, grid.network, "spectrogram"
    if [grid.training.epochs, grid.training.steps, grid.training.minutes].count(None) != 2:
        yield ("training",), "give one of epochs, steps and minutes in training"
    speech = network.kind in ("speech", "variable_speech")
    if isinstance(data, ClipSet) or isinstance(seen, MelFrames) or speech:
        yield from _impossible_clips(grid)
        return
    if isinstance(data, PictureSet):
        if data.size != 32 and data.name != "mnist":
            yield ("dataset", "size"), f"size is {data.size}: only mnist has a margin to leave out"
        for key in (at, "sound"):
            if getattr(grid, key) is not None:
                yield (key,), f"{data.name} holds pictures: leave {key} out"
        if network.kind == "frames":
            yield ("network", "kind"), f"{data.name} holds pictures: the network must be 'pictures'"
        return
    if data.name == "folder" and data.root is None:
        yield ("dataset", "name"), "'folder' needs root, the folder with the sound files"
    if seen is None or grid.sound is None:
        key = at if seen is None else "sound"
        yield (), f"the section {key} is missing: the data set {data.name} holds sound"
        return
    half, hop, frames = seen.n_fft / 2, seen.hop_length, seen.frames
    if half % hop:
        allowed = f"it must divide n_fft / 2 = {half:g} without a rest"
        yield (at, "hop_length"), f"hop_length is {hop}: {allowed}"
        return
    mels = seen.n_mels if isinstance(seen, LogMel) else None
    try:
        MelConfig(n_fft=seen.n_fft, hop_length=hop, n_mels=mels or 1)
    except ValueError as error:
        yield (at, "n_mels" if "n_mels" in str(error) else "n_fft"), str(error).rstrip(".")
    for name, size in (("rows", mels or int(half)), ("frames", frames)):
        if network.kind == "pictures" and size % 4:
            yield (at, name), f"a picture of {size} {name} does not do: take a multiple of 4"
    if network.kind == "frames" and frames % network.stride:
        allowed = f"it must be a multiple of the network's stride, {network.stride}"
        yield (at, "frames"), f"frames is {frames}: {allowed}"


def _impossible_clips(grid: Grid) -> Iterator[tuple[tuple, str]]:
    """The same of a codec for sound of any length."""
    data, seen, network = grid.dataset, grid.spectrogram, grid.network
    if not isinstance(data, ClipSet) or not isinstance(seen, MelFrames):
        said = "the data set 'clips' and the spectrogram 'mel_frames' go together"
        yield ("dataset", "name"), said
        return
    count = -(-SAMPLE_RATE // seen.hop_length)
    if network.kind == "pictures" or grid.sound is not None:
        yield ("network", "kind"), "mel_frames take no section sound and no network of pictures"
    elif network.kind != "frames" and any(one.kind != "rvq" for one in grid.bottlenecks):
        yield ("bottlenecks",), f"the network {network.kind!r} needs the bottleneck 'rvq'"
    elif count % network.stride:
        said = f"hop_length is {seen.hop_length}: a second has {count} frames, no multiple of the "
        said += f"{network.stride} of a position: take 160, say"
        yield ("spectrogram", "hop_length"), said
    if data.words and not set(data.of) & set(schema.WITH_WORDS):
        said = f"{', '.join(data.of)} has sentences, no words to choose: leave out words"
        yield ("dataset", "words"), said


_TAGGED_AT = {"dataset": 1, "spectrogram": 1, "network": 1, "bottlenecks": 2}


def _without_tags(loc: tuple) -> tuple:
    """pydantic's place of an error without the kinds it puts in between."""
    at = _TAGGED_AT.get(loc[0], len(loc)) if loc else 0
    return loc[:at] + loc[at + 1 :]


def _sentence(error: dict[str, Any], values: Any) -> str:
    """pydantic's error as a sentence: what is wrong, what is allowed."""
    place = _without_tags(error["loc"])
    key, kind, found = (place or ("file",))[-1], error["type"], error.get("input")
    where = f" in {place[0]}" if len(place) > 1 else ""
    if kind == "missing":
        return f"the key {key!r} is missing{where}: it has no default"
    if kind == "extra_forbidden":
        if found is None and not str(key).isidentifier():  # {D: 1, 2}
            return f"{key!r} has no value{where}: several values stand in brackets, as in [0, 1]"
        section = schema.SECTIONS[error["loc"][-2]] if where else Grid
        allowed = list(section.model_fields)
        close = difflib.get_close_matches(str(key), allowed, 1)
        meant = f" (did you mean {close[0]!r}?)" if close else ""
        return f"unknown key {key!r}{where}{meant}: allowed are {', '.join(allowed)}"
    context = error.get("ctx", {})
    tag = context.get("discriminator", "").strip("'")
    if kind == "union_tag_not_found":
        return f"the key {tag!r} is missing in {place[0]}: it says which keys there are"
    if kind == "union_tag_invalid":
        return f"{tag} is {context['tag']!r} in {place[0]}: allowed are {context['expected_tags']}"
    if not isinstance(key, str):
        last = max(n for n, part in enumerate(place) if isinstance(part, str))
        given = functools.reduce(lambda value, part: value[part], place[: last + 1], values)
        number = f" number {key + 1}" if isinstance(given, list) else ""  # else a list of one
        key = place[last] + number
    plain = found is None or isinstance(found, bool)
    said = {None: "null", True: "true", False: "false"}[found] if plain else repr(found)
    limits = error["msg"].replace("Input should be", "it must be")
    return f"{key} is {said}: {_ALLOWED.get(kind, limits)}"


_ALLOWED = {
    "string_type": "it must be text; put it in quotation marks if it is",
    "model_type": "it must be a section with keys of its own",
    "model_attributes_type": "it must be a section with keys of its own",
    "too_short": "it must have at least one item",
    "string_pattern_mismatch": "it must be letters, digits, dots, hyphens and underlines",
}
"""What pydantic says otherwise in the words of a programmer."""
