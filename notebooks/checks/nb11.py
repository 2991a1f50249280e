"""The exercises of notebook 11: the layer on a plane, a note's picture, a grid that uses its codes.

Each entry is data: a probe on small fixed numbers, the reference, the mistakes people make with
the hint that fits each, and general hints. The thesis meant here is that of Hansen Vedal (2019).

Notebook: 11
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from vqlab.lessons.edits import noise

from vqlab.experiments import reading
from vqlab.lessons.exercise import Exercise
from vqlab.lessons.own_file import program

# --- 11-on-a-plane: layer, z_e -> z_q, codes, loss ------------------------------------------------


def _on_a_plane(layer: Any, z_e: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    z_q, codes, loss = layer(z_e.flatten(2))
    return z_q.reshape(z_e.shape), codes.reshape(len(z_e), *z_e.shape[2:]), loss


def _plane(fn: Callable[..., Any]) -> dict[str, Any]:
    layer = program({}).VectorQuantizer(2, 6).eval()
    layer.codebook.copy_(noise(6, 2, seed=1))
    z_e = noise(2, 2, 3, 4).requires_grad_()
    z_q, codes, loss = fn(layer, z_e)
    if z_q.requires_grad:
        (z_q * noise(2, 2, 3, 4, seed=2)).sum().backward()
    arrived = torch.zeros_like(z_e) if z_e.grad is None else z_e.grad
    return {"the codes": codes, "z_q": z_q, "the loss": loss, "the gradient at z_e": arrived}


on_a_plane = Exercise(
    probe=_plane,
    right=_on_a_plane,
    mistakes=(
        (
            lambda layer, z_e: layer(z_e),
            "your layer of notebook 05 takes three axes, (batch, dim, positions); here are four.",
        ),
        (
            lambda layer, z_e: (
                (out := layer(z_e.flatten(2)))[0],
                out[1].reshape(len(z_e), *z_e.shape[2:]),
                out[2],
            ),
            "z_q has one axis of positions; give it the shape of z_e.",
        ),
        (
            lambda layer, z_e: (
                (out := layer(z_e.flatten(2)))[0].reshape(z_e.shape),
                *out[1:],
            ),
            "the codes are still in one line, (batch, positions): make it (batch, height, width).",
        ),
        (
            lambda layer, z_e: _on_a_plane(layer, z_e.mT),
            "height and width are exchanged: `flatten(2)` joins the last two axes as they are.",
        ),
        (
            lambda layer, z_e: (
                (out := layer(z_e.reshape(1, 2, -1)))[0].reshape(z_e.shape),
                out[1].reshape(len(z_e), *z_e.shape[2:]),
                out[2],
            ),
            "items and channels are mixed: join height and width only, and leave the first two "
            "axes alone.",
        ),
        (
            lambda layer, z_e: _on_a_plane(layer, z_e.detach()),
            "the gradient does not reach z_e: no `detach` is needed, the layer does its part.",
        ),
    ),
    hints=(
        "The layer does not care where its positions lie: put all of them in one line.",
        "`z_e.flatten(2)` is (batch, dim, height * width).",
        "Then `z_q.reshape(z_e.shape)`, and `codes.reshape(len(z_e), *z_e.shape[2:])`.",
    ),
)

# --- 11-note-to-picture: waveforms -> scaled, low, high -------------------------------------------


def _picture(
    waveforms: Tensor,
    *,
    center: bool = False,
    power: float = 2.0,
    per_power: float = 10.0,
    floor: float = 1e-9,
    rows: slice = slice(0, 512),
    axes: tuple[int, ...] = (1, 2),
    window: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """The thesis's picture, or one with something else in it."""
    shape = torch.hann_window(1024) if window else torch.ones(1024)
    spectrum = torch.stft(
        waveforms, 1024, 128, window=shape, center=center, return_complex=True
    ).abs()
    db = per_power * (spectrum**power).clamp(min=floor).log10()[:, rows]
    low, high = db.amin(dim=axes, keepdim=True), db.amax(dim=axes, keepdim=True)
    scaled = (db - low) / (high - low)
    return scaled, low.flatten().expand(len(db)), high.flatten().expand(len(db))


def _pictures(fn: Callable[..., Any]) -> dict[str, Any]:
    sounds = noise(2, 5120) * torch.tensor([[0.3], [0.01]])
    sounds[1, 2000:] = 0  # a note that ends in silence
    scaled, low, high = fn(sounds)
    return {"the picture": scaled, "low": low, "high": high}


def _other(**options: Any) -> Callable[..., Any]:
    return lambda waveforms: _picture(waveforms, **options)


