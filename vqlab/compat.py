"""Make `import torchaudio` work beside a CPU-only torch.

torchaudio's Linux wheel contains a compiled extension that is linked against CUDA. Where torch is
a CPU build, the extension cannot be loaded and `import torchaudio` raises OSError, although its
Python part (transforms, functional) does not need the extension. So: whoever imports torchaudio
after vqlab gets the real extension where it can be loaded, and else a stand-in for it. Nothing is
imported before that.

What needs the extension itself (forced alignment, RNN-T loss) stays unavailable and says so.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

EXTENSION = "torchaudio._extension"


class _Finder:
    """Finds torchaudio's extension as Python does, and fills in where it fails to load."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, _: Any = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name == EXTENSION else None
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_or_stand_in(module: ModuleType) -> None:
            try:
                load(module)
            except (OSError, ImportError):
                module.__dict__.update(_STAND_IN)

        spec.loader.exec_module = load_or_stand_in  # type: ignore[method-assign]
        return spec


def ease_torchaudio() -> None:
    """From now on `import torchaudio` works without its compiled extension, too."""
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)  # type: ignore[arg-type]


def _fail_if_no_align(function: Callable[..., Any]) -> Callable[..., Any]:
    def unavailable(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            f"torchaudio.functional.{function.__name__} needs torchaudio's compiled extension, "
            "which cannot be loaded beside this build of torch"
        )

    return unavailable


# The names that the rest of torchaudio takes from its extension.
_STAND_IN: dict[str, Any] = {
    "_IS_TORCHAUDIO_EXT_AVAILABLE": False,
    "_IS_ALIGN_AVAILABLE": False,
    "_check_cuda_version": lambda: None,
    "fail_if_no_align": _fail_if_no_align,
}
