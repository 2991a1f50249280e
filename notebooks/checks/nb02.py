"""The exercises of notebook 02: frames, RMS, decibels, the mel scale, the filter bank.

Each entry is data: a probe on small fixed numbers, the reference, the mistakes people make with
the hint that fits each, and general hints. The inputs are chosen so that mistakes do not hide: the
last frame is incomplete, rows have a mean, powers lie on, above and under the floor, and power
and filters are square, so that a product in the wrong order raises nothing.

Notebook: 02
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vqlab import spectral
from vqlab.lessons.exercise import Exercise, value_of

# --- 02-frames: (samples,), frame_length, hop_length -> (n, frame_length) -------------------------


def _pieces(x: Tensor, frame: int, hop: int) -> Tensor:
    return x.unfold(0, frame, hop)


frames = Exercise(
    probe=value_of(torch.arange(13.0) + 1, 4, 3),  # 4 frames; a fifth would lack 3 samples
    right=_pieces,
    mistakes=(
        (
            lambda x, frame, hop: x[: len(x) // frame * frame].reshape(-1, frame),
            "these frames lie side by side, as if the hop were the frame's length. Frame i begins "
            "at sample i * hop_length.",
        ),
        (
            lambda x, frame, hop: _pieces(x, frame, hop)[:-1],
            "the last complete frame is missing: n is (samples - frame_length) // hop_length + 1.",
        ),
        (
            lambda x, frame, hop: _pieces(F.pad(x, (0, frame)), frame, hop)[: -(-len(x) // hop)],
            "there are frames at the end that had to be filled with zeros; leave out what is not "
            "complete.",
        ),
        (lambda x, frame, hop: _pieces(x, frame, hop).T, "a frame is a row here, not a column."),
        (
            lambda x, frame, hop: _pieces(x, hop, frame),
            "frame_length and hop_length have changed places.",
        ),
        (
            lambda x, frame, hop: _pieces(x, frame, 1),
            "a new frame begins at every sample; it should begin at every hop_length-th.",
        ),
    ),
    hints=(
        "Where does frame i begin, and which is the last sample it needs?",
        "There are n = (samples - frame_length) // hop_length + 1 complete frames.",
        "`torch.stack([waveform[s : s + frame_length] for s in starts])`; which starts?",
    ),
)

# --- 02-rms: (n, frame_length) -> (n,) ------------------------------------------------------------

rms = Exercise(
    probe=value_of(torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.5, 0.5], [-4.0, 0.0, 1.0]])),
    right=lambda p: p.square().mean(dim=1).sqrt(),
    mistakes=(
        (lambda p: p.square().mean(dim=1), "the root is missing: this is the mean power."),
        (
            lambda p: p.square().sum(dim=1).sqrt(),
            "you add the squares; take their mean, so that a longer frame is not a louder one.",
        ),
        (
            lambda p: p.mean(dim=1).abs(),
            "square before you take the mean: otherwise plus and minus cancel each other.",
        ),
        (lambda p: p.abs().mean(dim=1), "this is the mean of the absolute values, not of squares."),
        (
            lambda p: p.square().mean(dim=0).sqrt(),
            "you go down the columns (dim 0); one number for each row is wanted (dim 1).",
        ),
        (lambda p: p.square().mean().sqrt(), "without `dim` you get one number for all frames."),
        (lambda p: p.std(dim=1), "`std` takes the mean away first; here it stays in."),
        (
            lambda p: p.std(dim=1, correction=0),
            "`std` takes the mean away first, with `correction=0` as well; here it stays in.",
        ),
    ),
    hints=(
        "Read the name backwards: square, mean, root.",
        "`pieces.square()`, then `.mean(dim=1)`: along the row.",
    ),
)

# --- 02-to-db: power, floor_db -> decibels --------------------------------------------------------


def _with_two_floors(fn: Callable[..., Any]) -> dict[str, Any]:
    power = torch.tensor([[1.0, 10.0, 0.5], [1e-3, 2e-8, 0.0]])
    return {
        "the result with a floor of -80 dB": fn(power.clone(), -80.0),
        "the result with a floor of -60 dB": fn(power.clone(), -60.0),
    }


def _to_db(factor: float = 10.0, low: Callable[[float], float] = lambda floor: floor):
    def fn(power: Tensor, floor_db: float = -80.0) -> Tensor:
        return factor * power.clamp(min=10.0 ** (low(floor_db) / 10)).log10()

    return fn


to_db = Exercise(
    probe=_with_two_floors,
    right=_to_db(),
    mistakes=(
        (
            lambda p, floor=-80.0: (20 * p.log10()).clamp(min=floor),
            "20 log10 is for amplitudes. A power is squared already: 10 log10.",
        ),
        (
            _to_db(factor=20.0),
            "20 log10 is for amplitudes. A power is squared already: 10 log10. (The floor moves "
            "with it.)",
        ),
        (
            lambda p, floor=-80.0: (10 * p.log()).clamp(min=floor),
            "`log` is the natural logarithm; decibels count powers of ten: `log10`.",
        ),
        (
            lambda p, floor=-80.0: p.log10().clamp(min=floor / 10),
            "these are bels; a decibel is a tenth of a bel, so there are 10 times as many.",
        ),
        (
            lambda p, floor=-80.0: 10 * p.log10(),
            "the floor is missing: a power of 0 gives minus infinity.",
        ),
        (
            _to_db(low=lambda floor: -80.0),
            "the floor is always -80 dB; take `floor_db`.",
        ),
        (
            _to_db(low=lambda floor: floor / 2),
            "the floor is too high: as a power it is 10 ** (floor_db / 10); 20 is for amplitudes.",
        ),
        (
            lambda p, floor=-80.0: 10 * (p + 10 ** (floor / 10)).log10(),
            "you add the floor to every power, which lifts the quiet ones; only what is under the "
            "floor is raised.",
        ),
        (
            lambda p, floor=-80.0: (10 * (p / p.max()).log10()).clamp(min=floor),
            "the reference is the largest power here; it should be 1, for every sound the same.",
        ),
    ),
    hints=(
        "Two steps: the logarithm of a power ratio, and a bound from below.",
        "`Tensor.clamp(min=...)` raises what is smaller; `10 * power.log10()` with reference 1.",
    ),
)

# --- 02-hz-to-mel: HTK's formula ------------------------------------------------------------------

_hz = torch.tensor([0.0, 60.0, 440.0, 1000.0, 7600.0])

hz_to_mel = Exercise(
    probe=value_of(_hz),
    right=lambda f: 2595 * torch.log10(1 + f / 700),
    mistakes=(
        (
            lambda f: 2595 * torch.log(1 + f / 700),
            "the number 2595 belongs to `log10`; with the natural `log` it would be 1127.",
        ),
        (
            lambda f: 1127 * torch.log10(1 + f / 700),
            "the number 1127 belongs to the natural logarithm; with `log10` it is 2595.",
        ),
        (
            lambda f: 2595 * torch.log10(f / 700),
            "the 1 is missing: 1 + f / 700, so that 0 Hz is 0 mel.",
        ),
        (
            lambda f: 2595 * torch.log10((1 + f) / 700),
            "only f is divided by 700, not the 1: check the brackets.",
        ),
        (
            lambda f: torch.from_numpy(spectral.hz_to_mel(f.numpy(), "slaney")),
            "this is Slaney's scale; HTK's is wanted.",
        ),
        (
            lambda f: 700 * (10 ** (f / 2595) - 1),
            "this is the way back, from mel to Hz.",
        ),
    ),
    hints=("Write the left formula as it stands; `torch.log10` takes a tensor.",),
)

# --- 02-mel-power: power (bins, frames), filters (n_mels, bins) -> (n_mels, frames) ---------------

_power = torch.tensor([[1.0, 2.0, 0.0], [4.0, 1.0, 3.0], [0.0, 5.0, 2.0]])
_filters = torch.tensor([[1.0, 0.5, 0.0], [0.0, 0.25, 1.0], [0.0, 0.0, 2.0]])

mel_power = Exercise(
    probe=value_of(_power, _filters),
    right=lambda power, filters: filters @ power,
    mistakes=(
        (
            lambda power, filters: power @ filters,
            "the order is reversed: (n_mels, bins) @ (bins, frames). Here both are square, so "
            "nothing failed.",
        ),
        (
            lambda power, filters: filters.T @ power,
            "the filters are transposed: a row of them is a band already.",
        ),
        (
            lambda power, filters: filters @ power.T,
            "the power is transposed: its rows are bins already.",
        ),
        (
            lambda power, filters: power.T @ filters.T,
            "this is (frames, n_mels); bands are rows and frames are columns.",
        ),
        (
            lambda power, filters: filters * power,
            "`*` multiplies value by value; `@` multiplies and adds up.",
        ),
        (
            lambda power, filters: filters @ power.sqrt(),
            "you weigh magnitudes (square roots); weigh the power as it comes.",
        ),
        (
            lambda power, filters: filters @ power / filters.sum(dim=1, keepdim=True),
            "you divide by the sum of the weights; the norm is part of the filters already.",
        ),
        (
            lambda power, filters: spectral.to_db(filters @ power),
            "these are decibels; stop one step before the logarithm.",
        ),
    ),
    hints=(
        "A band is a weighted sum of bins, for each frame: a product of two matrices.",
        "Which of the two has a row for each band? It stands on the left.",
    ),
)

EXERCISES = {
    "frames": frames,
    "rms": rms,
    "to-db": to_db,
    "hz-to-mel": hz_to_mel,
    "mel-power": mel_power,
}
