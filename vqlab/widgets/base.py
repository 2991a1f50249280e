"""What the widgets share: their page, their questions to the kernel, their text, sound and picture.

A widget has two halves. In the page JavaScript answers at once to pointer and keys; in the kernel a
Python object keeps the state, checks what comes in, and can be used and tested without any page.
The one idea: whatever crosses over is text (JSON, sounds and pictures as data URIs), so every host
of widgets can carry it, and nothing is asked of the network.

Notebook: 05
"""

from __future__ import annotations

import base64
import io
import os
from importlib import resources
from typing import Any

import anywidget
import numpy as np
import soundfile
import torch
import traitlets as t
from torch import Tensor

from .. import spectral
from ..plots import RANGE_DB
from ..spectral import MelConfig

_COLOURS = 64


def assets(name: str, package: str = __package__) -> tuple[str, str]:
    """JavaScript module and style sheet of a widget of `package`: what all share, then its own."""

    def text(kind: str) -> str:
        places = (__package__, f"common.{kind}"), (package, f"{name}.{kind}")
        return "".join(resources.files(at).joinpath(file).read_text("utf-8") for at, file in places)

    return text("js"), text("css")


class Widget(anywidget.AnyWidget):
    """Base of the widgets. `notice` is a sentence to the learner, empty where all is well."""

    notice = t.Unicode("").tag(sync=True)

    def __init__(self, **state: Any) -> None:
        super().__init__(**state)
        self.on_msg(self._message)

    def sentence(self) -> str:
        """The state in words: what stands where no page is there to show it."""
        raise NotImplementedError

    def asked(self, content: dict[str, Any]) -> None:
        """Do what the page asks for. A ValueError becomes the notice."""
        raise NotImplementedError

    def _message(self, _: Any, content: dict[str, Any], __: Any) -> None:
        # All that an answer changes goes to the page in one piece.
        with self.hold_sync():
            try:
                self.notice = ""
                self.asked(content)
            except ValueError as error:
                self.notice = str(error)

    def __repr__(self) -> str:
        return f"[{self.sentence()}]"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None:
            bundle[0]["text/plain"] = repr(self)  # whole: some versions cut it short
        return bundle


def whole_number(content: dict[str, Any], name: str) -> int:
    """A number in a message from the page. Raises ValueError for anything else."""
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} must be a whole number, not {value!r}")
    return value


def seed_or_new(seed: int | None) -> int:
    """The seed, or one nobody can know."""
    return int.from_bytes(os.urandom(4), "little") if seed is None else seed


def mono(waveform: Any) -> Tensor:
    """`waveform` as float32 (samples,) on the CPU.

    Raises ValueError for another shape, no samples, or samples that are not finite.
    """
    sound = torch.as_tensor(waveform).detach().to("cpu", torch.float32)
    if sound.ndim == 2 and sound.shape[0] == 1:
        sound = sound[0]
    if sound.ndim != 1 or not sound.numel():
        raise ValueError(f"a sound is (samples,) with at least one, not {tuple(sound.shape)}")
    if not sound.isfinite().all():
        raise ValueError("the sound holds samples that are NaN or infinite; mend them first")
    return sound


def sound_uri(waveform: Tensor, sample_rate: int) -> str:
    """A sound as a data URI of 16-bit FLAC; turned down where it would clip."""
    samples = waveform.numpy().astype(np.float64)
    samples = samples * min(1.0, 0.999 / max(float(np.abs(samples).max()), 1e-9))
    memory = io.BytesIO()
    soundfile.write(memory, samples, sample_rate, format="FLAC", subtype="PCM_16")
    return _uri("audio/flac", memory.getvalue())


def spectrogram_uri(waveform: Tensor, config: MelConfig, *, width: int = 480) -> str:
    """A mel spectrogram without axes as a data URI, a pixel a band, `RANGE_DB` to black."""
    power = spectral.mel(waveform, config)[:, : max(1, len(waveform) // config.hop_length)]
    return picture_uri(spectral.to_db(power), width=width)


def picture_uri(
    db: Tensor, *, width: int = 480, height: int = 200, loudest: float | None = None
) -> str:
    """Decibels (bands, frames) as a picture; where there are more than pixels, the loudest count.

    Low frequencies are at the bottom; black is `RANGE_DB` below `loudest`, the loudest point
    where it is not given.
    """
    from matplotlib import colormaps
    from PIL import Image

    grid = db.numpy().astype(np.float64)
    for axis, most in enumerate((height, width)):
        length = grid.shape[axis]
        if length > most:
            grid = np.maximum.reduceat(grid, np.arange(most) * length // most, axis=axis)
    top = grid.max() if loudest is None else loudest
    level = np.clip((grid[::-1] - top) / RANGE_DB + 1.0, 0.0, 1.0)
    picture = Image.fromarray(np.round(level * (_COLOURS - 1)).astype(np.uint8))
    colours = colormaps["magma"](np.linspace(0, 1, _COLOURS))[:, :3]
    picture.putpalette(np.round(colours * 255).astype(np.uint8).tobytes())
    memory = io.BytesIO()
    picture.save(memory, format="PNG", optimize=True)
    return _uri("image/png", memory.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
