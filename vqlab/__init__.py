"""vqlab: speech goes in, a few integers come out, speech comes back.

The package behind the notebooks. Importing it is cheap: submodules, and the three functions most
people want, are loaded when they are first used.

    >>> import vqlab
    >>> codec = vqlab.load_pretrained("speech")          # doctest: +SKIP
    >>> packed = vqlab.compress("word.wav", "word.vql")  # doctest: +SKIP
    >>> waveform, sample_rate = vqlab.decompress("word.vql")  # doctest: +SKIP

Notebook: 00
"""

import importlib
from importlib import metadata
from typing import TYPE_CHECKING, Any

from . import _torchaudio

if TYPE_CHECKING:
    from . import (
        audio,
        classifier,
        codec,
        datasets,
        edit,
        inversion,
        lessons,
        listen,
        metrics,
        models,
        networks,
        plots,
        pretrained,
        prior,
        quantize,
        spectral,
        training,
        widgets,
    )
    from .pretrained import compress, decompress, load_pretrained

try:
    __version__ = metadata.version("vqlab")
except metadata.PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"

__all__ = [
    "__version__",
    "audio",
    "classifier",
    "codec",
    "compress",
    "datasets",
    "decompress",
    "edit",
    "inversion",
    "lessons",
    "listen",
    "load_pretrained",
    "metrics",
    "models",
    "networks",
    "plots",
    "pretrained",
    "prior",
    "quantize",
    "spectral",
    "training",
    "widgets",
]

_FUNCTIONS = {"load_pretrained": "pretrained", "compress": "pretrained", "decompress": "pretrained"}

_torchaudio.ensure()


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        value = getattr(importlib.import_module(f".{_FUNCTIONS[name]}", __name__), name)
    elif name in __all__:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module 'vqlab' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
