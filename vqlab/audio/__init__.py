"""Sound in files and in memory: reading, writing, rates, lengths and levels."""

from .long import Spooled, spool, spooled
from .reading import blocks, load, opened
from .waveforms import (
    fit_length,
    level,
    loudest,
    one_sound,
    quieter,
    resample,
    set_level,
    warn_of_oddities,
)
from .writing import save, save_pieces
