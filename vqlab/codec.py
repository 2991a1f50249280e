"""The codec: a waveform to integers and back.

A :class:`Codec` is a trained autoencoder together with the features it was trained on. Given a
waveform it returns codes and one gain; given those, a waveform.

Notebook: 00
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from . import audio, models
from .checkpoints import load_tensors, save_tensors
from .datasets import Dataset
from .features import Features, sharpen
from .packing import packed_bytes
from .spectral import MelConfig

MOST_IN_MEMORY = 20_000
"""Clips of a training set that are kept in memory: 1.3 GB where each is a second long."""

LEVEL_DB = -20.0
"""Level every sound is brought to before it is coded: RMS of its loudest 0.4 s, in dBFS."""


LOWEST_QUALITY, HIGHEST_QUALITY = 0, 255
"""The first gives every position one stage; a packed file holds the quality in a byte."""


@dataclass(frozen=True)
class Recipe:
    """What rebuilds a model: the name of a constructor in :mod:`vqlab.models`, and its options."""

    architecture: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    def build(self) -> models.Autoencoder:
        """A model with fresh weights. Raises ``ValueError`` for an unknown constructor."""
        constructors: dict[str, Any] = {
            "speech": models.speech,
            "variable_speech": models.variable_speech,
            "tutorial": models.tutorial,
        }
        if self.architecture not in constructors:
            known = ", ".join(constructors)
            raise ValueError(
                f"there is no architecture {self.architecture!r}: it is one of {known}"
            )
        return constructors[self.architecture](**self.options)


class Codec:
    """A model with its features: waveforms in, codes out, and back.

    With ``level_db`` every sound is brought to that level before it is coded, and back to its own
    afterwards; with None it is coded as it is. ``contrast`` is that of the post-filter
    (:func:`~vqlab.features.sharpen`) between decoder and inversion.
    """

    def __init__(
        self,
        recipe: Recipe,
        features: Features,
        *,
        level_db: float | None = LEVEL_DB,
        contrast: float = 0.0,
        model: models.Autoencoder | None = None,
        trained: dict[str, Any] | None = None,
    ) -> None:
        self.recipe = recipe
        self.features = features
        self.level_db = level_db
        self.contrast = contrast
        self.model = model if model is not None else recipe.build()
        self.trained = trained or {}

    @property
    def sample_rate(self) -> int:
        """Samples per second it takes and gives."""
        return self.features.config.sample_rate

    @property
    def rates(self) -> list[float]:
        """Nominal bits of one second of sound with 1, 2, … stages."""
        sizes = self.model.bottleneck.codebook_sizes
        per_position = [math.log2(size) for size in sizes]
        per_second = math.prod(self.grid(self.sample_rate))
        return [per_second * sum(per_position[: n + 1]) for n in range(len(sizes))]

    def grid(self, samples: int) -> tuple[int, ...]:
        """Shape of the codes of one stage for ``samples`` samples: (frames,) or (bands, frames)."""
        stride = self.model.stride
        frames = -(-self.features.frames(samples) // stride)
        return (
            (self.features.config.n_mels // stride, frames) if self.features.picture else (frames,)
        )

    @property
    def bits_per_code(self) -> int:
        """Bits that hold any one code."""
        return max(size - 1 for size in self.model.bottleneck.codebook_sizes).bit_length()

    def normalise(self, waveform: Tensor) -> tuple[Tensor, float]:
        """``waveform`` at the level the model knows, and the gain in dB that took it there.

        The gain is a multiple of 0.5 dB between -63.5 and 63.5; silence gets 0.
        """
        present = loudest(waveform, self.sample_rate)
        if self.level_db is None or present == -math.inf:
            return waveform, 0.0
        gain_db = round(2 * (self.level_db - present)) / 2
        gain_db = min(max(gain_db, -63.5), 63.5)
        return waveform * 10 ** (gain_db / 20), gain_db

    def normalise_all(
        self, dataset: Dataset, *, speeds: Sequence[float] = (1.0,)
    ) -> Tensor | Levelled:
        """The waveforms of ``dataset``, each at the level the model knows, to train on.

        Once for each of the ``speeds``: a tape that runs faster changes pitch and tempo, as if
        other people had spoken (Ko et al. 2015). Up to :data:`MOST_IN_MEMORY` items come as one
        tensor ``(n, samples)``; of a larger set each clip is read when it is asked for.
        """
        levelled = Levelled(self, dataset, speeds)
        if len(levelled) > MOST_IN_MEMORY:
            return levelled
        bar = tqdm(range(len(levelled)), "reading clips", delay=2, leave=False)
        return torch.stack([levelled[i] for i in bar])

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    @torch.no_grad()
    def encode(
        self, waveform: Tensor, stages: int | None = None, *, quality: int | None = None
    ) -> tuple[Tensor, float]:
        """Codes of ``waveform (samples,)``: int64 ``(1, stages, *positions)``, and the gain in dB.

        stages : the same number of stages everywhere (None: all)
        quality : instead, a depth for each position: loud ones get more stages, and -1 stands
            where a position has none. The codes are searched for instead of taking the nearest in
            every stage. :meth:`quality_for` finds the quality of a rate.

        Raises ``ValueError`` for an empty waveform, more than one channel, NaN or infinity, a
        number of ``stages`` or a ``quality`` that does not exist, and for both at once.
        """
        if stages is not None and quality is not None:
            raise ValueError("give stages or a quality (or kbps), not both")
        if quality is not None and not LOWEST_QUALITY <= quality <= HIGHEST_QUALITY:
            raise ValueError(
                f"quality is {quality}: it is a number from {LOWEST_QUALITY} to {HIGHEST_QUALITY}"
            )
        if stages is not None and not 1 <= stages <= len(self.rates):
            raise ValueError(f"stages is {stages}, this model has 1 to {len(self.rates)} stages")
        x, gain_db = self._analyse(waveform)
        if quality is None or len(self.rates) == 1:
            return self.model.codes(x)[:, :stages].cpu(), gain_db
        z = self.model.encoder(x)
        depth = self.depth(self.model.bottleneck(z, 1).codes[:, 0], quality)
        return self.model.bottleneck.search(z, depth).cpu(), gain_db

    def _analyse(self, waveform: Tensor) -> tuple[Tensor, float]:
        """What the network takes, in whole positions, and the gain in dB; refuses what is odd."""
        if waveform.ndim != 1 or len(waveform) == 0 or not waveform.is_floating_point():
            raise ValueError(
                "a waveform must be (samples,) of floating-point numbers in [-1, 1], not "
                f"{tuple(waveform.shape)} of {waveform.dtype}"
            )
        if not torch.isfinite(waveform).all():
            raise ValueError("the waveform holds NaN or infinity: repair it before coding")
        levelled, gain_db = self.normalise(waveform.float())
        self.model.eval()
        x = self.features.analyse(levelled.unsqueeze(0).to(self.device))
        missing = -x.shape[-1] % self.model.stride
        return torch.cat([x, x[..., -1:].expand(*x.shape[:-1], missing)], dim=-1), gain_db

    def depth(self, first: Tensor, quality: int) -> Tensor:
        """Number of stages that each position has at a ``quality``, by its first stage's code.

        ``first`` int64 of any shape; returns the same shape.
        """
        if len(self.rates) == 1:
            return torch.ones_like(first)
        return self.model.bottleneck.depth(first, quality)

    @torch.no_grad()
    def quality_for(self, waveform: Tensor, kbps: float) -> int:
        """The highest quality at which the packed file of ``waveform`` has at most ``kbps``.

        The file counts whole, with header and checksum. Where these make even the lowest quality
        too much, as on a short sound, that quality is taken all the same. Raises ``ValueError``
        where the codes of one stage already need more.
        """
        if not self.rates[0] <= 1000 * kbps + 1e-6:  # so that NaN is refused too
            raise ValueError(
                f"this model has no rate of {kbps:g} kbit/s: ask for {self.rates[0] / 1000:g} or "
                "more"
            )
        x, _ = self._analyse(waveform)
        if len(self.rates) == 1:
            return LOWEST_QUALITY
        first = self.model.bottleneck(self.model.encoder(x), 1).codes
        most = 1000 * kbps * len(waveform) / self.sample_rate
        low, high = LOWEST_QUALITY, HIGHEST_QUALITY
        while low < high:  # the size never falls as the quality rises
            middle = (low + high + 1) // 2
            count = int(self.depth(first, middle).sum())
            fits = 8 * packed_bytes(len(waveform), count, self.bits_per_code) <= most
            low, high = (middle, high) if fits else (low, middle - 1)
        return low

    @torch.no_grad()
    def decode(
        self, codes: Tensor, samples: int, gain_db: float = 0.0, *, n_iter: int = 32
    ) -> Tensor:
        """Waveform ``(samples,)`` of codes ``(1, stages, *positions)``; the gain is undone."""
        x = self.model.eval().decode(codes.to(self.device))[..., : self.features.frames(samples)]
        if self.contrast:
            x = sharpen(x, self.contrast)
        waveform = self.features.synthesise(x, samples, n_iter=n_iter)[0].cpu()
        return waveform / 10 ** (gain_db / 20)

    def reconstruct(
        self, waveform: Tensor, stages: int | None = None, *, kbps: float | None = None
    ) -> Tensor:
        """``waveform (samples,)`` coded and decoded: what a listener would get.

        With the same number of ``stages`` everywhere (None: all), or at a rate ``kbps``.
        """
        quality = None if kbps is None else self.quality_for(waveform, kbps)
        codes, gain_db = self.encode(waveform, stages, quality=quality)
        return self.decode(codes, len(waveform), gain_db)

    def describe(self) -> dict[str, Any]:
        """Everything but the weights, as plain data (JSON)."""
        return {
            "recipe": dataclasses.asdict(self.recipe),
            "features": dataclasses.asdict(self.features),
            "level_db": self.level_db,
            "contrast": self.contrast,
            "trained": self.trained,
        }

    def save(self, path: str | Path) -> None:
        """Write weights (float16) and description to one safetensors file, atomically."""
        save_tensors(self._weights(), Path(path), {"codec": json.dumps(self.describe())})

    @staticmethod
    def load(path: str | Path) -> Codec:
        """The codec that :meth:`save` wrote. Raises ``ValueError`` for another kind of file."""
        try:
            tensors, metadata = load_tensors(path)
            described = json.loads(metadata["codec"])
            features = dict(described["features"])
            features["config"] = MelConfig(**features["config"])
            recipe = Recipe(**described["recipe"])
            _check_description(described, tensors)
            with torch.device("meta"):  # shapes alone: a false description must not fill the memory
                shapes = {name: t.shape for name, t in _kept(recipe.build().state_dict()).items()}
            if shapes != {name: tensor.shape for name, tensor in tensors.items()}:
                raise ValueError("its weights do not fit its description")
            codec = Codec(
                recipe,
                Features(**features),
                level_db=described["level_db"],
                contrast=described["contrast"],
                trained=described["trained"],
            )
            codec.model.load_state_dict(_with_averages(codec.model.state_dict(), tensors))
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no file {path}: check the name") from None
        except Exception as error:
            raise ValueError(f"{path} is not a vqlab codec: {error}") from error
        codec.model.eval()
        return codec

    def identity(self) -> bytes:
        """Two bytes that tell one set of weights from another (start of a SHA-256)."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self._weights().items()):
            digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
        return digest.digest()[:2]

    def _weights(self) -> dict[str, Tensor]:
        state = _kept(self.model.state_dict())
        return {
            name: tensor.detach().cpu().half() if tensor.is_floating_point() else tensor.cpu()
            for name, tensor in state.items()
        }


