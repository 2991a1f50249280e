"""A grid trained, run by run, each into a folder that describes itself.

The one idea: training is cut into epochs that are kept, so that the same command takes up a grid
where it stopped, whatever stopped it. What is done is left alone. A run writes `config.yaml`,
`run.json`, `metrics.jsonl`, `best.safetensors`, `last.safetensors`, a log for TensorBoard,
`samples/` and, where it learned from sound, `codec.safetensors`; the validation set chooses the
best weights, and the test set is not even loaded.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from .. import models, processes, training
from ..codec import Codec
from ..features import Features
from ..files import load_json, write_whole
from ..files.codecs import CODEC
from ..training.runs import LAST, Run
from . import data, folders, reading
from .build import build, codec_of, loss_of
from .data import Split
from .grid import Single, singles
from .schema import ClipSet, Grid
from .watch import Watch


def train(
    grid: Grid,
    out: str | Path | None = None,
    *,
    alone: bool = False,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> Path:
    """Train every run of `grid` that is not done yet; returns the folder, runs/NAME if not given.

    alone : the grid has one run, which goes into the folder itself

    Under `torchrun` or `accelerate launch` (after `processes.start`) all processes train each run
    together, and the first writes. Raises ValueError where the folder holds a run of the same name
    with another configuration, and KeyboardInterrupt after ctrl-C, when the epoch so far is kept.
    """
    out = Path(out) if out is not None else Path("runs") / grid.name
    training.usable_device(device)  # or its refusal would come after all has been read
    runs = [(single, out if alone else out / single.name) for single in singles(grid)]
    if processes.is_main():
        for single, place in runs:
            if place.exists():
                folders.open_run(single, place)
    processes.barrier()
    left = [run for run in runs if not _is_done(*run)]
    processes.barrier()  # all have looked before one of them writes again
    show = progress and processes.is_main()
    sets = _sets(left[0][0], show) if left else []
    if processes.is_main() and not alone:  # what is refused for its data leaves no folder
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / folders.GRID, reading.write(grid).encode())
    with tqdm(
        total=len(runs),
        initial=len(runs) - len(left),
        disable=not show,
        mininterval=0.5,
        bar_format="{l_bar}{bar}| {n:.2f}/{total} runs {elapsed}<{remaining} {postfix}",
    ) as bar:
        for n, (single, place) in enumerate(left, len(runs) - len(left)):
            bar.n = n
            _train_one(single, place, *sets, device=device, bar=bar)
        bar.n = len(runs)
    return out


def _is_done(single: Single, folder: Path) -> bool:
    """Whether nothing is left to do; runs of sound by an older version lack their codec."""
    complete = single.grid.spectrogram is None or (folder / CODEC).is_file()
    return folders.is_finished(folder) and complete


def _sets(single: Single, progress: bool) -> list[Split]:
    """Training and validation set; the first process goes ahead, in case it has to unpack them."""
    if not processes.is_main():
        processes.barrier()
    codec = codec_of(single) if isinstance(single.grid.dataset, ClipSet) else None
    sets = [
        data.load(single.grid, split, codec=codec, progress=progress)
        for split in ("train", "validation")
    ]
    if processes.is_main():
        processes.barrier()
    return sets


def _train_one(
    single: Single,
    folder: Path,
    train: Split,
    validation: Split,
    *,
    device: str | torch.device | None,
    bar: Any,
) -> None:
    main = processes.is_main()
    if main:
        folders.open_run(single, folder)
        if folders.is_finished(folder):  # by an older version
            _save_codec(single, codec_of(*folders.load_model(folder)), train, folder)
    processes.barrier()
    if folders.is_finished(folder):
        return
    codec, model, features, options = _prepared(single, train, folder)
    watch, done = Watch(folder, model, validation, features), bar.n

    def report(run: Run) -> None:
        if main:
            if len(run.history) == 1:
                folders.describe(folder)
            with processes.alone():
                watch.report(run)
            bar.n, last = done + run.share_done(run.seconds), run.history[-1]
            error = f"validation error {last['validation_error']:.5f}"
            bar.set_postfix_str(f"{single.name}, epoch {last['epoch']:g}, {error}", refresh=False)
            bar.update(0)
            if codec is not None and last is run.best:  # whatever comes, there is a codec
                with processes.alone():
                    _save_codec(single, copy.deepcopy(codec), train, folder, counted=100)

    run = training.fit(
        model, train.inputs, validation.inputs, features=features, out=folder, device=device,
        on_report=report, progress=False, **options,
    )  # fmt: skip
    if run.stopped:
        watch.close()
        if main and codec is not None and features is not None:
            with processes.alone():
                _save_codec(single, codec, train, folder)  # so that what there is can be used
        raise KeyboardInterrupt
    if main:
        with processes.alone():  # the other processes wait at the barrier
            watch.show(run.step, best=True)
            if codec is not None:
                _save_codec(single, codec, train, folder)
        watch.close()
        folders.describe(
            folder,
            training_items=len(train),
            validation_items=len(validation),
            asked={"train": train.asked, "validation": validation.asked},
            got={"train": train.got, "validation": validation.got},
            remarks=list(dict.fromkeys(train.remarks + validation.remarks)),
            finished=True,
        )
    processes.barrier()


def _prepared(
    single: Single, train: Split, folder: Path
) -> tuple[Codec | None, models.Autoencoder, Features | None, dict[str, Any]]:
    """A run's codec and model at its start, features that `fit` applies, and its options for it."""
    settings = single.grid.training
    per_epoch = math.ceil(len(train) / settings.batch)
    steps = settings.steps if settings.epochs is None else settings.epochs * per_epoch
    options: dict[str, Any] = {"steps": steps, "minutes": settings.minutes, "seed": single.seed}
    options |= {"batch_size": settings.batch, "learning_rate": settings.learning_rate}
    options |= {"loss": loss_of(single), "report_every": settings.report_every or per_epoch}
    if not isinstance(single.grid.dataset, ClipSet):
        model = build(single, train.inputs.shape[1])
        codec = None if train.front is None else codec_of(single, model)
        return codec, model, None, options | {"cosine": False, "clip_norm": None}
    options["augment"] = training.shift_and_gain
    if settings.start is not None:
        codec = Codec.load(settings.start)
        options["start"] = codec.identity().hex()
        return codec, codec.model, codec.features, options
    codec = codec_of(single)
    codec.features = codec.features.fitted(train.inputs)
    if isinstance(codec.model, models.VariableDepth) and not (folder / LAST).exists():
        some = range(0, len(train), max(1, len(train) // 1500))
        codec.model.start(codec.features.analyse(torch.stack([train.inputs[i] for i in some])))
    return codec, codec.model, codec.features, options


def _save_codec(
    single: Single, codec: Codec, train: Split, folder: Path, *, counted: int = 3000
) -> None:
    """The model with its features and with tables of how often so many items have each code."""
    dataset = single.grid.dataset
    codec.model.cpu()
    folders.describe(folder)
    known, last = load_json(folder / "run.json"), folders.reports_of(folder)[-1]
    before = codec.trained
    codec.trained = {
        "dataset": " ".join(getattr(dataset, "of", [dataset.name])),
        "clips": len(train),
        "steps": before.get("steps", 0) + last["step"],
        "seconds": before.get("seconds", 0) + round(last["seconds"]),
        "seed": known["seed"],
        "versions": known["versions"],
    }
    if codec.rates:
        waveforms = train.inputs if train.front is None else train.segments
        counted = counted // 6 if train.front else counted  # segments are longer than clips
        some = range(0, len(train), max(1, len(train) // counted))
        codec.fit_tables([waveforms[i] for i in some])
    codec.save(folder / CODEC)
