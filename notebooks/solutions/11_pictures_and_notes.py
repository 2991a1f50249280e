"""Solutions of the exercises in notebook 11. Run this file to check them all."""

import itertools
import math

import torch

from vqlab import lessons


def bits_per_picture(height, width, stride, K):
    """One code for each square of stride x stride pixels, log2(K) bits each."""
    return (height // stride) * (width // stride) * math.log2(K)


def swap_right(a, b):
    """The left half of one code map beside the right half of another."""
    half = a.shape[-1] // 2
    return torch.cat([a[..., :half], b[..., half:]], dim=-1)


def summed_error(x, y):
    """Squared error, summed over a picture, mean over the pictures: the thesis's measure."""
    return (x - y).square().sum() / len(x)


def to_decibels(picture, low, high):
    """0 becomes low, 1 becomes high. (n, rows, frames), (n,), (n,) -> (n, rows, frames)."""
    return low[:, None, None] + picture * (high - low)[:, None, None]


def run_names(Ds, Ks, seeds):
    """Every D with every K and every seed; the last list changes fastest."""
    return [f"vq-D{D}-K{K}-s{seed}" for D, K, seed in itertools.product(Ds, Ks, seeds)]


if __name__ == "__main__":
    for name in lessons.exercise_names("11"):
        verdict = lessons.check(name, globals()[name[3:].replace("-", "_")])
        print(verdict)
        assert verdict
