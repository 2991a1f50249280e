"""The codec: a waveform to integers, to bytes, and back.

A `Codec` is a trained autoencoder together with the features it was trained on and the
tables that say how often each code occurs. Given a waveform it returns codes and its level; given
those, a waveform. A long sound goes through in blocks (`vqlab.features`): those of mel frames
overlap so far that the network, and Griffin-Lim, see in the middle of each what they would see in
the whole; pictures are segments, one after the other.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from .. import models
from ..audio.long import Spooled
from ..audio.waveforms import loudest, one_sound
from ..features import Block, Features, Front, sharpen
from ..files import save_tensors
from ..files.codecs import find_codec
from ..models import Recipe
from ..quantize import QUALITY_STEPS
from . import entropy, file
from .analysis import Analysis, Level
from .packing import Packed, overhead, pack, unpack

LEVEL_DB = -20.0
"""Level every sound is brought to before it is coded: RMS of its loudest 0.4 s, in dBFS."""

FIT_AT = (0.3, 0.45, 0.6, 0.75, 0.9, 1.0)
"""Qualities at which `Codec.fit_tables` counts; 1 gives the loudest positions all stages."""

RATES = (0.5, 1.0, 1.5)
"""kbit/s that are tried where nobody says which."""


class Codec:
    """A model with its features: waveforms in, codes out, and back.

    With `level_db` every sound is brought to that level before it is coded, and back to its own
    afterwards; with None it is coded as it is, as pictures always are. `contrast` is that of the
    post-filter (`sharpen`) between decoder and inversion. A model without codes (an autoencoder)
    can be heard all the same (`through`).
    """

    def __init__(
        self,
        recipe: Recipe,
        features: Features | Front,
        *,
        level_db: float | None = LEVEL_DB,
        contrast: float = 0.0,
        model: models.Autoencoder | None = None,
        tables: entropy.Tables | None = None,
        trained: dict[str, Any] | None = None,
    ) -> None:
        self.recipe = recipe
        self.features: Any = features  # what only one kind has is asked of it alone
        self.level_db = None if isinstance(features, Front) else level_db
        self.contrast = contrast
        self.model = model if model is not None else recipe.build()
        self.tables = tables or entropy.uniform(self.model.bottleneck.codebook_sizes)
        self.trained = trained or {}
        self._identified: tuple[Any, bytes] | None = None

    @property
    def sample_rate(self) -> int:
        """Samples per second it takes and gives."""
        return self.features.config.sample_rate

    @property
    def rates(self) -> list[float]:
        """Nominal bits of one second of sound with 1, 2, … stages."""
        sizes = self.model.bottleneck.codebook_sizes
        per_position = [math.log2(size) for size in sizes]
        of = self.features.samples
        per_second = math.prod(self.grid(of)) * self.sample_rate / of
        return [per_second * sum(per_position[: n + 1]) for n in range(len(sizes))]

    @property
    def usual_kbps(self) -> float:
        """The rate where nobody asks for one: 1 kbit/s, or the lowest that the model has."""
        self.model.bottleneck.check_has_codes()
        return max(1.0, self.rates[0] / 1000)

    @property
    def usual_rates(self) -> list[float]:
        """Several rates where nobody says which: those of `RATES` that the model has."""
        lowest, highest = self.rates[0] / 1000, self.rates[-1] / 1000
        there = [kbps for kbps in RATES if kbps >= lowest]
        # A file needs some more than its codes; beyond twice that all rates would give one file.
        return [kbps for kbps in there if kbps <= 2 * highest] or there[:1] or [lowest]

    def grid(self, samples: int) -> tuple[int, ...]:
        """Shape of the codes of one stage for `samples` samples: (frames,) or (bands, frames)."""
        stride = self.model.stride
        frames = self.features.positions(samples, stride)
        return (self.features.rows // stride, frames) if self.features.picture else (frames,)

    def normalise(self, waveform: Tensor) -> tuple[Tensor, float]:
        """`waveform` at the level the model knows, and the gain in dB that took it there.

        The gain is a multiple of 0.5 dB between -63.5 and 63.5; silence gets 0.
        """
        gain_db = self.gain(waveform)
        return waveform * 10 ** (gain_db / 20), gain_db

    def gain(self, waveform: Tensor | Spooled) -> float:
        """The gain of `normalise`, in dB."""
        present = loudest(waveform, self.sample_rate)
        if self.level_db is None or present == -math.inf:
            return 0.0
        gain_db = round(2 * (self.level_db - present)) / 2
        return min(max(gain_db, -63.5), 63.5)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def analysis(self, waveform: Tensor | Spooled) -> Analysis:
        """Level and latents of `waveform (samples,)`: all that codes at any rate are made of.

        Raises `ValueError` for an empty waveform, more than one channel, NaN or infinity, and where
        the model has no codes.
        """
        self.model.bottleneck.check_has_codes()
        return Analysis(self, waveform)

    def encode(
        self, waveform: Tensor | Spooled, stages: int | None = None, *, quality: int | None = None
    ) -> tuple[Tensor, Level]:
        """Codes of `waveform (samples,)`: int64 `(1, stages, *positions)`, and the level.

        stages : the nearest codes, the same number of stages everywhere (None: all)
        quality : instead, a depth for each position, and better codes: see `Analysis.codes`.
            `quality_for` finds the quality of a rate.

        Raises `ValueError` as `analysis` does, for a number of `stages` or a `quality` that does
        not exist, and for both at once.
        """
        if stages is not None and quality is not None:
            raise ValueError("give stages or a quality (or kbps), not both")
        if stages is not None and not 1 <= stages <= len(self.rates):
            raise ValueError(f"stages is {stages}, this model has 1 to {len(self.rates)} stages")
        found = self.analysis(waveform)
        codes = found.nearest()[:, :stages] if quality is None else found.codes(quality)
        return codes, found.level

    def seen(
        self, waveform: Tensor | Spooled, gain_db: float
    ) -> Iterator[tuple[Block, Tensor, Tensor | None]]:
        """What the network sees of each block of a sound, and the block's level if it has one."""
        self.model.eval()
        for block in self._blocks(len(waveform)):
            piece = (waveform[block.samples].float() * 10 ** (gain_db / 20)).to(self.device)
            x, level = self.features.take(piece.unsqueeze(0))
            missing = -x.shape[-1] % self.model.stride
            yield block, torch.cat([x, x[..., -1:].expand(*x.shape[:-1], missing)], dim=-1), level

    def _blocks(self, samples: int) -> Any:
        blocks = self.features.blocks(samples, self.model.stride)
        return tqdm(blocks, "coding", delay=2, leave=False, disable=len(blocks) < 2)

    @property
    def samples_per_position(self) -> int:
        """Samples that one position of mel frames stands for."""
        return self.features.config.hop_length * self.model.stride

    def depth(self, first: Tensor, quality: int) -> Tensor:
        """Number of stages that each position has at a `quality`, by its first stage's code."""
        return self.model.bottleneck.depth(first, quality)

    def quality_for(self, waveform: Tensor | Spooled, kbps: float) -> int:
        """The quality at which the packed file has hardly less than `kbps`: `Analysis.fitting`."""
        return self.analysis(waveform).fitting(kbps)[0]

    def compress(self, waveform: Tensor | Spooled, kbps: float) -> bytes:
        """The packed file of `waveform (samples,)`, with `quality_for` that rate."""
        return self.analysis(waveform).compress(kbps)

    def payload(self, codes: Tensor) -> bytes:
        """The bytes of `codes (1, stages, *positions)` by the tables."""
        return self.tables.encode(codes[0].flatten(1).numpy())

    def to_bytes(self, codes: Tensor, samples: int, level: Level, quality: int) -> bytes:
        """The packed file of what `encode` gave at a `quality`."""
        return self.packed(self.payload(codes), samples, level, quality)

    def packed(self, payload: bytes, samples: int, level: Level, quality: int) -> bytes:
        """The packed file of codes that are bytes already."""
        gain_db = 0.0 if isinstance(level, Tensor) else level
        if isinstance(level, Tensor):
            payload = level.to(torch.int8).numpy().tobytes() + payload
        about = (self.sample_rate, self.identity(), quality, gain_db, samples)
        return pack(Packed(*about, payload, self.tables.version))

    def overhead(self, samples: int) -> int:
        """Bytes of a file that are not codes: header, checksum, and for pictures their ranges."""
        ranges = 2 * self.features.pieces(samples) if isinstance(self.features, Front) else 0
        return overhead(samples, self.tables.version) + ranges

    def from_bytes(self, data: bytes) -> tuple[Tensor, int, Level]:
        """Codes, number of samples and level of a packed file; the inverse of `to_bytes`.

        Raises `ValueError`, in one sentence, for bytes that this codec did not write.
        """
        packed = unpack(data)
        if (packed.identity, packed.version) != (self.identity(), self.tables.version):
            raise ValueError(
                f"this file was made with other weights (identity {packed.identity.hex()}, version "
                f"{packed.version}) than these ({self.identity().hex()}, {self.tables.version}): "
                "give the model it was compressed with"
            )
        level: Level = packed.gain_db
        payload = packed.payload
        if isinstance(self.features, Front):
            ranges = self.overhead(packed.samples) - overhead(packed.samples, packed.version)
            if len(payload) < ranges:
                raise ValueError(f"{len(payload)} bytes are too few for the sound: damaged?")
            level = torch.frombuffer(bytearray(payload[:ranges]), dtype=torch.int8)
            level, payload = level.reshape(-1, 2).float(), payload[ranges:]
        grid = self.grid(packed.samples)

        def depth(first: np.ndarray) -> np.ndarray:
            return self.depth(torch.from_numpy(first).long(), packed.quality).numpy()

        found = self.tables.decode(payload, math.prod(grid), depth)
        codes = torch.from_numpy(found).reshape(1, len(found), *grid)
        return codes, packed.samples, level

    def decode(
        self, codes: Tensor, samples: int, level: Level = 0.0, *, n_iter: int | None = None
    ) -> Tensor:
        """Waveform `(samples,)` of codes `(1, stages, *positions)` at their level.

        n_iter : steps of the way back to a waveform (None: as many as the features say, or 32)
        """
        return torch.cat(list(self.decode_blocks(codes, samples, level, n_iter=n_iter)))

    @torch.no_grad()
    def decode_blocks(
        self, codes: Tensor, samples: int, level: Level = 0.0, *, n_iter: int | None = None
    ) -> Iterator[Tensor]:
        """As `decode`, in pieces, one after the other."""
        self.model.eval()
        for n, block in enumerate(self._blocks(samples)):
            x = self.model.decode(codes[..., block.positions].to(self.device).long())
            own = level[n : n + 1] if isinstance(level, Tensor) else level
            yield self.heard(x, block, own, n_iter)

    def heard(self, x: Tensor, block: Block, level: Level, n_iter: int | None = None) -> Tensor:
        """The waveform `(samples,)` of what the decoder made of a block."""
        if self.contrast:
            x = sharpen(x, self.contrast)
        waveform = self.features.give(x, block, level, n_iter=n_iter)[0, block.kept].cpu()
        return waveform if isinstance(level, Tensor) else waveform / 10 ** (level / 20)

    @torch.no_grad()
    def through(self, waveform: Tensor, *, inversion: bool = False) -> Tensor:
        """What the model makes of `waveform (samples,)`, without a file; of one without codes too.

        inversion : leave out the network: to what it sees, and back
        """
        waveform = one_sound(waveform)
        gain_db = self.gain(waveform)
        pieces = []
        for block, x, level in self.seen(waveform, gain_db):
            y = x if inversion else self.model(x)[0].float()
            pieces.append(self.heard(y, block, gain_db if level is None else level))
        return torch.cat(pieces)

    def reconstruct(
        self, waveform: Tensor, stages: int | None = None, *, kbps: float | None = None
    ) -> Tensor:
        """`waveform (samples,)` coded and decoded: what a listener would get.

        With the same number of `stages` everywhere (None: all), or at a rate `kbps`.
        """
        if kbps is None:
            codes, level = self.encode(waveform, stages)
            return self.decode(codes, len(waveform), level)
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
        """The codec that `save` wrote, or that lies in the folder of its training.

        Raises `ValueError` for another kind of file, `FileNotFoundError` where there is none.
        """
        described, weights = file.read(find_codec(path))
        codec = Codec(**described)
        codec.model.load_state_dict(file.with_averages(codec.model.state_dict(), weights))
        codec.model.eval()
        return codec

    def identity(self) -> bytes:
        """Two bytes that tell one set of weights and tables from another (start of a SHA-256)."""
        state = [*self.model.parameters(), *self.model.buffers()]
        now = self.tables, [file.mark(tensor) for tensor in state]
        if self._identified is None or self._identified[0] != now:
            self._identified = now, file.identity(self._tensors())
        return self._identified[1]

    def _tensors(self) -> dict[str, Tensor]:
        tables = file.table_tensors(self.tables) if self.rates else {}
        return file.stored(self.model.state_dict()) | tables
