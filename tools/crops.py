"""What a codec of speech learns from: random crops of many recordings, and rooms around them.

The one idea: sets of different sizes lie ready, each as one long tensor, and a training item is a
piece cut out anywhere, at any speed, from a set drawn by its weight. So a small set of rare voices
can be heard as often as a large one of single words, and no piece comes twice. What the piece was
recorded in is drawn too (`Surroundings`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

HALF_SCALE = 16384
"""Reels are int16, so that hours fit into memory; this number stands for an amplitude of 1."""
STEP = 400
"""Pieces are cut in multiples of so many samples, for which the Fourier transform is fast."""


def reel(
    recordings: Iterable[Any],
    normalise: Callable[[Tensor], tuple[Tensor, float]],
    *,
    sample_rate: int = 16000,
) -> Tensor:
    """All `recordings` (items of a data set) one after the other: int16 (samples,).

    Each is brought to the codec's level. Between two there is silence of up to half a second, or
    none.
    """
    parts = []
    generator = torch.Generator().manual_seed(0)
    for item in tqdm(recordings, "reading", delay=2, leave=False):
        waveform = normalise(item.waveform)[0] * HALF_SCALE
        gap = int(torch.randint(-sample_rate // 2, sample_rate // 2, (), generator=generator))
        parts += [waveform.round().clamp(-32768, 32767), torch.zeros(max(0, gap))]
    return torch.cat(parts).to(torch.int16) if parts else torch.zeros(0, dtype=torch.int16)


class Crops(Sequence[Tensor]):
    """`length` items of `samples` samples, each cut anew wherever it is asked for.

    reels : of each set all recordings, as `reel` gives them
    weights : how often each set is drawn, relative to the others
    speeds : slowest and fastest. As of a tape, pitch and tempo change together, as if somebody else
        had spoken (Ko et al. 2015)

    Which item is asked for does not matter; torch's random state alone decides.
    """

    def __init__(
        self,
        reels: Sequence[Tensor],
        weights: Sequence[float],
        samples: int,
        length: int,
        *,
        speeds: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        if len(reels) != len(weights):
            raise ValueError(f"{len(reels)} sets and {len(weights)} weights: give one for each")
        longest = round(samples * speeds[1]) + 3 * STEP
        if any(len(each) < longest for each in reels):
            raise ValueError(f"a set has less than the {longest} samples of a crop: leave it out")
        self.reels = reels
        self.weights = torch.tensor(weights, dtype=torch.float64)
        self.samples = samples
        self.length = length
        self.speeds = speeds

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        chosen = self.reels[int(torch.multinomial(self.weights, 1))]
        slow, fast = (math.log(speed) for speed in self.speeds)
        speed = math.exp(slow + (fast - slow) * float(torch.rand(())))
        whole = self.samples + 2 * STEP  # its ends are thrown away: there the ends meet
        taken = max(1, round(whole * speed / STEP)) * STEP if slow != fast else whole
        start = int(torch.randint(len(chosen) - taken + 1, ()))
        piece = chosen[start : start + taken].float() / HALF_SCALE
        if taken != whole:
            spectrum = torch.fft.rfft(piece)[: whole // 2 + 1]
            piece = torch.fft.irfft(spectrum, n=whole) * (whole / taken)
        return piece[STEP : STEP + self.samples]


class Surroundings:
    """Augmentation: a batch of waveforms as other microphones hear it, in rooms, among noise.

    noise : int16 or float Tensor (samples,), recorded background noise
    Of the items `microphones`, `rooms`, `noisy` and `talkers` are the shares that get
    another frequency response, reverberation, noise, and a second voice. All get another level
    (about 3 dB). Noise lies 5 to 35 dB below the level of speech.
    """

    __name__ = "surroundings"  # for the run's settings

    def __init__(
        self,
        noise: Tensor,
        *,
        speech_db: float = -20.0,
        sample_rate: int = 16000,
        microphones: float = 0.5,
        rooms: float = 0.2,
        noisy: float = 0.3,
        talkers: float = 0.05,
    ) -> None:
        self.noise = noise
        self.speech_db = speech_db
        self.sample_rate = sample_rate
        self.microphones, self.rooms = microphones, rooms
        self.noisy, self.talkers = noisy, talkers

    def __call__(self, batch: Tensor) -> Tensor:
        """`batch (n, samples)` changed, of the same shape."""
        n, samples = batch.shape
        quieter = 10 ** -(torch.rand(n, 1) * 0.7 + 0.3)  # a second voice: 6 to 20 dB below
        mixed = batch + batch.roll(1, 0) * quieter * _some(n, self.talkers)
        length = samples + round(0.4 * self.sample_rate)
        spectrum = torch.fft.rfft(mixed, n=length) * self._response(n, length)
        heard = torch.fft.irfft(spectrum, n=length)[:, :samples]
        snr = torch.rand(n, 1) * 30 + 5
        noise = self._noise(n, samples) * 10 ** ((self.speech_db - snr) / 20)
        heard = heard + noise * _some(n, self.noisy)
        return heard * 10 ** (torch.randn(n, 1) * 3 / 20)

    def _response(self, n: int, length: int) -> Tensor:
        """Frequency responses of microphone and room, complex `(n, length // 2 + 1)`."""
        frequency = torch.linspace(0, 1, length // 2 + 1)
        place = torch.log1p(frequency * self.sample_rate / 2 / 700) / 2.52  # 0 … 1, as mel bands
        ripples = torch.arange(1, 5)  # a smooth curve: four cosines, the slower the larger
        waves = torch.cos(torch.pi * (ripples[:, None] * place + torch.rand(n, 4, 1)))
        db = (torch.randn(n, 4, 1) * 3 / ripples[:, None] * waves).sum(dim=1)
        microphone = 10 ** (db * _some(n, self.microphones) / 20)
        # A room is what follows the direct sound: noise that dies away, over 0.15 to 0.6 s.
        time = torch.arange(round(0.4 * self.sample_rate)) / self.sample_rate
        decay = torch.exp(-6.9 * time / (0.15 + 0.45 * torch.rand(n, 1))) * (time > 0.002)
        tail = torch.randn(n, len(time)) * decay
        below = 10 ** (-torch.rand(n, 1) * 12 / 20) * _some(n, self.rooms)
        tail = tail / tail.norm(dim=1, keepdim=True) * below
        tail[:, 0] = 1.0
        return torch.fft.rfft(tail / tail.norm(dim=1, keepdim=True), n=length) * microphone

    def _noise(self, n: int, samples: int) -> Tensor:
        """Noise `(n, samples)` of RMS 1: recorded, or (half of it) made, of any colour."""
        starts = torch.randint(len(self.noise) - samples + 1, (n, 1))
        recorded = self.noise[starts + torch.arange(samples)].float()
        slope = (torch.arange(samples // 2 + 1).clamp(min=1).float()) ** -torch.rand(n, 1)
        made = torch.fft.irfft(torch.fft.rfft(torch.randn(n, samples)) * slope, n=samples)
        noise = torch.where(_some(n, 0.5) > 0, recorded, made)
        return F.normalize(noise, dim=1) * samples**0.5


def _some(n: int, share: float) -> Tensor:
    """1 for about a `share` of n items, else 0: `(n, 1)`."""
    return (torch.rand(n, 1) < share).float()
