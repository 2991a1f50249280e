"""The codec: a waveform to integers, to bytes, and back.

A `Codec` is a trained autoencoder together with the features it was trained on and the
tables that say how often each code occurs. Given a waveform it returns codes and one gain; given
those, a waveform. A long sound goes through in blocks that overlap so far that the network, and
Griffin-Lim, see in the middle of each what they would see in the whole.

Notebook: 00
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from .. import models
from ..audio.long import Spooled
from ..audio.loudness import loudest
from ..features import Features, sharpen
from ..files import save_tensors
from ..quantize import QUALITY_STEPS
from . import entropy, file
from .file import Recipe
from .packing import Packed, overhead, pack, unpack

LEVEL_DB = -20.0
"""Level every sound is brought to before it is coded: RMS of its loudest 0.4 s, in dBFS."""


LOWEST_QUALITY, HIGHEST_QUALITY = 0, 255
"""The first gives every position one stage; a packed file holds the quality in a byte."""

FIT_AT = (0.3, 0.45, 0.6, 0.75, 0.9, 1.0)
"""Qualities at which `Codec.fit_tables` counts; 1 gives the loudest positions all stages."""

BLOCK_SECONDS = 10.0
"""Sound that is coded or decoded at a time."""
CONTEXT_SECONDS = 2.5
"""What a block sees beyond its ends: more than the shipped network's reach (1.2 s) and that of 32
steps of Griffin-Lim (1 s) together, so that a block's middle is as in the whole sound."""


