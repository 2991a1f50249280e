"""Sound in files and in memory: reading, writing, rates, lengths and levels."""

from .long import Spooled, spool
from .loudness import loudest
from .reading import blocks, load, opened
from .waveforms import fit_length, level, resample, set_level
from .writing import save, save_pieces

__all__ = [
    "Spooled",
    "blocks",
    "fit_length",
    "level",
    "load",
    "loudest",
    "opened",
    "resample",
    "save",
    "save_pieces",
    "set_level",
    "spool",
]
