"""A listener that knows a few words: it says which of them a sound is most like.

The one idea: measures that compare a sound with its original cannot judge speech that has none, as
a prior makes it, and they are shaky on single words. A small classifier can that was trained on
*original* recordings only: a word that it recognises before coding and no longer afterwards was
spoilt by the codec. It is a temporal residual network (S. Choi et al., "Temporal Convolution for
Real-time Keyword Spotting on Mobile Devices", 2019: TC-ResNet): the 40 mel bands are channels, and
convolutions run along time only. It knows no other words and cannot say "none of these".

Notebook: 12
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vqlab import audio, spectral
from vqlab.files import bundled, load_tensors, save_tensors
from vqlab.spectral import MelConfig

MEL = MelConfig(n_fft=512, hop_length=160, n_mels=40)
"""What it hears: 40 bands up to 8 kHz, 100 frames a second."""

CHANNELS = (48, 64, 80, 112)
"""Channels after the first convolution and after each residual block."""

RANGE_DB = 50.0
"""What lies further than this under the loudest cell of the clip counts as silence."""


def log_mel(waveforms: Tensor) -> Tensor:
    """Mel bands in decibels below the clip's loudest cell, scaled to about [-1, 1].

    Relative to the loudest cell, so a clip sounds the same to the classifier at any level; cut
    at `RANGE_DB`, so that the faint noise of a room or of a codec does not count.

    waveforms : Tensor (n, samples)
    returns   : Tensor (n, 40, frames)
    """
    power = spectral.mel(waveforms, MEL)
    loudest = power.amax(dim=(-2, -1), keepdim=True).clamp_min(1e-20)
    db = 10 * (power / loudest).clamp_min(10 ** (-RANGE_DB / 10)).log10()
    return 1 + db * (2 / RANGE_DB)


class Block(nn.Module):
    """Two convolutions over nine frames and a way around them; every second frame is kept."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(before, after, 9, stride=2, padding=4, bias=False)
        self.first_norm = nn.BatchNorm1d(after)
        self.second = nn.Conv1d(after, after, 9, padding=4, bias=False)
        self.second_norm = nn.BatchNorm1d(after)
        self.around = nn.Conv1d(before, after, 1, stride=2, bias=False)
        self.around_norm = nn.BatchNorm1d(after)

    def forward(self, x: Tensor) -> Tensor:
        """x : (n, before, frames); returns (n, after, ceil(frames / 2))."""
        y = F.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        return F.relu(y + self.around_norm(self.around(x)))


