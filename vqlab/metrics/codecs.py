"""One table for trained codecs: error, codes used, rate, STOI and PESQ on speakers never heard.

The one idea: every row goes through the same door. A codec with some number of stages, the mel
frames without any codes, all turn a waveform into a waveform, and `vqlab.metrics` scores what
comes out clip by clip.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..codec import Codec
from ..codec.packing import overhead
from ..datasets import Item
from ..files import write_whole
from ..quantize import CodebookStats
from . import summary as metrics

COLUMNS = {
    "codec": "codec",
    "kbps": "codes, kbit/s",
    "stored_kbps": "stored, kbit/s",
    "error_db": "mel error, dB",
    "used": "codes used",
    "stoi": "STOI",
    "estoi": "ESTOI",
    "pesq_wb": "PESQ-wb",
    "log_mel_db": "log-mel dB",
}


def score_rate(
    codec: Codec,
    clips: Sequence[Item],
    name: str,
    *,
    kbps: float | None = None,
    pad_seconds: float = 0.5,
) -> dict[str, Any]:
    """The row of `codec` at a rate on `clips` (None: all stages everywhere).

    The rate bounds the packed file of each bare clip, header included (`Codec.quality_for`);
    then the clip is coded at that quality with `pad_seconds` of silence on both sides.
    `stored_kbps` is the files' size over the clips' duration, `kbps` that of the codes alone;
    `error_db` the mean difference of the decoder's mel frames from the original's; `used` how
    many codes of each stage occur in all clips together.
    """

    def there_and_back(waveform: Tensor) -> Tensor:
        pad = round(pad_seconds * codec.sample_rate)
        quality = _quality(codec, waveform[pad : len(waveform) - pad], kbps)
        codes, gain_db = codec.encode(waveform, quality=quality)
        return codec.decode(codes, len(waveform), gain_db)

    scored = metrics.score_codec(there_and_back, clips, pad_seconds=pad_seconds)
    return {"codec": name} | _summary(scored) | _inside(codec, clips, kbps)


def score_features(
    codec: Codec, clips: Sequence[Item], *, pad_seconds: float = 0.5
) -> dict[str, Any]:
    """The row of the mel frames themselves: analysed and inverted, nothing coded."""

    def there_and_back(waveform: Tensor) -> Tensor:
        x = codec.features.analyse(waveform.unsqueeze(0))
        return codec.features.synthesise(x, len(waveform))[0]

    scored = metrics.score_codec(there_and_back, clips, pad_seconds=pad_seconds)
    return {"codec": "mel frames, no codes", "error_db": 0.0} | _summary(scored)


def typical_clip(codec: Codec, clips: Sequence[Item]) -> Item:
    """The clip whose mel error is the median of all: an example that nobody picked."""
    ordered = sorted(
        clips, key=lambda item: _mel_error(codec, item, codec.encode(item.waveform)[0])
    )
    return ordered[len(ordered) // 2]


def table(rows: Sequence[dict[str, Any]], *, extra: dict[str, str] | None = None) -> str:
    """The rows as a Markdown table, and below it over how many clips the means are.

    `extra` adds columns (key in the rows: heading).
    """
    text = metrics.markdown_table(COLUMNS | (extra or {}), rows)
    clips = rows[0]["clips"]
    fewest = {name: min(row[name][3] for row in rows) for name in ("stoi", "estoi", "pesq_wb")}
    without = [f"{COLUMNS[name]} {clips - n}" for name, n in fewest.items() if n < clips]
    said = f"; left out as undefined, with too little speech: {', '.join(without)}"
    return f"{text}\n\n{clips} clips{said if without else ''}."


def save_rows(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """The rows as JSON, with the intervals' ends and the clips each mean is over."""
    write_whole(path, (json.dumps(rows, indent=1) + "\n").encode())


def _summary(scored: list[dict[str, Any]]) -> dict[str, Any]:
    return dict(metrics.summarise(scored)) | {"clips": len(scored)}


def _quality(codec: Codec, waveform: Tensor, kbps: float | None) -> int | None:
    return None if kbps is None else codec.quality_for(waveform, kbps)


@torch.no_grad()
def _inside(codec: Codec, clips: Sequence[Item], kbps: float | None) -> dict[str, Any]:
    """What can be said of the codes: mel error, codes used, bits."""
    stats = CodebookStats(codec.model.bottleneck.codebook_sizes)
    errors, stored, present, seconds = [], 0, 0, 0.0
    for item in clips:
        quality = _quality(codec, item.waveform, kbps)
        codes, _ = codec.encode(item.waveform, quality=quality)
        payload = len(codec.tables.encode(codes[0].flatten(1).numpy()))
        stats.update(codes)
        errors.append(_mel_error(codec, item, codes))
        stored += 8 * (overhead(len(item.waveform)) + payload)
        present += 8 * payload
        seconds += len(item.waveform) / item.sample_rate
    return {
        "error_db": sum(errors) / len(errors),
        "used": " ".join(str(n) for n in stats.used if n),
        "stored_kbps": stored / seconds / 1000,
        "kbps": present / seconds / 1000,
    }


@torch.no_grad()
def _mel_error(codec: Codec, item: Item, codes: Tensor) -> float:
    """Mean difference in dB of the decoder's mel frames from the levelled original's."""
    x = codec.features.analyse(codec.normalise(item.waveform)[0].unsqueeze(0))
    y = codec.model.decode(codes)[..., : x.shape[-1]]
    return float(codec.features.error_db(x, y))
