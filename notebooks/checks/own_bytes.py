"""The pieces of notebooks 09 and 10: tables, range coder, checksum, file."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from vqlab.lessons.edits import noise, piece

from vqlab.lessons.own_file import program

_ours = program({})
_random = torch.Generator().manual_seed(3)
_codes = torch.randint(0, 250, (5, 3, 40), generator=_random) // torch.tensor([[[1], [2], [9]]])

frequencies = piece(
    "09-frequencies",
    lambda fn: fn(_codes.clone()),
    (
        "1 + ",
        "",
        "a code that did not occur gets 0 and could never be written: count 1 more for each.",
    ),
    (
        ", minlength=CODES",
        "",
        "the table ends at the largest code that occurred: `minlength=CODES`.",
    ),
    (
        "codes.unbind(1)",
        "codes.unbind(0)",
        "this is a table for each clip; wanted is one for each stage (axis 1).",
    ),
    (
        "codes.unbind(1)",
        "codes.unbind(2)[:3]",
        "this is a table for each position; wanted is one for each stage (axis 1).",
    ),
    (
        "1 + torch.bincount(stage.flatten(), minlength=CODES)",
        "(1 + torch.bincount(stage.flatten(), minlength=CODES)) / (stage.numel() + CODES)",
        "these are shares; wanted are whole numbers, equal on every machine.",
    ),
    hints=(
        "For each stage: all its codes in one row, counted.",
        "`torch.bincount(stage.flatten(), minlength=CODES)` counts.",
    ),
)

_TABLES = ([1, 1, 1, 1], [5, 1, 1, 9], [1, 60_000, 3, 2], [7, 7], [1, 2, 3, 4, 5, 1])


def _message(n: int) -> tuple[list[int], list[list[int]]]:
    tables = [list(_TABLES[i % len(_TABLES)]) for i in range(n)]
    return [(2 + i * i + i // 3) % len(table) for i, table in enumerate(tables)], tables


def _or_too_large(fn: Callable[..., Any], codes: list[int], tables: list[list[int]]) -> Any:
    try:
        return fn(codes, tables)
    except OverflowError:
        return "OverflowError"


range_encode = piece(
    "09-range-encode",
    lambda fn: {
        "a message of no codes": fn([], []),
        "a message of one code": _or_too_large(fn, *_message(1)),
        "a message of five codes": _or_too_large(fn, *_message(5)),
        "one of forty codes": _or_too_large(fn, *_message(40)),
        "forty likely codes": _or_too_large(fn, [1] * 40, [[1, 60_000, 3, 2]] * 40),
    },
    (
        "sum(table[:code])",
        "sum(table[: code + 1])",
        "the part begins *before* its code: sum the frequencies of the codes below it.",
    ),
    (
        "low + part * sum(table[:code])",
        "part * sum(table[:code])",
        "the new interval lies inside the old one: low + ...",
    ),
    (
        "width = low + part * sum(table[:code]), part * table[code]",
        "width = low + part * sum(table[:code]), part",
        "the width of a code's part is its frequency times the unit.",
    ),
    (
        "low << 8, width << 8, digits + 8",
        "low << 8, width << 8, digits",
        "the new digits are not counted: digits + 8.",
    ),
    (
        "-(-low >> (digits - kept))",
        "low >> (digits - kept)",
        "rounded down, the number may lie *before* the interval: round up.",
    ),
    (
        "range(0, digits + 1, 8)",
        "range(digits, digits + 1, 8)",
        "all digits are written; the fewest bytes that lie in the interval are enough.",
    ),
    (
        "while width < 1 << 40",
        "while width < 1 << 32",
        "the interval is widened later than at 1 << 40: the decoder would do other steps.",
    ),
    (
        "width // sum(table)",
        "width / sum(table)",
        "this divides to a number with a point, which two machines may round differently: `//`.",
    ),
    ('"big")', '"little")', "the first digit is the largest: big-endian."),
    hints=(
        "The interval's part of a code begins after the parts of all codes below it.",
        "unit = width // sum(table); low += unit * sum(table[:code]); width = unit * table[code].",
        "As soon as width < 1 << 40: everything times 256, that is << 8.",
    ),
)


def _read_back(fn: Callable[..., Any]) -> dict[str, Any]:
    told = {}
    for n in (0, 1, 5, 40):
        codes, tables = _message(n)
        told[f"{n} codes"] = tuple(int(c) for c in fn(_ours.range_encode(codes, tables), tables))
    return told


range_decode = piece(
    "09-range-decode",
    _read_back,
    (
        "below + table[code], code + 1",
        "below, code + 1",
        "`below` has to grow by the frequency of every code that is passed over.",
    ),
    (
        "ahead - below * part",
        "ahead",
        "take off what lies before the code's part, as the encoder added it.",
    ),
    (
        "ahead << 8 | next(digits, 0)",
        "ahead << 8",
        "the next byte is not read when everything is shifted.",
    ),
    (
        "<= ahead",
        "< ahead",
        "where `ahead` lies exactly on a border it belongs to the code above: `<=`.",
    ),
    ("range(6)", "range(5)", "the first interval has 48 bits: read 6 bytes."),
    (
        "    while width < 1 << 40",
        "    while width < 1 << 32",
        "the interval is widened at another place than in the encoder: at 1 << 40.",
    ),
    (
        "width // sum(table)",
        "width / sum(table)",
        "this divides to a number with a point, which two machines may round differently: `//`.",
    ),
    hints=(
        "`ahead` is the number in the file, counted from the interval's lower end.",
        "The code is the first whose part ends above `ahead`.",
        "Then the same steps as the encoder: take off, narrow, shift and read a byte.",
    ),
)


def _sums(fn: Callable[..., Any]) -> dict[str, Any]:
    messages = {"nothing": b"", "`a`": b"a", "`123456789`": b"123456789"}
    messages["all bytes"] = bytes(range(256))
    return {f"the checksum of {name}": _or_overflow(fn, data) for name, data in messages.items()}


def _or_overflow(fn: Callable[..., Any], data: bytes) -> Any:
    """The two bytes; or, where they cannot hold the register, what that was: mistakes differ."""
    try:
        return fn(data)
    except OverflowError as error:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        held = max((x for x in frame.f_locals.values() if isinstance(x, int)), default=0)
        return f"larger than two bytes: {held:#x}"


checksum = piece(
    "10-checksum",
    _sums,
    (
        "0x11021",
        "0x1021",
        "the polynomial has its highest term too, which removes the bit that is shifted out: "
        "0x11021.",
    ),
    (
        "remainder & 0x8000",
        "remainder & 0x4000",  # it is at 0x8000 after the shift
        "look at the highest bit *before* the shift: it is the one that the shift pushes out.",
    ),
    (
        "remainder << 1 ^ (0x11021 if remainder & 0x8000 else 0)",
        "(remainder << 1 ^ (0x11021 if remainder & 0x4000 else 0)) & 0xFFFF",
        "look at the highest bit *before* the shift: it is the one that the shift pushes out.",
    ),
    ("byte << 8", "byte", "the byte belongs to the *upper* eight of the sixteen bits: byte << 8."),
    ("range(8)", "range(7)", "a byte has eight bits."),
    (
        "remainder = 0",
        "remainder = 0xFFFF",
        "this variant begins with 0xFFFF; here it begins with 0.",
    ),
    ("remainder ^= byte", "remainder |= byte", "the byte is joined by exclusive or, `^`."),
    ('"big"', '"little"', "the upper byte comes first: big-endian."),
    hints=(
        "For each byte: exclusive-or it onto the upper half, then eight shifts.",
        "A shift: `remainder << 1`, and if the highest bit was set, `^ 0x11021`.",
    ),
)


class _Fixed(torch.nn.Module):
    """A codec whose codes are the loudness of each position, in steps."""

    def __init__(self) -> None:
        super().__init__()
        rows = [1 + torch.arange(_ours.CODES) % (7 + n) for n in range(_ours.STAGES)]
        self.register_buffer("frequencies", torch.stack(rows))

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        loud = mel.mean(dim=1)[:, :: _ours.STRIDE].add(90).clamp(0, 100).long()
        return (
            mel,
            torch.stack([loud + 9 * n for n in range(_ours.STAGES)], dim=1),
            mel.new_zeros(()),
        )

    def decode(self, codes: Tensor) -> Tensor:
        loud = codes[:, :1].float() - 90
        return loud.repeat_interleave(_ours.STRIDE, dim=2).expand(-1, _ours.MELS, -1)


_WORD = 0.02 * noise(3_210) * torch.linspace(0.2, 1, 3_210)


def _refused(action: Callable[[], Any]) -> str:
    try:
        action()
    except ValueError:
        return "ValueError"
    return "nothing"


compress = piece(
    "10-compress",
    lambda fn: {
        "the bytes of a sound": fn(_WORD, _Fixed()),
        "those of a sound of 1 sample": fn(_WORD[:1], _Fixed()),
    },
    ("gain + 128", "gain", "the gain goes from -128 to 127, a byte from 0 to 255: add 128."),
    ("gain + 128", "gain + 127", "the gain goes from -128 to 127, a byte from 0 to 255: add 128."),
    (
        'samples.to_bytes(3, "big")',
        'samples.to_bytes(3, "little")',
        "the number of samples is written big end first.",
    ),
    (
        'samples.to_bytes(3, "big")',
        'samples.to_bytes(4, "big")',
        "the number of samples gets three bytes.",
    ),
    (
        "checksum(fingerprint(codec) + body)",
        "checksum(body)",
        "the weights' fingerprint belongs into the checksum: a file opens only with its weights.",
    ),
    (
        "    return body + checksum(fingerprint(codec) + body)",
        "    return body",
        "the checksum is missing at the end.",
    ),
    (
        "codec.frequencies.tolist() for _ in range(codes.shape[1])]",
        "codec.frequencies.tolist()] * codes.shape[1]",
        "the codes stand stage by stage, the tables position by position: repeat each table for "
        "all positions of its stage.",
    ),
    (
        "samples = len(waveform)\n",
        "samples = len(waveform) + -len(waveform) % (HOP * STRIDE)\n",
        "write the number of samples of the sound, not that of the padded one.",
    ),
    (
        "codes.flatten()",
        "codes.T.flatten()",
        "the codes are written position by position; wanted is stage by stage.",
    ),
    hints=(
        "Level, pad, spectrum, codes, tables, bytes; then header in front and checksum behind.",
        "`codec(log_mel(padded[None]))[1][0]` are the codes (STAGES, positions).",
        "Each stage's table is used for all its positions, one stage after the other.",
    ),
)

_FILE = _ours.compress(_WORD, _Fixed())
decompress = piece(
    "10-decompress",
    lambda fn: {
        "the sound": fn(_FILE, _Fixed()),
        "what a changed byte raises": _refused(
            lambda: fn(_FILE[:9] + bytes([_FILE[9] ^ 1]) + _FILE[10:], _Fixed())
        ),
        "what half a file raises": _refused(lambda: fn(_FILE[:3], _Fixed())),
    },
    ("data[0] - 128", "data[0]", "the gain was written with 128 added."),
    (
        "** (-gain / 40)",
        "** (gain / 40)",
        "the gain is given a second time; take it back, with a minus.",
    ),
    (" * 10 ** (-gain / 40)", "", "the level is not brought back: times 10 ** (-gain / 40)."),
    ("[0, :samples]", "[0]", "the padding is still there: cut to the number of samples."),
    (
        "10 ** (codec.decode(codes) / 10)",
        "10 ** (codec.decode(codes) / 20)",
        "mel_to_linear wants *power*: 10 ** (decibels / 10).",
    ),
    (
        "mel_to_linear(10 ** (codec.decode(codes) / 10))",
        "mel_to_linear(10 ** (codec.decode(codes) / 10)).square()",
        "Griffin-Lim wants the magnitude, and mel_to_linear gives it: no square.",
    ),
    (
        "    if len(data) < 6 or checksum(fingerprint(codec) + data[:-2]) != data[-2:]:\n        "
        'raise ValueError("the file is damaged, or was made with other weights")\n',
        "",
        "a damaged file has to be refused: compare the checksum first.",
    ),
    (
        "codec.frequencies.tolist() for _ in range(positions)]",
        "codec.frequencies.tolist()] * positions",
        "the codes stand stage by stage: repeat each table for all positions of its stage.",
    ),
    (
        "math.ceil(samples / (HOP * STRIDE))",
        "samples // (HOP * STRIDE)",
        "the last position is only begun: round up.",
    ),
    hints=(
        "Checksum first; then gain, samples, positions, tables, codes.",
        "positions = math.ceil(samples / (HOP * STRIDE)).",
        "decibels -> power -> `mel_to_linear` -> `griffin_lim` -> cut -> gain taken back.",
    ),
)

PIECES = {
    "09-frequencies": frequencies,
    "09-range-encode": range_encode,
    "09-range-decode": range_decode,
    "10-checksum": checksum,
    "10-compress": compress,
    "10-decompress": decompress,
}
