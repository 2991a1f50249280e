"""The pieces of notebooks 09 and 10: tables, range coder, checksum, file."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from vqlab.lessons.edits import form, noise, piece

from vqlab.lessons.own_file import program

_ours = program({})
_random = torch.Generator().manual_seed(3)
_codes = torch.randint(0, 250, (5, 3, 40), generator=_random) // torch.tensor([[[1], [2], [9]]])

frequencies = piece(
    "09-frequencies",
    lambda fn: {"the table": fn(_codes.clone())},
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
    parts={
        "the table": "One tensor of whole numbers, (STAGES, CODES): for each stage (axis 1 of the "
        "codes), how often each code occurs in all clips and positions, and 1 more.",
    },
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
        "`range_encode([], [])`": fn([], []),
        "`range_encode([0], [[1, 1, 2]])`": _or_too_large(fn, [0], [[1, 1, 2]]),
        "`range_encode([2], [[1, 1, 1, 1]])`": _or_too_large(fn, *_message(1)),
        "`range_encode([1, 1], [[1, 1, 2], [1, 1]])`": _or_too_large(
            fn, [1, 1], [[1, 1, 2], [1, 1]]
        ),
        "the message of five codes": _or_too_large(fn, *_message(5)),
        "the message of forty codes": _or_too_large(fn, *_message(40)),
        "the message of forty likely codes": _or_too_large(fn, [1] * 40, [[1, 60_000, 3, 2]] * 40),
        "the message of 400 codes": _or_too_large(fn, *_message(400)),
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
    parts={
        "encode([], [])": "The interval is all numbers from 0 to 1, so no byte is needed: 0 bytes "
        "are tried first.",
        "encode([0]": "The code 0 has the first quarter, [0, 0.25): its lower end needs no byte.",
        "encode([2]": "The code 2 has the third quarter of the interval, [0.5, 0.75), whose "
        "shortest number is 0.5: the byte 128.",
        "encode([1, 1]": "The first code has the second quarter, [0.25, 0.5), and of that the "
        "second code has the upper half, [0.375, 0.5): the byte 96.",
        "five codes": "Each code narrows the interval within the one before: width // "
        "sum(table) is the unit; low moves on by the codes below, width is the code's part.",
        "codes": "Short messages are right, so look at what happens when the interval gets narrow: "
        "while it is below 1 << 40, low, width and digits move on by 8 bits; and in the end the "
        "number is rounded up, and must lie below low + width.",
    },
)


def _read_back(fn: Callable[..., Any]) -> dict[str, Any]:
    told = {}
    for n in (0, 1, 5, 40, 400):
        codes, tables = _message(n)
        found = fn(_ours.range_encode(codes, tables), tables)
        told[f"what it reads from {n} codes"] = tuple(map(int, found or ())) if n else form(found)
    codes, tables = _message(40)
    told["what it reads where the end is cut off"] = tuple(
        map(int, fn(_ours.range_encode(codes, tables)[:5], tables))
    )
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
    parts={
        "reads from 0 codes": "An empty list, as there is no table.",
        "reads from 1 codes": "The first six bytes are one number (missing ones are 0). The code "
        "is the last whose part begins at it or below: count `below` up, table by table.",
        "reads from 5 codes": "The first is right. After each code the beginning of its part is "
        "taken off, and the width is that of the part.",
        "reads from": "Short messages are right, so look at the shift: while the width is below "
        "1 << 40, both times 256, and the next byte comes in below.",
        "cut off": "What is not there counts as zeros: `next(digits, 0)`; and no code is beyond "
        "the last of its table.",
    },
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
    parts={
        "of nothing": "Without a byte the remainder stays 0: two bytes, both 0.",
        "of `a`": "One byte, 0x61: it goes to the upper half, 0x6100; then eight shifts, each with "
        "`^ 0x11021` if the bit 0x8000 was set before it.",
        "checksum of": "For one byte yours is right: each further byte is exclusive-ored onto the "
        "upper half of what is left.",
    },
)


class _Fixed(torch.nn.Module):
    """A codec whose codes are the loudness of each position: whole decibels, then hundredths."""

    def __init__(self) -> None:
        super().__init__()
        rows = [1 + torch.arange(_ours.CODES) % (7 + n) for n in range(_ours.STAGES)]
        self.register_buffer("frequencies", torch.stack(rows))

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        positions = mel.mean(dim=1).unfold(-1, _ours.STRIDE, _ours.STRIDE).mean(dim=-1)
        loud = positions.add(90).clamp(0, 100)
        finer = [(100 * loud.frac()).long() + 9 * n for n in range(1, _ours.STAGES)]
        return mel, torch.stack([loud.long(), *finer], dim=1), mel.new_zeros(())

    def decode(self, codes: Tensor) -> Tensor:
        loud = codes[:, :1].float() + (codes[:, 1:2] - 9) / 100 - 90
        return loud.repeat_interleave(_ours.STRIDE, dim=2).expand(-1, _ours.MELS, -1)


_WORD = 0.02 * noise(3_210) * torch.linspace(0.2, 1, 3_210)


def _refused(action: Callable[[], Any]) -> str:
    try:
        action()
    except ValueError:
        return "ValueError"
    return "nothing"


def _files(fn: Callable[..., Any]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name, sound in {"3,210 samples": _WORD, "1 sample": _WORD[:1]}.items():
        file = fn(sound.clone(), _Fixed())
        if not isinstance(file, bytes):
            return {f"what comes back for {name}": form(file)}
        body = file[:-2]
        seen |= {
            f"what comes back for {name}": "bytes",
            f"byte 0 of the file of {name}": int.from_bytes(file[:1], "big"),
            f"bytes 1 to 3 of the file of {name}": int.from_bytes(file[1:4], "big"),
            f"the codes in the file of {name}": body[4:],
            f"the checksum of the file of {name}": file[-2:],
        }
    silent = fn(torch.zeros(3_200), _Fixed())
    seen["byte 0 of the file of silence"] = int.from_bytes(silent[:1], "big")
    empty, long = torch.zeros(0), torch.zeros(1).expand(1 << 24)
    seen["what no samples raise"] = _refused(lambda: fn(empty, _Fixed()))
    seen["what 2 ** 24 samples raise"] = _refused(lambda: fn(long, _Fixed()))
    return seen


compress = piece(
    "10-compress",
    _files,
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
    parts={
        "comes back": "A file is `bytes`: gain, number of samples, codes, checksum, joined by `+`.",
        "byte 0": "It is the gain of `to_level`, from -128 to 127, and 128 more.",
        "bytes 1 to 3": "They are the number of samples of the sound as it came, the highest byte "
        "first.",
        "the codes in": "The sound at its level, with zeros added up to whole positions (HOP * "
        "STRIDE samples), as log-mel through the codec; all codes of stage 0, then those of stage "
        "1, then 2, and as many tables.",
        "the checksum of": "The last two bytes are the checksum of the fingerprint and everything "
        "before them.",
        "samples raise": "A file holds 1 to 2 ** 24 - 1 samples: three bytes say no larger number.",
    },
)

_FILE = _ours.compress(_WORD, _Fixed())


def _sounds(fn: Callable[..., Any]) -> dict[str, Any]:
    try:
        back = fn(_FILE, _Fixed())
    except ValueError as error:
        return {"what a whole file raises": f"ValueError: {error}"}
    if form(back) != str(tuple(_WORD.shape)):
        return {"what a whole file raises": "nothing", "what comes back": form(back)}
    changed = _FILE[:9] + bytes([_FILE[9] ^ 1]) + _FILE[10:]
    return {
        "what a whole file raises": "nothing",
        "what comes back": form(back),
        "the loudness of the sound, in decibels,": 10 * back.square().mean().log10(),
        "the sound": back,
        "what a changed byte raises": _refused(lambda: fn(changed, _Fixed())),
        "what half a file raises": _refused(lambda: fn(_FILE[:3], _Fixed())),
        "what the file of 1 sample gives": fn(_ours.compress(_WORD[:1], _Fixed()), _Fixed()),
        "what the file of 640 samples gives": fn(_ours.compress(_WORD[:640], _Fixed()), _Fixed()),
        **{f"what {n} bytes raise": _refused(partial(fn, bytes(n), _Fixed())) for n in range(7)},
    }


decompress = piece(
    "10-decompress",
    _sounds,
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
    parts={
        "a whole file raises": "Nothing is wrong with that file. Its checksum is that of the "
        "fingerprint and of all but its last two bytes: compare it with those two, data[-2:].",
        "comes back": "One sound, (samples,): bytes 1 to 3 say how many samples.",
        "the loudness": "Decibels are brought to power by 10 ** (dB / 10); the gain is taken back "
        "by 10 ** (-gain / 40), where the gain is byte 0 less 128.",
        "the sound": "The codes are stage by stage, math.ceil(samples / (HOP * STRIDE)) positions "
        "each, as many tables; then `codec.decode`, power, `mel_to_linear`, `griffin_lim`.",
        "samples gives": "A position that is only begun counts: round up. The codes are all bytes "
        "from 4 to the checksum.",
        "1 sample": "Its one position is only begun: round up. Cut to the number of samples.",
        "raise": "Compare the last two bytes with the checksum of the fingerprint and what stands "
        "before them; less than 6 bytes are no file: `ValueError`.",
    },
)

PIECES = {
    "09-frequencies": frequencies,
    "09-range-encode": range_encode,
    "09-range-decode": range_decode,
    "10-checksum": checksum,
    "10-compress": compress,
    "10-decompress": decompress,
}
