"""The file of a codec: which of its numbers are stored, and what a foreign file may not contain.

A codec is read from one safetensors file: weights, tables of the entropy coder, and a description
as JSON. All of it is checked before anything is built from it, because such a file may come from
anywhere.

Notebook: 10
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import models
from ..features import Features
from ..files import load_tensors
from ..spectral import MelConfig
from .entropy import LARGEST_WEIGHT, Tables

_TABLES = "tables."


@dataclass(frozen=True)
class Recipe:
    """What rebuilds a model: the name of a constructor in `vqlab.models`, and its options."""

    architecture: str
    options: dict[str, Any] = field(default_factory=dict)

    def build(self) -> models.Autoencoder:
        """A model with fresh weights. Raises `ValueError` for an unknown constructor."""
        constructors: dict[str, Any] = {
            "speech": models.speech,
            "variable_speech": models.variable_speech,
            "tutorial": models.tutorial,
        }
        if self.architecture not in constructors:
            known = ", ".join(constructors)
            raise ValueError(
                f"there is no architecture {self.architecture!r}: it is one of {known}"
            )
        return constructors[self.architecture](**self.options)


@dataclass(frozen=True)
class Parts:
    """What a file holds, checked."""

    recipe: Recipe
    features: Features
    level_db: float | None
    contrast: float
    trained: dict[str, Any]
    weights: dict[str, Tensor]
    tables: Tables | None


def read(path: str | Path) -> Parts:
    """The parts of a codec's file. Raises `ValueError` for another kind of file."""
    try:
        tensors, metadata = load_tensors(path)
        described = json.loads(metadata["codec"])
        recipe = Recipe(**described["recipe"])
        check_description(described, tensors)
        features = _features(described["features"])
        with torch.device("meta"):  # shapes alone: a false description must not fill the memory
            model = recipe.build()
            frames = torch.zeros(1, features.config.n_mels, 4 * model.stride)
            model.encoder(frames.unsqueeze(1) if features.picture else frames)
        tables, weights = split_tables(tensors)
        shapes = {name: tensor.shape for name, tensor in kept(model.state_dict()).items()}
        if shapes != {name: tensor.shape for name, tensor in weights.items()}:
            raise ValueError("its weights do not fit its description")
        return Parts(
            recipe,
            features,
            described["level_db"],
            described["contrast"],
            described["trained"],
            weights,
            read_tables(tables, model.bottleneck.codebook_sizes) if tables else None,
        )
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}: check the name") from None
    except Exception as error:
        raise ValueError(f"{path} is not a vqlab codec: {error}") from error


def _features(described: dict[str, Any]) -> Features:
    """The features of a description; numbers that no sound needs are refused before they cost."""
    config = dict(described["config"])
    for name in ("n_fft", "hop_length", "n_mels"):
        if not 1 <= config.get(name, 1) <= 65_536:
            raise ValueError(f"its description says {name} = {config[name]!r}")
    return Features(**(described | {"config": MelConfig(**config)}))


def check_description(described: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Raise `ValueError` for numbers that no saved codec has, before any are built from."""
    for name, value in described["recipe"]["options"].items():
        counts = name == "stages" or name.endswith("blocks")  # each of them has tensors of its own
        if isinstance(value, int) and value > (len(tensors) if counts else 65_536):
            raise ValueError(f"its description says {name} = {value}")
    for name in ("level_db", "contrast"):
        value = described[name]
        if value is not None and not (isinstance(value, int | float) and abs(value) <= 100):
            raise ValueError(f"its description says {name} = {value!r}")
    if not all(torch.isfinite(t).all() for t in tensors.values() if t.is_floating_point()):
        raise ValueError("its weights hold NaN or infinity")


def kept(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What a codec needs: all but the moving averages, which only further training moves."""
    return {name: t for name, t in state.items() if not name.endswith(("ema_sum", "ema_count"))}


def with_averages(fresh: dict[str, Tensor], saved: dict[str, Tensor]) -> dict[str, Tensor]:
    """`saved` and the averages left out of it: of each code one vector, the code itself."""
    sums = {name: saved[name.replace("ema_sum", "codebook")] for name in fresh if "ema_sum" in name}
    counts = {name: torch.ones_like(t) for name, t in fresh.items() if "ema_count" in name}
    return saved | sums | counts


def table_tensors(tables: Tables) -> dict[str, Tensor]:
    """The tables as tensors to store: weights as int16, groups as uint8."""
    named = {"context": torch.from_numpy(tables.context).to(torch.uint8)}
    for stage, weights in enumerate((tables.first, *tables.later)):
        named[f"stage_{stage}"] = torch.from_numpy(weights).to(torch.int16)
    return {_TABLES + name: tensor for name, tensor in named.items()}


def split_tables(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tables among `tensors`, and the rest, which are the model's weights."""
    tables = {name: tensor for name, tensor in tensors.items() if name.startswith(_TABLES)}
    return tables, {name: tensor for name, tensor in tensors.items() if name not in tables}


def read_tables(tensors: dict[str, Tensor], codebook_sizes: Sequence[int]) -> Tables:
    """The inverse of `table_tensors`.

    Raises `ValueError` for tables of other sizes, and for numbers out of range.
    """
    kinds = {"context": (torch.uint8, 1), "stage_0": (torch.int16, 2)}
    kinds |= {f"stage_{stage}": (torch.int16, 1) for stage in range(1, len(codebook_sizes))}
    found = {name.removeprefix(_TABLES): (t.dtype, t.ndim) for name, t in tensors.items()}
    if found != kinds:
        raise ValueError("its tables of frequencies do not fit its codebooks")
    arrays = [tensors[_TABLES + name].numpy().astype(np.int64) for name in kinds]
    context, first, *later = arrays
    fits = (
        [len(context), first.shape[1]] == 2 * [codebook_sizes[0]]
        and [len(table) for table in later] == list(codebook_sizes[1:])
        and context.max() < len(first) <= 256
        and all(1 <= table.min() and table.max() <= LARGEST_WEIGHT for table in (first, *later))
    )
    if not fits:
        raise ValueError("its tables of frequencies do not fit its codebooks")
    return Tables(context, first, later)
