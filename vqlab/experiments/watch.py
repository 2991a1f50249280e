"""What a run shows while it is trained: a log for TensorBoard, pictures and sounds at intervals.

The one idea: whoever waits for hours sees and hears from the first report on how far it is.
Pictures, sounds and players lie in the run's folder `samples`, and in the log as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from ..datasets import SAMPLE_RATE
from ..features import Features
from ..training.runs import Run
from . import samples
from .data import Split

TIMES = 10
"""How often in a run samples are made: at each tenth of its budget, and at the first report."""


class Watch:
    """A run's log, opened at the first report, so that a finished run has no second one."""

    def __init__(
        self, folder: Path, model: nn.Module, validation: Split, features: Features | None
    ) -> None:
        self.folder, self.model, self.validation = folder, model, validation
        self.features = features
        self.tenth = -1
        self.writer: Any = None

    def report(self, run: Run) -> None:
        """Log the newest report, a quantiser's stages one by one; samples where it is time."""
        board = self._open(run.step)
        for name, value in run.history[-1].items():
            if isinstance(value, list):
                for stage, one in enumerate(value, start=1):
                    board.add_scalar(f"{name}/stage {stage}", one, run.step)
                    if name.endswith("entropy_bits"):
                        plain = name.replace("entropy_bits", "perplexity")
                        board.add_scalar(f"{plain}/stage {stage}", 2**one, run.step)
            elif name not in ("step", "seconds"):
                board.add_scalar(name, value, run.step)
        tenth = int(TIMES * run.share_done(run.seconds))
        if tenth > self.tenth:
            self.tenth = tenth
            self.show(run.step)

    def show(self, step: int, *, best: bool = False) -> None:
        """Samples of the model as it is, which are the last ones if these are its best weights."""
        place, board = self.folder / "samples", self._open(step)
        pixels, sounds = samples.save(
            self.model, self.validation, self.features, place, None if best else step
        )
        said = "originals above, reconstructions below"
        board.add_image(said, pixels, step, dataformats="HWC"[: pixels.ndim])
        for name, sound in sounds.items():
            board.add_audio(name, sound, step, sample_rate=SAMPLE_RATE)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()

    def _open(self, step: int) -> Any:
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # What a killed run had logged from this step on is logged again: hide the first one.
            self.writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=step)
        return self.writer
