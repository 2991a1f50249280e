"""Playing with codes: change them, cross two speakers', and hear what that does.

Codes are `(1, stages, positions)`, int64, stages and positions counted from 0, with -1 where a
position has no code of a stage (its first stage always has one, and after a -1 come only -1). The
one idea: codes are text. What can be done to letters can be done to them, and the decoder speaks
the result; so one hears what the codes hold, for example how much of what is said and how much of
who says it (van den Oord et al. 2017, section 4.3, ask that of theirs). All functions return new
codes and leave those they were given as they are.

A packed file takes the depth of a position from its first code; edited codes are for the ear.

Notebook: 12
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from vqlab.codec import Codec


def sound(codes: Tensor, codec: Codec, *, gain_db: float = 0.0) -> Tensor:
    """The waveform `(samples,)` of codes, as long as their positions: 0.04 s each as shipped.

    gain_db : the gain that `Codec.encode` gave with them; it is undone.
    Raises ValueError for codes that are not well-formed, or that the codec does not have.
    """
    check(codes)
    return codec.decode(codes, codes.shape[2] * codec.samples_per_position, gain_db)


def replace(codes: Tensor, position: int, stage: int, code: int) -> Tensor:
    """The codes with one of them changed; -1 takes it away, and with it all finer stages.

    Raises ValueError for a position, stage or code that is not there: a code may follow those that
    the position has, but leave no gap.
    """
    check(codes)
    _, stages, positions = codes.shape
    _within("position", position, 0, positions - 1)
    depth = int((codes[0, :, position] >= 0).sum())
    _within("stage", stage, 0, min(depth, stages - 1))
    if code < -1 or (code == -1 and stage == 0):
        raise ValueError(
            f"code is {code}: it is a number from 0, or -1 for none in a stage from 1 on"
        )
    out = codes.clone()
    out[0, stage, position] = code
    if code == -1:
        out[0, stage:, position] = -1
    return out


def swap(codes: Tensor, first: int, second: int) -> Tensor:
    """The codes with two positions in each other's place. Raises ValueError for one not there."""
    check(codes)
    order = torch.arange(codes.shape[2])
    for position in (first, second):
        _within("position", position, 0, len(order) - 1)
    order[first], order[second] = second, first
    return codes[..., order]


def reverse(codes: Tensor) -> Tensor:
    """The positions backwards; each still runs forwards in itself."""
    check(codes)
    return codes.flip(2)


def hold(codes: Tensor, position: int, length: int) -> Tensor:
    """One position held for `length` positions: `(1, stages, positions + length - 1)`.

    Raises ValueError for a position that is not there, or a length below 1.
    """
    check(codes)
    _within("position", position, 0, codes.shape[2] - 1)
    _within("length", length, 1, None)
    times = torch.ones(codes.shape[2], dtype=torch.int64)
    times[position] = length
    return codes.repeat_interleave(times, dim=2)


