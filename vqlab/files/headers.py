"""What the header of a sound file promises, and how far it can be believed.

libsndfile takes a file for shorter than its header says, noting it in its log only; it finds
nothing in one whose sizes were never filled in, and stumbles over a second sound behind the first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import BinaryIO, Literal, NamedTuple

import soundfile

LOWEST_RATE, HIGHEST_RATE = 1000, 1_000_000
"""Hz; outside, a header is wrong."""

_PLACEHOLDERS = (0x7F000000, 1 << 31, 1 << 32)
"""Near these are the sizes that programs leave which write to a pipe: 0x7F000000 (sox, AIFF),
0x7FFFF000 (sox, mplayer), 0x80000000 and 0xFFFFFFFF (ffmpeg, mpg123)."""

_LONGEST = 1 << 40  # samples; a FLAC file can name 2**36, and libsndfile says 2**63-1 for "unknown"

_STARTS = {  # how a sound begins, by its first bytes
    b"RIFF": rb"RIFF....WAVE", b"RF64": rb"RF64....WAVE", b"FORM": rb"FORM....(?:AIF|8SVX|16SV)",
    b"riff": rb"riff\x2e\x91\xcf\x11", b"caff": rb"caff\0\x01\0\0", b".snd": rb"\.snd\0\0\0",
    b"fLaC": rb"fLaC\0\0\0\x22", b"OggS": rb"OggS\0\x02", b"MPEG": rb"(?:Xing|Info)\0\0\0",
}  # fmt: skip


class Promise(NamedTuple):
    """Samples per channel by the header: "known", "estimated", or "unknown" (then 0)."""

    kind: Literal["known", "estimated", "unknown"]
    samples: int = 0


@dataclass
class Header:
    """What the bytes of a file tell before it is decoded.

    end      : where the first of several joined sounds ends; else the size of the file
    mended   : place and bytes of a size that was never filled in, as it should be
    counted  : samples, in a NIST header
    mpeg     : decoded by mpg123
    xing     : an MP3 file that counts its frames
    """

    size: int
    end: int
    mended: tuple[int, bytes] | None = None
    counted: str = ""
    mpeg: bool = False
    xing: bool = False


def look(raw: BinaryIO, size: int) -> Header:
    """Read what the `size` bytes of an open file tell."""
    head = raw.read(1 << 16)
    magic, header, start = head[:4], Header(size, size), 4
    data = head.find(b"data\0\0\0\0" if magic == b"RIFF" else b"data\xff\xff\xff\xff")
    if magic == b"RIFF" and data > 0 and int.from_bytes(head[4:8], "little") != size - 8:
        header.mended = data + 4, b"\xff\xff\xff\xff"  # which libsndfile takes for "to the end"
    elif magic == b"RF64" and data > 0 and not any(head[28:36]):
        header.mended = 28, (size - data - 8).to_bytes(8, "little")
    elif magic == b"NIST":
        header.counted = head[:1024].decode("latin-1")
    elif magic == b"OggS":  # the first pages of all streams that run side by side come first
        other = re.search(rb"OggS\0[^\x02]", head)
        start = other.start() if other else size
    elif magic[:3] == b"ID3" or magic[:1] == b"\xff":
        header.mpeg, magic = True, b"MPEG"
        # A tag's size has seven bits in a byte.
        tag = sum((byte & 127) << 7 * n for n, byte in enumerate(head[9:5:-1])) + 10
        raw.seek(tag if head[:3] == b"ID3" else 0)
        found = re.search(_STARTS[magic] + b"(.)", raw.read(64), re.DOTALL)
        header.xing = bool(found) and found[1][0] & 1 == 1  # type: ignore[index]
        start = tag + 64 if header.xing else size
    if magic in _STARTS:
        header.end = _again(raw, _STARTS[magic], start) or size
    return header


def promise(header: Header, file: soundfile.SoundFile) -> Promise:
    """How many samples the header promises; only a "known" number can be missed."""
    there = file.frames if 0 <= file.frames < _LONGEST else 0
    if header.mended or (file.subtype.startswith("MPEG") and not header.xing):
        return Promise("estimated", there)
    if not there:
        return Promise("unknown")
    log = file.extra_info + header.counted
    told = max(map(int, re.findall(r"(?:[Ff]rames *:|sample_count -i) *(\d+)", log)), default=0)
    told = told if there < told < _LONGEST else 0
    if told and file.format in ("AVR", "MPC2K", "NIST"):
        return Promise("known", told)
    sizes = re.findall(r"(?:data|SSND|BODY|riff|[DR]\w+ [Ss]ize) *: (\d+) \(should be (\d+)\)", log)
    if sizes:
        claimed, real = map(int, sizes[-1])
        if any(abs(claimed - size) <= 8192 for size in _PLACEHOLDERS):
            return Promise("unknown")
        each, missing = real // there, max(0, claimed - real)
        rest = -(-missing // each) if each else there * missing // max(1, real)
        return Promise("known", told if told and missing else there + rest)
    whole = "WAV WAVEX RF64 W64 AIFF AU CAF SVX AVR MPC2K NIST FLAC SDS MP3".split()
    return Promise("known" if file.format in whole else "estimated", there)


def _again(raw: BinaryIO, pattern: bytes, start: int) -> int | None:
    """Where from `start` on another sound begins."""
    begins, before = re.compile(pattern, re.DOTALL), b""
    raw.seek(start)
    while piece := raw.read(1 << 20):
        if found := begins.search(before + piece):
            return raw.tell() - len(piece) - len(before) + found.start()
        before = piece[-16:]
    return None
