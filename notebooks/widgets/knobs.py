"""Sliders above what a function makes of their values.

The one idea: what is shown is an ordinary output of the cell, replaced where it stands. So a saved
notebook keeps the first of them, and no answer of a page is waited for: `ipywidgets.interact` puts
what it shows into a widget of its own, whose page has to report back on the very connection on
which a program that runs notebooks (nbclient, `jupyter nbconvert --execute`) awaits the end of a
cell, and now and then misses it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from IPython.display import display
from ipywidgets import VBox


def knobs(function: Callable[..., Any], **sliders: Any) -> None:
    """Show the sliders and, below them, what `function` returns for their values.

    sliders : by the names of the function's arguments; widgets of ipywidgets with a `value`
    """

    def made() -> Any:
        return function(**{name: slider.value for name, slider in sliders.items()})

    display(VBox(list(sliders.values())))
    shown = display(made(), display_id=True)
    for slider in sliders.values():
        slider.observe(lambda _: shown.update(made()), "value")
