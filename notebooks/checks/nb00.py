"""The exercises of notebook 00: count the codes of a position, change one code, join two words.

Each entry is data: a probe on small fixed numbers, the reference, the mistakes people make with
the hint that fits each, and general hints.

Notebook: 00
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vqlab.lessons.exercise import Exercise, value_of

# --- 00-codes-per-position: (1, stages, positions) -> (positions,) --------------------------------

_CODES = torch.tensor([[[7, 0, 3, 9], [5, -1, 0, 4], [2, -1, -1, 8]]])

codes_per_position = Exercise(
    probe=value_of(_CODES),
    right=lambda codes: (codes[0] >= 0).sum(dim=0),
    mistakes=(
        (
            lambda codes: (codes[0] >= 0).sum(dim=1),
            "these are the codes of each stage. Add up along the stages, so that the positions "
            "remain: `dim=0` once the 1 in front is gone.",
        ),
        (
            lambda codes: (codes[0] > 0).sum(dim=0),
            "0 is a code like any other, the number of the first row; only -1 means “no code”.",
        ),
        (
            lambda codes: (codes >= 0).sum(dim=1),
            "the numbers are right, in shape (1, positions): leave the 1 in front out, for example "
            "with `codes[0]`.",
        ),
        (
            lambda codes: (codes >= 0).sum(),
            "these are all codes together; the sum runs over the stages alone.",
        ),
        (
            lambda codes: (codes[0] < 0).sum(dim=0),
            "you count the empty places; count the others.",
        ),
        (
            lambda codes: codes[0].sum(dim=0),
            "you add up the codes themselves. Compare first: `codes >= 0` is true for a code.",
        ),
        (
            lambda codes: codes[0] >= 0,
            "this says where there is a code; now add up along the stages.",
        ),
    ),
    hints=(
        "`codes >= 0` is true where there is a code, and `sum` counts what is true.",
        "`codes[0]` has the shape (stages, positions). Which of the two axes should go?",
        "`(codes[0] >= 0).sum(dim=0)`. In later notebooks the last hint is less generous.",
    ),
)

# --- 00-change-one: (1, stages, positions), position, code -> the same shape ----------------------


def _one_changed(fn: Callable[..., Any]) -> Any:
    codes = torch.arange(18).reshape(1, 3, 6)
    return {"the result": fn(codes, 2, 99), "your input after the call": codes}


def _changed(codes: Tensor, position: int, code: int) -> Tensor:
    changed = codes.clone()
    changed[0, 0, position] = code
    return changed


def _in_place(codes: Tensor, position: int, code: int) -> Tensor:
    codes[0, 0, position] = code
    return codes


def _axes_swapped(codes: Tensor, position: int, code: int) -> Tensor:
    changed = codes.clone()
    changed[0, position, 0] = code
    return changed


def _all_stages(codes: Tensor, position: int, code: int) -> Tensor:
    changed = codes.clone()
    changed[..., position] = code
    return changed


def _whole_stage(codes: Tensor, position: int, code: int) -> Tensor:
    changed = codes.clone()
    changed[0, position] = code
    return changed


def _counted_from_one(codes: Tensor, position: int, code: int) -> Tensor:
    return _changed(codes, position - 1, code)


change_one = Exercise(
    probe=_one_changed,
    right=_changed,
    mistakes=(
        (_in_place, "the right place, but `codes` itself is changed: begin with `codes.clone()`."),
        (
            _axes_swapped,
            "you change stage `position` of position 0: time is the last axis.",
        ),
        (_all_stages, "you change the codes of all stages; the first stage is number 0 of axis 1."),
        (
            _whole_stage,
            "you change a whole stage: time is the last axis, the first stage is 0.",
        ),
        (_counted_from_one, "positions are counted from 0, so nothing is to be subtracted."),
        (
            lambda codes, position, code: _changed(codes, position, code)[0],
            "the 1 in front is gone: the result has the shape of `codes`.",
        ),
    ),
    hints=(
        "Make a copy with `clone`, set one element of the copy, return it.",
        "The element has three numbers: `changed[0, 0, position]`, batch, stage and position.",
    ),
)

# --- 00-join-at: two (1, stages, positions), a position -> one of them ----------------------------


def _two_words(fn: Callable[..., Any]) -> Any:
    a, b = torch.arange(18).reshape(1, 3, 6), 100 + torch.arange(24).reshape(1, 3, 8)
    a[0, 2, 1] = b[0, 1:, 4] = -1  # places without a code travel along
    return {"codes of 6 and of 8 positions, joined at 2": fn(a, b, 2)}


def _joined(a: Tensor, b: Tensor, position: int) -> Tensor:
    return torch.cat([a[..., :position], b[..., position:]], dim=-1)


join_at = Exercise(
    probe=_two_words,
    right=_joined,
    mistakes=(
        (
            lambda a, b, position: _joined(b, a, position),
            "the other way round: `a` comes first.",
        ),
        (
            lambda a, b, position: torch.cat([a[..., :position], b], dim=-1),
            "you append the whole of `b`; take it from `position` on.",
        ),
        (
            lambda a, b, position: torch.cat([a, b[..., position:]], dim=-1),
            "you keep the whole of `a`; it ends before `position`.",
        ),
        (
            lambda a, b, position: torch.cat([a[..., :position], b[..., :position]], dim=-1),
            "you take the beginning of both words; of `b` you want the rest.",
        ),
        (
            lambda a, b, position: torch.cat([a[..., : position + 1], b[..., position:]], dim=-1),
            "`a` gives one position too many: `:position` ends before it.",
        ),
        (
            lambda a, b, position: torch.cat(
                [a[..., : position + 1], b[..., position + 1 :]], dim=-1
            ),
            "one position too late: number `position` is already of `b`.",
        ),
        (
            lambda a, b, position: torch.cat([a, b], dim=-1)[..., :position],
            "the cut is made after the joining; cut each of the two first.",
        ),
    ),
    hints=(
        "The positions are the last axis: `a[..., :position]` and `b[..., position:]`.",
        "`torch.cat` joins a list of tensors; along which axis?",
        "`torch.cat([a[..., :position], b[..., position:]], dim=-1)`.",
    ),
)

EXERCISES = {
    "codes-per-position": codes_per_position,
    "change-one": change_one,
    "join-at": join_at,
}
