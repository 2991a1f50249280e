"""A data set as the tensors that a network takes, split by split.

The one idea: what a picture was made from stays with it, the segment of sound and the decibels that
0 and 1 stand for, so that errors can be said in decibels and reconstructions be heard. Training and
validation sets are for the training, the test set for nothing but the report.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from .. import datasets, training
from ..codec import Codec
from ..features import Front, Pictures, rms, segments
from .build import features_of
from .schema import WITH_WORDS, ClipSet, Grid, NoteSet, PictureSet, RecordingSet, WordSet


@dataclass(frozen=True, eq=False)
class Split:
    """inputs: what the network takes, `(n, channels, height, width)` or `(n, rows, frames)`.

    front: None for pictures; segments `(n, samples)`, low and high `(n,)` come with it. Of clips,
    inputs are waveforms `(n, samples)`, of many read when they are asked for. asked, got: items of
    the set (notes, clips, pictures) that the file asks for, None for all, and that there are.
    """

    inputs: Any
    front: Front | None = None
    segments: Tensor = field(default_factory=lambda: torch.zeros(0))
    low: Tensor = field(default_factory=lambda: torch.zeros(0))
    high: Tensor = field(default_factory=lambda: torch.zeros(0))
    remarks: tuple[str, ...] = ()
    asked: int | None = None
    got: int = 0

    def __len__(self) -> int:
        return len(self.inputs)

    def decibels(self, outputs: Tensor, rows: slice | list[int] = slice(None)) -> Tensor:
        """Decibels `(n, rows, frames)` of what a network made of the items in `rows`."""
        assert self.front is not None
        scaled = outputs.squeeze(1) if outputs.ndim == 4 else outputs
        return self.front.restore(Pictures(scaled, self.low[rows], self.high[rows]))


def load(grid: Grid, split: str, *, codec: Codec | None = None, progress: bool = True) -> Split:
    """The items of `split` ("train", "validation" or "test") of a grid's data set.

    Clips come at the level that `codec` knows.

    Raises ValueError if there are fewer than the file asks for, or none that can be used;
    FileNotFoundError if the files are not here.
    """
    chosen, limit = grid.dataset, getattr(grid.dataset, split)
    if isinstance(chosen, ClipSet):
        assert codec is not None
        return _clips(chosen, split, limit, codec)
    if isinstance(chosen, PictureSet):
        pictures = datasets.load_pictures(chosen.name, split, root=chosen.root, limit=limit)
        got = _enough(chosen, chosen.name, split, len(pictures))
        margin = (pictures.images.shape[-1] - chosen.size) // 2
        images = pictures.images[..., margin:-margin, margin:-margin] if margin else pictures.images
        images = (images >= 0.5).float() if chosen.binarise else images
        said = () if margin else tuple(pictures.remarks)
        return Split(images, remarks=said, asked=limit, got=got)
    front = features_of(grid)
    assert isinstance(front, Front)
    options: dict[str, Any] = {"root": chosen.root, "seconds": None, "limit": limit}
    if isinstance(chosen, WordSet):  # around the word, or the rest of it would be another item
        options |= {"words": chosen.words or "all", "seconds": front.seconds}
    elif isinstance(chosen, NoteSet):
        options |= {"families": chosen.families, "sources": chosen.sources}
    items, pieces, quiet = datasets.load(chosen.name, split, **options), [], 0
    got = _enough(chosen, chosen.name, split, len(items))
    least = grid.spectrogram.skip_rms  # type: ignore[union-attr]
    rows = tqdm(range(len(items)), f"reading {split}", delay=2, leave=False, disable=not progress)
    for n in rows:
        found = segments(items[n].waveform, front.samples)
        loud = rms(found) > least
        quiet += int((~loud).sum())
        pieces.append(found[loud])
    kept, remarks = torch.cat(pieces), list(items.remarks)
    if quiet:
        remarks.append(
            f"{quiet} of {quiet + len(kept)} segments of the {split} split have a root mean square "
            f"of at most {least:g} and are left out."
        )
    if not len(kept):
        raise ValueError(f"no segment of the {split} split can be used: {' '.join(remarks)}")
    scaled, low, high = front.analyse(kept)
    inputs = scaled.unsqueeze(1) if grid.network.kind == "pictures" else scaled
    return Split(inputs, front, kept, low, high, tuple(remarks), limit, got)


def allowing_fewer(grid: Grid) -> Grid:
    """The same grid, content with what there is of its data set."""
    dataset = grid.dataset.model_copy(update={"allow_fewer": True})
    return grid.model_copy(update={"dataset": dataset})


def _enough(chosen: Any, name: str, split: str, got: int) -> int:
    """How many items a split has. Raises ValueError where these are fewer than asked for."""
    asked = getattr(chosen, split)
    if asked is not None and got < asked and not chosen.allow_fewer:
        keys = [key for key in ("families", "sources", "words") if getattr(chosen, key, None)]
        only = ", ".join(f"{key}: {', '.join(getattr(chosen, key))}" for key in keys)
        raise ValueError(
            f"{split}: {asked} in dataset asks for {asked:,} items, and the {split} split of "
            f"{name!r}{only and f' with {only}'} has {got:,} here: get more of the set, write "
            f"{split}: {got}, or let fewer do by allow_fewer: true in dataset (on the command line "
            "--allow-fewer)"
        )
    return got


def is_speech(grid: Grid) -> bool:
    """Whether intelligibility means something for this data set."""
    return isinstance(grid.dataset, WordSet | RecordingSet)


def _clips(chosen: ClipSet, split: str, limit: int | None, codec: Codec) -> Split:
    speeds = (1.0, *chosen.speeds) if split == "train" else (1.0,)
    found, remarks, got = [], [], 0
    for name in chosen.of:
        clips = find_clips(name, split, root=chosen.root, words=chosen.words, limit=limit)
        got += _enough(chosen, name, split, len(clips))
        clips = useful(clips, split)
        remarks += clips.remarks
        if split == "validation" and name in WITH_WORDS:
            clips = clips.at_most(12)  # of a word: each has about the same say
        found.append(training.levelled(codec, clips, speeds=speeds))
    asked = None if limit is None else limit * len(chosen.of)
    return Split(training.join(found), remarks=tuple(remarks), asked=asked, got=got)


def find_clips(
    name: str, split: str, *, root: str | None, words: list[str] | None, limit: int | None = None
) -> datasets.Dataset:
    """Seconds of speech; `words` choose among those of a set that has words."""
    words = words if name in WITH_WORDS else None
    return datasets.load(name, split, root=root, words=words, seconds=1.0, limit=limit)


def useful(clips: datasets.Dataset, split: str) -> datasets.Dataset:
    """Those that teach something: not the silent, too short and unreadable ones.

    Raises ValueError where none is left.
    """
    clips = clips.scan()
    if not len(clips):
        raise ValueError(f"no clip of the {split} split can be used: {' '.join(clips.remarks)}")
    return clips
