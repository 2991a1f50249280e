"""The codebook as a keyboard: press a key, hear the code.

A code stands for a moment of sound; held for half a second it can be listened to. Keys come in
pages of forty, the most used codes first, and each shows its spectrum, low frequencies at the
bottom. The one idea: the codebook is an instrument, and speech is what the encoder plays on it.

Notebook: 12
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import traitlets as t
from torch import Tensor
from vqlab.plots.shown import picture_uri

from vqlab import edit, spectral
from vqlab.codec import Codec
from vqlab.plots.media import sound_uri
from vqlab.widgets.base import Refused, Widget, assets, whole_number

ROWS = ("1234567890", "qwertyuiop", "asdfghjkl;", "zxcvbnm,./")
"""Characters of the keys of a page; one page has as many keys."""

PAGE = sum(map(len, ROWS))

MOST = 200
"""Keys that `played` holds."""

SECONDS = 0.4
"""How long a key sounds."""


class Keyboard(Widget):
    """The codes of the first stage as keys. `played` lists the codes of the keys pressed so far.

    codes : the codes on the keys and their order; left out: all, the most used first

    Raises ValueError for a code that the codec does not have, or none.
    """

    _esm, _css = assets(__file__)
    _from_page = ("played",)
    played = t.List(t.Int()).tag(sync=True)
    page = t.Int(0).tag(sync=True)
    pages = t.Int(1).tag(sync=True)
    board: t.List[Any] = t.List().tag(
        sync=True
    )  # the keys of this page: code, share, level, picture
    _rows = t.List(list(ROWS)).tag(sync=True)
    _answer = t.Dict().tag(sync=True)

    def __init__(self, codec: Codec, *, codes: Sequence[int] | None = None) -> None:
        share = shares(codec)
        order = np.argsort(-share, kind="stable").tolist() if codes is None else list(codes)
        for code in order:
            if not 0 <= code < len(share):
                raise ValueError(f"codes holds {code}, the codec has codes 0 to {len(share) - 1}")
        if not order:
            raise ValueError("codes is empty: give at least one, or leave it out for all")
        self._codec, self._order, self._share = codec, order, share
        each = codec.samples_per_position / codec.sample_rate
        self._hold = max(1, round(SECONDS / each))
        super().__init__(pages=-(-len(order) // PAGE))
        self.turn(0)

    @t.validate("played")
    def _keys_that_are_there(self, proposal: Any) -> list[int]:
        played = proposal["value"]
        if len(played) > MOST:
            raise Refused(f"{MOST} keys are kept, not {len(played)}: forget some first")
        if not all(0 <= code < len(self._share) for code in played):
            raise Refused(f"the codec has codes 0 to {len(self._share) - 1} only")
        return played

    @property
    def codes(self) -> Tensor:
        """The codes played, a position each: int64 (1, 1, number of keys pressed)."""
        return torch.tensor(self.played, dtype=torch.int64).reshape(1, 1, -1)

    @property
    def sample_rate(self) -> int:
        """Of all sounds, in Hz."""
        return self._codec.sample_rate

    def hear(self, code: int) -> Tensor:
        """The sound of one key: (samples,). Raises ValueError for a code that is not there."""
        if not 0 <= code < len(self._share):
            raise ValueError(f"code is {code}, the codec has 0 to {len(self._share) - 1}")
        return edit.sound(edit.hold(torch.tensor([[[code]]]), 0, self._hold), self._codec)

    def tune(self) -> Tensor:
        """All that was played, in a row, a third as long a key: (samples,).

        Raises ValueError before the first key.
        """
        if not self.played:
            raise ValueError("nothing was played yet: press some keys first")
        return edit.sound(edit.stretch(self.codes, max(1, self._hold // 3)), self._codec)

    def turn(self, page: int) -> None:
        """Show a page, counted from 0. Raises ValueError for one that is not there."""
        if not 0 <= page < self.pages:
            raise ValueError(f"page is {page}, there are 0 to {self.pages - 1}")
        shown = self._order[PAGE * page : PAGE * (page + 1)]
        db = self._spectra(shown)
        self.page = page
        self.board = [
            {
                "code": code,
                "share": float(self._share[code]),
                "level": float(level),
                "picture": picture_uri(column.reshape(-1, 1), loudest=float(db.max())),
            }
            for code, column, level in zip(shown, db, db.amax(dim=1), strict=True)
        ]

    @torch.no_grad()
    def _spectra(self, codes: list[int]) -> Tensor:
        """Mel spectrum in dB of each code where it is held: (codes, n_mels)."""
        held = torch.tensor(codes).reshape(-1, 1, 1).expand(-1, -1, 3)
        model, features = self._codec.model.eval(), self._codec.features
        x = model.decode(held.to(self._codec.device)).cpu()
        power = features.power(x)
        middle = power[..., power.shape[-1] // 3 : -(power.shape[-1] // 3)].mean(dim=-1)
        return spectral.to_db(middle.reshape(len(codes), -1))

    def asked(self, content: dict[str, Any]) -> None:
        what = content.get("do")
        if what == "page":
            self.turn(whole_number(content, "page"))
            return
        code = -1 if what == "tune" else whole_number(content, "code")
        sound = self.tune() if code == -1 else self.hear(code)
        self._answer = {
            "code": code,
            "number": self._answer.get("number", 0) + 1,  # so that no two answers are the same
            "sound": sound_uri(sound, self.sample_rate),
        }

    def sentence(self) -> str:
        first = ", ".join(str(key["code"]) for key in self.board[:5])
        return (
            f"keyboard of {len(self._order)} codes of stage 0 (codes {first}, … first), "
            f"{len(self.played)} keys played; with a running kernel you can press and hear them"
        )


def shares(codec: Codec) -> np.ndarray:
    """How often each code of the first stage occurs by the codec's tables: (K,), the sum is 1.

    The tables say how often a code follows one of a group, so the shares are those at which the
    chain of codes comes to rest.
    """
    tables = codec.tables
    follows = np.asarray(tables.first, dtype=np.float64)  # (groups, K)
    follows /= follows.sum(axis=1, keepdims=True)
    groups = np.full(len(follows), 1 / len(follows))
    for _ in range(200):
        share = groups @ follows
        groups = np.bincount(tables.context, weights=share, minlength=len(follows))
    return share
