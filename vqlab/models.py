"""Autoencoders: an encoder, a bottleneck and a decoder, each of them replaceable.

The bottleneck alone decides what kind of model it is: `Identity` makes an autoencoder,
`Gaussian` a variational one (Kingma and Welling 2014), the quantisers of
`vqlab.quantize` a VQ-VAE (van den Oord et al. 2017). All take `z_e (batch, dim, *positions)`
and return a `Quantized`, in one dimension (frames) and two (pictures).

Notebook: 04
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from . import networks, processes
from .quantize import (
    Bottleneck,
    FiniteScalarQuantizer,
    Quantized,
    ResidualQuantizer,
    VectorQuantizer,
    WrongAxesVectorQuantizer,
)


class Identity(Bottleneck):
    """The bottleneck of a plain autoencoder: lets `dim` real numbers per position through."""

    def forward(self, z: Tensor) -> Quantized:
        return Quantized(z=z, codes=None, loss=z.new_zeros(()), stats={})


class Gaussian(Bottleneck):
    """The bottleneck of a variational autoencoder: a diagonal Gaussian per position.

    The encoder gives `2 * dim` channels, mean and log-variance. In training a sample is drawn
    with the reparametrisation `z = mean + std * noise`; in evaluation the mean is used.
    `loss` is `beta` times the divergence KL(N(mean, std²) || N(0, 1)), summed over channels and
    positions and averaged over the batch (Kingma and Welling 2014, appendix B).
    """

    def __init__(self, dim: int, *, beta: float = 1.0) -> None:
        super().__init__(dim)
        self.channels = 2 * dim
        self.beta = beta

    def forward(self, z: Tensor) -> Quantized:
        if z.shape[1] != self.channels:
            raise ValueError(
                f"the Gaussian bottleneck of dim {self.dim} needs {self.channels} channels "
                f"(mean and log-variance), not {z.shape[1]}: give the encoder dim={self.channels}"
            )
        mean, log_variance = z.float().chunk(2, dim=1)
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
        kl = kl.flatten(1).sum(dim=1).mean()
        drawn = mean
        if self.training:
            first, every = processes.share(len(mean))
            noise = torch.randn(every, *mean.shape[1:], device=mean.device)
            drawn = mean + (0.5 * log_variance).exp() * noise[first : first + len(mean)]
        return Quantized(z=drawn.to(z.dtype), codes=None, loss=self.beta * kl, stats={"kl": kl})


class Autoencoder(nn.Module):
    """`encoder`, `bottleneck` and `decoder` in a row; returns what comes out, and the record."""

    encoder: Any
    bottleneck: Bottleneck
    decoder: Any

    def __init__(self, encoder: nn.Module, bottleneck: Bottleneck, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.bottleneck = bottleneck
        self.decoder = decoder

    @property
    def stride(self) -> int:
        """How many input positions share one code, along each axis."""
        return self.encoder.stride

    def forward(self, x: Tensor) -> tuple[Tensor, Quantized]:
        quantized = self.bottleneck(self.encoder(x))
        return self.decoder(quantized.z), quantized

    @torch.no_grad()
    def codes(self, x: Tensor) -> Tensor:
        """Codes of `x`: int64 `(batch, stages, *positions)`; ValueError where there are none."""
        return self.bottleneck.encode(self.encoder(x))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """What the decoder makes of `codes (batch, stages, *positions)`."""
        return self.decoder(self.bottleneck.decode(codes))


class VariableDepth(Autoencoder):
    """An autoencoder of log-mel `(batch, n_mels, frames)` that gives loud positions more stages."""

    bottleneck: ResidualQuantizer

    def forward(self, x: Tensor) -> tuple[Tensor, Quantized]:
        quantized = self.bottleneck(self.encoder(x), loudness=loudness(x, self.stride))
        return self.decoder(quantized.z), quantized

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Begin as a linear codec fitted to `x`: principal components, k-means for each stage.

        The encoder's linear map takes the frames of a position to their strongest principal
        components (the Karhunen-Loeve transform, of all linear maps the one that loses least), the
        decoder's takes them back. A position counts as much as it is loud.
        """
        batch, n_mels, frames = x.shape
        patches = x.unfold(2, self.stride, self.stride).transpose(1, 2).flatten(2).flatten(0, 1)
        weight = loudness(x, self.stride).exp().reshape(-1, 1)  # (n, 1)
        mean = (weight * patches).sum(dim=0) / weight.sum()
        centred = patches - mean
        components = torch.linalg.eigh(centred.T @ (weight * centred)).eigenvectors.flip(1)
        into: Any = self.encoder.linear
        back: Any = self.decoder.linear
        basis = components[:, : into.out_channels].T  # (dim, n_mels * stride)
        into.weight.copy_(basis.reshape(-1, n_mels, self.stride))
        into.bias.copy_(-basis @ mean)
        back.weight.copy_(into.weight)
        back.bias.copy_(mean.reshape(n_mels, self.stride).mean(dim=1))
        self.bottleneck.start(self.encoder(x))


