"""What a network sees of sound, and the way back.

Analysis and synthesis share one frozen object, so they cannot disagree about window, hop or mel
scale (in the tutorial they do). There are two kinds. `Features` are the mel frames of a sound of
any length; their decibels are brought to mean 0 and deviation 1 with figures that are measured once
on training clips. `Front` makes pictures of segments of one length, each between 0 and 1 by its own
minimum and maximum, which are kept, so that the level comes back (Hansen Vedal 2019 lost it). Both
say how a sound is cut into blocks and what is made of each, which is all that a codec asks.

Notebook: 04, 07, 08, 10, 11
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import inversion, spectral
from .spectral import MelConfig

BLOCK_SECONDS = 10.0
"""Sound of any length that is coded or decoded at a time."""
CONTEXT_SECONDS = 2.5
"""What a block sees beyond its ends: more than the shipped network's reach (1.2 s) and that of 32
steps of Griffin-Lim (1 s) together, so that a block's middle is as in the whole sound."""


class Block(NamedTuple):
    """A piece of a sound: its samples and positions (a code each), and which of them are kept."""

    samples: slice
    kept: slice  # counted from the block's first sample
    positions: slice
    own: slice  # counted from the block's first position


@dataclass(frozen=True)
class Features:
    """Mel frames as a network takes them.

    scale   : "db", normalised decibels `(db - mean) / std`, or "power", as the tutorial has it
    picture : adds a channel axis for 2-D networks
    """

    config: MelConfig = field(default_factory=lambda: MelConfig(hop_length=160))
    scale: Literal["db", "power"] = "db"
    mean: float = 0.0
    std: float = 1.0
    picture: bool = False

    def __post_init__(self) -> None:
        if self.scale not in ("db", "power"):
            raise ValueError(f"scale must be 'db' or 'power', not {self.scale!r}.")
        if not (math.isfinite(self.mean) and 0 < self.std < math.inf):
            raise ValueError(
                f"mean {self.mean} and std {self.std} cannot normalise (std must be above 0): "
                "were they measured on silence?"
            )

    @property
    def rows(self) -> int:
        """Values of a frame."""
        return self.config.n_mels

    @property
    def samples(self) -> int:
        """Samples over which a rate is counted: a second."""
        return self.config.sample_rate

    def positions(self, samples: int, stride: int) -> int:
        """How many positions of `stride` frames a sound has."""
        return -(-self.frames(samples) // stride)

    def blocks(self, samples: int, stride: int) -> list[Block]:
        """A sound in blocks of `BLOCK_SECONDS`, each of which sees beyond its ends."""
        hop = self.config.hop_length * stride
        per_second = self.config.sample_rate / hop
        length, context = (round(s * per_second) for s in (BLOCK_SECONDS, CONTEXT_SECONDS))
        positions = self.positions(samples, stride)
        found = []
        for first in range(0, positions, length):
            last = min(first + length, positions)
            start, stop = max(0, first - context), min(last + context, positions)
            own = slice(first - start, last - start)
            kept = slice(own.start * hop, own.stop * hop)
            found.append(
                Block(slice(start * hop, min(stop * hop, samples)), kept, slice(start, stop), own)
            )
        return found

    def take(self, waveform: Tensor) -> tuple[Tensor, None]:
        """What a network sees of a block `(1, samples)`; its level is that of the whole sound."""
        return self.analyse(waveform), None

    def give(self, x: Tensor, block: Block, level: Any, *, n_iter: int | None = None) -> Tensor:
        """The waveform `(1, samples)` of what a decoder made of a block."""
        length = block.samples.stop - block.samples.start
        return self.synthesise(
            x[..., : self.frames(length)],
            length,
            n_iter=32 if n_iter is None else n_iter,
            first_frame=block.samples.start // self.config.hop_length,
        )

    def analyse(self, waveform: Tensor) -> Tensor:
        """Frames `(batch, n_mels, frames)` of `waveform (batch, samples)`: one per started hop.

        The frame centred on the very end is left out, so that one second is 100 frames, not 101.
        """
        power = spectral.mel(waveform, self.config)[..., : self.frames(waveform.shape[-1])]
        x = power if self.scale == "power" else (spectral.to_db(power) - self.mean) / self.std
        return x.unsqueeze(1) if self.picture else x

    def frames(self, samples: int) -> int:
        """How many frames `samples` samples give."""
        return -(-samples // self.config.hop_length)

    def power(self, x: Tensor) -> Tensor:
        """Mel power `(batch, n_mels, frames)` of what `analyse` gave or a decoder made."""
        x = x.squeeze(1) if self.picture else x
        if self.scale == "power":
            return x.clamp_min(0)
        return spectral.from_db(x * self.std + self.mean)

    def synthesise(
        self, x: Tensor, samples: int, *, n_iter: int = 32, first_frame: int = 0
    ) -> Tensor:
        """Waveform `(batch, samples)` of frames `x`, the first at `first_frame` of a longer sound.

        Each frame's phases start at random, but by its place always the same; and a step of
        Griffin-Lim reaches no farther than a window. So what is some windows away from a cut comes
        out as in the whole sound.
        """
        power = self.power(x)
        missing = samples // self.config.hop_length + 1 - power.shape[-1]
        power = torch.cat([power, power[..., -1:].expand(*power.shape[:-1], max(missing, 0))], -1)
        phase = _phases(first_frame, power.shape[-1], self.config.bins)
        return inversion.mel_to_audio(
            power, self.config, length=samples, n_iter=n_iter, phase=phase
        )

    def error_db(self, x: Tensor, y: Tensor) -> Tensor:
        """Mean absolute difference of `x` and `y` in decibels, a scalar."""
        return (spectral.to_db(self.power(x)) - spectral.to_db(self.power(y))).abs().mean()

    def fitted(self, waveforms: Tensor | Sequence[Tensor]) -> Features:
        """The same features with `mean` and `std` measured on `waveforms`, n of one length."""
        if self.scale == "power":
            return self
        step = max(1, len(waveforms) // 500)  # about 500, evenly spaced, are enough
        some = torch.stack([waveforms[i] for i in range(0, len(waveforms), step)])
        db = spectral.log_mel(some, self.config)
        return replace(self, mean=float(db.mean()), std=float(db.std()))


class Pictures(NamedTuple):
    """Pictures `(n, rows, frames)` in [0, 1]; 0 and 1 stand for low and high `(n,)`, in dB."""

    scaled: Tensor
    low: Tensor
    high: Tensor


@dataclass(frozen=True)
class Front:
    """Pictures of segments: decibels of `frames` windows that lie wholly inside.

    mel : rows are mel bands, else frequency bins without the top one
    inversion, iterations : of the way back, "gradient" (L-BFGS on the samples, the thesis's) or
        "griffin_lim"
    picture : a network takes them with a channel axis, `(n, 1, rows, frames)`

    A segment has n_fft + (frames - 1) * hop_length samples: 66,432 for the 512 frames of the thesis
    (Hansen Vedal 2019).
    """

    config: MelConfig
    mel: bool
    frames: int
    inversion: str
    iterations: int
    picture: bool = False
    floor_db: float = -90.0

    def __post_init__(self) -> None:
        if self.inversion not in ("gradient", "griffin_lim"):
            raise ValueError(f"inversion is {self.inversion!r}: take 'gradient' or 'griffin_lim'")
        if self.config.n_fft // 2 % self.config.hop_length or self.frames < 1:
            raise ValueError(
                f"hop_length {self.config.hop_length} must divide n_fft / 2 = "
                f"{self.config.n_fft / 2:g} without a rest, and frames, {self.frames}, be above 0"
            )

    @property
    def rows(self) -> int:
        """Height of a picture."""
        return self.config.n_mels if self.mel else self.config.n_fft // 2

    @property
    def samples(self) -> int:
        """Length of a segment."""
        return (self.frames - 1) * self.config.hop_length + self.config.n_fft

    @property
    def seconds(self) -> float:
        """Length of a segment."""
        return self.samples / self.config.sample_rate

    @property
    def _edge(self) -> int:
        """Frames at either end whose windows hang over it; a picture has none of them."""
        return self.config.n_fft // 2 // self.config.hop_length

    def decibels(self, segments: Tensor) -> Tensor:
        """Segments `(n, samples)` to decibels `(n, rows, frames)`, not below `floor_db`."""
        db = torch.empty(len(segments), self.rows, self.frames)
        for first in range(0, len(segments), 32):  # the complex spectra of all would be large
            some = slice(first, first + 32)
            spectrum = spectral.stft(segments[some], self.config)[..., self._edge : -self._edge]
            power = spectrum.real.square() + spectrum.imag.square()
            power = spectral.filter_bank(self.config) @ power if self.mel else power[:, :-1]
            db[some] = spectral.to_db(power, self.floor_db)
        return db

    def analyse(self, segments: Tensor, *, whole: bool = False) -> Pictures:
        """Segments `(n, samples)` to pictures; a silent one becomes all zeros.

        whole : round their ranges outwards to whole decibels, which take a byte each in a file
        """
        db = self.decibels(segments)
        low, high = db.amin(dim=(1, 2)), db.amax(dim=(1, 2))
        if whole:
            low, high = low.floor(), high.ceil()
        span = (high - low).clamp(min=1e-6)  # below in place, as decibels are large
        return Pictures(db.sub_(low[:, None, None]).div_(span[:, None, None]), low, high)

    def positions(self, samples: int, stride: int) -> int:
        """How many positions of `stride` frames a sound has."""
        return self.pieces(samples) * self.frames // stride

    def blocks(self, samples: int, stride: int) -> list[Block]:
        """A sound as segments, one after the other; the last ends in silence."""
        positions, found = self.frames // stride, []
        for n in range(self.pieces(samples)):
            start = n * self.samples
            some = slice(start, min(start + self.samples, samples))
            kept = slice(0, some.stop - start)
            place = slice(n * positions, (n + 1) * positions)
            found.append(Block(some, kept, place, slice(0, positions)))
        return found

    def pieces(self, samples: int) -> int:
        """How many segments `samples` samples give."""
        return max(1, -(-samples // self.samples))

    def take(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """What a network sees of a block `(1, samples)`, and its range, whole decibels `(1, 2)`."""
        scaled, *level = self.analyse(segments(waveform[0].cpu(), self.samples), whole=True)
        x = scaled.to(waveform.device)
        return x.unsqueeze(1) if self.picture else x, torch.stack(level, dim=1)

    def give(self, x: Tensor, block: Block, level: Any, *, n_iter: int | None = None) -> Tensor:
        """The waveform `(1, samples)` of what a decoder made of a block with this range."""
        scaled = (x.squeeze(1) if self.picture else x).cpu()
        front = self if n_iter is None else replace(self, iterations=n_iter)
        return front.synthesise(self.restore(Pictures(scaled, *level.unbind(dim=1))))

    def restore(self, pictures: Pictures) -> Tensor:
        """Decibels `(n, rows, frames)` of pictures: undoes the scaling."""
        span = (pictures.high - pictures.low)[:, None, None]
        return pictures.scaled * span + pictures.low[:, None, None]

    def synthesise(self, db: Tensor) -> Tensor:
        """Waveforms `(n, samples)` of decibels `(n, rows, frames)`.

        At both ends, where the picture has no frame, the nearest one is repeated; the top bin,
        which it lacks, is silent.
        """
        power = torch.pow(10.0, F.pad(db, (self._edge, self._edge), mode="replicate") / 10)
        power = power.clamp(max=1e9)  # a wild network's decibels must not overflow
        options: dict[str, Any] = {"length": self.samples, "n_iter": self.iterations}
        if not self.mel:
            magnitude = F.pad(power, (0, 0, 0, 1)).sqrt()
            if self.inversion == "gradient":
                return inversion.gradient(magnitude, self.config, normalize=True, **options)
            return inversion.griffin_lim(magnitude, self.config, **options)
        if self.inversion == "griffin_lim":
            return inversion.mel_to_audio(power, self.config, **options)
        # From noise it ends in nothing: start near the goal.
        start = inversion.mel_to_audio(power, self.config, length=self.samples)
        db = spectral.to_db(power)
        return inversion.gradient(db, self.config, kind="log_mel", init=start, **options)


def segments(waveform: Tensor, samples: int) -> Tensor:
    """A recording `(n,)` of any length as `(pieces, samples)`; the last ends in silence."""
    pieces = max(1, -(-len(waveform) // samples))
    return F.pad(waveform, (0, pieces * samples - len(waveform))).reshape(pieces, samples)


def rms(waveforms: Tensor) -> Tensor:
    """Root mean square of each of `(n, samples)`."""
    return waveforms.square().mean(dim=-1).sqrt()


def _phases(first_frame: int, frames: int, bins: int) -> Tensor:
    """Random phases in radians (bins, frames), of each frame always the same."""
    steps = -(-bins // 4)  # the generator counts in steps of four numbers, and can jump
    generator = np.random.Generator(np.random.Philox(key=0).advance(first_frame * steps))
    turns = generator.random((frames, 4 * steps))[:, :bins]
    return torch.from_numpy(2 * np.pi * turns).T


def sharpen(x: Tensor, contrast: float) -> Tensor:
    """Mel decibels with their peaks raised and their valleys lowered: a post-filter.

    A network that is unsure gives the middle of what might be, so its spectra are flatter than
    those of speech. Each value moves away from the mean of the nine bands around it by the
    share `contrast`; such filters are as old as coded speech (Chen and Gersho 1995). `x (batch,
    n_mels, frames)`; returns the same shape.
    """
    rows = x.transpose(1, 2)  # (batch, frames, n_mels)
    around = F.pad(rows, (4, 4), mode="replicate").unfold(2, 9, 1).mean(dim=-1)
    return x + contrast * (x - around.transpose(1, 2))
