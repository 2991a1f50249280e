"""Time against frequency: a slider for the length of the window.

A long window tells close frequencies apart and smears what is short; a short one does the reverse.
The one idea (Gabor 1946): the two blurs are one. At half their height a Hann window of n samples is
n / 2 samples wide in time and its spectrum is 2 / n of the sample rate wide, so their product is 1
whatever n is: the box that is drawn to scale changes its shape, never its area.

Notebook: 02
"""

from __future__ import annotations

from typing import Any

import traitlets as t
from vqlab.plots.shown import picture_uri

from vqlab import spectral
from vqlab.plots.media import sound_uri
from vqlab.spectral import MelConfig
from vqlab.widgets.base import Refused, Widget, assets, mono

RATE = 16000
LENGTHS = (64, 128, 256, 512, 1024, 2048, 4096)

FRAMES = 480
"""Columns of a picture, at most."""


class TradeOff(Widget):
    """The spectrogram of a sound (samples,) with windows of several lengths, under a slider.

    highest : the highest frequency shown, in Hz; left out: half the sample rate

    `n_fft` is the slider's; all pictures are made beforehand.
    Raises ValueError for a sound longer than 10 s.
    """

    _esm, _css = assets(__file__)
    _from_page = ("n_fft",)
    n_fft = t.Int().tag(sync=True)
    sample_rate = t.Int().tag(sync=True)
    lengths = t.List(t.Int()).tag(sync=True)
    _seconds = t.Float().tag(sync=True)
    _highest = t.Float().tag(sync=True)
    _pictures = t.List(t.Unicode()).tag(sync=True)
    _sound = t.Unicode().tag(sync=True)

    def __init__(self, waveform: Any, *, highest: float | None = None) -> None:
        rate, sound = RATE, mono(waveform, RATE, 10)
        highest = rate / 2 if highest is None else float(highest)
        if not 100 <= highest <= rate / 2:
            raise ValueError(f"highest is {highest} Hz, it must be from 100 to {rate / 2:g}")
        pictures = []
        for n_fft in LENGTHS:
            hop = max(1, min(len(sound) // FRAMES, n_fft // 4))
            own = MelConfig(sample_rate=rate, n_fft=n_fft, hop_length=hop, n_mels=1, f_max=rate / 2)
            power = spectral.stft(sound, own).abs().square() / n_fft
            bins = max(2, round(highest / rate * n_fft) + 1)
            pictures.append(picture_uri(spectral.to_db(power[:bins]), width=FRAMES, height=220))
        super().__init__(
            n_fft=512,
            sample_rate=rate,
            lengths=list(LENGTHS),
            _seconds=len(sound) / rate,
            _highest=highest,
            _pictures=pictures,
            _sound=sound_uri(sound, rate),
        )

    @t.validate("n_fft")
    def _one_of_them(self, proposal: Any) -> int:
        if self.lengths and proposal["value"] not in self.lengths:
            raise Refused(f"n_fft is {proposal['value']}, the slider has {self.lengths}")
        return proposal["value"]

    @property
    def seconds_blur(self) -> float:
        """Width in seconds of a click: of the Hann window at half its height."""
        return self.n_fft / 2 / self.sample_rate

    @property
    def hz_blur(self) -> float:
        """Width in Hz of a steady tone: of the window's spectrum at half its height."""
        return 2 * self.sample_rate / self.n_fft

    def asked(self, content: dict[str, Any]) -> None:
        raise ValueError("nothing is to be asked here")

    def sentence(self) -> str:
        return (
            f"spectrogram of {self._seconds:.2f} s with a window of {self.n_fft} samples: "
            f"{1000 * self.seconds_blur:.1f} ms × {self.hz_blur:.1f} Hz; in a page with a running "
            f"kernel a slider goes from {self.lengths[0]} to {self.lengths[-1]} samples"
        )