class Codec:
    """A model with its features: waveforms in, codes out, and back.

    With `level_db` every sound is brought to that level before it is coded, and back to its own
    afterwards; with None it is coded as it is. `contrast` is that of the post-filter
    (`sharpen`) between decoder and inversion.
    """

    def __init__(
        self,
        recipe: Recipe,
        features: Features,
        *,
        level_db: float | None = LEVEL_DB,
        contrast: float = 0.0,
        model: models.Autoencoder | None = None,
        tables: entropy.Tables | None = None,
        trained: dict[str, Any] | None = None,
    ) -> None:
        self.recipe = recipe
        self.features = features
        self.level_db = level_db
        self.contrast = contrast
        self.model = model if model is not None else recipe.build()
        self.tables = tables or entropy.uniform(self.model.bottleneck.codebook_sizes)
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
        """Shape of the codes of one stage for `samples` samples: (frames,) or (bands, frames)."""
        stride = self.model.stride
        frames = -(-self.features.frames(samples) // stride)
        return (
            (self.features.config.n_mels // stride, frames) if self.features.picture else (frames,)
        )

    def normalise(self, waveform: Tensor) -> tuple[Tensor, float]:
        """`waveform` at the level the model knows, and the gain in dB that took it there.

        The gain is a multiple of 0.5 dB between -63.5 and 63.5; silence gets 0.
        """
        gain_db = self._gain(waveform)
        return waveform * 10 ** (gain_db / 20), gain_db

    def _gain(self, waveform: Tensor | Spooled) -> float:
        present = loudest(waveform, self.sample_rate)
        if self.level_db is None or present == -math.inf:
            return 0.0
        gain_db = round(2 * (self.level_db - present)) / 2
        return min(max(gain_db, -63.5), 63.5)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    @torch.no_grad()
    def encode(
        self,
        waveform: Tensor | Spooled,
        stages: int | None = None,
        *,
        quality: int | None = None,
    ) -> tuple[Tensor, float]:
        """Codes of `waveform (samples,)`: int64 `(1, stages, *positions)`, and the gain in dB.

        stages : the same number of stages everywhere (None: all)
        quality : instead, a depth for each position: loud ones get more stages, and -1 stands
            where a position has none. The codes are searched for instead of taking the nearest in
            every stage. `quality_for` finds the quality of a rate.

        Raises `ValueError` for an empty waveform, more than one channel, NaN or infinity, a
        number of `stages` or a `quality` that does not exist, and for both at once.
        """
        if stages is not None and quality is not None:
            raise ValueError("give stages or a quality (or kbps), not both")
        if quality is not None and not LOWEST_QUALITY <= quality <= HIGHEST_QUALITY:
            raise ValueError(
                f"quality is {quality}: it is a number from {LOWEST_QUALITY} to {HIGHEST_QUALITY}"
            )
        if stages is not None and not 1 <= stages <= len(self.rates):
            raise ValueError(f"stages is {stages}, this model has 1 to {len(self.rates)} stages")
        _check(waveform)
        gain_db = self._gain(waveform)
        bottleneck = self.model.bottleneck
        found = []
        for z in self._latents(waveform, gain_db):
            if quality is None or len(self.rates) == 1:
                found.append(bottleneck(z).codes[:, :stages].int().cpu())
            else:
                depth = self.depth(bottleneck(z, 1).codes[:, 0], quality)
                found.append(bottleneck.search(z, depth).int().cpu())
        return torch.cat(found, dim=-1).long(), gain_db

    def _latents(self, waveform: Tensor | Spooled, gain_db: float) -> Iterator[Tensor]:
        """What the encoder makes of the waveform, `(1, dim, *positions)`, block by block."""
        self.model.eval()
        for block in self._blocks(len(waveform)):
            piece = waveform[block.start * self._stride : block.stop * self._stride].float()
            piece = (piece * 10 ** (gain_db / 20)).to(self.device)
            x = self.features.analyse(piece.unsqueeze(0))
            missing = -x.shape[-1] % self.model.stride
            x = torch.cat([x, x[..., -1:].expand(*x.shape[:-1], missing)], dim=-1)
            yield self.model.encoder(x)[..., block.own]

    @property
    def _stride(self) -> int:
        """Samples from one position to the next."""
        return self.features.config.hop_length * self.model.stride

    def _blocks(self, samples: int) -> Iterator[Block]:
        per_second = self.sample_rate / self._stride
        length, context = (round(s * per_second) for s in (BLOCK_SECONDS, CONTEXT_SECONDS))
        positions = self.grid(samples)[-1]
        starts = range(0, positions, length)
        for first in tqdm(starts, "coding", delay=2, leave=False, disable=len(starts) < 2):
            start, last = max(0, first - context), min(first + length, positions)
            yield Block(start, min(last + context, positions), slice(first - start, last - start))

    def depth(self, first: Tensor, quality: int) -> Tensor:
        """Number of stages that each position has at a `quality`, by its first stage's code.

        `first` int64 of any shape; returns the same shape.
        """
        if len(self.rates) == 1:
            return torch.ones_like(first)
        return self.model.bottleneck.depth(first, quality)

    def quality_for(self, waveform: Tensor | Spooled, kbps: float) -> int:
        """The quality at which the packed file of `waveform` has hardly less than `kbps`.

        The file counts whole, with header and checksum. Where these make even the lowest quality
        too much, as on a short sound, that quality is taken all the same. Raises `ValueError`
        where the codes of one stage, without entropy coding, already need more.
        """
        return unpack(self.compress(waveform, kbps)).quality

    def compress(self, waveform: Tensor | Spooled, kbps: float) -> bytes:
        """The packed file of `waveform (samples,)`, with `quality_for` that rate."""
        if not self.rates[0] <= 1000 * kbps + 1e-6:  # so that NaN is refused too
            raise ValueError(
                f"this model has no rate of {kbps:g} kbit/s: ask for {self.rates[0] / 1000:g} or "
                "more"
            )
        most = 1000 * kbps * len(waveform) / self.sample_rate / 8  # bytes
        # The estimate may be off by a byte; from one byte too many the way down finds what fits.
        quality = LOWEST_QUALITY if len(self.rates) == 1 else self._estimate(waveform, most + 1)
        while True:
            codes, gain_db = self.encode(waveform, quality=quality)
            payload = self.tables.encode(codes[0].flatten(1).numpy())
            fits = overhead(len(waveform)) + len(payload) <= most
            if fits or quality == LOWEST_QUALITY:
                return self.to_bytes(codes, len(waveform), gain_db, quality)
            quality -= 1

    def _estimate(self, waveform: Tensor | Spooled, most: float) -> int:
        """The highest quality whose nearest codes fit into `most` bytes by the tables."""
        codes = self.encode(waveform)[0][0].flatten(1)  # (stages, positions)
        cost = torch.from_numpy(self.tables.cost(codes.numpy()))
        low, high = LOWEST_QUALITY, HIGHEST_QUALITY
        while low < high:  # the size never falls as the quality rises
            middle = (low + high + 1) // 2
            there = torch.arange(len(codes))[:, None] < self.depth(codes[0], middle)
            fits = overhead(len(waveform)) + float(cost[there].sum()) / 8 <= most
            low, high = (middle, high) if fits else (low, middle - 1)
        return low

    def to_bytes(self, codes: Tensor, samples: int, gain_db: float, quality: int) -> bytes:
        """The packed file of what `encode` gave at a `quality`."""
        payload = self.tables.encode(codes[0].flatten(1).numpy())
        return pack(Packed(self.sample_rate, self.identity(), quality, gain_db, samples, payload))

    def from_bytes(self, data: bytes) -> tuple[Tensor, int, float]:
        """Codes, number of samples and gain of a packed file; the inverse of `to_bytes`.

        Raises `ValueError`, in one sentence, for bytes that this codec did not write.
        """
        packed = unpack(data)
        if packed.identity != self.identity():
            raise ValueError(
                f"this file was made with other weights (identity {packed.identity.hex()}) than "
                f"these ({self.identity().hex()}): give the model it was compressed with"
            )
        grid = self.grid(packed.samples)

        def depth(first: np.ndarray) -> np.ndarray:
            return self.depth(torch.from_numpy(first).long(), packed.quality).numpy()

        found = self.tables.decode(packed.payload, math.prod(grid), depth)
        codes = torch.from_numpy(found).reshape(1, len(found), *grid)
        return codes, packed.samples, packed.gain_db

    def decode(
        self, codes: Tensor, samples: int, gain_db: float = 0.0, *, n_iter: int = 32
    ) -> Tensor:
        """Waveform `(samples,)` of codes `(1, stages, *positions)`; the gain is undone."""
        return torch.cat(list(self.decode_blocks(codes, samples, gain_db, n_iter=n_iter)))

    @torch.no_grad()
    def decode_blocks(
        self, codes: Tensor, samples: int, gain_db: float = 0.0, *, n_iter: int = 32
    ) -> Iterator[Tensor]:
        """As `decode`, in pieces, one after the other."""
        self.model.eval()
        for block in self._blocks(samples):
            piece = codes[..., block.start : block.stop].to(self.device).long()
            start = block.start * self._stride
            length = min(block.stop * self._stride, samples) - start
            x = self.model.decode(piece)[..., : self.features.frames(length)]
            if self.contrast:
                x = sharpen(x, self.contrast)
            first_frame = start // self.features.config.hop_length
            waveform = self.features.synthesise(x, length, n_iter=n_iter, first_frame=first_frame)
            own = slice(block.own.start * self._stride, block.own.stop * self._stride)
            yield waveform[0, own].cpu() / 10 ** (gain_db / 20)

    def reconstruct(
        self, waveform: Tensor, stages: int | None = None, *, kbps: float | None = None
    ) -> Tensor:
        """`waveform (samples,)` coded and decoded: what a listener would get.

        With the same number of `stages` everywhere (None: all), or at a rate `kbps`.
        """
        if kbps is None:
            codes, gain_db = self.encode(waveform, stages)
            return self.decode(codes, len(waveform), gain_db)
        if stages is not None:
            raise ValueError("give stages or a quality (or kbps), not both")
        return self.decode(*self.from_bytes(self.compress(waveform, kbps)))

    def fit_tables(self, waveforms: Sequence[Tensor]) -> None:
        """Count the codes of `waveforms` at several qualities in turn, and keep the tables.

        They are right for sounds like these, and part of the codec's identity: files made before do
        not open any more.
        """
        bottleneck = self.model.bottleneck
        sizes = bottleneck.codebook_sizes
        some = [round(share * QUALITY_STEPS * len(sizes)) for share in FIT_AT]
        counted = []
        for n, waveform in enumerate(tqdm(waveforms, "counting codes", delay=2, leave=False)):
            codes, _ = self.encode(waveform, quality=some[n % len(some)])
            counted.append(codes[0].flatten(1).numpy())
        codebook = bottleneck.decode(torch.arange(sizes[0], device=self.device)[:, None, None])
        context = entropy.group_codes(codebook.flatten(1).cpu())
        self.tables = entropy.fit(counted, sizes, context)

    def describe(self) -> dict[str, Any]:
        """Everything but the numbers of model and tables, as plain data (JSON)."""
        return {
            "recipe": dataclasses.asdict(self.recipe),
            "features": dataclasses.asdict(self.features),
            "level_db": self.level_db,
            "contrast": self.contrast,
            "trained": self.trained,
        }

    def save(self, path: str | Path) -> None:
        """Write weights (float16), tables and description to one safetensors file, atomically."""
        save_tensors(self._tensors(), Path(path), {"codec": json.dumps(self.describe())})

    @staticmethod
    def load(path: str | Path) -> Codec:
        """The codec that `save` wrote. Raises `ValueError` for another kind of file."""
        parts = file.read(path)
        codec = Codec(
            parts.recipe,
            parts.features,
            level_db=parts.level_db,
            contrast=parts.contrast,
            tables=parts.tables,
            trained=parts.trained,
        )
        codec.model.load_state_dict(file.with_averages(codec.model.state_dict(), parts.weights))
        codec.model.eval()
        return codec

    def identity(self) -> bytes:
        """Two bytes that tell one set of weights and tables from another (start of a SHA-256)."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self._tensors().items()):
            digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
        return digest.digest()[:2]

    def _tensors(self) -> dict[str, Tensor]:
        state = file.kept(self.model.state_dict())
        weights = {
            name: tensor.detach().cpu().half() if tensor.is_floating_point() else tensor.cpu()
            for name, tensor in state.items()
        }
        return weights | file.table_tensors(self.tables)


@dataclass(frozen=True)
class Block:
    """Positions `start` to `stop`, of which those in `own`, counted from there, are kept."""

    start: int
    stop: int
    own: slice


def _check(waveform: Tensor | Spooled) -> None:
    if isinstance(waveform, Spooled):  # checked when it was read
        return
    if waveform.ndim != 1 or len(waveform) == 0 or not waveform.is_floating_point():
        raise ValueError(
            "a waveform must be (samples,) of floating-point numbers in [-1, 1], not "
            f"{tuple(waveform.shape)} of {waveform.dtype}"
        )
    if not torch.isfinite(waveform).all():
        raise ValueError("the waveform holds NaN or infinity: repair it before coding")
