"""Pictures of sounds, spectrograms and codes, each with a text for those who cannot see it."""

from .basic import (
    BLUE,
    GREEN,
    MARKERS,
    ORANGE,
    PINK,
    RANGE_DB,
    SKY,
    Picture,
    as_numpy,
    codes_as_picture,
    compare_spectrograms,
    frequency_ticks,
    new_figure,
    show,
    spectrogram,
    usage,
    waveform,
)
