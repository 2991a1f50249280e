"""The loop of a training: steps, reports, and how it ends."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from tqdm.std import tqdm

from .. import processes
from ..features import Features
from ..files import append_text, load_tensors, save_tensors
from .batches import batch_rows, error_of, evaluate, own_part, take
from .runs import Meter, Run, copy_state, open_folder, save_checkpoint

_BAR = "{l_bar}{bar}| {elapsed} {postfix}"


@dataclass(eq=False)
class Loop:
    """A training under way: its steps, its reports and its end."""

    model: nn.Module
    train: Any
    validation: Any
    run: Run
    features: Features | None
    loss: Callable[[Tensor, Tensor], Tensor]
    augment: Callable[[Tensor], Tensor] | None
    device: torch.device
    report_every: int
    on_report: Callable[[Run], None] | None
    clock: Callable[[], float]

    def __post_init__(self) -> None:
        model, run = self.model, self.run
        self.batch_size, self.rate = run.settings["batch_size"], run.settings["learning_rate"]
        fused = run.settings["bfloat16"] or None
        self.optimizer = torch.optim.Adam(model.parameters(), lr=self.rate, fused=fused)
        self.meter = Meter(model)
        self.writes = run.folder if processes.is_main() else None
        if run.folder is not None:
            open_folder(run, run.folder, model, self.optimizer, self.meter)
            if run.step != processes.from_main(run.step):
                raise ValueError(
                    f"{run.folder} holds {run.step} steps for process {processes.rank()}, another "
                    "number for process 0: give a folder on a disk that all machines share"
                )
        processes.copy_from_main(model)
        self.best = copy_state(model) if not run.history else None
        self.started = self.clock() - run.seconds
        self.interrupts = processes.Interrupts()

    def go(self, *, show: bool) -> None:
        """Take steps until the budget is used up, or ctrl-C; the model gets its best weights."""
        run = self.run
        bar = tqdm(total=1.0, disable=not show, bar_format=_BAR, mininterval=0.5)
        try:
            while self._goes_on():
                self._step()
                bar.n = min(1.0, run.share_done(self.clock() - self.started))
                bar.set_postfix_str(self.meter.line(run, self.features), refresh=False)
                bar.update(0)
                if run.step % self.report_every == 0:
                    self._report()
        except KeyboardInterrupt:
            if processes.world_size() > 1:
                raise  # not in step with the others, so no common end is possible
            run.stopped = True
        except FloatingPointError:
            self._restore()
            raise
        finally:
            self.interrupts.end()
            bar.close()
        reported = bool(run.history) and run.history[-1]["step"] == run.step
        if run.stopped and not reported:  # nor now: ctrl-C has no say in which weights are best
            run.seconds = self.clock() - self.started
            self.meter.gather()
            self._save()
            if not run.history:  # but something must be known of what there is
                self._measure()
        elif not reported:
            self._report()
        self._restore()

    def _goes_on(self) -> bool:
        seconds = self.clock() - self.started
        self.run.stopped, seconds = processes.agreed(self.interrupts.seen, seconds)
        done = self.run.share_done(seconds)
        if self.run.settings["cosine"] and done < 1:
            lr = self.rate * 0.5 * (1 + math.cos(math.pi * done))
            self.optimizer.param_groups[0]["lr"] = lr * min(1.0, (self.run.step + 1) / 50)
        return not self.run.stopped and done < 1

    def _step(self) -> None:
        model, settings = self.model, self.run.settings
        batch, weight, whole = own_part(
            self.train, self.run.step, self.batch_size, settings["seed"], self.augment
        )
        x = batch.to(self.device)
        x = self.features.analyse(x) if self.features else x
        faster = settings["bfloat16"] or x.device.type == "cuda"
        with processes.alone() if whole else nullcontext():
            with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=faster):
                output, quantized = model(x)
            output = output.float()  # under autocast it is not
            objective = self.loss(output, x) + quantized.loss
            with torch.no_grad():
                error = error_of(output, x, self.features)
        told = {"loss": objective, "error": error, "bottleneck_loss": quantized.loss}
        told |= {"kl": quantized.stats["kl"]} if "kl" in quantized.stats else {}
        every = processes.mean_over_ranks(torch.stack(list(told.values())).detach(), weight)
        means = dict(zip(told, every, strict=True))
        if not means["loss"].isfinite():
            self._fail(means["loss"], "loss")
        self.optimizer.zero_grad(set_to_none=True)
        objective.backward()
        processes.sum_gradients(model.parameters(), weight)
        norm = nn.utils.clip_grad_norm_(model.parameters(), settings["clip_norm"] or math.inf)
        if not norm.isfinite():
            self._fail(norm, "gradient")
        self.optimizer.step()
        if whole:
            processes.copy_from_main(model)  # its codebook learned without the others'
        self.run.step += 1
        self.meter.add(means, quantized, weight)

    def _fail(self, value: Tensor | float, what: str) -> NoReturn:
        """Say what became of a number, and what to do."""
        size, seed = self.batch_size, self.run.settings["seed"]
        rows = batch_rows(len(self.train), self.run.step, size, seed)
        bad = [str(row) for row in rows if not take(self.train, [row]).isfinite().all()]
        cure = f"lower the learning rate ({self.rate:g})"
        if bad:
            cure = f"leave out training item {', '.join(bad)} (from 0): it holds what is no number"
        raise FloatingPointError(
            f"the {what} became {float(value)} at step {self.run.step}: {cure}; in the same folder "
            "it goes on from the last report"
        )

    def _measure(self) -> None:
        run, folder = self.run, self.writes
        run.seconds = self.clock() - self.started
        seen = Meter(self.model)
        options: Any = {"features": self.features, "batch_size": self.batch_size}
        error = evaluate(self.model, self.validation, stats=seen.stats, **options)
        if math.isnan(error):
            self._fail(error, "validation error")
        epoch = run.step / math.ceil(len(self.train) / self.batch_size)
        run.history.append(
            {"step": run.step, "epoch": epoch, "seconds": round(run.seconds, 2)}
            | self.meter.take()
            | {f"validation_{name}": value for name, value in seen.take().items()}
            | {"validation_error": error, "learning_rate": self.optimizer.param_groups[0]["lr"]}
        )
        if run.best is run.history[-1]:
            self.best = copy_state(self.model)
            if folder is not None:
                save_tensors(self.best, folder / "best.safetensors", {"step": str(run.step)})
        if folder is not None:
            append_text(folder / "metrics.jsonl", json.dumps(run.history[-1]) + "\n")

    def _report(self) -> None:
        self._measure()
        self._save()
        if self.on_report is not None:
            self.interrupts.call_on_main(self.on_report, self.run)
            self.model.train()  # whoever listens to the model puts it into evaluation mode

    def _save(self) -> None:
        if self.writes is not None:
            save_checkpoint(self.run, self.writes, self.model, self.optimizer, self.meter)

    def _restore(self) -> None:
        """Give the model its best weights."""
        if self.best is None:  # resumed, and never better since
            assert self.run.folder is not None
            self.best = load_tensors(self.run.folder / "best.safetensors")[0]
        self.model.load_state_dict({name: t.to(self.device) for name, t in self.best.items()})
        self.model.eval()
