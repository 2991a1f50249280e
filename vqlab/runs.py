"""The folder of a run: what was asked for, reports, the best weights, and where to go on.

``run.json`` holds the settings, ``metrics.jsonl`` a report a line, ``best.safetensors`` the weights
with the lowest validation error, ``last.safetensors`` all that a later call needs to go on exactly:
weights, optimiser, random state and reports.

Notebook: 06
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .checkpoints import load_tensors, save_tensors, write_whole


@dataclass
class Run:
    """What a training leaves behind.

    ``history`` has one dict a report: ``step``, ``epoch``, ``seconds``, ``loss`` and ``error``
    (means since the last report), ``validation_error``, ``learning_rate`` and, for quantisers,
    ``perplexity`` (mean over batches), ``used`` and ``entropy_bits`` (over all batches since the
    last report, one number a stage). Errors are decibels when the model was trained on
    :class:`Features`, else mean squared errors. ``stopped`` is True after an interruption.
    """

    folder: Path | None
    settings: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    seconds: float = 0.0
    stopped: bool = False

    @property
    def best(self) -> dict[str, Any]:
        """The report with the lowest validation error."""
        return min(self.history, key=lambda report: report["validation_error"])


def copy_state(model: nn.Module) -> dict[str, Tensor]:
    """The model's tensors, copied to the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def append_report(folder: Path, report: dict[str, Any]) -> None:
    """Add one line to the run's ``metrics.jsonl``."""
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(report) + "\n")


def save_checkpoint(
    run: Run, folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in copy_state(model).items()}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value).cpu()
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    metadata = {"step": run.step, "seconds": run.seconds, "history": run.history}
    save_tensors(tensors, folder / "last.safetensors", {"run": json.dumps(metadata)})


def open_folder(run: Run, folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Make the folder, or take up the run that is in it."""
    folder.mkdir(parents=True, exist_ok=True)
    described, last = folder / "run.json", folder / "last.safetensors"
    settings = json.loads(json.dumps(run.settings))
    if not last.exists():
        write_whole(described, (json.dumps(settings, indent=1) + "\n").encode())
        (folder / "metrics.jsonl").unlink(missing_ok=True)
        return
    found = json.loads(described.read_text(encoding="utf-8"))
    different = [name for name in settings if found.get(name) != settings[name]]
    if different:
        name = different[0]
        raise ValueError(
            f"{folder} holds a run with {name} = {found.get(name)}, not {settings[name]}: "
            "give another folder, or delete this one to start anew"
        )
    tensors, metadata = load_tensors(last)
    saved = json.loads(metadata["run"])
    run.step, run.seconds, run.history = saved["step"], saved["seconds"], saved["history"]
    model.load_state_dict(_under("model.", tensors))
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under("optimizer.", tensors).items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    torch.set_rng_state(tensors["random.cpu"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])
    # A report written after the checkpoint, by a run that was then killed, is not part of it.
    lines = "".join(json.dumps(report) + "\n" for report in run.history)
    write_whole(folder / "metrics.jsonl", lines.encode())


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    n = len(prefix)
    return {name[n:]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
