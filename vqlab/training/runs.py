"""The folder of a run: what was asked for, reports, the best weights, and where to go on.

`run.json` holds the settings, `metrics.jsonl` a report a line, `best.safetensors` the weights
with the lowest validation error, `last.safetensors` all that a later call needs to go on exactly:
weights, optimiser, random state and reports. Of several processes, rank 0 writes and all read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import processes
from ..features import Features
from ..files import load_json, load_tensors, save_tensors, write_whole
from ..quantize import CodebookStats, Quantized

LAST = "last.safetensors"
"""All that a later call needs to go on."""


@dataclass
class Run:
    """What a training leaves behind; `stopped` is True after an interruption.

    `history` has one dict a report: `step`, `epoch`, `seconds`, `loss`, `error`, `bottleneck_loss`
    and, of a Gaussian, `kl` (means since the last report), `validation_error`, `learning_rate` and,
    for quantisers, `perplexity` (mean over batches), `used` and `entropy_bits` (over all batches
    since the last report, one number a stage; `validation_…`: over the validation set).
    """

    folder: Path | None
    settings: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    seconds: float = 0.0
    stopped: bool = False

    def share_done(self, seconds: float) -> float:
        """How much of the budget is used up after these seconds, from 0 to 1."""
        if self.settings["steps"] is not None:
            return self.step / self.settings["steps"]
        return seconds / (60 * self.settings["minutes"])

    @property
    def best(self) -> dict[str, Any]:
        """The report with the lowest validation error."""
        return min(self.history, key=lambda report: report["validation_error"])


class Meter:
    """Means of the losses, and the codes seen, since the last report.

    Losses and perplexity come as those of all processes; codes are counted in each and added up
    for the report, so that the line meanwhile counts those of one.
    """

    def __init__(self, model: nn.Module) -> None:
        sizes = getattr(getattr(model, "bottleneck", None), "codebook_sizes", ())
        self.stats = CodebookStats(sizes) if sizes else None
        self.sums: dict[str, float] = {}
        self.count = 0

    def add(self, values: dict[str, Tensor], quantized: Quantized, weight: float) -> None:
        """Take in a step; with a `weight` of 0 other processes count its codes."""
        self.count += 1
        if self.stats is not None:
            if weight > 0 and quantized.codes is not None:
                self.stats.update(quantized.codes)
            values = values | {"perplexity": quantized.stats["perplexity"]}
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)

    def means(self) -> dict[str, float]:
        return {name: value / self.count for name, value in self.sums.items()}

    def line(self, run: Run, features: Features | None) -> str:
        means = self.means()
        error = f"error {means['error']:.2f} dB" if features else f"error {means['error']:.4f}"
        codes = f", codes used {list(self.stats.used)}" if self.stats else ""
        return f"step {run.step}, loss {means['loss']:.3f}, {error}{codes}"

    def gather(self) -> None:
        """Let rank 0 alone hold the codes that all ranks have counted."""
        if self.stats is not None:
            every = [processes.sum_over_ranks(each) for each in self.stats.counts]
            self.stats.counts = [each * processes.is_main() for each in every]

    def take(self) -> dict[str, Any]:
        """The means and codebook statistics; starts anew."""
        taken: dict[str, Any] = self.means() if self.count else {}
        if self.stats is not None:
            self.stats.counts = [processes.sum_over_ranks(each) for each in self.stats.counts]
            taken |= {"used": self.stats.used, "entropy_bits": self.stats.entropy_bits}
            self.stats.reset()
        self.sums, self.count = {}, 0
        return taken


def copy_state(model: nn.Module) -> dict[str, Tensor]:
    """The model's tensors, copied to the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def save_checkpoint(
    run: Run, folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, meter: Meter
) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in copy_state(model).items()}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value).cpu()
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    counts = meter.stats.counts if meter.stats else []
    tensors |= {f"meter.{n}": each.cpu() for n, each in enumerate(counts)}
    metadata = {name: getattr(run, name) for name in ("step", "seconds", "history")}
    metadata |= {"sums": meter.sums, "count": meter.count}
    save_tensors(tensors, folder / LAST, {"run": json.dumps(metadata)})


def open_folder(
    run: Run, folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, meter: Meter
) -> None:
    """Make the folder, or take up the run that is in it, perhaps with another learning rate."""
    writes = processes.is_main()
    described, last = folder / "run.json", folder / LAST
    settings = json.loads(json.dumps(run.settings))
    if not last.exists():
        if writes:
            write_whole(described, (json.dumps(settings, indent=1) + "\n").encode())
            (folder / "metrics.jsonl").unlink(missing_ok=True)
        return
    found = load_json(described)
    # What a run of an older version says nothing of was off then.
    different = [name for name in settings if (found.get(name) or None) != (settings[name] or None)]
    if different == ["learning_rate"]:
        if writes:
            write_whole(described, (json.dumps(found | settings, indent=1) + "\n").encode())
    elif different:
        name = different[0]
        raise ValueError(
            f"{folder} holds a run with {name} = {found.get(name)}, not {settings[name]}: "
            "give another folder, or delete this one to start anew"
        )
    tensors, metadata = load_tensors(last)
    saved = json.loads(metadata["run"])
    run.step, run.seconds, run.history = saved["step"], saved["seconds"], saved["history"]
    meter.sums, meter.count = saved.get("sums", {}), saved.get("count", 0)
    if meter.stats is not None and writes:
        for n, seen in _under("meter.", tensors).items():
            meter.stats.counts[int(n)] += seen
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
    if writes:
        write_whole(folder / "metrics.jsonl", lines.encode())


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    n = len(prefix)
    return {name[n:]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
