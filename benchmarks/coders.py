"""Rows of `benchmarks/codecs.py` that need no other program: references, and vqlab itself.

A coder has a name and `code`, which takes a clip at 16 kHz and gives back the sound with half a
second of silence on both sides (`peers.Coded`). Ask for vqlab's highest rate first.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from vqlab import audio
from vqlab.codec import Codec
from vqlab.codec.analysis import Analysis

from code_key import version_of  # isort: skip
from peers import RATE, Coded, padded  # isort: skip


class Original:
    """The original itself, through the scorer: the best that any row can reach."""

    name, family, band, version, delay = "original", "reference", "wb", "", 0

    def code(self, clip: Tensor) -> Coded:
        return Coded(padded(clip), 16 * RATE / 1000, 16 * len(clip))


class TelephoneBand:
    """The original at a sample rate of 8 kHz, and back: the best of a narrowband codec."""

    name, family, band, version, delay = "original, 8 kHz band", "reference", "nb", "", 0

    def code(self, clip: Tensor) -> Coded:
        narrow = audio.resample(padded(clip), RATE, RATE // 2)
        return Coded(audio.resample(narrow, RATE // 2, RATE), 8 * RATE / 1000, 8 * len(clip))


class Uncoded:
    """A model's sound without any codes: its features alone, or its network as well.

    network : whether the frames go through encoder and decoder
    """

    family, band, delay = "reference", "wb", 0

    def __init__(self, name: str, codec: Codec, *, network: bool) -> None:
        self.name, self.codec, self.network = name, codec, network
        self.version = version_of(codec)

    @torch.no_grad()
    def code(self, clip: Tensor) -> Coded:
        codec, sound = self.codec, padded(clip)
        levelled, gain_db = codec.normalise(sound)
        x = codec.features.analyse(levelled.unsqueeze(0))
        if self.network:
            missing = -x.shape[-1] % codec.model.stride
            longer = torch.cat([x, x[..., -1:].expand(*x.shape[:-1], missing)], dim=-1)
            model = codec.model.eval()
            x = model.decoder(model.encoder(longer))[..., : x.shape[-1]]
        waveform = codec.features.synthesise(x, len(sound))[0]
        return Coded(waveform / 10 ** (gain_db / 20), None, None)


@functools.cache
def analysed(codec: Codec, clip: Tensor) -> tuple[Analysis, Analysis]:
    """The bare clip, and the clip with its silence, once for all rates."""
    return codec.analysis(clip), codec.analysis(padded(clip))


class Ours:
    """vqlab at the best setting whose file of the bare clip is at most `kbps`."""

    family, band, delay = "vqlab", "wb", 0

    def __init__(self, name: str, codec: Codec, kbps: float) -> None:
        self.name, self.codec, self.kbps = f"{name} {kbps:g}", codec, kbps
        self.version = version_of(codec)

    def code(self, clip: Tensor) -> Coded:
        bare, sound = analysed(self.codec, clip)
        quality, _, payload = bare.fitting(self.kbps)
        waveform = self.codec.decode(sound.codes(quality), sound.samples, sound.level)
        stored = 8 * (self.codec.overhead(bare.samples) + len(payload))
        return Coded(waveform, 8 * len(payload) * RATE / len(clip) / 1000, stored)
