"""The packed file: a short header, the codes, a checksum. `docs/file-format.md` has every byte.

Bytes, in order: `VQL`; format version (low 4 bits) and sample rate (high 4, see
`SAMPLE_RATES`); identity of the weights (2); quality (1); gain in half decibels plus 127 (1);
samples (a variable-length integer, 7 bits a byte, low bits first); the codes
(`vqlab.codec.entropy`); CRC-16 of all before (2). The first stage has a code for every position;
from those and the quality follows which positions have a code of the next stages.

Notebook: 10
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass

MAGIC = b"VQL"
VERSION = 2
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
    body = MAGIC + bytes([VERSION | SAMPLE_RATES.index(packed.sample_rate) << 4])
    body += packed.identity + bytes([packed.quality, round(2 * packed.gain_db) + 127])
    body += _varint(packed.samples) + packed.payload
    return body + binascii.crc_hqx(body, 0).to_bytes(CHECKSUM_BYTES, "big")


def overhead(samples: int) -> int:
    """Bytes of a file that are not codes: header and checksum, 12 for a second at 16 kHz."""
    return 8 + len(_varint(samples)) + CHECKSUM_BYTES


def unpack(data: bytes) -> Packed:
    """The inverse of `pack`.

    Raises `ValueError`, in one sentence, for anything that `pack` did not write.
    """
    if data[:3] != MAGIC:
        raise ValueError("this is not a .vql file (it does not begin with VQL): compress one first")
    if len(data) < 11 or binascii.crc_hqx(data[:-2], 0).to_bytes(2, "big") != data[-2:]:
        raise ValueError(
            "the .vql file is damaged or cut off (its checksum is wrong): copy it again"
        )
    version, rate = data[3] & 15, data[3] >> 4
    if version != VERSION:
        newer = "update vqlab to read it" if version > VERSION else "compress the sound again"
        raise ValueError(f"this .vql file has format version {version}, not {VERSION}: {newer}")
    samples, start = _read_varint(data, 8)
    if rate >= len(SAMPLE_RATES) or not 1 <= samples <= MOST_SAMPLES:
        raise ValueError(
            "the .vql file's header is not valid (sample rate or length): copy or compress it again"
        )
    gain_db = (data[7] - 127) / 2
    packed = Packed(SAMPLE_RATES[rate], data[4:6], data[6], gain_db, samples, data[start:-2])
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
