"""The codec: a waveform to integers, to bytes, and back.

`codec` has the steps, `file` the weights, `entropy` the range coder, `packing` the bytes of a
`.vql` file, `shipped` the three functions most people want.
"""

from ..models import Recipe
from .codec import Codec
from .shipped import compress, decompress, load_pretrained