class Levelled(Sequence[Tensor]):
    """A data set at a codec's level and several speeds, each clip read when it is asked for."""

    def __init__(self, codec: Codec, dataset: Dataset, speeds: Sequence[float] = (1.0,)) -> None:
        self.codec = codec
        self.dataset = dataset
        self.speeds = speeds

    def __len__(self) -> int:
        return len(self.dataset) * len(self.speeds)

    def __getitem__(self, index: Any) -> Any:
        which, clip = divmod(index, len(self.dataset))
        waveform = self.dataset[clip].waveform
        if self.speeds[which] != 1.0:
            rate = self.codec.sample_rate
            faster = audio.resample(waveform, rate, round(rate / self.speeds[which]))
            waveform = audio.fit_length(faster, len(waveform))
        return self.codec.normalise(waveform)[0]


def _check_description(described: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Raise ``ValueError`` for numbers that no saved codec has, before any are built from."""
    for name, value in described["recipe"]["options"].items():
        counts = name == "stages" or name.endswith("blocks")  # each of them has tensors of its own
        if isinstance(value, int) and value > (len(tensors) if counts else 65_536):
            raise ValueError(f"its description says {name} = {value}")
    for name in ("level_db", "contrast"):
        value = described[name]
        if value is not None and not (isinstance(value, int | float) and math.isfinite(value)):
            raise ValueError(f"its description says {name} = {value!r}")
    if not all(torch.isfinite(t).all() for t in tensors.values() if t.is_floating_point()):
        raise ValueError("its weights hold NaN or infinity")


def _kept(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What a codec needs: all but the moving averages, which only further training moves."""
    return {name: t for name, t in state.items() if not name.endswith(("ema_sum", "ema_count"))}


def _with_averages(fresh: dict[str, Tensor], saved: dict[str, Tensor]) -> dict[str, Tensor]:
    """``saved`` and the averages left out of it: of each code one vector, the code itself."""
    sums = {name: saved[name.replace("ema_sum", "codebook")] for name in fresh if "ema_sum" in name}
    counts = {name: torch.ones_like(t) for name, t in fresh.items() if "ema_count" in name}
    return saved | sums | counts


def loudest(waveform: Tensor, sample_rate: int) -> float:
    """RMS in dBFS of the loudest 0.4 s of ``waveform (samples,)``; -inf for silence.

    Silence around a word does not change it. 0.4 s is the window of the "momentary loudness" of
    EBU R 128 (2010), here without its frequency weighting.
    """
    window = min(len(waveform), round(0.4 * sample_rate))
    energy = torch.cumsum(torch.nn.functional.pad(waveform.double() ** 2, (1, 0)), dim=0)
    power = float((energy[window:] - energy[:-window]).max()) / window
    return 10 * math.log10(power) if power > 1e-12 else -math.inf
