"""Solutions of the exercises in notebook 10. Run this file to check them all."""

import math

from vqlab import lessons


def gain_byte(level_db):
    if level_db == -math.inf:
        return 127
    gain_db = min(max(-20 - level_db, -63.5), 63.5)
    return round(2 * gain_db) + 127


def varint(value):
    out = []
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return [*out, value]


def budget(samples, sample_rate, kbps):
    whole = math.floor(1000 * kbps * samples / sample_rate / 8)
    length = math.ceil(samples.bit_length() / 7)
    return whole, whole - (8 + length + 2)


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1
    return crc


if __name__ == "__main__":
    for name in lessons.exercise_names("10"):
        verdict = lessons.check(name, globals()[name[3:].replace("-", "_")])
        print(verdict)
        assert verdict
