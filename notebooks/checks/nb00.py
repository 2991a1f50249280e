"""The exercises of notebook 00: seconds, bits per second, bytes of a file, bits by hand, a swap.

Each entry is data: a probe on small fixed numbers, the reference, the mistakes people make with
the hint that fits each, and general hints. The plain way to write codes down, every code in the
same number of bits, lives here and not in the package, whose files are smaller
(`vqlab.codec.entropy`); header and checksum of a plain file are those of the package.

Notebook: 00
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vqlab.codec import packing
from vqlab.lessons.exercise import Exercise

# --- the plain way to write codes down ------------------------------------------------------------


def pack_bits(codes: Sequence[int], bits: int) -> bytes:
    """Integers from 0 to `2**bits - 1`, `bits` bits each, high bit first, without gaps.

    Zeros fill up the last byte. Raises `ValueError` for an integer outside of that range.
    """
    values = np.asarray(codes, np.int64)
    if len(values) and not 0 <= values.min() <= values.max() < 2**bits:
        raise ValueError(
            f"codes from {values.min()} to {values.max()}: {bits} bits hold 0 to {2**bits - 1}"
        )
    shifts = np.arange(bits - 1, -1, -1)
    return np.packbits((values[:, None] >> shifts) & 1).tobytes()


def unpack_bits_of(data: bytes, count: int, bits: int) -> list[int]:
    """The first `count` integers of `bits` bits each: the inverse of `pack_bits`."""
    flat = np.unpackbits(np.frombuffer(data, np.uint8), count=count * bits).reshape(count, bits)
    return (flat.astype(np.int64) @ (1 << np.arange(bits - 1, -1, -1))).tolist()


def plain_file(codes: Sequence[int], bits: int, samples: int = 16_000) -> bytes:
    """The bytes of a file like the package's, but with each of the codes in `bits` bits.

    It is there to be measured: no decoder reads it.
    """
    payload = pack_bits(codes, bits)
    return packing.pack(packing.Packed(16_000, b"\0\0", 0, 0.0, samples, payload))


# --- 00-seconds: samples, sample rate -> seconds --------------------------------------------------


def _two_sounds(fn: Callable[..., Any]) -> Any:
    return {
        "24,000 samples at 16,000 a second": fn(24_000, 16_000),
        "11,025 samples at 44,100 a second": fn(11_025, 44_100),
    }


seconds = Exercise(
    probe=_two_sounds,
    right=lambda samples, rate: samples / rate,
    mistakes=(
        (
            lambda samples, rate: samples * rate,
            "you multiply. The rate says how many samples one second takes: divide by it.",
        ),
        (
            lambda samples, rate: rate / samples,
            "upside down: twice as many samples must last twice as long.",
        ),
        (
            lambda samples, rate: samples // rate,
            "`//` throws the fraction of a second away; `/` keeps it.",
        ),
        (
            lambda samples, rate: samples / 16_000,
            "16,000 is the rate of these words only; use `sample_rate`.",
        ),
    ),
    hints=(
        "One second takes `sample_rate` samples. How many times does that fit into `samples`?",
        "`return samples / sample_rate`. In later notebooks the last hint is less generous.",
    ),
)

# --- 00-bits-per-second: how many codes, codebook size, seconds -> bits a second ------------------


def _two_rates(fn: Callable[..., Any]) -> Any:
    return {
        "90 codes, each one of 1024, in 1 s": fn(90, 1024, 1.0),
        "120 codes, each one of 512, in 1.5 s": fn(120, 512, 1.5),
    }


bits_per_second = Exercise(
    probe=_two_rates,
    right=lambda n, k, t: n * math.log2(k) / t,
    mistakes=(
        (
            lambda n, k, t: n * math.log(k) / t,
            "`math.log` is the natural logarithm; bits need `math.log2`.",
        ),
        (
            lambda n, k, t: n * k / t,
            "a code is one of `codebook_size` integers; it takes log2 of that many bits.",
        ),
        (
            lambda n, k, t: math.log2(k) / t,
            "these are the bits of a single code; there are `count` of them.",
        ),
        (
            lambda n, k, t: math.log2(n * k) / t,
            "each code has bits of its own, so they add up: `count` stands outside the log.",
        ),
        (
            lambda n, k, t: n * math.log2(k),
            "these are the bits of the whole sound; divide by its seconds.",
        ),
        (
            lambda n, k, t: n * math.log2(k) * t,
            "you multiply by the seconds; the same codes in a longer sound are fewer bits a "
            "second, so divide.",
        ),
        (lambda n, k, t: n * math.log2(k) / t / 8, "these are bytes per second."),
    ),
    hints=(
        "How many integers are there? How many bits does one of them take?",
        "An integer below 1024 takes `math.log2(1024)`, that is 10, bits.",
        "count * bits of one code / seconds.",
    ),
)

# --- 00-file-bytes: how many codes, bits of a code -> bytes of the plain file of one second -------


def _plain_files(count: int, bits: int) -> int:
    """The length of a plain file of so many codes and 16,000 samples."""
    return len(plain_file([0] * count, bits))


def _four_files(fn: Callable[..., Any]) -> Any:
    return {
        f"{count} codes of {bits} bits": fn(count, bits)
        for count, bits in [(90, 10), (40, 10), (139, 10), (25, 9)]
    }


file_bytes = Exercise(
    probe=_four_files,
    right=_plain_files,
    mistakes=(
        (
            lambda n, b: 12 + n * b // 8,
            "you round down, so the last bits have no place. A started byte is a whole byte.",
        ),
        (
            lambda n, b: 12 + n * b / 8,
            "a file has whole bytes: round what the codes take up.",
        ),
        (
            lambda n, b: 12 + n * b // 8 + 1,
            "you always add a byte; codes that end where a byte ends need none.",
        ),
        (
            lambda n, b: 12 + n * -(-b // 8),
            "you give each code whole bytes; the plain file packs them bit by bit.",
        ),
        (
            lambda n, b: -(-n * b // 8),
            "these are the codes alone; the header (10 bytes) and the checksum (2) are missing.",
        ),
        (lambda n, b: 10 + -(-n * b // 8), "the checksum, 2 bytes at the end, is missing."),
        (lambda n, b: 2 + -(-n * b // 8), "the header, 10 bytes in front, is missing."),
        (lambda n, b: 12 + n * b, "a byte is 8 bits: divide the bits of the codes by 8."),
        (
            lambda n, b: -(-(12 + n * b) // 8),
            "header and checksum are counted in bytes already: divide the codes' bits alone by 8.",
        ),
    ),
    hints=(
        "Three parts: header, codes, checksum. Two of them always have the same size here.",
        "The codes are count * bits long, in bits; a byte has 8.",
        "`math.ceil(bits / 8)` rounds up.",
    ),
)

# --- 00-unpack-bits: bytes, how many, bits of each -> list of integers ----------------------------

_ten, _three = [469, 229, 682, 20], [5, 1, 6]


def _two_streams(fn: Callable[..., Any]) -> Any:
    return {
        "the list of 4 codes of 10 bits": fn(pack_bits(_ten, 10), 4, 10),
        "the list of 3 codes of 3 bits": fn(pack_bits(_three, 3), 3, 3),
    }


def _text(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


def _pieces(text: str, count: int, bits: int) -> list[str]:
    return [text[i * bits : (i + 1) * bits] for i in range(count)]


def _integers(text: str, count: int, bits: int) -> list[int]:
    return [int(piece or "0", 2) for piece in _pieces(text, count, bits)]


unpack_bits = Exercise(
    probe=_two_streams,
    right=unpack_bits_of,
    mistakes=(
        (lambda data, count, bits: list(data)[:count], "these are bytes; cut after `bits` bits."),
        (
            lambda data, count, bits: _pieces(_text(data), count, bits),
            "the pieces are right, as text; `int(piece, 2)` makes integers of them.",
        ),
        (
            lambda data, count, bits: _integers("".join(bin(b)[2:] for b in data), count, bits),
            '`bin` drops leading zeros; f"{byte:08b}" always writes 8 digits.',
        ),
        (
            lambda data, count, bits: _integers(_text(data[::-1]), count, bits),
            "you begin with the last byte; begin with the first.",
        ),
        (
            lambda data, count, bits: _integers(
                "".join(f"{b:08b}"[::-1] for b in data), count, bits
            ),
            "you turn each byte around; its high bit comes first.",
        ),
        (
            lambda data, count, bits: [int(p[::-1], 2) for p in _pieces(_text(data), count, bits)],
            "you turn each code around; its high bit comes first.",
        ),
        (
            lambda data, count, bits: _integers(_text(data), -(-8 * len(data) // bits), bits),
            "the zeros that fill the last byte are no codes: stop after `count` of them.",
        ),
        (
            lambda data, count, bits: _integers(_text(data)[-count * bits :], count, bits),
            "the filling zeros stand at the end of the last byte: count from the front.",
        ),
    ),
    hints=(
        'Write all bytes as one text of zeros and ones: f"{byte:08b}" for each.',
        "Code number i stands at `text[i * bits : (i + 1) * bits]`.",
        "`int(piece, 2)` reads a text of zeros and ones as an integer.",
    ),
)

# --- 00-swap-first-halves: two (1, stages, positions) -> two of them ------------------------------


def _swapped(fn: Callable[..., Any]) -> Any:
    a = torch.arange(18).reshape(1, 3, 6)
    b = 100 + a
    a[0, 2, 1] = b[0, 1:, 4] = -1  # places without a code travel along
    results = fn(a, b)
    return {"the result": results, "the first word after the call": a}


def _cat(a: Tensor, b: Tensor, dim: int = -1) -> tuple[Tensor, Tensor]:
    h = a.shape[-1] // 2
    return (
        torch.cat([b[..., :h], a[..., h:]], dim=dim),
        torch.cat([a[..., :h], b[..., h:]], dim=dim),
    )


def _overwritten(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    h = a.shape[-1] // 2
    a[..., :h] = b[..., :h]
    b[..., :h] = a[..., :h]
    return a, b


def _in_place(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    h = a.shape[-1] // 2
    kept = a[..., :h].clone()
    a[..., :h] = b[..., :h]
    b[..., :h] = kept
    return a, b


def _stages_swapped(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    h = a.shape[1] // 2
    return torch.cat([b[:, :h], a[:, h:]], dim=1), torch.cat([a[:, :h], b[:, h:]], dim=1)


swap_first_halves = Exercise(
    probe=_swapped,
    right=_cat,
    mistakes=(
        (
            _overwritten,
            "the first half of `a` is gone before `b` can get it: make new tensors, for example "
            "with `torch.cat`.",
        ),
        (_in_place, "the swap is right, but `a` and `b` themselves are changed: `clone` them."),
        (_stages_swapped, "you swap stages (axis 1); time is the last axis, the positions."),
        (
            lambda a, b: _cat(a, b)[::-1],
            "you swap the second halves, so the two results stand in the other order.",
        ),
        (lambda a, b: (b.clone(), a.clone()), "you swap the whole words."),
        (
            lambda a, b: _cat(a, b, dim=1),
            "you put the halves on top of each other (axis 1); join them along the last axis.",
        ),
        (lambda a, b: _cat(a, b, dim=0), "`torch.cat` joins along axis 0 without `dim=-1`."),
    ),
    hints=(
        "The positions are the last axis: `codes[..., :half]` and `codes[..., half:]`.",
        "`half = a.shape[-1] // 2`.",
        "`torch.cat([b[..., :half], a[..., half:]], dim=-1)` is the first of the two.",
    ),
)

EXERCISES = {
    "seconds": seconds,
    "bits-per-second": bits_per_second,
    "file-bytes": file_bytes,
    "unpack-bits": unpack_bits,
    "swap-first-halves": swap_first_halves,
}
