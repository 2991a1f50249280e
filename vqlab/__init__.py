"""vqlab: speech goes in, a few integers come out, speech comes back.

The package behind the notebooks. Each folder and module is a word that a learner imports; they, and
the three functions most people want, are loaded when they are first used, so importing vqlab costs
next to nothing: torch is not loaded before something needs it.

    >>> import vqlab
    >>> codec = vqlab.load_pretrained("speech")          # doctest: +SKIP
    >>> packed = vqlab.compress("word.wav", "word.vql")  # doctest: +SKIP
    >>> waveform, sample_rate = vqlab.decompress("word.vql")  # doctest: +SKIP

Notebook: 00
"""

import importlib
from importlib import metadata
from typing import TYPE_CHECKING, Any

from . import compat

if TYPE_CHECKING:
    from . import (
        audio,
        codec,
        datasets,
        inversion,
        lessons,
        listen,
        metrics,
        models,
        networks,
        plots,
        quantize,
        spectral,
        training,
        widgets,
    )
    from .codec import compress, decompress, load_pretrained

DISTRIBUTION = "vqlab-speech"
"""What pip calls this package; on PyPI `vqlab` is another project."""

try:
    __version__ = metadata.version(DISTRIBUTION)
except metadata.PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"

__all__ = [
    "__version__",
    "audio",
    "codec",
    "compress",
    "datasets",
    "decompress",
    "inversion",
    "lessons",
    "listen",
    "load_pretrained",
    "metrics",
    "models",
    "networks",
    "plots",
    "quantize",
    "spectral",
    "training",
    "widgets",
]

_FUNCTIONS = ("load_pretrained", "compress", "decompress")

MOVED = {
    "classifier": "lessons.classifier",
    "codec_plots": "lessons.codec_plots",
    "edit": "lessons.edit",
    "entropy": "codec.entropy",
    "levels": "audio",
    "measures": "metrics.measures",
    "packing": "codec.packing",
    "prior": "lessons.prior",
    "result_plots": "lessons.result_plots",
    "result_table": "lessons.result_table",
}
"""Names under which notebooks import rooms that lie in a folder, as in `from vqlab import edit`."""

compat.ease_torchaudio()


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        value = getattr(importlib.import_module(".codec", __name__), name)
    elif name in __all__ or name in MOVED:
        value = importlib.import_module(f".{MOVED.get(name, name)}", __name__)
    else:
        raise AttributeError(f"module 'vqlab' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__) | set(MOVED))
