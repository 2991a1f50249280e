"""Solutions of the exercises in notebook 06. Run this file to check them all."""

import math

import torch

from vqlab import lessons


def split_by_speaker(speakers, n_test):
    held_out = set(sorted(set(speakers))[-n_test:])
    train = [i for i, speaker in enumerate(speakers) if speaker not in held_out]
    test = [i for i, speaker in enumerate(speakers) if speaker in held_out]
    return train, test


def bits_per_second(frames_per_second, stride, stages, codebook_size):
    return frames_per_second / stride * stages * math.log2(codebook_size)


def mel_loss(output, target):
    error = output - target
    along_time, along_frequency = error.diff(dim=-1), error.diff(dim=-2)
    return error.abs().mean() + along_time.abs().mean() + along_frequency.abs().mean()


def learning_rate(step, steps, highest):
    warm_up = min(1, (step + 1) / 50)
    return highest * warm_up * (1 + math.cos(math.pi * step / steps)) / 2


def epoch_perplexity(batches, K):
    counts = sum(torch.bincount(codes.flatten(), minlength=K) for codes in batches)
    p = counts[counts > 0] / counts.sum()
    return 2 ** -(p * p.log2()).sum()


if __name__ == "__main__":
    for name in lessons.exercise_names("06"):
        verdict = lessons.check(name, globals()[name[3:].replace("-", "_")])
        print(verdict)
        assert verdict
