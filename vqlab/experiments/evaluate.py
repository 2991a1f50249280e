"""The test error of every model of a run or a grid, computed again from its weights.

The one idea: the set that chose the weights (validation) is not the set that is reported (test).
The thesis's measure is the squared error summed over a picture, mean over the test set; beside it
stand the mean absolute error in decibels, intelligibility (STOI) where the set is speech, and what
the latents cost in bits. `results.csv` and `results.md` are the table, `errors.safetensors` the
error of every frequency bin, the bins' frequencies and one typical item.

Notebook: 11
"""

from __future__ import annotations

import csv
import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from .. import metrics, spectral, training
from ..codec import Codec
from ..features import Front
from ..files import load_json, save_tensors, write_whole
from ..files.codecs import CODEC
from ..quantize import CodebookStats
from . import data, folders
from .data import Split
from .grid import Single
from .schema import Grid

COLUMNS = tuple(
    "grid run dataset model D K stages seed parameters positions latent_bits seconds "
    "bits_per_second stored_bits_per_second test_items sse db stoi used perplexity epochs "
    "best_epoch validation_error train_seconds train_asked train_got test_asked test_got".split()
)
BRIEF = tuple("run latent_bits stored_bits_per_second sse db stoi used perplexity epochs".split())
FLOAT_BITS = 32  # what a number of an autoencoder's latent takes

MEANING = (
    "latent_bits: bits of an item's codes, all equally long (autoencoders: 32 for each number); "
    "stored_bits_per_second: of a .vql file of the item, range-coded, with its header; "
    "sse: squared error summed over an item, mean over the test set; db: mean absolute error of a "
    "bin in decibels; stoi: intelligibility, 0 to 1; used, perplexity: codes over the test set. "
    "validation_error chose the weights: squared error, mean over all values. For sound, the two "
    "numbers that restore an item's level come on top of latent_bits (64 bits; 16 in a file). "
    "asked, got: items of the set that the file asks for (empty: all), and that there were."
)


