"""Files of tensors: written whole or not at all, read without running anyone's code.

safetensors hold numbers and a few strings. A pickle (``torch.save``) can hold any program, which is
why none is read or written here.

Notebook: 06
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor


def save_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write safetensors beside ``path``, then rename: a half-written file is never found there."""
    data = save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)
    write_whole(path, data)


def write_whole(path: str | Path, data: bytes) -> None:
    """Write ``data`` beside ``path``, then rename. An ``OSError`` names ``path``."""
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        raise type(error)(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        part.unlink(missing_ok=True)


def load_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file. Raises ``ValueError`` for a damaged one."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}): copy it again, or delete it") from None


def load_json(path: Path) -> Any:
    """What a JSON file holds. Raises ``ValueError`` for a damaged one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): delete it to begin anew") from None
