"""Listening: players with versions that switch at the same place, and a blind test.

`comparing` makes a `player`, `blind` the ABX test, and `page` a page on which a recording is heard
at several rates.
"""

from typing import Any

from .comparing import compare, play


def __getattr__(name: str) -> Any:
    if name == "abx":  # late: it draws in anywidget
        from .blind import ABX

        return ABX
    raise AttributeError(f"module 'vqlab.listen' has no attribute {name!r}")
