"""The tutorial's model in training: mel power of *right*, its own loss and optimiser, axes right.

The one idea: it runs in the same process machinery as her own training (`own_process`), and leaves
versions to hear, such as `my_codec.tutorial.2min.npz`. The learning rate is constant, as it is
there; Adam begins anew with each version.

Notebook: 13
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from vqlab.lessons.own_process import Training, device, keep

from vqlab import datasets, models
from vqlab.features import Features
from vqlab.files import write_whole
from vqlab.lessons.own_pieces import own
from vqlab.spectral import MelConfig

FEATURES = Features(
    MelConfig(n_fft=1024, hop_length=512, n_mels=128, scale="htk", norm=None),
    scale="power",
    picture=True,
)
"""The tutorial's front end: mel power as pictures of 128 x 32."""


def train(model: nn.Module, pictures: Tensor, steps: int, *, batch: int = 16) -> Iterator[float]:
    """Train on random pictures (n, 1, 128, 32); yields the loss of every step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4)
    model.train()
    for _ in range(steps):
        target = pictures[torch.randint(len(pictures), (batch,), device=pictures.device)]
        output, quantized = model(target)
        loss = F.mse_loss(output, target) + quantized.loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()
    model.eval()


def save(model: nn.Module, path: Path) -> None:
    """Write the weights of a version."""
    file = io.BytesIO()
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    np.savez(file, **arrays)  # type: ignore
    write_whole(path, file.getvalue())


def load(path: Path) -> models.Autoencoder:
    """What `save` wrote."""
    model = models.tutorial()
    with np.load(path, allow_pickle=False) as file:
        model.load_state_dict({name: torch.from_numpy(array) for name, array in file.items()})
    return model.eval()


def main(until: float, data: str) -> None:
    """The process: train the model, keep versions, write down how it stands."""
    now, to_level = Training("tutorial"), own().to_level
    clips = datasets.load(data, "train", words="right", seconds=1.0)
    sounds = torch.stack([to_level(clip.waveform)[0] for clip in clips])
    pictures = FEATURES.analyse(sounds).to(device())
    torch.manual_seed(0)
    going_on = now.place(".now.npz")
    model = load(going_on) if going_on.exists() else models.tutorial()
    learning = model.to(device()), lambda model, steps: train(model, pictures, steps)
    keep(now, learning=learning, until=until, data=data, save=save)
