"""The codes of a word as a strip: change one, hear what that does.

A row for each stage, a column for each position, above them the spectrogram of what is heard. The
one idea: the strip is the whole message. What you do not change sounds as before, and what you
change you hear and see, about as far as the decoder looks around a position.

Notebook: 12
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import traitlets as t
from torch import Tensor
from vqlab.plots.shown import spectrogram_uri

from vqlab import edit
from vqlab.codec import Codec
from vqlab.plots.media import sound_uri
from vqlab.widgets.base import Widget, assets, whole_number

MOST = 250
"""Positions of a strip: ten seconds as shipped."""


class CodeStrip(Widget):
    """A strip of `codes (1, stages, positions)`, as `Codec.encode` gives them with `gain_db`.

    `codes` and `waveform` are always those of the strip.
    Raises ValueError for codes that are not well-formed, that the codec does not have, or with more
    than 250 positions.
    """

    _esm, _css = assets(__file__)
    grid: t.List[Any] = t.List().tag(sync=True)  # (stages, positions)
    _original: t.List[Any] = t.List().tag(sync=True)
    _sizes: t.List[int] = t.List().tag(sync=True)  # codes that each stage has
    _seconds = t.Float().tag(sync=True)  # of one position
    _sound = t.Unicode().tag(sync=True)
    _first_sound = t.Unicode().tag(sync=True)
    _picture = t.Unicode().tag(sync=True)

    def __init__(self, codec: Codec, codes: Tensor, gain_db: float = 0.0) -> None:
        edit.check(codes)
        if codes.shape[2] > MOST:
            raise ValueError(
                f"the codes have {codes.shape[2]} positions, a strip takes {MOST}: give a part of "
                "them, for example codes[..., :50]"
            )
        self._codec, self._gain_db = codec, gain_db
        self._past: deque[Tensor] = deque(maxlen=1000)
        self._codes = self._first = codes.clone()
        sizes = codec.model.bottleneck.codebook_sizes[: codes.shape[1]]
        super().__init__(
            _original=codes[0].tolist(),
            _sizes=list(sizes),
            _seconds=codec.samples_per_position / codec.sample_rate,
        )
        self._become(codes)
        self._first_sound = self._sound

    @property
    def codes(self) -> Tensor:
        """The codes as they are now: int64 (1, stages, positions)."""
        return self._codes.clone()

    @property
    def waveform(self) -> Tensor:
        """What they sound like: (samples,)."""
        return self._waveform.clone()

    @property
    def sample_rate(self) -> int:
        """Of the waveform, in Hz."""
        return self._codec.sample_rate

    def replace(self, position: int, stage: int, code: int) -> None:
        """Change one code, as `edit.replace` does: -1 takes it and all finer stages away.

        Raises ValueError for a position, stage or code that is not there; nothing changes then.
        """
        before = self._codes
        self._become(edit.replace(before, position, stage, code))
        self._past.append(before)

    def undo(self) -> None:
        """Take the last change back, if there is one."""
        if self._past:
            self._become(self._past.pop())

    def reset(self) -> None:
        """Back to the codes that were given; `undo` takes this back, too."""
        if not self._codes.equal(self._first):
            self._past.append(self._codes)
            self._become(self._first)

    def changed(self) -> list[tuple[int, int]]:
        """(position, stage) of every code that is not as it was given."""
        return [(p, s) for s, p in (self._codes != self._first)[0].nonzero().tolist()]

    def _become(self, codes: Tensor) -> None:
        for stage, size in enumerate(self._sizes):
            if int(codes[0, stage].max()) >= size:
                raise ValueError(
                    f"code is {int(codes[0, stage].max())}: stage {stage} has codes 0 to {size - 1}"
                )
        self._waveform = edit.sound(codes, self._codec, gain_db=self._gain_db)
        self._codes = codes
        self.grid = codes[0].tolist()
        self._sound = sound_uri(self._waveform, self.sample_rate)
        self._picture = spectrogram_uri(self._waveform, self._codec.features.config)

    def asked(self, content: dict[str, Any]) -> None:
        what = content.get("do")
        if what == "undo":
            self.undo()
        elif what == "reset":
            self.reset()
        else:
            position, stage = whole_number(content, "position"), whole_number(content, "stage")
            if what == "random":
                edit.replace(self._codes, position, stage, 0)  # is there such a place?
                code = random.randrange(self._sizes[stage] - 1)
                code += code >= int(self._codes[0, stage, position])  # any but the present one
            else:
                code = whole_number(content, "code")
            self.replace(position, stage, code)

    def sentence(self) -> str:
        stages, positions = self._codes.shape[1:]
        return (
            f"strip of {stages} × {positions} codes, {len(self.changed())} of them changed, "
            f"{positions * self._seconds:.2f} s; with a running kernel you can change and hear them"
        )
