"""Her codec in training: which pieces are hers, its newest version, what the process learns from.

The process itself is `own_process`. Before there is a version of hers, the reference's model
(`data/weights/own`) stands in.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any
from zipfile import BadZipFile

import torch
from IPython.display import display
from torch import Tensor, nn
from vqlab.lessons.own_process import Training, device, keep, recordings

from vqlab import datasets
from vqlab.datasets.items import Dataset, Item
from vqlab.files import bundled
from vqlab.lessons.guesses import Answer
from vqlab.lessons.own_file import PRIOR, noted, pieces, program, read, where
from vqlab.lessons.own_pieces import from_file, own

MOST_CLIPS = 8_000
"""For memory's sake: the spectra of so many clips take 0.26 GB; all of Speech Commands 2.7 GB."""
UNUSABLE = (RuntimeError, ValueError, EOFError, BadZipFile)
"""What reading weights raises that are damaged, or of other sizes than her pieces now."""


class Progress(str):
    """A table in Markdown, which Jupyter shows as one."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return str(self)


def progress() -> Progress:
    """Which pieces of the codec are hers, what else has passed, and how her training stands.

    Those of the prior (notebook 12) are in it once she has one of them.
    """
    sections = read()[1]
    prior = any(name.startswith(PRIOR) for name in sections)
    names = [name for name in pieces() if prior or not name.startswith(PRIOR)]
    lines = [f"| {where().name} | whose | lines |", "|---|---|--:|"]
    hers = 0
    for name in names:
        section = sections.get(name)
        whose, size = "ours", "–"
        if section is not None and section.hers:
            fault = from_file(name, section)[1]
            whose = f"yours, but: {fault}" if fault else "**yours**"
            size, hers = str(len(section.code.splitlines())), hers + (not fault)
        lines.append(f"| {name} | {whose} | {size} |")
    trained = [Training()] + [Training("prior")] * bool(Training("prior").state)
    told = " ".join(map(repr, trained))
    lines += ["", f"{hers} of {len(names)} pieces are yours. {told}"]
    if others := ", ".join(sorted(noted("passed"))):
        lines += ["", f"Passed, and no piece of the codec: {others}."]
    return Progress("\n".join(lines))


def trained() -> tuple[ModuleType, nn.Module]:
    """Her codec as it stands and its newest version, or ours after 2,000 steps. Says which.

    Returns a module with all pieces, such as `compress`, and the model to give them.
    """
    weights = where().with_suffix(".npz")
    said = "Our codec, which the solutions learned in 2,000 steps, until yours has a version."
    if weights.exists():
        own_codec, minutes = own(), Training().state.get("minutes", 0)
        try:
            codec = own_codec.load_codec(weights)
        except UNUSABLE:
            said = f"Our codec: {weights.name} is damaged, or of other pieces than yours now."
        else:
            display(Answer(f"Your codec, {minutes:.0f} min old."))
            return own_codec, codec
    display(Answer(said))
    ours = program({})
    return ours, ours.load_codec(bundled("weights", "own", "my_codec.npz"))


def clips_of(data: str | None = None, split: str = "train") -> tuple[str, Dataset]:
    """The name of a data set and at most `MOST_CLIPS` of its clips.

    data : None for people's recordings where they are, else the bundled words
    """
    data = data or recordings()
    return data, datasets.load(data, split, words="all", limit=MOST_CLIPS)


def seen(codec: ModuleType, clips: Iterable[Item]) -> Tensor:
    """Clips as her codec sees them (clips, MELS, frames)."""
    return torch.cat([codec.log_mel(codec.to_level(clip.waveform)[0][None]) for clip in clips])


def spectra(codec: ModuleType, data: str | None = None, split: str = "train") -> tuple[str, Tensor]:
    """The name of a data set, see `clips_of`, and its clips as her codec sees them."""
    name, clips = clips_of(data, split)
    return name, seen(codec, clips)


def count_codes(own_codec: ModuleType, codec: Any, mels: Tensor) -> None:
    """Count the codes of some 500 clips into the codec's tables."""
    device = next(codec.parameters()).device
    with torch.no_grad():
        parts = mels[:: max(1, len(mels) // 500)].split(50)
        codes = torch.cat([codec.eval()(part.to(device))[1].cpu() for part in parts])
    codec.frequencies.copy_(own_codec.frequencies(codes))


def main(until: float, data: str) -> None:
    """The process: train her codec, keep versions, write down how it stands."""
    now, own_codec = Training(), own()
    name, mels = spectra(own_codec, data)
    mels = mels.to(device())
    codec = own_codec.Codec()
    going_on = now.place(".now.npz")
    if going_on.exists():
        try:
            codec.load_state_dict(own_codec.load_codec(going_on).state_dict())
        except UNUSABLE:
            going_on.unlink()

    def save(whole: nn.Module, path: Path) -> None:
        try:
            own_codec.save_codec(whole, path)
        finally:  # on a full disk what it began takes the room that the reason needs
            path.with_suffix(".new.npz").unlink(missing_ok=True)

    keep(
        now,
        learning=(codec.to(device()), lambda model, steps: own_codec.train(model, mels, steps)),
        until=until,
        data=name,
        save=save,
        finish=lambda: count_codes(own_codec, codec, mels),
    )
