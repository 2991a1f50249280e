"""The packed file: a short header, the codes, a checksum. `docs/file-format.md` has every byte.

Bytes, in order: `VQL` (`V` in version 3); format version (low 4 bits) and sample rate (high 4, see
`SAMPLE_RATES`); identity of the weights (2); quality (1); gain in half decibels plus 127 (1);
samples (a variable-length integer, 7 bits a byte, low bits first); the codes (`entropy`); CRC-16 of
all before (2). The first stage has a code for every position; from those and the quality follows
which positions have a code of the next stages.

Notebook: 10
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass

VERSION = 2
MAGIC = {VERSION: b"VQL", 3: b"V"}  # the third is that of codecs with networks
SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Hz; a file holds the place in this list."""
MOST_SAMPLES = 2**35 - 1
"""The largest number in five bytes: twenty-four days at 16 kHz."""
CHECKSUM_BYTES = 2


@dataclass(frozen=True)
class Packed:
    """What a file says before its codes, and the codes' bytes."""

    sample_rate: int
    identity: bytes
    quality: int
    gain_db: float
    samples: int
    payload: bytes
    version: int = VERSION


def pack(packed: Packed) -> bytes:
    """The bytes of a file.

    sample_rate : one of `SAMPLE_RATES`; identity : 2 bytes; quality : 0 to 255;
    gain_db : multiple of 0.5 in [-63.5, 63.5]; samples : 1 to `MOST_SAMPLES`

    Raises `ValueError` for another sample rate, and for more samples.
    """
    if packed.sample_rate not in SAMPLE_RATES:
        raise ValueError(
            f"a .vql file has no place for the sample rate {packed.sample_rate}: train a codec "
            f"with one of {', '.join(map(str, SAMPLE_RATES))} Hz"
        )
    if packed.samples > MOST_SAMPLES:
        raise ValueError(
            f"the sound has {packed.samples} samples, at most {MOST_SAMPLES} fit: cut it into parts"
        )
    body = MAGIC[packed.version]
    body += bytes([packed.version | SAMPLE_RATES.index(packed.sample_rate) << 4])
    body += packed.identity + bytes([packed.quality, round(2 * packed.gain_db) + 127])
    body += _varint(packed.samples) + packed.payload
    return body + binascii.crc_hqx(body, 0).to_bytes(CHECKSUM_BYTES, "big")


def overhead(samples: int, version: int) -> int:
    """Bytes of a file that are not codes: for a second at 16 kHz 12, and 10 in version 3."""
    return len(MAGIC[version]) + 5 + len(_varint(samples)) + CHECKSUM_BYTES


def unpack(data: bytes) -> Packed:
    """The inverse of `pack`.

    Raises `ValueError`, in one sentence, for anything that `pack` did not write.
    """
    at = 3 if data[:3] == MAGIC[2] else 1  # of the version
    if data[:1] != MAGIC[3] or (at == 1 and (data[1:2] or b"\0")[0] & 15 < 3):
        raise ValueError("this is not a .vql file (it does not begin like one): compress one first")
    if len(data) < at + 8 or binascii.crc_hqx(data[:-2], 0).to_bytes(2, "big") != data[-2:]:
        raise ValueError(
            "the .vql file is damaged or cut off (its checksum is wrong): copy it again"
        )
    version, rate = data[at] & 15, data[at] >> 4
    if data[:at] != MAGIC.get(version):
        newer = "update vqlab to read it" if version > VERSION else "compress the sound again"
        raise ValueError(f"this .vql file has format version {version}, not 2 or 3: {newer}")
    samples, start = _read_varint(data, at + 5)
    if rate >= len(SAMPLE_RATES) or not 1 <= samples <= MOST_SAMPLES:
        raise ValueError(
            "the .vql file's header is not valid (sample rate or length): copy or compress it again"
        )
    identity, (quality, level) = data[at + 1 : at + 3], data[at + 3 : at + 5]
    about = (SAMPLE_RATES[rate], identity, quality, (level - 127) / 2, samples)
    packed = Packed(*about, data[start:-CHECKSUM_BYTES], version)
    if pack(packed) != data:  # a number written in a longer way than it needs
        raise ValueError("the .vql file's header is not valid: compress the sound again")
    return packed


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _read_varint(data: bytes, start: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[start : start + 5]):
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value, start + place + 1
    raise ValueError("the .vql file's length field is not valid: copy or compress it again")
