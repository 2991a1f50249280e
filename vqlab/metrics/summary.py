"""How good a codec is: its clips scored one by one, a mean, and how sure that mean is.

The one idea: a mean is worth as much as the way it was taken. Every clip is coded with silence
around it, cut to its length and scored by itself (the measures of one clip are in `measures` and
can be called from here); a clip for which a measure is undefined is left out and counted; and the
95 % interval comes from drawing *speakers* with replacement (the bootstrap, Efron 1979), since
two clips of one speaker are not two independent observations.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

from .. import audio
from ..datasets import Item
from .measures import METRICS, score

DIGITS = {"stoi": 3, "estoi": 3}  # decimals in a table; everything else gets 2
DRAWS = 2000  # of the bootstrap


class Summary(NamedTuple):
    """A mean with its 95 % interval, over the `n` clips for which the measure is defined."""

    mean: float
    low: float
    high: float
    n: int


def score_codec(
    code_decode: Callable[[Tensor], Tensor],
    clips: Sequence[Item],
    *,
    pad_seconds: float = 0.5,
) -> list[dict[str, Any]]:
    """Code, decode and score clips one by one.

    Each clip gets `pad_seconds` of digital silence before and after it, goes through `code_decode`
    (waveform in, waveform out, at the clip's sample rate) and is cut to its own length again.

    clips   : items with .waveform (samples,), .sample_rate, .label, .speaker, .path
    returns : a row per clip: clip ("folder/file"), label, speaker, seconds and the five measures

    Raises ValueError where so little sound comes back that the clip is not covered.
    """
    rows = []
    for item in tqdm(clips, "scoring", unit="clip", leave=False):
        pad = round(pad_seconds * item.sample_rate)
        with torch.no_grad():
            decoded = torch.as_tensor(code_decode(F.pad(item.waveform, (pad, pad))))
        rows.append(score_clip(item, decoded, pad))
    return rows


def score_clip(item: Item, decoded: Tensor, pad: int) -> dict[str, Any]:
    """The row of one clip (see `score_codec`) that was decoded with `pad` samples around it."""
    length = len(item.waveform)
    decoded = decoded.detach().cpu()[..., pad:][..., :length]
    if len(decoded) < length:
        raise ValueError(
            f"{_name(item.path)}: the decoded sound ends {length - len(decoded)} samples before "
            f"the clip does ({pad} samples of silence were put on either side). code_decode must "
            "give back as many samples as it gets."
        )
    return {
        "clip": _name(item.path),
        "label": item.label,
        "speaker": item.speaker,
        "seconds": length / item.sample_rate,
        **score(item.waveform, decoded, item.sample_rate),
    }


def summarise(
    rows: Sequence[Mapping[str, Any]],
    *,
    metrics: Sequence[str] = METRICS,
) -> dict[str, Summary]:
    """Mean over clips and 95 % bootstrap interval over speakers, for each measure.

    A draw takes as many speakers as there are, with replacement, and the mean of all their clips.
    Clips whose value is None are left out; `n` says how many remain. A clip without a speaker
    stands for itself.

    rows    : as `score_codec` gives them: the measures and "speaker"
    returns : measure -> Summary(mean, low, high, n), NaN where no clip has a value

    Raises ValueError for no rows or a measure that they do not have.
    """
    if not rows:
        raise ValueError("There are no rows to summarise; score at least one clip.")
    for name in metrics:
        if name not in rows[0]:
            raise ValueError(f"The rows hold no {name!r}, only {sorted(rows[0])}.")
    return {name: _bootstrap(rows, name) for name in metrics}


def clips_from_list(
    path_of_txt: str | Path, root: str | Path, *, seconds: float | None = None
) -> list[Item]:
    """Read the clips that a text file names, so that the very same clips can be scored again.

    The file has one path a line, relative to `root`; where a path is not there, it is tried
    without its first folder, which may be the root itself. Empty lines and lines beginning with
    `#` are skipped. The label is the name of the clip's folder; the speaker is what the file name
    has before `_nohash_` (Speech Commands) or the first `-` (LibriSpeech).

    seconds : keep only so much of the beginning of each clip

    Raises FileNotFoundError where the list or a clip is not there.
    """
    path_of_txt, root = Path(path_of_txt), Path(root)
    if not path_of_txt.is_file():
        raise FileNotFoundError(f"There is no list of clips at {path_of_txt}; check the path.")
    lines = (line.strip() for line in path_of_txt.read_text(encoding="utf-8").splitlines())
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise ValueError(f"{path_of_txt} names no clip; it should hold one path a line.")
    paths = [_find(name, root) for name in names]
    lost = [name for name, path in zip(names, paths, strict=True) if path is None]
    if lost:
        raise FileNotFoundError(
            f"{len(lost)} of the {len(names)} clips in {path_of_txt.name} are not under {root}, "
            f"the first: {lost[0]}. Give as root the folder that the list's paths start from."
        )
    items = []
    for path in paths:
        assert path is not None  # those were refused above
        waveform, sample_rate = audio.load(path)
        if seconds is not None:
            waveform = waveform[: round(seconds * sample_rate)]
        speaker = path.stem.split("_nohash_" if "_nohash_" in path.stem else "-")[0]
        items.append(
            Item(
                waveform=waveform,
                sample_rate=sample_rate,
                label=path.parent.name,
                speaker=speaker,
                path=path,
            )
        )
    return items


def markdown_table(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> str:
    """A table in Markdown: text escaped, numbers with their usual decimals, "–" for undefined.

    columns : key in the rows -> heading, in order
    rows    : values are text, numbers, None, or `Summary` ("mean [low, high]")
    """
    lines = ["| " + " | ".join(columns.values()) + " |"]
    numeric = [all(not isinstance(row.get(key), str) for row in rows) for key in columns]
    lines.append("|" + "|".join("--:" if right else "---" for right in numeric) + "|")
    for row in rows:
        lines.append("| " + " | ".join(_cell(row.get(key), key) for key in columns) + " |")
    return "\n".join(lines)


def _bootstrap(rows: Sequence[Mapping[str, Any]], name: str) -> Summary:
    by_speaker: dict[Any, list[float]] = {}
    for i, row in enumerate(rows):
        if row[name] is not None and not math.isnan(row[name]):
            by_speaker.setdefault(row.get("speaker") or ("clip", i), []).append(float(row[name]))
    if not by_speaker:
        return Summary(math.nan, math.nan, math.nan, 0)
    # A draw's mean is the sum of its speakers' sums over the sum of their counts.
    sums = np.array([sum(values) for values in by_speaker.values()])
    counts = np.array([len(values) for values in by_speaker.values()])
    rng = np.random.default_rng(0)
    draw = (rng.integers(len(sums), size=len(sums)) for _ in range(DRAWS))
    means = [sums[drawn].sum() / counts[drawn].sum() for drawn in draw]
    low, high = np.percentile(means, [2.5, 97.5])
    n = int(counts.sum())
    return Summary(float(sums.sum() / n), float(low), float(high), n)


def _find(name: str, root: Path) -> Path | None:
    shorter = Path(*Path(name).parts[1:])
    return next((path for path in (root / name, root / shorter) if path.is_file()), None)


def _name(path: str | Path) -> str:
    return "/".join(Path(path).parts[-2:])  # enough to know the clip, nothing of the machine


def _cell(value: Any, key: str) -> str:
    if isinstance(value, str):  # names that people gave
        return html.escape(" ".join(value.split()), quote=False).replace("|", r"\|")
    digits = DIGITS.get(key, 2)
    if isinstance(value, tuple):
        mean, low, high = value[:3]
        if math.isnan(mean):
            return "–"
        return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"
