"""The model of a run, and the error it is trained on.

The one idea: the bottleneck alone makes the kind of model; encoder and decoder are the same for all
of a grid, and every run of one seed begins with the same random numbers.

Notebook: 09
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .. import models
from ..networks import Decoder1d, Encoder1d
from ..quantize import FiniteScalarQuantizer, ResidualQuantizer, VectorQuantizer
from .grid import Single


def mean_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Squared error, mean over all values; what the thesis trains its VQ-VAE on."""
    return (output - target).square().mean()


def sum_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Squared error summed over an item, mean over the batch; the thesis's for AE and VAE."""
    return (output - target).square().sum() / len(target)


def loss_of(single: Single) -> Callable[[Tensor, Tensor], Tensor]:
    """The reconstruction's error that the run's configuration names."""
    return sum_squared_error if single.bottleneck.loss == "sum" else mean_squared_error


def bottleneck_of(single: Single) -> Any:
    """A fresh bottleneck."""
    chosen = single.bottleneck
    if chosen.kind == "ae":
        return models.Identity(single.D)
    if chosen.kind == "vae":
        return models.Gaussian(single.D, beta=chosen.beta)
    if chosen.kind == "fsq":
        return FiniteScalarQuantizer(chosen.levels[0])
    options = {
        "beta": chosen.beta,
        "decay": chosen.decay,
        "kmeans_start": chosen.start == "kmeans",
        "restart_below": chosen.restart_below,
    }
    if chosen.kind == "vq":
        return VectorQuantizer(single.D, single.K, **options)  # type: ignore[arg-type]
    return ResidualQuantizer(single.D, single.K, single.stages, **options)  # type: ignore[arg-type]


def build(single: Single, channels: int) -> models.Autoencoder:
    """A fresh model; `channels` of a picture, or rows of a spectrogram taken as frames.

    The weights depend on the run's seed alone.
    """
    torch.manual_seed(single.seed)
    bottleneck = bottleneck_of(single)
    network = single.grid.network
    if network.kind == "pictures":
        return models.thesis(bottleneck, channels=channels, units=network.units)
    encoded = 2 * bottleneck.dim if isinstance(bottleneck, models.Gaussian) else bottleneck.dim
    width, stride = network.width, network.stride
    return models.Autoencoder(
        Encoder1d(channels, encoded, width=width, stride=stride, blocks=network.encoder_blocks),
        bottleneck,
        Decoder1d(
            bottleneck.dim, channels, width=width, stride=stride, blocks=network.decoder_blocks
        ),
    )
