"""The exercise of notebook 10 that is no piece of the codec: a length in as few bytes as it needs.

Notebook: 10
"""

from __future__ import annotations

from vqlab.codec import packing
from vqlab.lessons.exercise import Exercise

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

EXERCISES = {"varint": varint}
