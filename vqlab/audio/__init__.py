"""Sound in files and in memory: reading, writing, rates, lengths and levels."""

from ..files.sounds import opened
from .long import Spooled, spool, spooled
from .reading import blocks, load
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