def loudness(x: Tensor, stride: int) -> Tensor:
    """How loud each position is: `x (batch, n_mels, frames)` to `(batch, frames / stride)`.

    The logarithm of the mean of `exp(x)` over a position's bands and frames. With decibels
    normalised to a deviation of 20 dB, `exp(x)` goes with power to the 0.22, much as loudness
    does (Zwicker and Fastl 1990: 0.23), so strong bands count more than weak ones.
    """
    batch, _, frames = x.shape
    flat = x.transpose(1, 2).reshape(batch, frames // stride, -1)  # (batch, positions, values)
    return flat.logsumexp(dim=-1) - math.log(flat.shape[-1])


def speech(
    *,
    n_mels: int = 80,
    dim: int = 64,
    codebook_size: int = 1024,
    stages: int = 3,
    stride: int = 2,
    width: int = 256,
    decoder_blocks: int = 6,
    dropout: float = 0.5,
    restart_below: float = 0.2,
    **quantizer: Any,
) -> Autoencoder:
    """The model that the notebooks build: log-mel frames, one dimension, residual quantiser.

    Takes and returns normalised log-mel `(batch, n_mels, frames)`. Because of `dropout`, the
    quantiser's, the same weights work with fewer stages, that is at lower rates.
    """
    quantizer |= {"dropout": dropout, "restart_below": restart_below}
    return Autoencoder(
        networks.Encoder1d(n_mels, dim, width=width, stride=stride),
        ResidualQuantizer(dim, codebook_size, stages, **quantizer),
        networks.Decoder1d(dim, n_mels, width=width, stride=stride, blocks=decoder_blocks),
    )


def variable_speech(
    *,
    n_mels: int = 80,
    dim: int = 96,
    codebook_size: int = 1024,
    stages: int = 16,
    stride: int = 4,
    width: int = 256,
    encoder_blocks: int = 3,
    decoder_blocks: int = 8,
    fine_blocks: int = 2,
    dropout: float = 1.0,
    beta: float = 0.02,
    restart_below: float = 0.2,
    **quantizer: Any,
) -> VariableDepth:
    """The model that ships: as `speech`, but 25 positions a second that differ in depth.

    Fewer positions and more stages, so that silence costs little and a vowel gets what it needs;
    a larger decoder, part of it at the rate of the frames.
    """
    quantizer |= {"dropout": dropout, "beta": beta, "restart_below": restart_below}
    encoder = networks.Encoder1d(n_mels, dim, width=width, stride=stride, blocks=encoder_blocks)
    decoder = networks.Decoder1d(
        dim, n_mels, width=width, stride=stride, blocks=decoder_blocks, fine_blocks=fine_blocks
    )
    into = nn.Conv1d(n_mels, dim, stride, stride=stride)
    back = nn.ConvTranspose1d(dim, n_mels, stride, stride=stride)
    return VariableDepth(
        networks.BesideLinear(encoder, into, stride),
        ResidualQuantizer(dim, codebook_size, stages, **quantizer),
        networks.BesideLinear(decoder, back, stride),
    )


def tutorial(*, published: bool = False) -> Autoencoder:
    """The tutorial's VQ-VAE: mel power `(batch, 1, 128, 32)`, K = 512, D = 256.

    Codebook learned by moving averages (decay 0.999), started uniformly in ±1/K, no restart.
    `published=True` keeps its axis mistake: each "vector" is one channel's whole picture.
    """
    quantizer = WrongAxesVectorQuantizer if published else VectorQuantizer
    bottleneck = quantizer(256, 512, beta=0.25, decay=0.999, kmeans_start=False, restart_below=0.0)
    return Autoencoder(networks.TutorialEncoder(), bottleneck, networks.TutorialDecoder())


def thesis(
    bottleneck: Bottleneck | None = None, *, channels: int = 1, units: int = 256
) -> Autoencoder:
    """The thesis's model for pictures `(batch, channels, height, width)`, 512 x 512 in it.

    `bottleneck` defaults to its vector quantiser; `Identity(D)` and `Gaussian(D)` make its
    autoencoder and its VAE. Weights start from a normal distribution cut off at two deviations of
    0.02 (Hansen Vedal 2019), with fewer than its 256 units wider by the root of their share: else
    signals shrink from layer to layer, and learning hardly begins.
    """
    if bottleneck is None:
        bottleneck = VectorQuantizer(10, 512, kmeans_start=False, restart_below=0.0)
    model = Autoencoder(
        networks.Encoder2d(channels, bottleneck.channels, units=units),
        bottleneck,
        networks.Decoder2d(bottleneck.dim, channels, units=units),
    )
    deviation = 0.02 * math.sqrt(256 / units)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
            nn.init.zeros_(cast(Tensor, layer.bias))
    return model


def frames(
    bottleneck: dict[str, Any],
    *,
    channels: int,
    width: int = 256,
    stride: int = 4,
    encoder_blocks: int = 2,
    decoder_blocks: int = 4,
) -> Autoencoder:
    """A model of frames `(batch, channels, frames)` with any bottleneck (see `bottleneck_of`)."""
    made = bottleneck_of(**bottleneck)
    return Autoencoder(
        networks.Encoder1d(
            channels, made.channels, width=width, stride=stride, blocks=encoder_blocks
        ),
        made,
        networks.Decoder1d(made.dim, channels, width=width, stride=stride, blocks=decoder_blocks),
    )


def pictures(bottleneck: dict[str, Any], *, channels: int = 1, units: int = 256) -> Autoencoder:
    """`thesis` with any bottleneck, described as plain data (see `bottleneck_of`)."""
    return thesis(bottleneck_of(**bottleneck), channels=channels, units=units)


def bottleneck_of(kind: str, **options: Any) -> Bottleneck:
    """A fresh bottleneck: "ae", "vae", "vq", "rvq" or "fsq", with the options of its class."""
    return BOTTLENECKS[kind](**options)


BOTTLENECKS: dict[str, Any] = {
    "ae": Identity, "vae": Gaussian, "vq": VectorQuantizer, "rvq": ResidualQuantizer,
    "fsq": FiniteScalarQuantizer,
}  # fmt: skip
ARCHITECTURES: dict[str, Any] = {
    "speech": speech, "variable_speech": variable_speech, "tutorial": tutorial, "frames": frames,
    "pictures": pictures,
}  # fmt: skip
"""All models that a file can describe, in one place."""


@dataclass(frozen=True)
class Recipe:
    """What rebuilds a model: a name of `ARCHITECTURES`, and its options, as plain data."""

    architecture: str
    options: dict[str, Any] = field(default_factory=dict)

    def build(self) -> Autoencoder:
        """A model with fresh weights. Raises `ValueError` for an unknown architecture."""
        if self.architecture not in ARCHITECTURES:
            raise ValueError(
                f"there is no architecture {self.architecture!r}: it is one of "
                f"{', '.join(ARCHITECTURES)}"
            )
        return ARCHITECTURES[self.architecture](**self.options)
