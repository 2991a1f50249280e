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
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

from ..codec import Codec
from ..codec.analysis import Analysis
from ..datasets import Item
from ..features import Front
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


def score_rates(
    codec: Codec,
    clips: Sequence[Item],
    name: str,
    rates: Sequence[float | None],
    *,
    pad_seconds: float = 0.5,
) -> list[dict[str, Any]]:
    """Rows of `codec` on `clips`, one for each rate (None: all stages everywhere), highest first.

    A rate bounds the packed file of each bare clip, header included (`Analysis.fitting`); then the
    clip is coded at that quality with `pad_seconds` of silence on both sides. `stored_kbps` is the
    files' size over the clips' duration, `kbps` that of the codes alone; `error_db` the mean
    difference of the decoder's mel frames from the original's; `used` how many codes of each stage
    occur in all clips together.
    """
    tallies = [_Tally(codec, kbps) for kbps in sorted(rates, key=lambda k: -(k or 0))]
    for item in tqdm(clips, "scoring", unit="clip", leave=False):
        pad = round(pad_seconds * item.sample_rate)
        bare = codec.analysis(item.waveform)
        padded = codec.analysis(F.pad(item.waveform, (pad, pad)))
        for tally in tallies:  # what is searched for the highest rate serves the others
            tally.add(item, bare, padded, pad)
    return [{"codec": name} | tally.row() for tally in tallies]


class _Tally:
    """What `score_rates` collects at one rate."""

    def __init__(self, codec: Codec, kbps: float | None) -> None:
        self.codec, self.kbps = codec, kbps
        self.stats = CodebookStats(codec.model.bottleneck.codebook_sizes)
        self.scored: list[dict[str, Any]] = []
        self.errors: list[float] = []
        self.stored, self.present = 0, 0  # bits: whole files, and their codes alone

    def add(self, item: Item, bare: Analysis, padded: Analysis, pad: int) -> None:
        """Take in one clip."""
        codec = self.codec
        if self.kbps is None:
            codes, inside = bare.nearest(), padded.nearest()
            payload = codec.payload(codes)
        else:
            quality, codes, payload = bare.fitting(self.kbps)
            inside = padded.codes(quality)
        heard = codec.decode(inside, padded.samples, padded.level)
        self.scored.append(metrics.score_clip(item, heard, pad))
        self.errors.append(_mel_error(codec, item, codes))
        self.stats.update(codes)
        self.stored += 8 * (codec.overhead(bare.samples) + len(payload))
        self.present += 8 * len(payload)

    def row(self) -> dict[str, Any]:
        """The means over all clips."""
        seconds = sum(row["seconds"] for row in self.scored)
        return _summary(self.scored) | {
            "error_db": sum(self.errors) / len(self.errors),
            "used": " ".join(str(n) for n in self.stats.used if n),
            "stored_kbps": self.stored / seconds / 1000,
            "kbps": self.present / seconds / 1000,
        }


def score_features(
    codec: Codec, clips: Sequence[Item], *, pad_seconds: float = 0.5
) -> dict[str, Any]:
    """The row of the mel frames themselves: analysed and inverted, nothing coded."""

    def there_and_back(waveform: Tensor) -> Tensor:
        if isinstance(codec.features, Front):
            return codec.through(waveform, inversion=True)
        x = codec.features.analyse(waveform.unsqueeze(0))
        return codec.features.synthesise(x, len(waveform))[0]

    scored = metrics.score_codec(there_and_back, clips, pad_seconds=pad_seconds)
    seen = "pictures" if isinstance(codec.features, Front) else "mel frames"
    return {"codec": f"{seen}, no codes", "error_db": 0.0} | _summary(scored)


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


@torch.no_grad()
def _mel_error(codec: Codec, item: Item, codes: Tensor) -> float:
    """Mean difference in dB of what the decoder makes from what the network sees."""
    if isinstance(codec.features, Front):
        errors = []
        for block, x, level in codec.seen(item.waveform, 0.0):
            y = codec.model.decode(codes[..., block.positions])
            assert level is not None  # of pictures: their lowest and highest decibels
            errors.append((x - y).abs().mean() * (level[0, 1] - level[0, 0]))
        return float(torch.stack(errors).mean())
    x = codec.features.analyse(codec.normalise(item.waveform)[0].unsqueeze(0))
    y = codec.model.decode(codes)[..., : x.shape[-1]]
    return float(codec.features.error_db(x, y))
