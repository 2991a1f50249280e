"""The file of a codec: which of its numbers are stored, and what a foreign file may not contain.

A codec is read from one safetensors file: weights, tables of the entropy coder, and a description
as JSON. All of it is checked before anything is built from it, because such a file may come from
anywhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..features import Features, Front
from ..files import load_tensors
from ..models import Autoencoder, Recipe
from ..spectral import MelConfig
from . import context
from .entropy import LARGEST_WEIGHT, Tables

_TABLES = "tables."
MOST_CODES = 65_536
"""Of a codebook whose codes can be written down and read again."""


def read(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a `Codec` is made of, by the names of its arguments, and its weights; all checked.

    Raises `ValueError` for another kind of file, `FileNotFoundError` where there is none.
    """
    try:
        tensors, metadata = load_tensors(path)
        described = json.loads(metadata["codec"])
        recipe = Recipe(**described["recipe"])
        check_numbers(described, ("level_db", "contrast"), -1000, 1000)
        features = _features(described["features"])
        tables = {name: tensors.pop(name) for name in [*tensors] if name.startswith(_TABLES)}
        model = plan(recipe, tensors)
        with torch.device("meta"):
            frames = torch.zeros(1, features.rows, 4 * model.stride)
            model.encoder(frames.unsqueeze(1) if features.picture else frames)
        made = {name: described[name] for name in ("level_db", "contrast", "trained")}
        made |= {"recipe": recipe, "features": features}
        if tables:
            made["tables"] = read_tables(tables, model.bottleneck.codebook_sizes)
        return made, tensors
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}: check the name") from None
    except Exception as error:
        raise ValueError(f"{path} is not a vqlab codec: {error}") from error


def _features(described: dict[str, Any]) -> Features | Front:
    """The features of a description; numbers that no sound needs are refused before they cost."""
    numbers = described["config"] | described
    sizes = ("n_fft", "hop_length", "n_mels", "frames", "iterations", "sample_rate")
    check_numbers(numbers, sizes, 0, 100_000)
    if numbers["n_fft"] * (numbers.get("n_mels") or 0) > 2**23:  # the filter bank, in memory
        raise ValueError("its description says more frequencies times bands than any sound needs")
    kind = Front if "frames" in described else Features
    features = kind(**(described | {"config": MelConfig(**described["config"])}))
    if features.samples > 2**24:
        raise ValueError(f"its description says {features.samples} samples a segment")
    return features


def check_numbers(described: dict[str, Any], names: Sequence[str], low: float, high: float) -> None:
    """Raise `ValueError` for a value that is there and no number from `low` to `high`."""
    for name in names:
        value = described.get(name)
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (good and low <= value <= high):
            raise ValueError(f"its description says {name} = {value!r}")


def plan(recipe: Recipe, weights: dict[str, Tensor]) -> Autoencoder:
    """A recipe's model, shapes alone: a false description must not fill the memory.

    Raises `ValueError` for numbers that no saved model has, before anything is built from them, for
    weights that are not finite, and for weights that do not fit.
    """
    options = recipe.options
    for name, value in (options | options.get("bottleneck", {})).items():
        counts = name == "stages" or name.endswith("blocks")  # each of them has tensors of its own
        if isinstance(value, int) and value > (len(weights) if counts else 65_536):
            raise ValueError(f"its description says {name} = {value}")
    if not all(torch.isfinite(t).all() for t in weights.values() if t.is_floating_point()):
        raise ValueError("its weights hold NaN or infinity")
    with torch.device("meta"):
        model = recipe.build()
    if max(model.bottleneck.codebook_sizes, default=0) > MOST_CODES:
        raise ValueError(f"its codebooks have more than {MOST_CODES:,} codes")
    shapes = {name: tensor.shape for name, tensor in kept(model.state_dict()).items()}
    if shapes != {name: tensor.shape for name, tensor in kept(weights).items()}:
        raise ValueError("its weights do not fit its description")
    return model


def kept(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What a codec needs: all but the moving averages, which only further training moves."""
    return {name: t for name, t in state.items() if not name.endswith(("ema_sum", "ema_count"))}


def stored(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The numbers of a model as a file has them: those `kept`, real ones as float16."""
    return {
        name: tensor.detach().cpu().half() if tensor.is_floating_point() else tensor.cpu()
        for name, tensor in kept(state).items()
    }


def identity(tensors: dict[str, Tensor]) -> bytes:
    """Two bytes that tell one set of tensors from another: the start of a SHA-256."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.digest()[:2]


def mark(tensor: Tensor) -> tuple[int, int, float]:
    """What changes when a tensor's numbers do, without reading them all.

    Another tensor lies elsewhere; a change in place counts its version up; and fused optimisers,
    which do not count, change every number.
    """
    version = 0 if tensor.is_inference() else tensor._version
    return tensor.data_ptr(), version, tensor.reshape(-1)[-1].item()


def with_averages(fresh: dict[str, Tensor], saved: dict[str, Tensor]) -> dict[str, Tensor]:
    """`saved` and the averages left out of it: of each code one vector, the code itself."""
    sums = {name: saved[name.replace("ema_sum", "codebook")] for name in fresh if "ema_sum" in name}
    counts = {name: torch.ones_like(t) for name, t in fresh.items() if "ema_count" in name}
    return saved | sums | counts


def table_tensors(tables: Tables) -> dict[str, Tensor]:
    """The tables as tensors to store: weights as int16, groups as uint8; and the networks."""
    named = {"context": torch.from_numpy(tables.context).to(torch.uint8)}
    for stage, weights in enumerate((tables.first, *tables.later)):
        named[f"stage_{stage}"] = torch.from_numpy(weights).to(torch.int16)
    named |= context.to_tensors(tables.nets)
    return {_TABLES + name: tensor for name, tensor in named.items()}


def read_tables(tensors: dict[str, Tensor], codebook_sizes: Sequence[int]) -> Tables:
    """The inverse of `table_tensors`; the networks are taken out of `tensors`.

    Raises `ValueError` for tables of other sizes, and for numbers out of range.
    """
    nets = context.taken_from(tensors, _TABLES, codebook_sizes)
    first = tuple(codebook_sizes[:1])
    groups = tensors.get(f"{_TABLES}stage_0", torch.empty(0)).shape
    wanted = {"context": (torch.uint8, first), "stage_0": (torch.int16, (*groups[:1], *first))}
    wanted |= {f"stage_{n}": (torch.int16, (size,)) for n, size in enumerate(codebook_sizes) if n}
    found = {name.removeprefix(_TABLES): (t.dtype, tuple(t.shape)) for name, t in tensors.items()}
    if found == wanted and 1 <= groups[0] <= 256:
        groups_of, *tables = [tensors[_TABLES + name].numpy().astype(np.int64) for name in wanted]
        counted = all(1 <= table.min() and table.max() <= LARGEST_WEIGHT for table in tables)
        if groups_of.max() < groups[0] and counted:
            return Tables(groups_of, tables[0], tables[1:], nets)
    raise ValueError("its tables of frequencies do not fit its codebooks")
