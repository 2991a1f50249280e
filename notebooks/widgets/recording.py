"""Your own voice: record it in the browser, upload a file, or take the clip that is here.

The page takes the samples from the microphone itself and decodes files with the browser's own
decoder, so no program such as ffmpeg is needed, in JupyterLab or in Colab. The one idea: there is
always a sound. Before anything is recorded `waveform` is the bundled clip, so that cells below
run, with a microphone and without. What is recorded stays in the kernel's memory and is written
nowhere.

Notebook: 10
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

import numpy as np
import traitlets as t
from torch import Tensor
from vqlab.plots.shown import spectrogram_uri

from vqlab import audio
from vqlab.files import bundled
from vqlab.plots.media import sound_uri
from vqlab.spectral import MelConfig
from vqlab.widgets.base import LONGEST, Widget, assets, mono

CLIP = ("voices", "en", "welcome.flac")

QUIET = 1e-3
"""A recording whose peak stays below this holds no voice (−60 dBFS)."""


class Recorder(Widget):
    """Buttons to record up to `seconds`, to upload a file, or to take a clip that is here.

    clip : path of a sound file to begin with; left out: a bundled voice

    What is there: `waveform (samples,)`, `sample_rate`, and `source` in words.
    `source` can be observed to learn of a new sound.

    Raises ValueError for a length that is not above 0 or above 120 s.
    """

    _esm, _css = assets(__file__)
    source = t.Unicode().tag(sync=True)
    seconds = t.Float().tag(sync=True)
    longest = t.Float(60.0).tag(sync=True)  # seconds that are kept of an uploaded file
    sample_rate = t.Int(16000).tag(sync=True)  # the browser brings everything to it, mono
    _sound = t.Unicode().tag(sync=True)
    _picture = t.Unicode().tag(sync=True)
    _length = t.Float().tag(sync=True)

    def __init__(self, *, seconds: float = 3.0, clip: str | Path | None = None) -> None:
        if not 0 < seconds <= LONGEST:
            raise ValueError(f"seconds is {seconds}, it must be above 0 and at most {LONGEST:g}")
        self._clip = bundled(*CLIP) if clip is None else Path(clip)
        super().__init__(seconds=seconds)
        self.take_clip()

    @property
    def waveform(self) -> Tensor:
        """The sound: float32 (samples,)."""
        return self._waveform.clone()

    def take_clip(self) -> None:
        """Take the clip that is here already."""
        waveform, _ = audio.load(self._clip, sample_rate=self.sample_rate, longest=LONGEST)
        ours = self._clip == bundled(*CLIP)
        self._become(waveform, f"bundled clip “{self._clip.stem}”" if ours else self._clip.name)

    def receive(self, data: bytes, source: str) -> None:
        """Take float32 samples (little-endian) from the page.

        Raises ValueError for bytes that are no such samples; the old sound stays then.
        """
        if not data or len(data) % 4:
            raise ValueError(f"{len(data)} bytes are no float32 samples: record it again")
        most = round(self.longest * self.sample_rate)
        waveform = mono(np.frombuffer(data[: 4 * most], "<f4").copy(), self.sample_rate, LONGEST)
        peak = float(waveform.abs().max())
        if peak < QUIET:
            raise ValueError(
                "Nothing but silence arrived. Is the microphone muted, or is another one chosen in "
                "the browser's settings? The sound from before is kept."
            )
        if peak >= 0.999:
            self.notice = "The loudest samples are at full scale: it may crackle. Go further away."
        self._become(waveform, source)

    def _become(self, waveform: Tensor, source: str) -> None:
        self._waveform = waveform
        self._length = len(waveform) / self.sample_rate
        self._sound = sound_uri(waveform, self.sample_rate)
        self._picture = spectrogram_uri(waveform, MelConfig())
        self.set_trait("source", "")  # so that two recordings in a row are two changes
        self.source = source

    def asked(self, content: dict[str, Any]) -> None:
        if content.get("do") == "clip":
            self.take_clip()
            return
        try:
            data = base64.b64decode(str(content.get("samples", "")), validate=True)
        except binascii.Error as error:
            raise ValueError(f"the samples did not arrive whole ({error}): try again") from None
        self.receive(data, str(content.get("source", ""))[:80] or "a sound without a name")

    def sentence(self) -> str:
        return (
            f"recorder holding {self._length:.2f} s at {self.sample_rate} Hz: {self.source}; with "
            "a running kernel you can record or upload another sound"
        )