def stretch(codes: Tensor, factor: float) -> Tensor:
    """Slower by `factor` (below 1: faster) at the same pitch: positions repeated or left out.

    `(1, stages, round(factor * positions))`, at least one. Raises ValueError for a factor that is
    not above 0 and at most 100.
    """
    check(codes)
    if not 0 < factor <= 100:
        raise ValueError(f"factor is {factor}, it must be above 0 and at most 100")
    positions = codes.shape[2]
    length = max(1, round(factor * positions))
    middles = torch.arange(length) * 2 + 1  # of the new positions, in halves of one
    return codes[..., middles * positions // (2 * length)]


def join(a: Tensor, b: Tensor, at: int) -> Tensor:
    """The positions of `a` before `at`, then those of `b` from `at` on.

    `(1, stages of the deeper, positions of b)`. Raises ValueError if `a` or `b` is shorter
    than `at`.
    """
    a, b = _equally_deep(a, b)
    _within("at", at, 0, min(a.shape[2], b.shape[2]))
    return torch.cat([a[..., :at], b[..., at:]], dim=2)


def cross(a: Tensor, b: Tensor, stages: int) -> Tensor:
    """The first `stages` from `a`, the finer ones from `b`, position by position.

    Where `a` has fewer than that, what `b` has cannot follow, and is left out. Raises
    ValueError where the two differ in their number of positions (`align` first) or for a number of
    stages outside 0 … all.
    """
    a, b = _equally_deep(a, b)
    _same_positions(a, b)
    _within("stages", stages, 0, a.shape[1])
    out = torch.cat([a[:, :stages], b[:, stages:]], dim=1)
    no_gap_before = (out >= 0).long().cumprod(dim=1).bool()
    return out.where(no_gap_before, -1)


def align(a: Tensor, b: Tensor, codec: Codec) -> Tensor:
    """`b` in the tempo of `a`: `(1, stages of b, positions of a)`, by `counterparts`."""
    return b[..., counterparts(a, b, codec)]


def counterparts(a: Tensor, b: Tensor, codec: Codec) -> Tensor:
    """For each position of `a` the one of `b` that says the same: int64 (positions of a,).

    Dynamic time warping (Sakoe and Chiba 1978): of all ways to go through both from start to end
    without going back, that with the smallest sum of squared distances between the decoded mel
    frames. Each band's mean is taken off first: much of what sets two voices apart is in it.
    Where the way stays on a position of `a` for several of `b`, the middle one counts.
    Raises ValueError for codes that are not well-formed, or that the codec does not have.
    """
    import librosa

    bands_a, bands_b = _bands(a, codec), _bands(b, codec)
    cost = torch.cdist(bands_a, bands_b).square()  # (positions of a, positions of b)
    _, path = librosa.sequence.dtw(C=cost.numpy())
    rows, columns = torch.from_numpy(path[::-1].copy()).T  # from the end, as found
    visits = torch.bincount(rows)
    last = visits.cumsum(0) - 1  # of each position's steps in the path
    return columns[last - visits // 2]


def _bands(codes: Tensor, codec: Codec) -> Tensor:
    """What is decoded, a mean for each position, less each band's mean: (positions, n_mels)."""
    check(codes)
    x = codec.model.eval().decode(codes.to(codec.device))[0].double().cpu()
    mean = x.reshape(len(x), codes.shape[2], -1).mean(dim=2).T
    return mean - mean.mean(dim=0)


def check(codes: Tensor) -> None:
    """Raises ValueError for what is not codes `(1, stages, positions)` as this module says."""
    if codes.ndim != 3 or codes.shape[0] != 1 or 0 in codes.shape or codes.dtype != torch.int64:
        raise ValueError(
            "codes must be (1, stages, positions) of int64 with at least one position, not "
            f"{tuple(codes.shape)} of {codes.dtype}"
        )
    if int(codes.min()) < -1:
        raise ValueError(f"codes hold {int(codes.min())}: they are 0, 1, …, or -1 for none")
    wrong = (codes[0, 0] < 0) | ((codes[0, :-1] < 0) & (codes[0, 1:] >= 0)).any(dim=0)
    if wrong.any():
        raise ValueError(
            f"position {int(wrong.nonzero()[0])} has a code after a missing one, or none in its "
            "first stage: only its last stages may be -1"
        )


def _equally_deep(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both with as many stages as the deeper one: -1 in those that the other does not have."""
    check(a)
    check(b)
    stages = max(a.shape[1], b.shape[1])
    padded = [torch.nn.functional.pad(c, (0, 0, 0, stages - c.shape[1]), value=-1) for c in (a, b)]
    return padded[0], padded[1]


def _same_positions(a: Tensor, b: Tensor) -> None:
    if a.shape[2] != b.shape[2]:
        raise ValueError(
            f"one has {a.shape[2]} positions, the other {b.shape[2]}: bring the second to the "
            "first's tempo with align"
        )


def _within(name: str, value: int, low: int, high: int | None) -> None:
    if value < low or (high is not None and value > high):
        allowed = f"{low} or more" if high is None else f"{low} to {high}"
        raise ValueError(f"{name} is {value}, allowed here: {allowed}")
