"""What the widgets share: their page, their questions to the kernel, their text, sound and picture.

A widget has two halves. In the page JavaScript answers at once to pointer and keys; in the kernel a
Python object keeps the state, checks what comes in, and can be used and tested without any page.
The one idea: whatever crosses over is text (JSON, sounds and pictures as data URIs), so every host
of widgets can carry it, and nothing is asked of the network.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets as t
from torch import Tensor

from ..audio import one_sound


def assets(widget: str) -> tuple[str, str]:
    """JavaScript module and style sheet for the Python file of a widget.

    What all share, then what lies beside the file under the same name.
    """

    def text(suffix: str) -> str:
        places = Path(__file__).with_name(f"common{suffix}"), Path(widget).with_suffix(suffix)
        return "".join(place.read_text("utf-8") for place in places)

    return text(".js"), text(".css")


LONGEST = 120.0
"""Seconds of sound that a message may carry: as float32 in text they are 10 MB."""


class Refused(t.TraitError, ValueError):
    """A value that a widget does not take; the one before stays."""


class Widget(anywidget.AnyWidget):
    """Base of the widgets. `notice` is a sentence to the learner, empty where all is well."""

    _from_page: tuple[str, ...] = ()
    """The names that the page may set; all others are the kernel's."""

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

    def _message(self, _: Any, content: Any, __: Any) -> None:
        if isinstance(content, dict):  # anything else is not from our page
            self._answered(lambda: self.asked(content))

    def set_state(self, sync_data: Any) -> None:
        """Take what the page has set; it gets back what was, if that is refused."""
        if isinstance(sync_data, dict):
            state = {name: sync_data[name] for name in self._from_page if name in sync_data}
            self._answered(lambda: super(Widget, self).set_state(state))
            if self.notice and state:
                self.send_state(list(state))

    def _answered(self, act: Callable[[], None]) -> None:
        # All that an answer changes goes to the page in one piece.
        with self.hold_sync():
            try:
                self.notice = ""
                act()
            except (ValueError, t.TraitError, OverflowError) as error:
                self.notice = str(error)[:300]

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
        raise ValueError(f"{name} must be a whole number, not {ascii(value)[:40]}")
    return value


def mono(waveform: Any, sample_rate: int, longest: float) -> Tensor:
    """One sound as float32 (samples,). Raises as `audio.one_sound`, and above `longest` seconds."""
    sound = one_sound(waveform).float()
    if len(sound) > longest * sample_rate:
        raise ValueError(
            f"the sound lasts {len(sound) / sample_rate:.1f} s: give at most {longest:g} s of it"
        )
    return sound
