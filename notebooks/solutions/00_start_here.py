"""Solutions to the exercises of notebook 00. Each function is named like its stub."""

import math

import torch


def seconds(samples, sample_rate):
    """How long a sound lasts."""
    return samples / sample_rate


def bits_per_second(count, codebook_size, seconds):
    """log2(codebook_size) bits for each code."""
    return count * math.log2(codebook_size) / seconds


def file_bytes(count, bits):
    """Of a plain file: 10 bytes of header, the codes without gaps, 2 bytes of checksum."""
    return 10 + math.ceil(count * bits / 8) + 2


def unpack_bits(data, count, bits):
    """All bytes as one text of zeros and ones, cut into pieces of `bits` digits."""
    text = "".join(f"{byte:08b}" for byte in data)
    return [int(text[i * bits : (i + 1) * bits], 2) for i in range(count)]


def swap_first_halves(a, b):
    """(1, stages, positions) twice: the first half of each in front of the other's second half."""
    half = a.shape[-1] // 2
    return (
        torch.cat([b[..., :half], a[..., half:]], dim=-1),
        torch.cat([a[..., :half], b[..., half:]], dim=-1),
    )
