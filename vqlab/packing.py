"""The plain packed file: a short header, the codes in just the bits they need, a checksum.

Bytes, in order: ``VQL``, format version, identity of the weights (2), quality (1), gain in half
decibels plus 127 (1), samples (a variable-length integer, 7 bits a byte, low bits first), codes
(stage by stage, each in ``ceil(log2 K)`` bits, high bit first), CRC-16 of all before (2). The first
stage has a code for every position; from those and the quality follows which positions have a code
of the next stages.

Notebook: 00
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass

import numpy as np

MAGIC = b"VQL"
VERSION = 1
MOST_SAMPLES = 16_000 * 60 * 10
"""Ten minutes at 16 kHz. Sound is coded in one piece, and memory grows with its length, so a longer
one is refused before anything is allocated, in both directions."""


@dataclass(frozen=True)
class Packed:
    """What a file says before its codes, and the codes' bytes."""

    identity: bytes
    quality: int
    gain_db: float
    samples: int
    payload: bytes


def pack(
    identity: bytes, quality: int, gain_db: float, samples: int, codes: np.ndarray, bits: int
) -> bytes:
    """Bytes of ``codes (n,)``, stage by stage, each code in ``bits`` bits, behind a header.

    identity : 2 bytes; quality : 0 to 255; gain_db : multiple of 0.5 in [-63.5, 63.5];
    samples : length of the sound.
    """
    head = MAGIC + bytes([VERSION]) + identity + bytes([quality, round(2 * gain_db) + 127])
    body = head + _varint(samples) + pack_bits(codes, bits)
    return body + binascii.crc_hqx(body, 0).to_bytes(2, "big")


def packed_bytes(samples: int, count: int, bits: int) -> int:
    """Length of what :func:`pack` makes of ``count`` codes."""
    return 10 + len(_varint(samples)) - (-count * bits // 8)


def unpack(data: bytes) -> Packed:
    """The inverse of :func:`pack`, but for the codes, which only the model's sizes can tell apart.

    Raises ``ValueError``, in one sentence, for anything that :func:`pack` did not write.
    """
    if data[:3] != MAGIC:
        raise ValueError("this is not a .vql file (it does not begin with VQL): compress one first")
    if len(data) < 11 or binascii.crc_hqx(data[:-2], 0).to_bytes(2, "big") != data[-2:]:
        raise ValueError(
            "the .vql file is damaged or cut off (its checksum is wrong): copy it again"
        )
    if data[3] != VERSION:
        raise ValueError(
            f"this .vql file has format version {data[3]}, not {VERSION}: update vqlab to read it"
        )
    samples, start = _read_varint(data, 8)
    if not 1 <= samples <= MOST_SAMPLES:
        raise ValueError(
            f"the .vql file promises {samples} samples: 1 to {MOST_SAMPLES} are allowed"
        )
    return Packed(data[4:6], data[6], (data[7] - 127) / 2, samples, data[start:-2])


def pack_bits(codes: np.ndarray, bits: int) -> bytes:
    """Integers from 0 to ``2**bits - 1``, in reading order, high bit first."""
    shifts = np.arange(bits - 1, -1, -1)
    return np.packbits((codes.reshape(-1, 1) >> shifts) & 1).tobytes()


def unpack_bits(data: bytes, count: int, bits: int) -> np.ndarray:
    """The first ``count`` integers of ``bits`` bits each.

    Raises ``ValueError`` if ``data`` is too short for them.
    """
    if 8 * len(data) < count * bits:
        raise ValueError(
            f"{len(data)} bytes of codes, too few for {count} of {bits} bits: the file is not valid"
        )
    flat = np.unpackbits(np.frombuffer(data, np.uint8), count=count * bits).reshape(count, bits)
    return flat.astype(np.int64) @ (1 << np.arange(bits - 1, -1, -1))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _read_varint(data: bytes, start: int) -> tuple[int, int]:
    value = 0
    for place in range(5):
        if start + place >= len(data):
            break
        byte = data[start + place]
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value, start + place + 1
    raise ValueError("the .vql file's length field is not valid: copy or compress it again")
