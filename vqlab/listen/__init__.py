"""Listening: players with versions that switch at the same place.

`comparing` makes a `player`, and `page` a page on which a recording is heard at several rates. The
blind test is `vqlab.widgets.abx`.
"""

from .comparing import compare, play