note_to_picture = Exercise(
    probe=_pictures,
    right=_picture,
    mistakes=(
        (
            _other(center=True),
            "there are frames too many: with `center=True`, the default, windows hang over the "
            "ends. Take those that lie wholly inside.",
        ),
        (_other(power=1.0), "these are decibels of the magnitude: the power is its square."),
        (
            _other(per_power=20.0),
            "20 log10 is for magnitudes; of a power it is 10 log10.",
        ),
        (
            _other(floor=0.0),
            "log10(0) is minus infinity: the power is raised to 1e-9 first (`clamp(min=1e-9)`).",
        ),
        (
            _other(rows=slice(0, 513)),
            "there are 513 rows: leave out the top one, so that there are 512.",
        ),
        (
            _other(rows=slice(1, 513)),
            "you left out the lowest bin; the top one, the last, has to go.",
        ),
        (
            _other(axes=(0, 1, 2)),
            "all notes have the same low and high: each picture has its own.",
        ),
        (
            _other(axes=(1,)),
            "each frame has its own low and high: take them over rows *and* frames.",
        ),
        (_other(window=False), "the window is missing: `window=torch.hann_window(1024)`."),
        (
            lambda w: (
                (out := _picture(w))[0] * (out[2] - out[1])[:, None, None] + out[1][:, None, None],
                *out[1:],
            ),
            "these are the decibels; the picture goes from 0 to 1: (db - low) / (high - low).",
        ),
    ),
    hints=(
        "`torch.stft(waveforms, 1024, 128, window=…, center=False, return_complex=True)`: (n, 513, "
        "frames).",
        "`db.amin(dim=(1, 2))` is the smallest of each picture, (n,).",
        "`low[:, None, None]` fits (n,) to (n, rows, frames).",
    ),
)

# --- 11-revived: the text of a grid's file -> one whose codes are used ----------------------------

MINIMAL = reading.find("nsynth-minimal").read_text(encoding="utf-8")
SEGMENTS = 98  # of the notes that this file takes; the others are all but silent


def edited(*swaps: tuple[str, str]) -> Callable[[str], str]:
    """A function that replaces pieces of a text."""

    def fn(text: str) -> str:
        for old, new in swaps:
            text = text.replace(old, new)
        return text

    return fn


_NAME = ("name: nsynth-minimal", "name: better")
_DECAY, _RESTART = ("K: [16, 64]}", "K: [16, 64], decay: 0.9}"), ("64]", "64], restart_below: 0.2")
_LONGER = ("epochs: 2, batch: 16", "epochs: 6, batch: 8")


def _grid(text: Any) -> Any:
    if not isinstance(text, str):
        raise ValueError(f"the text of a file is wanted, not {text!r}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "better.yaml")
        path.write_text(text, encoding="utf-8")
        try:
            return reading.read(path)
        except ValueError as error:
            raise ValueError(str(error).replace(f"{folder}/", "")) from None


def _alive(fn: Callable[..., Any]) -> dict[str, Any]:
    """What of the remedy is in the file, and whether the rest is as it was."""
    new, old = _grid(fn(MINIMAL)), _grid(MINIMAL)
    (vq,), (before,) = ([b for b in g.bottlenecks if b.kind == "vq"] for g in (new, old))
    batches = new.training.steps or (new.training.epochs or 0) * SEGMENTS // new.training.batch
    return {
        "has a name of its own": new.name != old.name,
        "trains D = 4 and 10 with K = 16 and 64": (vq.D, vq.K) == (before.D, before.K),
        "has notes and pictures as before": (new.dataset, new.spectrogram)
        == (old.dataset, old.spectrogram),
        "restarts codes that are hardly used": vq.restart_below >= 0.03,
        "trains for three memories of the codebook": vq.decay is None
        or batches * (1 - vq.decay) >= 3,
        "ends in seconds": batches <= 400,
    }


revived = Exercise(
    probe=_alive,
    right=edited(_NAME, _DECAY, _RESTART, _LONGER),
    mistakes=(
        (edited(), "nothing is changed: `return` the new text; `replace` does not change the old."),
        (
            edited(_DECAY, _RESTART, _LONGER),
            "the grid needs a `name` of its own, or its runs would be taken for the others.",
        ),
        (
            edited(_NAME, _DECAY, _LONGER),
            "codes that nobody chooses stay where they are: set `restart_below` for kind vq.",
        ),
        (
            edited(_NAME, _RESTART),
            "the codebook hardly moves: its memory of 1 / (1 - decay) batches is longer than the "
            "training. Shorten the one, lengthen the other, or both.",
        ),
        (
            edited(_NAME, _DECAY, _RESTART, ("epochs: 2", "epochs: 100")),
            "that trains for minutes: 400 batches are enough.",
        ),
        (
            edited(
                _NAME,
                ("D: [4, 10], K: [16, 64]", "D: 10, K: 64, restart_below: 0.2, decay: 0.9"),
                _LONGER,
            ),
            "there are fewer runs than before: keep the lists of D and K.",
        ),
    ),
    hints=(
        'text.replace("K: [16, 64]}", "K: [16, 64], restart_below: 0.2}") adds a key for kind vq.',
        "`decay: 0.9` is a memory of 10 batches. An epoch has 98 / batch of them.",
        "More epochs and a smaller batch make more batches: `epochs: 6, batch: 8`.",
    ),
)

EXERCISES = {
    "on-a-plane": on_a_plane,
    "note-to-picture": note_to_picture,
    "revived": revived,
}
