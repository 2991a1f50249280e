"""Make `import torchaudio` work beside a CPU-only torch.

torchaudio's Linux wheel contains a compiled extension that is linked against CUDA. Where torch is
a CPU build, the extension cannot be loaded and `import torchaudio` raises OSError, although its
Python part (transforms, functional, the index of Speech Commands) does not need the extension.
So: try the real import first and leave a working torchaudio alone. Only if the extension failed,
put a stand-in for `torchaudio._extension` in its place and import again.

What needs the extension itself (forced alignment, RNN-T loss) stays unavailable and says so.

Notebook: 02
"""

import importlib
import sys
from collections.abc import Callable
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def ensure_torchaudio() -> bool:
    """Import torchaudio, with the stand-in for its extension if the real one cannot be loaded.

    Returns True if torchaudio can be used, False if it is not installed or broken for another
    reason; in that case the user's own `import torchaudio` will say what is wrong.
    """
    if "torchaudio" in sys.modules:
        return True
    if find_spec("torchaudio") is None:
        return False
    try:
        importlib.import_module("torchaudio")
        return True
    except (OSError, ImportError) as error:
        if not _comes_from_extension(error):
            _forget()
            return False
    _forget()
    sys.modules["torchaudio._extension"] = _stand_in()
    try:
        importlib.import_module("torchaudio")
        return True
    except Exception:  # an unknown torchaudio: leave no trace of the attempt
        _forget()
        return False


def _comes_from_extension(error: BaseException) -> bool:
    """Whether the import failed inside torchaudio/_extension, judged by the traceback."""
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_globals.get("__name__", "").startswith("torchaudio._extension"):
            return True
        step = step.tb_next
    return False


def _forget() -> None:
    """Remove the half-loaded modules that a failed import leaves behind."""
    for name in list(sys.modules):
        if name == "torchaudio" or name.startswith("torchaudio."):
            del sys.modules[name]


def _stand_in() -> ModuleType:
    """A module with the names that the rest of torchaudio takes from `torchaudio._extension`."""

    def no_check() -> None:
        return None

    def fail_if_no_align(function: Callable[..., Any]) -> Callable[..., Any]:
        def unavailable(*args: Any, **kwargs: Any) -> Any:
            raise RuntimeError(
                f"torchaudio.functional.{function.__name__} needs torchaudio's compiled extension, "
                "which cannot be loaded beside this build of torch"
            )

        return unavailable

    module = ModuleType("torchaudio._extension", "Stand-in made by vqlab.compat")
    module.__dict__.update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        _check_cuda_version=no_check,
        fail_if_no_align=fail_if_no_align,
    )
    return module