def evaluate(
    path: str | Path,
    *,
    allow_fewer: bool = False,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Measure every trained model in `path`, a run's folder or a grid's, and write the table.

    Returns a row a run, keys `COLUMNS`, None where a value is not defined; for sound, one more row
    for the way back alone ("inversion"). Raises FileNotFoundError where nothing is trained, and,
    unless told to `allow_fewer`, ValueError where the test set has fewer items than asked for.
    """
    path, place = Path(path), training.usable_device(device)
    rows: list[dict[str, Any]] = []
    tensors: dict[str, Tensor] = {}
    split, loaded = None, None
    for folder in tqdm(folders.runs_in(path), "evaluating", unit="run", disable=not progress):
        single, model = folders.load_model(folder)
        wanted = (single.grid.dataset, single.grid.spectrogram, single.grid.network.kind)
        if split is None or wanted != loaded:
            grid = data.allowing_fewer(single.grid) if allow_fewer else single.grid
            split, loaded = data.load(grid, "test", progress=progress), wanted
            if split.front is not None and not rows:
                tensors["hz"] = _frequencies(split.front)
                row, error = _inversion(single.grid, split)
                rows.append(row)
                tensors["inversion"] = error
        model.to(place)
        codec = Codec.load(folder) if (folder / CODEC).is_file() else None
        row, error, pictures = measure(single, model, split, codec)
        reports = folders.reports_of(folder)
        best = min(reports, key=lambda report: report["validation_error"])
        row |= {"best_epoch": best["epoch"], "validation_error": best["validation_error"]}
        row |= {"epochs": reports[-1]["epoch"], "train_seconds": reports[-1]["seconds"]}
        known = load_json(folder / "run.json")  # an older version's does not count
        row |= {f"train_{key}": known.get(key, {}).get("train") for key in ("asked", "got")}
        row |= {"test_asked": split.asked, "test_got": split.got}
        rows.append(row)
        tensors[single.name] = error
        tensors[f"{single.name}.original"], tensors[f"{single.name}.reconstruction"] = pictures
    if rows and rows[0]["model"] == "inversion":
        rows.append(rows.pop(0))
    write_whole(path / "results.csv", as_csv(rows).encode())
    write_whole(path / "results.md", f"{as_markdown(rows)}\n\n{MEANING}\n".encode())
    save_tensors(tensors, path / "errors.safetensors", {"grid": rows[0]["grid"]})
    return rows


@torch.no_grad()
def measure(
    single: Single, model: Any, split: Split, codec: Codec | None = None
) -> tuple[dict[str, Any], Tensor, tuple[Tensor, Tensor]]:
    """A row without the training's columns, the error of each row, and a typical item twice.

    The error is `(rows,)`, mean absolute, in decibels for sound; the typical item is the original
    and its reconstruction `(rows, columns)`, in decibels for sound. `codec`: what a file takes.
    """
    device = next(model.parameters()).device
    sizes = model.bottleneck.codebook_sizes
    stats, squared, absolute = CodebookStats(sizes), 0.0, torch.zeros(split.inputs.shape[-2])
    # The typical item: its distance from the set's mean is the median one; no model decides.
    flat = split.inputs.flatten(1)
    distance = (flat - flat.mean(dim=0)).square().sum(dim=1)
    typical, positions, stored = int(distance.argsort()[len(flat) // 2]), 0, 0
    heard = _scored(single.grid, split)
    kept: dict[int, Tensor] = {}
    batch = single.grid.training.batch
    for first in range(0, len(split), batch):
        rows = slice(first, first + batch)
        x = split.inputs[rows]
        output, quantized = model(x.to(device))
        output = output.float().cpu()
        squared += float((output - x).double().square().sum())
        error = (_shown(split, output, rows) - _shown(split, x, rows)).abs()
        absolute += error.mean(dim=-1).sum(dim=0)
        if quantized.codes is not None:
            stats.update(quantized.codes)
            if codec is not None:
                rest = codec.overhead(codec.features.samples)
                each = quantized.codes.flatten(2).cpu().numpy()
                stored += sum(8 * (rest + len(codec.tables.encode(one))) for one in each)
        positions = quantized.z[0, 0].numel()
        for n in range(first, first + len(x)):
            if n == typical or n in heard:
                kept[n] = output[n - first : n - first + 1]
    absolute /= len(split)
    bits = positions * (sum(map(math.log2, sizes)) if sizes else FLOAT_BITS * single.D)
    row = _empty(single.grid, single.name, single.bottleneck.kind) | {
        "D": single.D,
        "seed": single.seed,
        "parameters": sum(p.numel() for p in model.parameters()),
        "positions": positions,
        "latent_bits": bits,
        "test_items": len(split),
        "sse": squared / len(split),
    }
    if sizes:
        row |= {"K": sizes[0], "stages": len(sizes), "used": sum(stats.used)}
        row["perplexity"] = sum(stats.perplexity) / len(sizes)
    if split.front:
        seconds = split.front.seconds
        row |= {"seconds": seconds, "bits_per_second": bits / seconds, "db": float(absolute.mean())}
        row["stored_bits_per_second"] = stored / len(split) / seconds if stored else None
        if data.is_speech(single.grid):
            db = split.decibels(torch.cat([kept[n] for n in heard]), heard)
            row["stoi"] = _stoi(split.segments[heard], split.front.synthesise(db))
    rows = slice(typical, typical + 1)
    shown = (_shown(split, split.inputs[rows], rows)[0], _shown(split, kept[typical], rows)[0])
    return row, absolute, shown


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """The table with a line a row; empty cells where there is no value."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_cells, rows))
    return text.getvalue()


def in_brief(rows: Sequence[dict[str, Any]]) -> str:
    """What of the table fits into a terminal; asked and got where there was less than asked for."""
    pairs = [("train_asked", "train_got"), ("test_asked", "test_got")]
    fewer = [two for two in pairs if any((row[two[0]] or 0) > (row[two[1]] or 0) for row in rows)]
    return as_markdown(rows, (*BRIEF, *(key for two in fewer for key in two)))


def as_markdown(rows: Sequence[dict[str, Any]], columns: Sequence[str] = COLUMNS) -> str:
    """The table for people, without columns that are empty; `MEANING` says what they mean."""
    shown = {key: key for key in columns if any(row.get(key) is not None for row in rows)}
    return metrics.markdown_table(shown, [_cells(row) for row in rows])


def _cells(row: dict[str, Any]) -> dict[str, str]:
    found = {name: "" if row.get(name) is None else row[name] for name in COLUMNS}
    return {n: f"{x:.6g}" if isinstance(x, float) else str(x) for n, x in found.items()}


def _empty(grid: Grid, run: str, model: str) -> dict[str, Any]:
    known = {"grid": grid.name, "run": run, "dataset": grid.dataset.name, "model": model}
    return dict.fromkeys(COLUMNS) | known


def _shown(split: Split, values: Tensor, rows: slice) -> Tensor:
    """What errors are counted in, `(n, rows, columns)`: decibels, or the channels' mean."""
    return split.decibels(values, rows) if split.front else values.mean(dim=1)


def _scored(grid: Grid, split: Split) -> list[int]:
    """The test items that are made heard: evenly spread, as many as the grid says."""
    if split.front is None or grid.sound is None:
        return []
    count = min(grid.sound.scored or len(split), len(split))
    return [n * len(split) // count for n in range(count)]


def _inversion(grid: Grid, split: Split) -> tuple[dict[str, Any], Tensor]:
    """The way to a picture and back without a network: what making sound adds, a yardstick.

    Its "db" is taken after sound was made, a model's before, so a model's can be smaller.
    """
    assert split.front is not None
    heard = _scored(grid, split)
    original = split.decibels(split.inputs[heard], heard)
    waveforms = split.front.synthesise(original)
    error = (split.front.decibels(waveforms) - original).abs().mean(dim=(0, 2))
    row = _empty(grid, "inversion", "inversion") | {
        "seconds": split.front.seconds,
        "test_items": len(heard),
        "db": float(error.mean()),
        "stoi": _stoi(split.segments[heard], waveforms) if data.is_speech(grid) else None,
    }
    return row, error


def _frequencies(front: Front) -> Tensor:
    """What frequency each row of a picture has, in Hz; of a mel band the centre of its weight."""
    rate = front.config.sample_rate / front.config.n_fft
    bins = torch.arange(front.config.bins) * rate
    bank = spectral.filter_bank(front.config)
    return (bank @ bins) / bank.sum(dim=1) if front.mel else bins[: front.rows]


def _stoi(originals: Tensor, decoded: Tensor) -> float | None:
    """Mean STOI of those for which it is defined; None without any, or without its library."""
    try:
        values = [metrics.measures.stoi(x, y) for x, y in zip(originals, decoded, strict=True)]
    except ImportError as error:
        warnings.warn(f"STOI is left out: {error}", stacklevel=2)
        return None
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
