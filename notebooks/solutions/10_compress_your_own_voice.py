"""Solution to the optional exercise of notebook 10. The function is named like its stub.

The core exercises are the sections `10-checksum`, `10-compress`, `10-decompress` of `my_codec.py`.
"""


def varint(value):
    """Seven bits at a time, the low ones first; 128 more says that more follows."""
    out = []
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return [*out, value]
