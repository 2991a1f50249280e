"""The model of a run, what it sees of sound, and the error it is trained on.

The one idea: a run's file says the same as a codec's (`vqlab.models.Recipe`, `vqlab.features`), so
a model of sound is a codec. The bottleneck alone makes the kind of model; encoder and decoder are
the same for all of a grid, and every run of one seed begins with the same random numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .. import models, training
from ..codec import Codec
from ..datasets import SAMPLE_RATE
from ..features import Features, Front
from ..spectral import MelConfig
from .grid import MODEL_NAMES, Single
from .schema import Grid, MelFrames, Rvq, Stft


def mean_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Squared error, mean over all values; what the thesis trains its VQ-VAE on."""
    return (output - target).square().mean()


def sum_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Squared error summed over an item, mean over the batch; the thesis's for AE and VAE."""
    return (output - target).square().sum() / len(target)


LOSSES = {
    "sum": sum_squared_error, "mean": mean_squared_error,
    "mel": training.mel_loss, "loud_mel": training.loud_mel_loss,
}  # fmt: skip


def loss_of(single: Single) -> Callable[[Tensor, Tensor], Tensor]:
    """The reconstruction's error that the run's configuration names."""
    return LOSSES[single.bottleneck.loss]


def features_of(grid: Grid) -> Features | Front | None:
    """What the network of a grid sees of sound; None where the data set holds pictures."""
    wanted, sound = grid.spectrogram, grid.sound
    if wanted is None:
        return None
    mels = None if isinstance(wanted, Stft) else wanted.n_mels
    config = MelConfig(
        SAMPLE_RATE, n_fft=wanted.n_fft, hop_length=wanted.hop_length, n_mels=mels or 1
    )
    if isinstance(wanted, MelFrames):
        return Features(config)
    assert sound is not None  # which reading makes sure of
    picture = grid.network.kind == "pictures"
    return Front(
        config, mels is not None, wanted.frames, sound.inversion, sound.iterations, picture
    )


def recipe_of(single: Single, channels: int) -> models.Recipe:
    """What builds the model; `channels` of a picture, or rows of a spectrogram taken as frames."""
    network, bottleneck = single.grid.network.model_dump(), single.options()
    kind = network.pop("kind")
    if kind in ("frames", "pictures"):
        return models.Recipe(kind, {"bottleneck": bottleneck, "channels": channels} | network)
    bottleneck.pop("kind")  # these have a residual quantiser, whatever they are told
    return models.Recipe(kind, {"n_mels": channels} | bottleneck | network)


def codec_of(single: Single, model: models.Autoencoder | None = None) -> Codec:
    """A run's model (None: a fresh one) as a codec, whose tables know nothing yet.

    Raises ValueError for a model of pictures.
    """
    features, wanted = features_of(single.grid), single.grid.spectrogram
    if features is None:
        raise ValueError(
            f"{single.name} was trained on pictures ({single.grid.dataset.name}): give a run of "
            "sound"
        )
    torch.manual_seed(single.seed)
    recipe = recipe_of(single, 1 if features.picture else features.rows)
    contrast = wanted.contrast if isinstance(wanted, MelFrames) else 0.0
    return Codec(recipe, features, contrast=contrast, model=model)


def places_of(codec: Codec) -> dict[str, Any]:
    """What a codec is made of, as places of a grid with its network (`reading.adapted`).

    Raises ValueError for a network of pictures or one with any bottleneck.
    """
    if codec.recipe.architecture not in ("speech", "variable_speech"):
        raise ValueError(
            f"its network is {codec.recipe.architecture!r}: only codecs with the network 'speech' "
            "or 'variable_speech' can be trained on"
        )
    names = {long: short for short, long in MODEL_NAMES.items()}
    found: dict[str, Any] = {"spectrogram.contrast": codec.contrast}
    for key in ("n_fft", "hop_length", "n_mels"):
        found[f"spectrogram.{key}"] = getattr(codec.features.config, key)
    for key, value in codec.recipe.options.items():
        if key == "kmeans_start":
            found["bottlenecks.0.start"] = "kmeans" if value else "uniform"
        elif names.get(key, key) in Rvq.model_fields:
            found[f"bottlenecks.0.{names.get(key, key)}"] = value
        elif key != "n_mels":
            found[f"network.{key}"] = value
    return found


def build(single: Single, channels: int) -> models.Autoencoder:
    """A fresh model of `recipe_of`; its weights depend on the run's seed alone."""
    torch.manual_seed(single.seed)
    return recipe_of(single, channels).build()
