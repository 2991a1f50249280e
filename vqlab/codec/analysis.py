"""What a codec finds in one sound, once for every rate.

The one idea: data goes forward once. Level and latents of a sound do not depend on the rate, and
what a beam search finds at one depth does not depend on whether it goes deeper. So the encoder runs
once, block by block, and one search, as deep as the highest quality that is asked for, holds the
codes of all lower ones.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..audio.long import Spooled
from ..audio.waveforms import HIGHEST_PEAK, one_sound
from ..quantize import ResidualQuantizer
from ..quantize.residual import Paths

if TYPE_CHECKING:
    from .codec import Codec

Level = float | Tensor
"""What brings a sound back to its own level: a gain in dB, or for pictures the range of each
segment, whole decibels (segments, 2)."""

LOWEST_QUALITY, HIGHEST_QUALITY = 0, 255
"""The first gives every position one stage; a packed file holds the quality in a byte."""


class Analysis:
    """One sound as `codec` sees it; `Codec.analysis` makes it.

    Codes are int64 `(1, stages, *positions)`. Of several rates ask for the highest first: what was
    searched for it serves the lower ones.
    """

    @torch.no_grad()
    def __init__(self, codec: Codec, waveform: Tensor | Spooled) -> None:
        if not isinstance(waveform, Spooled):  # which was checked when it was read
            waveform = one_sound(waveform, highest=HIGHEST_PEAK)
        self.codec = codec
        self.samples = len(waveform)
        gain_db = codec.gain(waveform)
        self.latents: list[Tensor] = []
        """What the encoder makes of each block, `(1, dim, *positions)`."""
        ranges = []
        for block, x, level in codec.seen(waveform, gain_db):
            self.latents.append(codec.model.encoder(x)[..., block.own].contiguous())
            ranges += [] if level is None else [level]
        self.level: Level = torch.cat(ranges) if ranges else gain_db
        self._paths: list[Paths] = []
        self._searched = -1  # the quality of `_paths`

    @cached_property
    def _nearest(self) -> list[Tensor]:
        """`nearest` block by block, int32."""
        return [self.codec.model.bottleneck.encode(z).int() for z in self.latents]

    def nearest(self) -> Tensor:
        """The nearest code in every stage, all stages everywhere."""
        return torch.cat(self._nearest, dim=-1).cpu().long()

    def codes(self, quality: int) -> Tensor:
        """Codes at a quality: loud positions get more stages, and -1 stands where one has none.

        They are searched for instead of taking the nearest in every stage. Raises `ValueError` for
        a `quality` that does not exist.
        """
        if not LOWEST_QUALITY <= quality <= HIGHEST_QUALITY:
            raise ValueError(
                f"quality is {quality}: it is a number from {LOWEST_QUALITY} to {HIGHEST_QUALITY}"
            )
        bottleneck = self.codec.model.bottleneck
        if not isinstance(bottleneck, ResidualQuantizer):
            return self.nearest()
        depths = [bottleneck.depth(codes[:, 0].long(), quality) for codes in self._nearest]
        if quality > self._searched:
            pairs = list(zip(self.latents, depths, strict=True))
            bar = tqdm(pairs, "searching", delay=2, leave=False, disable=len(pairs) < 2)
            self._paths = [bottleneck.paths(z, depth) for z, depth in bar]
            self._searched = quality
        found = [p.codes(depth) for p, depth in zip(self._paths, depths, strict=True)]
        return torch.cat(found, dim=-1).cpu()

    def fitting(self, kbps: float) -> tuple[int, Tensor, bytes]:
        """The quality at which the packed file has hardly less than `kbps`, its codes, their bytes.

        The file counts whole, with header and checksum. Where these make even the lowest quality
        too much, as on a short sound, that quality is taken all the same. Raises `ValueError`
        where the codes of one stage, without entropy coding, already need more.
        """
        codec = self.codec
        if not codec.rates[0] <= 1000 * kbps + 1e-6:  # so that NaN is refused too
            raise ValueError(
                f"this model has no rate of {kbps:g} kbit/s: ask for {codec.rates[0] / 1000:g} or "
                "more"
            )
        most = 1000 * kbps * self.samples / codec.sample_rate / 8  # bytes
        # The estimate may be off by a byte; from one byte too many the way down finds what fits.
        quality = self._estimate(most + 1)
        while True:
            codes = self.codes(quality)
            payload = codec.payload(codes)
            fits = codec.overhead(self.samples) + len(payload) <= most
            if fits or quality == LOWEST_QUALITY:
                return quality, codes, payload
            quality -= 1

    def _estimate(self, most: float) -> int:
        """The highest quality whose nearest codes fit into `most` bytes by the tables."""
        codec = self.codec
        if len(codec.rates) == 1:  # all qualities are the same
            return LOWEST_QUALITY
        codes = self.nearest()[0].flatten(1)  # (stages, positions)
        cost = torch.from_numpy(codec.tables.cost(codes.numpy()))
        low, high = LOWEST_QUALITY, HIGHEST_QUALITY
        while low < high:  # the size never falls as the quality rises
            middle = (low + high + 1) // 2
            there = torch.arange(len(codes))[:, None] < codec.depth(codes[0], middle)
            fits = codec.overhead(self.samples) + float(cost[there].sum()) / 8 <= most
            low, high = (middle, high) if fits else (low, middle - 1)
        return low

    def compress(self, kbps: float) -> bytes:
        """The packed file at `fitting` quality."""
        quality, _, payload = self.fitting(kbps)
        return self.codec.packed(payload, self.samples, self.level, quality)
