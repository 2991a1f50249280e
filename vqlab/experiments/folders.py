"""The folders that a grid leaves behind, and the models in them.

The one idea: a run's folder says by itself what is in it. `config.yaml` is its configuration with
every key, `run.json` holds seed, settings, versions and the commit, `metrics.jsonl` the reports.
"""

from __future__ import annotations

import functools
import json
import platform
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import __version__, models
from ..codec import Codec, load_pretrained
from ..codec.file import plan
from ..files import load_json, load_tensors, write_whole
from ..files.codecs import CODEC
from . import reading
from .build import build, codec_of, recipe_of
from .grid import Single, singles
from .schema import Grid

CONFIG, GRID = "config.yaml", "grid.yaml"


def runs_in(path: str | Path) -> list[Path]:
    """The folders with trained weights: that of a run, or those of a grid, in its order.

    Raises FileNotFoundError where there are none.
    """
    path = Path(path)
    if (path / CONFIG).is_file():
        found = [path]
    else:
        found = sorted(place.parent for place in path.glob(f"*/{CONFIG}"))
        if (path / GRID).is_file():
            names = [single.name for single in singles(reading.read(path / GRID))]
            order = {name: n for n, name in enumerate(names)}
            found.sort(key=lambda run: order.get(run.name, len(order)))
    trained = [run for run in found if (run / "best.safetensors").is_file()]
    if not trained:
        raise FileNotFoundError(
            f"{path} holds no trained run of an experiment: train one with "
            f"`python -m vqlab train -f FILE --out {path}`"
        )
    return trained


def grids_in(path: str | Path) -> list[Path]:
    """The grids and single runs with trained weights below a folder; else what was given."""
    path = Path(path)
    if is_experiment(path) or not path.is_dir():
        return [path]
    found = {place.parent for name in (GRID, CONFIG) for place in path.rglob(name)}
    outer = [place for place in sorted(found) if place.parent not in found]
    return [place for place in outer if any(place.rglob("best.safetensors"))] or [path]


def single_of(folder: Path) -> Single:
    """The run that a folder's configuration describes."""
    found = singles(reading.read(folder / CONFIG))
    if len(found) != 1:
        raise ValueError(f"{folder / CONFIG} describes {len(found)} runs, not one: train it again")
    return found[0]


def load_model(folder: Path) -> tuple[Single, models.Autoencoder]:
    """A run and its model with the weights of the lowest validation error, ready for use."""
    single = single_of(folder)
    tensors, _ = load_tensors(folder / "best.safetensors")
    first = tensors.get("encoder.0.weight", torch.zeros(0))
    try:
        plan(recipe_of(single, first.shape[1] if first.ndim > 1 else 0), tensors)
        model = build(single, first.shape[1])
        model.load_state_dict(tensors)
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"the weights in {folder} do not fit its {CONFIG}: was it changed after the training? "
            f"({str(error).splitlines()[0][:100]})"
        ) from None
    return single, model.eval()


def codecs_in(paths: Sequence[str]) -> dict[str, Codec]:
    """Every model that these name, by short names: shipped weights, codecs, and runs of sound.

    A run that has no codec yet (left by an older version) is `codec_of` its best weights. Raises
    FileNotFoundError or ValueError for what is none of them.
    """
    found: list[tuple[Path, Codec]] = []
    for each in paths:
        for path in grids_in(each):
            for run in runs_in(path) if is_experiment(path) else ():
                there = (run / CODEC).is_file()
                found.append((run, Codec.load(run) if there else codec_of(*load_model(run))))
            if not is_experiment(path):
                found.append((path, load_pretrained(each)))
    names = [place.resolve().name for place, _ in found]
    if len(set(names)) < len(names):
        names = [f"{place.resolve().parent.name}-{place.resolve().name}" for place, _ in found]
    return dict(zip(names, [codec for _, codec in found], strict=True))


def is_experiment(path: str | Path) -> bool:
    """Whether this is the folder of a grid or of one of its runs."""
    return any((Path(path) / name).is_file() for name in (GRID, CONFIG))


def has_test_set(path: str | Path) -> bool:
    """Whether the file of a grid or run says what it is to be measured on."""
    files = [Path(path) / name for name in (GRID, CONFIG) if (Path(path) / name).is_file()]
    return bool(files) and reading.read(files[0]).dataset.name != "clips"


def reports_of(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's `metrics.jsonl`."""
    text = (folder / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def remarks_in(path: Path) -> list[str]:
    """What was odd about the data of a grid's runs, each sentence once."""
    known = [load_json(run / "run.json") for run in runs_in(path)]
    listed = [each.get("remarks", each.get("notes")) for each in known]  # of older versions
    remarks = [str(remark) for each in listed if isinstance(each, list) for remark in each]
    return list(dict.fromkeys(remarks))


def is_finished(folder: Path) -> bool:
    """Whether a run was trained to its end."""
    path = folder / "run.json"
    return path.is_file() and bool(load_json(path).get("finished"))


@functools.cache
def source() -> str:
    """What trains: the commit of this checkout, "-dirty" after a change, or the package's version.

    >>> source().split()[0] in ("commit", "vqlab")
    True
    """
    here = Path(__file__).resolve().parents[2]
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40"]
    with suppress(OSError, subprocess.SubprocessError):  # no git, or it does not trust the folder
        if (here / ".git").exists():
            told = subprocess.run([*command, "--exclude=*"], capture_output=True, check=True)
            return f"commit {told.stdout.decode().strip()}"
    return f"vqlab {__version__}"


def describe(folder: Path, **more: Any) -> None:
    """Add the versions, the source and `more` to a run's `run.json`."""
    path = folder / "run.json"
    versions = {"vqlab": __version__, "torch": torch.__version__, "numpy": np.__version__}
    versions["python"] = platform.python_version()
    known = load_json(path) | {"versions": versions, "source": source()} | more
    write_whole(path, (json.dumps(known, indent=1) + "\n").encode())


def open_run(single: Single, folder: Path) -> None:
    """Make a run's folder with its configuration, or check that the one there is the same.

    What only the evaluation reads may differ, and the learning rate until the run is finished.
    Raises ValueError for another configuration, and for a folder in it that is a link.
    """
    path = folder / CONFIG
    if path.is_file():
        there, here = _settings(reading.read(path)), _settings(single.grid)
        if not is_finished(folder):
            there["training.learning_rate"] = here["training.learning_rate"]
        for key in here:
            if there.get(key) != here[key]:
                raise ValueError(
                    f"{folder} holds a run with {key} = {there.get(key)}, not {here[key]}: give "
                    "another --out, or delete that folder to train it anew"
                )
    folder.mkdir(parents=True, exist_ok=True)
    for below in folder.iterdir():  # of a stranger's: what is written must stay in the folder
        if below.is_symlink() and below.is_dir():
            raise ValueError(
                f"{below} is a link out of its folder, so it is not written; remove it."
            )
    write_whole(path, reading.write(single.grid).encode())


def _settings(grid: Grid) -> dict[str, Any]:
    """What a training reads, every key with its section, such as "training.epochs"."""
    flat: dict[str, Any] = {}
    unread: dict[str, Any] = {"sound": True, "dataset": {"test", "allow_fewer"}}
    for section, value in grid.model_dump(exclude=unread).items():
        value = value[0] if section == "bottlenecks" else value
        keys = value.items() if isinstance(value, dict) else [("", value)]
        flat |= {f"{section}.{key}".rstrip("."): inner for key, inner in keys}
    return flat
