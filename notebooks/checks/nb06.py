"""The exercises of notebook 06: rates, splits, the loss, the learning rate, perplexity.

Notebook: 06
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vqlab import quantize, training
from vqlab.lessons.exercise import Exercise, value_of


def _rate(frames: float, stride: int, stages: int, size: int) -> float:
    return frames / stride * stages * math.log2(size)


bits_per_second = Exercise(
    probe=lambda fn: (fn(100, 2, 3, 1024), fn(125, 5, 2, 512)),
    right=_rate,
    mistakes=(
        (lambda f, r, s, k: f * s * math.log2(k), "one code stands for `stride` frames: divide."),
        (
            lambda f, r, s, k: f * r * s * math.log2(k),
            "a larger stride makes fewer codes: divide by it.",
        ),
        (lambda f, r, s, k: f / r * math.log2(k), "each position has a code in *every* stage."),
        (
            lambda f, r, s, k: f / r * s * k,
            "K codes are told apart by log2(K) bits, not by K bits.",
        ),
        (
            lambda f, r, s, k: f / r * s * math.log(k),
            "this is the natural logarithm; bits need the logarithm to base 2.",
        ),
        (
            lambda f, r, s, k: f / r * math.log2(s * k),
            "the choices multiply from stage to stage, so their bits add: stages * log2(K).",
        ),
    ),
    hints=(
        "How many positions a second, how many codes at each, how many bits for one code?",
        "frames_per_second / stride * stages * log2(codebook_size).",
    ),
)


def _split(speakers: Sequence[str], n: int) -> tuple[list[int], list[int]]:
    held_out = set(sorted(set(speakers))[-n:])
    return _rows(speakers, held_out)


def _rows(speakers: Sequence[str], held_out: set[str]) -> tuple[list[int], list[int]]:
    rows = range(len(speakers))
    train = [i for i in rows if speakers[i] not in held_out]
    return train, [i for i in rows if speakers[i] in held_out]


_clips = ["eve", "ada", "dee", "bo", "cy", "ada", "eve", "bo"]
split_by_speaker = Exercise(
    probe=value_of(_clips, 2),
    right=_split,
    mistakes=(
        (
            lambda s, n: (list(range(len(s) - n)), list(range(len(s) - n, len(s)))),
            "you hold out clips, not speakers: a voice of the test set is heard in training.",
        ),
        (
            lambda s, n: (list(range(len(s))), _split(s, n)[1]),
            "the test clips are in the training set too.",
        ),
        (lambda s, n: _split(s, n)[::-1], "the two lists are exchanged: training first."),
        (
            lambda s, n: _rows(s, set(sorted(set(s))[:n])),
            "you hold out the first speakers of the sorted names; take the last.",
        ),
        (
            lambda s, n: _rows(s, set(sorted(s)[-n:])),
            "the sorted list names a speaker once for each clip: remove the doubles first (`set`).",
        ),
        (
            lambda s, n: _rows(s, set(list(dict.fromkeys(s))[-n:])),
            "the names are in the order of the clips: sort them before you take the last.",
        ),
        (
            lambda s, n: tuple([s[i] for i in part] for part in _split(s, n)),
            "these are names; the positions of the clips in the list are wanted.",
        ),
    ),
    hints=(
        "First the speakers (each name once, sorted), then which of them are held out, then the "
        "clips.",
        "`sorted(set(speakers))[-n_test:]` are the speakers of the test set.",
    ),
)


def _parts(y: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    error = y - x
    return error, error.diff(dim=-1), error.diff(dim=-2)


def _loss(values: float = 1, time: float = 1, frequency: float = 1) -> Callable[..., Tensor]:
    def fn(y: Tensor, x: Tensor) -> Tensor:
        means = [part.abs().mean() for part in _parts(y, x)]
        return values * means[0] + time * means[1] + frequency * means[2]

    return fn


_target = torch.tensor([[[1.0, 2.0, 0.0, -1.0], [0.5, 0.0, 1.0, 3.0], [2.0, 2.0, -2.0, 0.0]]])
_output = torch.tensor([[[1.5, 1.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0], [2.5, 1.0, -1.0, 2.0]]])
mel_loss = Exercise(
    probe=value_of(_output, _target),
    right=training.mel_loss,
    mistakes=(
        (_loss(1, 0, 0), "this is the first term; the two terms of differences are missing."),
        (_loss(1, 0, 1), "the differences along time (the last axis) are missing."),
        (_loss(1, 1, 0), "the differences along frequency (the axis before the last) are missing."),
        (_loss(0, 1, 1), "the first term, the error of the values themselves, is missing."),
        (
            lambda y, x: _loss(1, 0, 0)(y, x) + _loss(0, 1, 1)(y, torch.zeros_like(x)),
            "this punishes every edge in the output. Take the differences of `output - target`.",
        ),
        (
            lambda y, x: _loss(1, 0, 0)(y, x) + _loss(0, 1, 1)((y - x).abs(), torch.zeros_like(x)),
            "take the differences before the absolute value: +1 and -1 side by side are an edge.",
        ),
        (
            lambda y, x: sum(part.pow(2).mean() for part in _parts(y, x)),
            "you square; the loss takes absolute values.",
        ),
        (
            lambda y, x: sum(part.abs().sum() for part in _parts(y, x)),
            "you add up; take means, so that the loss does not depend on the length of the sound.",
        ),
    ),
    hints=(
        "Let e = output - target. All three terms are means of absolute values.",
        "`e.diff(dim=-1)` are the differences along time, `e.diff(dim=-2)` along frequency.",
    ),
)


def _schedule(step: int, steps: int, highest: float) -> float:
    return highest * 0.5 * (1 + math.cos(math.pi * step / steps)) * min(1.0, (step + 1) / 50)


learning_rate = Exercise(
    probe=lambda fn: tuple(fn(step, 300, 1.0) for step in (0, 24, 49, 50, 150, 299)),
    right=_schedule,
    mistakes=(
        (
            lambda s, n, h: h * 0.5 * (1 + math.cos(math.pi * s / n)),
            "the warm-up is missing: the first 50 steps rise.",
        ),
        (
            lambda s, n, h: _schedule(s, n, h) / min(1.0, (s + 1) / 50) * min(1.0, s / 50),
            "step 0 gets a rate of 0 and is wasted: step + 1.",
        ),
        (
            lambda s, n, h: _schedule(s, n, h) / min(1.0, (s + 1) / 50) * (s + 1) / 50,
            "the warm-up goes on rising after step 50: `min(1, ...)` ends it.",
        ),
        (
            lambda s, n, h: h * math.cos(math.pi * s / n) * min(1.0, (s + 1) / 50),
            "this cosine runs from 1 to -1; the rate would be negative. (1 + cos) / 2.",
        ),
        (
            lambda s, n, h: h * 0.5 * (1 + math.cos(2 * math.pi * s / n)) * min(1, (s + 1) / 50),
            "the cosine comes up again: over the whole run its angle goes from 0 to pi.",
        ),
        (
            lambda s, n, h: h * (1 - s / n) * min(1.0, (s + 1) / 50),
            "this falls along a line; it should fall along half a cosine.",
        ),
    ),
    hints=(
        "Two factors: one rises over 50 steps and stays 1, one falls from 1 to 0.",
        "`min(1, (step + 1) / 50)` and `(1 + math.cos(math.pi * step / steps)) / 2`.",
    ),
)


def _epoch(batches: list[Tensor], size: int) -> Tensor:
    return quantize.batch_perplexity(torch.cat([b.flatten() for b in batches]), size)


def _mean(batches: list[Tensor], size: int) -> Tensor:
    return torch.stack([quantize.batch_perplexity(b.flatten(), size) for b in batches]).mean()


_batches = [torch.tensor([[0, 0, 1], [0, 1, 0]]), torch.tensor([[2, 2, 3], [5, 2, 2]])]
epoch_perplexity = Exercise(
    probe=value_of(_batches, 8),
    right=_epoch,
    mistakes=(
        (_mean, "this is the mean of the batches' perplexities. Add up the counts first."),
        (lambda b, k: _epoch(b[-1:], k), "this is the last batch alone: count all batches."),
        (lambda b, k: torch.cat(b).unique().numel(), "this counts the codes that occur at all."),
        (lambda b, k: _epoch(b, k).log2(), "this is the entropy in bits: 2 to the power of it."),
        (lambda b, k: _epoch(b, k).log(), "this is the entropy in nats: exp of it."),
        (
            lambda b, k: torch.stack([_epoch([x], k).log2() for x in b]).mean().exp2(),
            "you average entropies; add up the counts of all batches, then one entropy.",
        ),
    ),
    hints=(
        "First one list of counts over all batches; then shares, entropy, perplexity.",
        "`sum(torch.bincount(b.flatten(), minlength=K) for b in batches)` counts.",
    ),
)

EXERCISES = {
    "split-by-speaker": split_by_speaker,
    "bits-per-second": bits_per_second,
    "mel-loss": mel_loss,
    "learning-rate": learning_rate,
    "epoch-perplexity": epoch_perplexity,
}
