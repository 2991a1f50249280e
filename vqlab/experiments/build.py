"""The model of a run, what it sees of sound, and the error it is trained on.

The one idea: a run's file says the same as a codec's (`vqlab.models.Recipe`, `vqlab.features`), so
a model of sound is a codec. The bottleneck alone makes the kind of model; encoder and decoder are
the same for all of a grid, and every run of one seed begins with the same random numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .. import models
from ..datasets import SAMPLE_RATE
from ..features import Front
from ..spectral import MelConfig
from .grid import Single
from .schema import Grid, LogMel


def mean_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Squared error, mean over all values; what the thesis trains its VQ-VAE on."""
    return (output - target).square().mean()


def sum_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Squared error summed over an item, mean over the batch; the thesis's for AE and VAE."""
    return (output - target).square().sum() / len(target)


LOSSES = {"sum": sum_squared_error, "mean": mean_squared_error}


def loss_of(single: Single) -> Callable[[Tensor, Tensor], Tensor]:
    """The reconstruction's error that the run's configuration names."""
    return LOSSES[single.bottleneck.loss]


def front_of(grid: Grid) -> Front | None:
    """What the network of a grid sees of sound; None where the data set holds pictures."""
    wanted, sound = grid.spectrogram, grid.sound
    if wanted is None or sound is None:
        return None
    mels = wanted.n_mels if isinstance(wanted, LogMel) else None
    config = MelConfig(
        SAMPLE_RATE, n_fft=wanted.n_fft, hop_length=wanted.hop_length, n_mels=mels or 1
    )
    picture = grid.network.kind == "pictures"
    return Front(
        config, mels is not None, wanted.frames, sound.inversion, sound.iterations, picture
    )


def recipe_of(single: Single, channels: int) -> models.Recipe:
    """What builds the model; `channels` of a picture, or rows of a spectrogram taken as frames."""
    network = single.grid.network.model_dump()
    options = {"bottleneck": single.options(), "channels": channels}
    return models.Recipe(network.pop("kind"), options | network)


def build(single: Single, channels: int) -> models.Autoencoder:
    """A fresh model of `recipe_of`; its weights depend on the run's seed alone."""
    torch.manual_seed(single.seed)
    return recipe_of(single, channels).build()
