"""Solutions to the exercises of notebook 01. Each function is named like its stub."""

import torch


def read_header(raw):
    """bytes -> (sample_rate, channels, bits): the smallest part of a number comes first."""
    sample_rate = int.from_bytes(raw[24:28], "little")
    channels = int.from_bytes(raw[22:24], "little")
    bits = int.from_bytes(raw[34:36], "little")
    return sample_rate, channels, bits


def alias(frequency, rate):
    """Take away the nearest multiple of the rate; a negative frequency sounds like a positive."""
    return abs(frequency - rate * round(frequency / rate))


def match_level(waveform, like):
    """One factor for all samples: the ratio of the two RMS."""
    return waveform * (like.square().mean() / waveform.square().mean()).sqrt()


def to_integers(waveform, bits):
    """How many steps from 0, rounded; nothing beyond the ends of the ladder."""
    n = 2 ** (bits - 1)
    return (waveform * n).round().clamp(-n, n - 1)


def active(levels, top_db):
    """The first loud frame, and the number after the last one."""
    loud = torch.nonzero(levels > levels.max() - top_db).flatten()
    return int(loud[0]), int(loud[-1]) + 1
