"""Predict first: a learner's guess is kept under a key and shown beside the result.

A guess that is written down before the answer is seen is remembered, and corrected, much better
than one that was only thought. It lies beside her codec, as `my_codec.guesses.json`, so that it
survives the kernel. In a run without a learner nothing is kept, and that is said.

Notebook: all of them
"""

from __future__ import annotations

import html
import json
from typing import Any

from .own_file import note, noted


class Answer(str):
    """A sentence that Jupyter shows as text, without quotation marks."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return (
            '<p style="border-left:4px solid #8a8a8a;padding:2px 0 2px 10px;margin:4px 0">'
            f"{html.escape(str(self))}</p>"
        )


def guess(key: str, value: Any = None) -> Any:
    """Keep a guess, or give back the one that was kept.

    key : a short name, for example "05-used".
    value : number or text. None keeps nothing and returns the kept guess (None if there is none).
    """
    if value is None:
        return noted("guesses").get(key)
    note("guesses", key, json.loads(json.dumps(value, default=_shown)))
    return Answer(f"Kept: {_shown(value)}.")


def reveal(key: str, answer: Any, unit: str = "") -> Answer:
    """Show the answer beside the guess kept under `key`."""
    end = f" {unit}" if unit else ""
    kept = noted("guesses").get(key)
    if kept is None:
        return Answer(f"No guess made; it is {_shown(answer)}{end}.")
    return Answer(f"You guessed {_shown(kept)}{end}; it is {_shown(answer)}{end}.")


def _shown(value: Any) -> str:
    """A number with at most four significant digits (whole numbers in full); else as it is."""
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if abs(value) >= 10000 else str(value)
    return str(value)
