"""A recording heard through trained models: the thesis's `predict`.

The one idea: a sound of any length is cut into the segments that the models know, and put together
again; what each model made of it stands beside the original and beside the way to a spectrogram
and back without any model, so that one hears what the network lost and what the picture lost. The
minimum and maximum of each segment are kept, so the level is that of the recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from .. import audio, training
from ..datasets import SAMPLE_RATE
from ..features import Front, segments
from ..files import write_whole
from ..plots.media import png
from . import data, folders
from .build import features_of
from .samples import grey, quieter


def reconstruct(
    recording: str | Path,
    out: str | Path,
    models: Sequence[str | Path],
    *,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> dict[str, Tensor]:
    """Write what each model makes of `recording` into the folder `out`, as wav and as picture.

    models : folders of runs or grids of sound
    returns : waveforms `(samples,)` by name: original, inversion, and each run; several front
        ends give several inversions

    Raises ValueError for models of pictures, and what reading the recording raises.
    """
    runs = [run for path in models for run in folders.runs_in(path)]
    names = [run.resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = [f"{run.resolve().parent.name}-{run.resolve().name}" for run in runs]
    waveform, _ = audio.load(recording, sample_rate=SAMPLE_RATE)
    place = training.usable_device(device)
    heard = {"original": waveform}
    out = Path(out)
    seen: list[Front] = []
    bar = tqdm(runs, "reconstructing", unit="run", disable=not progress)
    for name, run in zip(names, bar, strict=True):
        single, model = folders.load_model(run)
        front = features_of(single.grid)
        if not isinstance(front, Front):
            raise ValueError(
                f"{run} was trained on pictures ({single.grid.dataset.name}): give a run of sound"
            )
        split = data.from_segments(single.grid, segments(waveform, front.samples))
        original = split.decibels(split.inputs)
        scale = (float(original.min()), float(original.max()))
        if front not in seen:
            seen.append(front)
            number = "" if len(seen) == 1 else f"-{len(seen)}"
            inverted = front.synthesise(original)
            heard[f"inversion{number}"] = inverted.reshape(-1)[: len(waveform)]
            _save_picture(out / f"original{number}.png", original, scale)
            _save_picture(out / f"inversion{number}.png", front.decibels(inverted), scale)
        db = split.decibels(through(model.to(place), split.inputs, single.grid.training.batch))
        heard[name] = front.synthesise(db).reshape(-1)[: len(waveform)]
        _save_picture(out / f"{name}.png", db, scale)
    for name, sound in heard.items():
        audio.save(out / f"{name}.wav", quieter(sound), SAMPLE_RATE)
    return heard


@torch.no_grad()
def through(model: torch.nn.Module, inputs: Tensor, batch: int) -> Tensor:
    """What `model` makes of `inputs (n, …)`, `batch` of them at a time; on the CPU."""
    device = next(model.parameters()).device
    return torch.cat([model(x.to(device))[0].float().cpu() for x in inputs.split(batch)])


def _save_picture(path: Path, db: Tensor, scale: tuple[float, float]) -> None:
    """The segments beside one another, low frequencies at the bottom, black is `scale[0]`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = torch.cat(list(db), dim=1).flip(0)
    write_whole(path, png(grey(whole, *scale)))
