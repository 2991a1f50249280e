"""What notebook 13 needs around its models: a short training, rows at random, a fair judgement.

The one idea: each relative stands in the place of one part of her codec, learns for about as long
as the plain way, and goes through the same door: sound comes out, and STOI and PESQ are asked.

Notebook: 13
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from vqlab import metrics
from vqlab.files import bundled, load_tensors, save_tensors


def learned(
    parameters: Iterable[nn.Parameter],
    step: Callable[[], Tensor],
    steps: int,
    *,
    rate: float = 2e-3,
) -> float:
    """Lower what `step` returns, a loss, by Adam; the mean of the last tenth of the losses.

    rate : the highest learning rate; it rises for fifty steps, then falls along a cosine to 0
    """
    every = list(parameters)
    optimizer = torch.optim.Adam(every, lr=rate)
    losses = []
    for n in tqdm(range(steps), "training", leave=False):
        warm_up, fall = min(1, (n + 1) / 50), (1 + math.cos(math.pi * n / steps)) / 2
        optimizer.param_groups[0]["lr"] = rate * warm_up * fall
        loss = step()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(every, 1.0)
        optimizer.step()
        losses.append(loss.item())
    last = losses[-max(1, steps // 10) :]
    return sum(last) / len(last)


def pieces(frames: Tensor, sounds: Tensor, *, batch: int, length: int) -> tuple[Tensor, Tensor]:
    """Random pieces of `length` frames and their samples: (batch, rows, length), (batch, samples).

    frames : (clips, rows, frames), sounds : (clips, samples)
    """
    hop = sounds.shape[-1] // frames.shape[-1]
    rows = torch.randint(len(frames), (batch,)).tolist()
    firsts = torch.randint(frames.shape[-1] - length + 1, (batch,)).tolist()
    places = list(zip(rows, firsts, strict=True))
    return (
        torch.stack([frames[n, :, first : first + length] for n, first in places]),
        torch.stack([sounds[n, first * hop : (first + length) * hop] for n, first in places]),
    )


def judged(heard: Mapping[str, Tensor], clips: Tensor) -> dict[str, tuple[float, float]]:
    """Mean STOI and PESQ of each row of sounds (clips, samples) beside the originals.

    A clip for which a measure is undefined is left out of it.
    """
    found = {}
    for name, sounds in heard.items():
        rows = [metrics.score(a, b) for a, b in zip(clips, sounds, strict=True)]
        found[name] = mean_of(rows, "stoi"), mean_of(rows, "pesq_wb")
    return found


def mean_of(rows: Sequence[Mapping[str, float | None]], name: str) -> float:
    """The mean of a measure over the clips that have it; NaN where none has."""
    values = [value for row in rows if (value := row[name]) is not None]
    return sum(values) / len(values) if values else math.nan


def told(scores: Mapping[str, tuple[float, float]]) -> str:
    """The scores as lines of text."""
    width = max(map(len, scores))
    lines = [f"{'':{width}}  STOI  PESQ"]
    lines += [f"{name:{width}}  {stoi:4.2f}  {pesq:4.2f}" for name, (stoi, pesq) in scores.items()]
    return "\n".join(lines)


def weights_of(name: str) -> Path:
    """The file of the weights that ship, such as `wavenet`; tools/relatives.py makes it."""
    return bundled("weights", "relatives") / f"{name}.safetensors"


def save(model: nn.Module, path: Path, about: dict[str, str]) -> None:
    """Write weights as 16-bit numbers, with a few words about them."""
    halves = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_tensors(halves, path, about)


def load(model: nn.Module, name: str) -> nn.Module:
    """The model with the weights that ship under `name`. Raises RuntimeError for other sizes."""
    tensors, _ = load_tensors(weights_of(name))
    model.load_state_dict({key: value.float() for key, value in tensors.items()})
    return model.eval()
