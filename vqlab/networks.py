"""Encoders and decoders: the networks on both sides of a bottleneck.

In one dimension a spectrogram is a sequence of frames and its mel bands are channels; convolutions
run along time only (ConvNeXt blocks, Liu et al. 2022, as Vocos uses them for sound, Siuzdak 2023).
In two dimensions the spectrogram is a picture with one channel; convolutions run along time and
frequency (van den Oord et al. 2017; the tutorial and the thesis this project covers).

Notebook: 04
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class ConvNextBlock(nn.Module):
    """Residual block along time: a wide depthwise filter, then a small network in every frame.

    Takes and returns `(batch, width, frames)`. Liu et al. 2022, "A ConvNet for the 2020s".
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 3 * width)
        self.shrink = nn.Linear(3 * width, width)
        # The block starts as (almost) the identity, which lets deep stacks train from the start.
        self.scale = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).transpose(1, 2))  # (batch, frames, width)
        y = self.shrink(nn.functional.gelu(self.expand(y))) * self.scale
        return x + y.transpose(1, 2)


class Encoder1d(nn.Sequential):
    """Frames `(batch, channels, n * stride)` to vectors `(batch, dim, n)`."""

    def __init__(
        self, channels: int, dim: int, *, width: int = 256, stride: int = 2, blocks: int = 2
    ) -> None:
        super().__init__(
            nn.Conv1d(channels, width, 7, padding=3),
            nn.GELU(),
            nn.Conv1d(width, width, stride, stride=stride),
            *[ConvNextBlock(width) for _ in range(blocks)],
            nn.Conv1d(width, dim, 1),
        )
        self.stride = stride


class Decoder1d(nn.Sequential):
    """Vectors `(batch, dim, n)` back to frames `(batch, channels, n * stride)`.

    `blocks` work at the rate of the codes, `fine_blocks` at that of the frames.
    """

    def __init__(
        self,
        dim: int,
        channels: int,
        *,
        width: int = 256,
        stride: int = 2,
        blocks: int = 6,
        fine_blocks: int = 0,
    ) -> None:
        super().__init__(
            nn.Conv1d(dim, width, 7, padding=3),
            *[ConvNextBlock(width) for _ in range(blocks)],
            nn.ConvTranspose1d(width, width, stride, stride=stride),
            nn.GELU(),
            *[ConvNextBlock(width) for _ in range(fine_blocks)],
            nn.Conv1d(width, channels, 7, padding=3),
        )
        self.stride = stride


class BesideLinear(nn.Module):
    """The sum of what `network` and one `linear` map make of the input.

    The network begins at zero: its last layer is cleared. So the sum starts as the linear map,
    which can be computed instead of learned, and the network learns what that lacks.
    """

    def __init__(self, network: nn.Sequential, linear: nn.Module, stride: int) -> None:
        super().__init__()
        self.network = network
        self.linear = linear
        self.stride = stride
        last: Any = network[-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.network(x)


class Residual(nn.Module):
    """Adds to its input what `layers` make of it."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def residual_block2d(width: int) -> Residual:
    """Residual block of VQ-VAE: ReLU, 3 x 3, ReLU, 1 x 1 (van den Oord et al. 2017, sec. 4.1)."""
    return Residual(
        nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 1)
    )


class Encoder2d(nn.Sequential):
    """A picture `(batch, channels, 4h, 4w)` to vectors `(batch, dim, h, w)`.

    As van den Oord et al. 2017 and Hansen Vedal 2019 have it.
    """

    stride = 4

    def __init__(self, channels: int, dim: int, *, units: int = 256) -> None:
        super().__init__(
            nn.Conv2d(channels, units, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(units, units, 4, stride=2, padding=1),
            nn.ReLU(),
            residual_block2d(units),
            residual_block2d(units),
            nn.ReLU(),
            nn.Conv2d(units, dim, 1),
        )


class Decoder2d(nn.Sequential):
    """The mirror of `Encoder2d`: `(batch, dim, h, w)` to `(batch, channels, 4h, 4w)`."""

    stride = 4

    def __init__(self, dim: int, channels: int, *, units: int = 256) -> None:
        super().__init__(
            nn.Conv2d(dim, units, 3, padding=1),
            residual_block2d(units),
            residual_block2d(units),
            nn.ReLU(),
            nn.ConvTranspose2d(units, units, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(units, channels, 4, stride=2, padding=1),
        )


class TutorialEncoder(nn.Sequential):
    """The tutorial's encoder: `(batch, 1, 128, 32)` mel power to `(batch, 256, 32, 8)`."""

    stride = 4

    def __init__(self) -> None:
        width = 256
        super().__init__(
            nn.Conv2d(1, width, 4, stride=2, padding=1),
            nn.BatchNorm2d(width),
            nn.Conv2d(width, width, 4, stride=2, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            Residual(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)),
            Residual(nn.Conv2d(width, width, 1), nn.BatchNorm2d(width)),
        )


class TutorialDecoder(nn.Sequential):
    """The tutorial's decoder, the mirror: `(batch, 256, 32, 8)` to `(batch, 1, 128, 32)`."""

    stride = 4

    def __init__(self) -> None:
        width = 256
        super().__init__(
            Residual(nn.Conv2d(width, width, 1), nn.BatchNorm2d(width)),
            # An even kernel needs a row and a column more, on one side, so that the size stays.
            Residual(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(width, width, 2), nn.BatchNorm2d(width)),
            nn.ConvTranspose2d(width, width, 2, stride=2),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 1, 2, stride=2),
        )
