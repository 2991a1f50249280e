"""The exercises of notebook 10: the byte of the gain, a length, a budget of bytes, a checksum.

Notebook: 10
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Callable
from typing import Any

from vqlab.codec import packing
from vqlab.lessons.exercise import Exercise

# --- 10-gain-byte: level in dBFS -> byte 7 of the file --------------------------------------------

_LEVELS = (-20.0, -29.6, -3.1, -90.0, -math.inf, 60.0)


def _gain_byte(level_db: float, *, most: float = 127, step: float = 2, sign: int = 1) -> int:
    if level_db == -math.inf:
        return 127
    steps = round(step * sign * (-20 - level_db))
    return int(min(max(steps, -most), most)) + 127


def _no_silence(level_db: float) -> int:
    return 254 if level_db == -math.inf else _gain_byte(level_db)


gain_byte = Exercise(
    probe=lambda fn: [fn(level) for level in _LEVELS],
    right=_gain_byte,
    mistakes=(
        (
            lambda level: _gain_byte(level, sign=-1),
            "the sign is turned round. A soft sound needs a *positive* gain: target minus level.",
        ),
        (
            lambda level: _gain_byte(level, step=1),
            "these are whole decibels. The byte counts half decibels: one decibel is two steps.",
        ),
        (
            lambda level: _gain_byte(level) - 127,
            "the steps are right, but they can be negative, and a byte cannot: add 127.",
        ),
        (
            lambda level: 127 if level == -math.inf else round(2 * (-20 - level)) + 127,
            "for very soft and very loud sounds the number leaves the byte. Hold the gain between "
            "−63.5 and 63.5 dB first.",
        ),
        (
            _no_silence,
            "silence has the level −∞. No gain makes it loud: it gets 0 dB, which is byte 127.",
        ),
    ),
    hints=(
        "gain = −20 − level, held between −63.5 and 63.5; then half decibels, then plus 127.",
        "`round(2 * min(max(-20 - level_db, -63.5), 63.5)) + 127`, and 127 for `-math.inf`.",
    ),
)

# --- 10-varint: number of samples -> the bytes of the length --------------------------------------

_LENGTHS = (1, 127, 128, 300, 16_000, 57_600_000)


def _varint(value: int) -> list[int]:
    return list(packing._varint(value))


def _base(value: int, base: int) -> list[int]:
    """The digits of a number, the low ones first, without anything that says where it ends."""
    digits = [value % base]
    while value := value // base:
        digits.append(value % base)
    return digits


varint = Exercise(
    probe=lambda fn: [list(fn(value)) for value in _LENGTHS],
    right=_varint,
    mistakes=(
        (
            lambda value: _base(value, 128),
            "the groups of 7 bits are right, but a reader cannot tell where the number ends. Add "
            "128 to every byte but the last.",
        ),
        (
            lambda value: _base(value, 256),
            "you put 8 bits into each byte. One bit must say whether more follows, so 7 are left.",
        ),
        (
            lambda value: [d + 128 for d in _base(value, 128)[:0:-1]] + _base(value, 128)[:1],
            "the high bits come first here; in a .vql file the low 7 bits come first.",
        ),
        (
            lambda value: _base(value, 128)[:-1] + [_base(value, 128)[-1] + 128],
            "you mark the last byte. The high bit says “more follows”: all but the last have it.",
        ),
        (
            lambda value: [d + 128 for d in _base(value, 128)],
            "every byte says that more follows, the last one too.",
        ),
        (
            lambda value: [d + 128 for d in _base(value, 128)] + [0],
            "a byte of 0 at the end is one more than needed. Stop when what is left fits 7 bits.",
        ),
    ),
    hints=(
        "While the value is 128 or more: note its low 7 bits plus 128, and move it right by 7.",
        "`value & 127 | 128` is such a byte, `value >>= 7` moves on; the rest is the last byte.",
    ),
)

# --- 10-budget: samples, sample rate, kbit/s -> bytes of the file, bytes of its codes -------------

_SOUNDS = ((16_000, 16_000, 1.0), (28_758, 16_000, 0.75), (100, 16_000, 40.0), (44_100, 22_050, 1))


def _budget(samples: int, sample_rate: int, kbps: float, *, kilo: int = 1000) -> tuple[int, int]:
    whole = math.floor(kilo * kbps * samples / sample_rate / 8 + 1e-9)
    return whole, whole - packing.overhead(samples)


def _rounded_up(samples: int, sample_rate: int, kbps: float) -> tuple[int, int]:
    whole = math.ceil(125 * kbps * samples / sample_rate - 1e-9)
    return whole, whole - packing.overhead(samples)


def _budget_less(less: Callable[[int], int]) -> Callable[..., tuple[int, int]]:
    def changed(samples: int, sample_rate: int, kbps: float) -> tuple[int, int]:
        whole, _ = _budget(samples, sample_rate, kbps)
        return whole, whole - less(samples)

    return changed


def _in_bits(samples: int, sample_rate: int, kbps: float) -> tuple[int, int]:
    whole = math.floor(1000 * kbps * samples / sample_rate + 1e-9)
    return whole, whole - packing.overhead(samples)


budget = Exercise(
    probe=lambda fn: [fn(*sound) for sound in _SOUNDS],
    right=_budget,
    mistakes=(
        (_in_bits, "this counts bits; a byte is eight of them."),
        (
            lambda *sound: _budget(*sound, kilo=1024),
            "a kbit is 1000 bits here, as in all rates of the series, not 1024.",
        ),
        (
            _rounded_up,
            "rounded up, the file would need a little more than the rate allows. Round down.",
        ),
        (
            _budget_less(lambda samples: 0),
            "the second number is what is left for codes: take off header and checksum.",
        ),
        (
            _budget_less(lambda samples: 12),
            "12 is right for a second at 16 kHz only: how many bytes the length takes depends on "
            "the number of samples.",
        ),
        (
            _budget_less(lambda samples: packing.overhead(samples) - packing.CHECKSUM_BYTES),
            "the checksum at the end takes 2 bytes more.",
        ),
    ),
    hints=(
        "Bits allowed = 1000 · kbps · seconds; divide by 8 and round down.",
        "Header: 8 bytes and the length, 7 bits of it a byte (`samples.bit_length()`); checksum: "
        "2 bytes.",
    ),
)

# --- 10-crc16: bytes -> checksum, bit by bit ------------------------------------------------------

_DATA = (b"A", b"VQL", b"\x00\x01", b"\xff\x80")


def _crc(data: bytes) -> int:
    return binascii.crc_hqx(data, 0)


def _shifted(
    data: bytes, *, polynomial: int = 0x1021, mask: int = 0xFFFF, into: int = 8, early: bool = False
) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << into
        for _ in range(8):
            if early:
                crc = crc << 1 & mask
                crc = crc ^ polynomial if crc & 0x8000 else crc
            else:
                crc = (crc << 1 ^ polynomial if crc & 0x8000 else crc << 1) & mask
    return crc


def _low_first(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return crc


def _crc_probe(fn: Callable[..., Any]) -> Any:
    return [fn(data) for data in _DATA]


crc16 = Exercise(
    probe=_crc_probe,
    right=_crc,
    mistakes=(
        (
            lambda data: binascii.crc_hqx(data, 0xFFFF),
            "you begin with 0xFFFF, as some relatives of this checksum do; this one begins with 0.",
        ),
        (
            lambda data: _shifted(data, mask=2**60 - 1),
            "the register has 16 bits, yours grows: after each shift keep `& 0xFFFF`.",
        ),
        (
            lambda data: _shifted(data, polynomial=0x8005),
            "this is another polynomial (0x8005); the file uses 0x1021.",
        ),
        (_low_first, "you take the low bit of each byte first; here the high bit comes first."),
        (
            lambda data: _shifted(data, into=0),
            "the byte goes into the *high* half of the register: `crc ^= byte << 8`.",
        ),
        (
            lambda data: _shifted(data, early=True),
            "look at the highest bit *before* you shift: the bit that falls out decides.",
        ),
    ),
    hints=(
        "For each byte: XOR it into the high half, then eight times: shift left by one, and XOR "
        "with 0x1021 if the bit that fell out was 1.",
        "`crc = (crc << 1 ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1`.",
    ),
)

EXERCISES = {"gain-byte": gain_byte, "varint": varint, "budget": budget, "crc16": crc16}