class WordClassifier(nn.Module):
    """Waveforms to words.

    words : what it can answer; sorted, without repeats
    channels : of the first convolution and of each residual block
    trained : how the weights were made, kept with them (plain data)

    Raises ValueError for fewer than two words, or one given twice.
    """

    def __init__(
        self,
        words: Sequence[str],
        *,
        channels: Sequence[int] = CHANNELS,
        trained: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.words = list(words)
        if len(self.words) < 2 or len(set(self.words)) < len(self.words):
            raise ValueError(
                f"a classifier needs at least two different words, not {self.words}: load more of "
                "them, and name each once"
            )
        self.channels = tuple(channels)
        self.trained = trained or {}
        self.first = nn.Conv1d(MEL.n_mels, self.channels[0], 3, padding=1, bias=False)
        pairs = zip(self.channels[:-1], self.channels[1:], strict=True)
        self.blocks = nn.Sequential(*(Block(before, after) for before, after in pairs))
        self.dropout = nn.Dropout(0.3)
        self.last = nn.Linear(self.channels[-1], len(self.words))

    def forward(self, waveforms: Tensor) -> Tensor:
        """Logits, before the softmax: `waveforms (n, samples)` at 16 kHz to `(n, words)`."""
        return self.logits(log_mel(waveforms))

    def logits(self, x: Tensor) -> Tensor:
        """The same from what `log_mel` gave, `(n, 40, frames)`."""
        y = self.blocks(self.first(x)).mean(dim=-1)
        return self.last(self.dropout(y))

    @torch.no_grad()
    def probabilities(
        self, waveforms: Tensor | Sequence[Tensor], sample_rate: int = MEL.sample_rate
    ) -> Tensor:
        """How likely each word is, for each sound: `(n, words)`, rows sum to 1.

        waveforms : Tensor (n, samples), or a list of (samples,) of any lengths. Every sound is
            brought to one second (`vqlab.audio.fit_length`), as in training.

        Raises ValueError for sounds of another shape, empty ones, NaN and infinity.
        """
        rows = [self._second(row, sample_rate) for row in _sounds(waveforms)]
        device = self.last.weight.device
        was_training = self.training
        self.eval()
        done = [
            self(torch.stack(rows[first : first + 256]).to(device)).softmax(dim=-1).cpu()
            for first in range(0, len(rows), 256)
        ]
        self.train(was_training)
        return torch.cat(done) if done else torch.zeros(0, len(self.words))

    def recognise(
        self, waveforms: Tensor | Sequence[Tensor], sample_rate: int = MEL.sample_rate
    ) -> list[str]:
        """The likeliest word of each sound; arguments and errors as in `probabilities`."""
        best = self.probabilities(waveforms, sample_rate).argmax(dim=-1)
        return [self.words[n] for n in best.tolist()]

    def save(self, path: str | Path) -> None:
        """Write weights (float16), words and settings to one safetensors file, atomically."""
        described = {
            "words": self.words,
            "channels": self.channels,
            "mel": dataclasses.asdict(MEL),
            "range_db": RANGE_DB,
            "trained": self.trained,
        }
        tensors = {
            name: tensor.detach().cpu().half() if tensor.is_floating_point() else tensor.cpu()
            for name, tensor in self.state_dict().items()
        }
        save_tensors(tensors, Path(path), {"words": json.dumps(described)})

    def _second(self, waveform: Tensor, sample_rate: int) -> Tensor:
        """One checked sound as one second at 16 kHz."""
        waveform = audio.one_sound(waveform, "a sound to recognise")
        waveform = audio.resample(waveform.float(), sample_rate, MEL.sample_rate)
        return audio.fit_length(waveform, MEL.sample_rate)


def load_classifier(path: str | Path | None = None) -> WordClassifier:
    """The classifier that ships with vqlab, or the one `WordClassifier.save` wrote.

    Raises FileNotFoundError for a missing file, ValueError for one that is something else.
    """
    if path is None:
        path = bundled("weights", "classifier", "words.safetensors")
    try:
        tensors, metadata = load_tensors(path)
        described = json.loads(metadata["words"])
        words, channels = described["words"], described["channels"]
        if not all(isinstance(word, str) for word in words):
            raise ValueError("its words are not text")
        if described["mel"] != dataclasses.asdict(MEL) or described["range_db"] != RANGE_DB:
            raise ValueError(f"it hears other features than {MEL} down to {RANGE_DB:g} dB")
        with torch.device("meta"):  # shapes alone: a false description must not fill the memory
            shapes = WordClassifier(words, channels=channels).state_dict()
        if _shapes(shapes) != _shapes(tensors):
            raise ValueError("its weights do not fit its description")
        if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
            raise ValueError("its weights hold NaN or infinity")
        classifier = WordClassifier(words, channels=channels, trained=described["trained"])
        classifier.load_state_dict(tensors)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}: check the name") from None
    except Exception as error:
        raise ValueError(f"{path} is not a vqlab word classifier: {error}") from error
    return classifier.eval()


def _shapes(tensors: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _sounds(waveforms: Tensor | Sequence[Tensor]) -> list[Tensor]:
    if isinstance(waveforms, Tensor) and waveforms.ndim != 2:
        raise ValueError(
            f"sounds to recognise must be (n, samples) or a list of (samples,), not "
            f"{tuple(waveforms.shape)}: put a single sound into a list"
        )
    return [torch.as_tensor(waveform) for waveform in waveforms]
