"""Losses of mel frames.

Notebook: 08
"""

from __future__ import annotations

from torch import Tensor

from .. import processes


def mel_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error of the values and of their differences along time and frequency.

    The differences keep edges sharp that the values alone would blur. Both arguments
    `(..., n_mels, frames)`; returns a scalar.
    """
    error = output - target
    along_time = error.diff(dim=-1).abs().mean()
    along_frequency = error.diff(dim=-2).abs().mean()
    return error.abs().mean() + along_time + along_frequency


def loud_mel_loss(output: Tensor, target: Tensor) -> Tensor:
    """`mel_loss` in which loud frames count more, up to thirteen times as much as silence.

    A frame's weight is 0.2 + 0.8 times its loudness (the mean of `exp(x)` over its bands, see
    `vqlab.models.loudness`) relative to the batch's mean, cut off at 3. Both arguments
    `(batch, n_mels, frames)`, normalised decibels; returns a scalar.
    """
    loud = target.exp().mean(dim=-2, keepdim=True)  # (batch, 1, frames)
    first, every = processes.share(len(loud))
    mean = processes.mean_over_ranks(loud.mean(), len(loud) / every)
    weight = 0.2 + 0.8 * (loud / mean).clamp(max=3.0)
    error = output - target
    along_time = (error.diff(dim=-1).abs() * weight[..., 1:]).mean()
    along_frequency = (error.diff(dim=-2).abs() * weight).mean()
    return (error.abs() * weight).mean() + along_time + along_frequency
