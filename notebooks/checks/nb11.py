"""The exercises of notebook 11: bits of a picture, summed error, codes exchanged, level, names.

Each entry is data: a probe on small fixed numbers, the reference, the mistakes people make with
the hint that fits each, and general hints. The thesis meant here is that of Hansen Vedal (2019).

Notebook: 11
"""

from __future__ import annotations

import itertools
import math

import torch

from vqlab.lessons.exercise import Exercise, value_of

_random = torch.Generator().manual_seed(11)

# --- 11-bits-per-picture: height, width, stride, K -> bits ---------------------------------------

bits_per_picture = Exercise(
    probe=value_of(32, 48, 4, 128),
    right=lambda height, width, stride, K: (height // stride) * (width // stride) * math.log2(K),
    mistakes=(
        (
            lambda h, w, s, K: (h * w // s) * math.log2(K),
            "the stride works along both axes: divide the height by it and the width by it.",
        ),
        (
            lambda h, w, s, K: h * w * math.log2(K),
            "that is a code for each pixel; there is one for each square of stride times stride.",
        ),
        (
            lambda h, w, s, K: (h // s) * (w // s) * K,
            "a code is one of K, and naming one of K takes log2(K) bits, not K.",
        ),
        (
            lambda h, w, s, K: (h // s) * (w // s) * math.log(K),
            "`math.log` is the natural logarithm; bits need `math.log2`.",
        ),
        (lambda h, w, s, K: math.log2(K), "these are the bits of one code; count the codes, too."),
    ),
    hints=(
        "How many codes has a picture of 32 x 32 with a stride of 4? And how many bits has one?",
        "(height / stride) * (width / stride) codes of log2(K) bits each.",
    ),
)

# --- 11-swap-right: two code maps -> the left half of one beside the right half of the other -----


def _swap_right(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    half = a.shape[-1] // 2
    return torch.cat([a[..., :half], b[..., half:]], dim=-1)


swap_right = Exercise(
    probe=value_of(
        torch.randint(0, 8, (1, 1, 4, 6), generator=_random),
        torch.randint(0, 8, (1, 1, 4, 6), generator=_random),
    ),
    right=_swap_right,
    mistakes=(
        (
            lambda a, b: _swap_right(b, a),
            "the roles are exchanged: the left half is that of the first map.",
        ),
        (
            lambda a, b: torch.cat([a[..., :2, :], b[..., 2:, :]], dim=-2),
            "you cut above and below: rows are the axis before the last, columns the last one.",
        ),
        (
            lambda a, b: torch.cat([a[..., :3], b[..., :3]], dim=-1),
            "you took the left half of both; the second map gives its right half.",
        ),
        (
            lambda a, b: (a + b) // 2,
            "codes are names, not amounts: the mean of codes 2 and 6 is not “between” them. Copy "
            "the codes of the columns.",
        ),
    ),
    hints=(
        "`codes[..., :4]` are the first four columns, `codes[..., 4:]` all the others.",
        "`torch.cat([left, right], dim=-1)` puts two maps side by side.",
    ),
)

# --- 11-summed-error: pictures and reconstructions -> the thesis's error -------------------------

summed_error = Exercise(
    probe=value_of(
        torch.rand(3, 2, 4, 5, generator=_random), torch.rand(3, 2, 4, 5, generator=_random)
    ),
    right=lambda x, y: (x - y).square().sum() / len(x),
    mistakes=(
        (
            lambda x, y: (x - y).square().mean(),
            "that is the mean over all values: sum within a picture, and take the mean over the "
            "pictures only.",
        ),
        (
            lambda x, y: (x - y).square().sum(),
            "you add up the pictures as well: with twice as many the error would double.",
        ),
        (lambda x, y: (x - y).abs().sum() / len(x), "squares are summed, not absolute values."),
        (
            lambda x, y: (x - y).flatten(1).norm(dim=1).mean(),
            "`norm` takes the root of each picture's sum of squares; leave the root out.",
        ),
        (
            lambda x, y: (x - y).sum() / len(x),
            "differences above and below zero cancel; square them first.",
        ),
    ),
    hints=(
        "Square the differences, add all of them up, divide by the number of pictures.",
        "The number of pictures is `len(x)`.",
    ),
)

# --- 11-to-decibels: picture in [0, 1], low, high -> decibels ------------------------------------

to_decibels = Exercise(
    probe=value_of(
        torch.rand(2, 3, 4, generator=_random),
        torch.tensor([-90.0, -70.0]),
        torch.tensor([20.0, 35.0]),
    ),
    right=lambda p, low, high: low[:, None, None] + p * (high - low)[:, None, None],
    mistakes=(
        (
            lambda p, low, high: p * high[:, None, None],
            "0 must become low and 1 must become high: stretch by high - low, then add low.",
        ),
        (
            lambda p, low, high: p * (high - low)[:, None, None],
            "the stretch is right, but 0 must become low: add it.",
        ),
        (
            lambda p, low, high: (p - low[:, None, None]) / (high - low)[:, None, None],
            "that is the way from decibels to the picture; the way back is wanted.",
        ),
        (
            lambda p, low, high: low[0] + p * (high[0] - low[0]),
            "every picture has its own low and high; you use those of the first for all.",
        ),
        (
            lambda p, low, high: low[:, None, None] + p * high[:, None, None],
            "where the picture is 1 you get low + high; it should be high: stretch by high - low.",
        ),
    ),
    hints=(
        "0 becomes low, 1 becomes high, and what lies between stays in proportion.",
        "low + picture * (high - low); `low[:, None, None]` fits (n,) to (n, rows, frames).",
    ),
)

# --- 11-run-names: lists of D, K and seeds -> the names of a grid's runs --------------------------


def _run_names(Ds: list[int], Ks: list[int], seeds: list[int]) -> list[str]:
    return [f"vq-D{D}-K{K}-s{seed}" for D, K, seed in itertools.product(Ds, Ks, seeds)]


run_names = Exercise(
    probe=value_of([4, 10], [16, 64], [0, 1]),
    right=_run_names,
    mistakes=(
        (
            lambda Ds, Ks, seeds: [
                f"vq-D{D}-K{K}-s{s}" for D, K, s in zip(Ds, Ks, seeds, strict=False)
            ],
            "`zip` walks through the lists side by side; a grid has every D with every K and seed.",
        ),
        (
            lambda Ds, Ks, seeds: [f"vq-D{D}-K{K}-s{s}" for s in seeds for K in Ks for D in Ds],
            "all runs are there, in another order: D changes slowest, the seed fastest.",
        ),
        (
            lambda Ds, Ks, seeds: [f"vq-D{D}-K{K}" for D in Ds for K in Ks],
            "the seeds are missing: each of them is a run of its own, with its own name.",
        ),
        (
            lambda Ds, Ks, seeds: len(Ds) * len(Ks) * len(seeds),
            "that is how many runs there are; their names are wanted, in a list.",
        ),
    ),
    hints=(
        "Three loops, one inside the other: over D, over K, over the seeds.",
        "`itertools.product(Ds, Ks, seeds)` is those three loops, the last list changing fastest.",
    ),
)

EXERCISES = {
    "bits-per-picture": bits_per_picture,
    "swap-right": swap_right,
    "summed-error": summed_error,
    "to-decibels": to_decibels,
    "run-names": run_names,
}
