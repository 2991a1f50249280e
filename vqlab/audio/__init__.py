"""Sound in files and in memory: reading, writing, rates, lengths and levels."""

from .long import Spooled, spool
from .loudness import loudest
from .waveforms import (
    blocks,
    fit_length,
    level,
    load,
    opened,
    resample,
    save,
    save_pieces,
    set_level,
)

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
