"""Solutions to the optional exercises of notebook 01. Each function is named like its stub.

The core exercise is section `01-level` of `my_codec.py`.
"""


def alias(frequency, rate):
    """Take away the nearest multiple of the rate; a negative frequency sounds like a positive."""
    return abs(frequency - rate * round(frequency / rate))


def to_integers(waveform, bits):
    """How many steps from 0, rounded; nothing beyond the ends of the ladder."""
    n = 2 ** (bits - 1)
    return (waveform * n).round().clamp(-n, n - 1)
