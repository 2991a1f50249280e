"""A picture of a training that is redrawn while it runs, and a player that grows with it.

`Live` is handed to `vqlab.training.fit` as `on_report`. The one idea: each report
replaces the picture before it, so what a saved notebook keeps is the last state, not a pile of
old ones, and no widget is needed. Sounds are kept from the reports 1, 2, 4, 8, …, because a
network changes most at the start.

Notebook: 06
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from vqlab import listen, plots
from vqlab.codec import Codec
from vqlab.listen.player import Player
from vqlab.training import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(run: Run) -> Figure:
    """Three panels over the steps of a run: loss, error in dB, codes used in each stage.

    The third is left out for models without codes.
    """
    from matplotlib.figure import Figure

    history = run.history
    steps = [report["step"] for report in history]
    coded = bool(history and "used" in history[-1])
    picture = Figure(figsize=(9.6 if coded else 6.6, 2.7), layout="constrained")
    axes = picture.subplots(1, 3 if coded else 2, squeeze=False)[0]
    dots: dict[str, Any] = {"marker": ".", "linewidth": 1.2} if len(steps) < 40 else {}
    axes[0].plot(steps, [r["loss"] for r in history], color=plots.BLUE, **dots)
    axes[0].set(title="loss", xlabel="step")
    for key, label, color, line in (
        ("error", "training", plots.BLUE, "-"),
        ("validation_error", "validation", plots.ORANGE, "--"),
    ):
        axes[1].plot(steps, [r[key] for r in history], line, color=color, label=label, **dots)
    axes[1].set(title="error, dB", xlabel="step")
    axes[1].legend(fontsize=8, frameon=False)
    if coded:
        lines = ((plots.BLUE, "-"), (plots.ORANGE, "--"), (plots.GREEN, "-."), (plots.PINK, ":"))
        for stage in range(len(history[-1]["used"])):
            color, line = lines[stage % len(lines)]
            used = [r["used"][stage] for r in history]
            axes[2].plot(steps, used, line, color=color, label=f"stage {stage + 1}", **dots)
        axes[2].set(title="codes used since the last report", xlabel="step")
        axes[2].set_ylim(bottom=0)
        axes[2].legend(fontsize=8, frameon=False, loc="lower right")
    for ax in axes:
        ax.set_xlim(left=0)
    return picture


def sentence(run: Run) -> str:
    """What the figure shows, in words and numbers: its alternative text."""
    first, last = run.history[0], run.history[-1]
    used = ", ".join(str(n) for n in last.get("used", []))
    return (
        f"Step {last['step']}: loss {last['loss']:.3f} (first report {first['loss']:.3f}), "
        f"error in training {last['error']:.2f} dB, on validation speakers "
        f"{last['validation_error']:.2f} dB (first report {first['validation_error']:.2f} dB)"
        + (f"; codes used in each stage: {used}." if used else ".")
    )


class Live:
    """Redraws loss, error and codes used at each report; with a sound, also a player.

    codec, waveform : the codec whose model is trained and one sound (samples,) at its sample rate.
        The player compares it with what the model makes of it, now and at earlier reports.
        Leave both out for the picture alone.

    Works wherever IPython's display does.
    """

    def __init__(self, codec: Codec | None = None, waveform: Tensor | None = None) -> None:
        if (codec is None) != (waveform is None):
            raise ValueError("give codec and waveform together, or neither for the picture alone")
        self.codec = codec
        self.waveform = waveform
        self.sounds: dict[int, Tensor] = {}
        self.reports = 0
        self._handles: dict[str, Any] = {}

    def __call__(self, run: Run) -> None:
        """Show the state of `run`; the random state stays as it is."""
        self.reports += 1
        self._show("picture", plots.show(figure(run), sentence(run)))
        if self.codec is not None:
            assert self.waveform is not None
            now = self.codec.reconstruct(self.waveform)
            self._show("player", self._player({**self.sounds, run.step: now}))
            if self.reports & (self.reports - 1) == 0:  # a power of two
                self.sounds[run.step] = now

    def here(self) -> Live:
        """Show the next reports below the cell that runs now, with the sounds kept so far."""
        self._handles = {}
        return self

    def _player(self, sounds: dict[int, Tensor]) -> Player:
        assert self.codec is not None and self.waveform is not None
        versions = {f"{step} steps": sound for step, sound in sounds.items()}
        return listen.compare(
            {"original": self.waveform, **versions},
            self.codec.sample_rate,
            title="The same word while the model learns",
        )

    def _show(self, name: str, thing: Any) -> None:
        from IPython.display import display

        if self._handles.get(name) is None:
            self._handles[name] = display(thing, display_id=True)
        else:
            self._handles[name].update(thing)
