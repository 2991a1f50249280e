"""Training in a process of its own: it goes on while she reads, and can be watched and heard.

The one idea: training is a row of legs (1 minute, 1 more, 3, 5, 10, …), each with a rate that falls
to nothing, so that every leg ends with a model that can be used. Weights lie beside `my_codec.py`:
`my_codec.npz` is the newest version, `my_codec.5min.npz` the one after five minutes, and
`my_codec.now.npz` what to go on with; those of the prior (notebook 12) have names such as
`my_codec.prior.npz`, those of the tutorial's model (notebook 13) `my_codec.tutorial.npz`. Minutes
are those of the processor (of the clock on a GPU).
A process trains as long as `my_codec.training.json` names it: where that file went, or a later
start took its place, it ends and writes nothing more.
`VQLAB_TRAINING=off` starts none: so what a saved notebook shows does not depend on a clock.
"""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import torch
from IPython.display import display
from torch import nn

from vqlab import datasets
from vqlab.files import load_json, write_whole
from vqlab.lessons.guesses import Answer
from vqlab.lessons.own_file import where
from vqlab.lessons.own_pieces import own
from vqlab.processes import Interrupts

PEOPLE = ("speech_commands", "mini_speech_commands")
"""Recordings of people that her training takes where they are, the first that is there."""
LEGS = (1, 2, 5, 10, 20, 40, 60, 90, 120)
"""Minutes after which there is a version to hear; a leg ends at each."""
ROOMS = {
    "codec": ("codec", "own_training"),
    "prior": ("prior", "own_prior_training"),
    "tutorial": ("tutorial's model", "tutorial_training"),
}
"""What can be trained: its name in a sentence, and the module whose `main` trains it."""


class Training:
    """How her training stands, read anew whenever it is asked; Jupyter shows it as a sentence.

    of : "codec", "prior" for that of notebook 12, or "tutorial" for that of notebook 13
    """

    def __init__(self, of: str = "codec") -> None:
        if of not in ROOMS:
            raise ValueError(f"of is {of!r}: ask for the training of one of {', '.join(ROOMS)}")
        self.of = of

    def place(self, ending: str) -> Path:
        """A file of this training, such as `my_codec.npz` or `my_codec.prior.npz`."""
        return where().with_suffix(("" if self.of == "codec" else f".{self.of}") + ending)

    @property
    def state(self) -> dict[str, Any]:
        """What the process wrote last, empty before any: minutes, steps, loss, versions, data.

        `curve` has pairs of minutes and the mean loss since the pair before.
        """
        path = self.place(".training.json")
        return load_json(path) if path.exists() else {}

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        process = _process(self.state.get("process"))
        return process is not None and process.status() != psutil.STATUS_ZOMBIE

    def stop(self) -> Training:
        """End the process; `start_training` goes on where it was."""
        if (process := _process(self.state.get("process"))) is not None:
            process.terminate()
            psutil.wait_procs([process], timeout=10)
        return self

    def write(self, state: dict[str, Any]) -> None:
        """Write down how it stands."""
        write_whole(self.place(".training.json"), json.dumps(state).encode())

    def kept(self) -> dict[str, Path]:
        """The weights kept so far, such as "2 min"."""
        minutes = self.state.get("versions", [])
        found = {f"{m:g} min": self.place(f".{m:g}min.npz") for m in minutes}
        return {name: path for name, path in found.items() if path.exists()}

    def versions(self) -> dict[str, nn.Module]:
        """The codecs kept so far, such as "2 min"; her own `load_codec` reads them."""
        codec = own()
        return {name: codec.load_codec(path) for name, path in self.kept().items()}

    def __repr__(self) -> str:
        state = self.state
        name = "Training" if self.of == "codec" else f"Training of the {ROOMS[self.of][0]}"
        if not state:
            return "No training yet."
        kept = ", ".join(map(str, state["versions"])) or "none"
        loss = f", loss {state['loss']:.3f}" if state["steps"] else ""  # none before the first step
        told = f"{name} runs" if self.running else f"{name} is {state['ended'] or 'stopped'}"
        return (
            f"{told}: {state['minutes']:.1f} of {state['until']} minutes on "
            f"{_whose(state['data'])}, {state['steps']} steps{loss}; "
            f"versions after minute: {kept}."
        )


def training(of: str = "codec") -> Training:
    """How a training stands: of the codec, the prior of 12, or the tutorial's model of 13."""
    return Training(of)


def start_training(data: str | None = None, *, minutes: float = 20, of: str = "codec") -> Training:
    """Start her training, or go on with it, in a process that outlives the kernel.

    It ends by itself, and with the JupyterLab (or the program) that started it. With
    `VQLAB_TRAINING=off` in the environment nothing is started.

    data : a data set's name; None for people's recordings where they are, else the bundled words
    minutes : until how many minutes, those of earlier starts included
    of : "codec", "prior" for that of notebook 12, or "tutorial" for that of notebook 13
    """
    now = Training(of)
    if os.environ.get("VQLAB_TRAINING", "") == "off":
        display(Answer("Nothing is started here: VQLAB_TRAINING is off."))
    elif not now.running:
        log = now.place(".training.log")
        lab = os.environ.get("JPY_PARENT_PID", "")  # the server, in a kernel of Jupyter
        watched = int(lab) if lab.isdigit() and psutil.pid_exists(int(lab)) else os.getpid()
        data = data or recordings()
        program = f"from {__name__} import run; run({of!r}, {watched}, {minutes}, {data!r})"
        command = [sys.executable, "-c", program]
        place = {"VQLAB_MY_CODEC": str(where()), "OMP_NUM_THREADS": "1"}
        root = str(Path(datasets.__file__).resolve().parents[2])
        place["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                env=os.environ | place,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        nothing = {"versions": [], "minutes": 0.0, "steps": 0, "loss": float("nan"), "curve": []}
        started = nothing | now.state
        begun = {"process": _name(psutil.Process(process.pid)), "until": minutes, "ended": ""}
        now.write(started | begun | {"data": data})
    return now


def recordings() -> str:
    """Which data set her training takes: people's recordings where they are, else "words"."""
    for name in PEOPLE:
        with suppress(FileNotFoundError, ValueError):
            datasets.load(name, "train", words="all")
            return name
    return "words"


def _whose(data: str) -> str:
    if data == "words":
        return "the bundled words (synthetic voices)"
    return f"people's recordings ({data})" if data in PEOPLE else data


Steps = Callable[[Any, int], Iterator[float]]
"""Trains a model for so many steps and yields the loss of each."""


def learn(
    model: nn.Module, train: Steps, *, done: float = 0, until: float = 20
) -> Iterator[tuple[float, float, bool]]:
    """Train leg by leg; yields after every step minutes, loss, and whether a leg has ended.

    done, until : minutes trained before, and in all
    """
    on_gpu = next(model.parameters()).is_cuda
    clock: Callable[[], float] = time.perf_counter if on_gpu else time.process_time
    trial = copy.deepcopy(model)
    list(train(trial, 3))
    begun = clock()
    list(train(trial, 10))
    seconds_per_step = (clock() - begun) / 10
    for end in [m for m in LEGS if done < m < until] + [until]:
        steps = max(1, round(60 * (end - done) / seconds_per_step))
        begun = clock()
        for n, loss in enumerate(train(model, steps), start=1):
            if n < steps:
                yield done + (clock() - begun) / 60, loss, False
        seconds_per_step, done = (clock() - begun) / steps, end
        yield done, loss, True


def run(of: str, watched: int, until: float, data: str) -> None:
    """The process: train at low priority on one thread, and end with the process `watched`."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background ignores
    threading.Thread(target=_interrupt_with, args=(watched,), daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(10)
    torch.set_num_threads(1)
    try:
        import_module(f"{__package__}.{ROOMS[of][1]}").main(until, data)
    except KeyboardInterrupt:
        pass  # before there was anything to keep
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
        now = Training(of)
        if _named(now.state):
            now.write(now.state | {"ended": f"stopped ({said})"})
        raise


def _interrupt_with(watched: int) -> None:
    """Wait for the end of another process, then interrupt this one as Ctrl-C does."""
    with suppress(psutil.NoSuchProcess):
        other = psutil.Process(watched)
        while other.is_running() and other.status() != psutil.STATUS_ZOMBIE:
            time.sleep(1)
    while True:
        os.kill(os.getpid(), signal.SIGINT)  # a signal, since that also ends waiting and sleep
        time.sleep(60)  # for the step in hand; somebody's `except:` may have caught the first


def device() -> str:
    """Where there is a GPU, there."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def keep(
    now: Training,
    *,
    learning: tuple[nn.Module, Steps],
    until: float,
    data: str,
    save: Callable[[nn.Module, Path], None],
    finish: Callable[[], None] = lambda: None,
) -> None:
    """Train, keep versions, write down how it stands; interrupted, keep the last step and end.

    learning : a model and what trains it; finish : called before a version is kept
    """
    model, train = learning
    interrupts, state = Interrupts(), now.state | {"data": data, "ended": "stopped"}
    if not now.place(".now.npz").exists():
        state |= {"minutes": 0.0, "steps": 0, "versions": [], "curve": []}
    written, losses = time.monotonic(), []
    for minutes, loss, version in learn(model, train, done=state["minutes"], until=until):
        state |= {"minutes": round(minutes, 3), "steps": state["steps"] + 1, "loss": loss}
        losses.append(loss)
        if version:
            finish()
            state["versions"] = [*state["versions"], round(minutes, 3)]
        if version or interrupts.seen or time.monotonic() - written > 20:
            if not _named(now.state):
                return
            whole = copy.deepcopy(model).cpu()
            save(whole, now.place(".now.npz"))
            if version:
                save(whole, now.place(".npz"))
                save(whole, now.place(f".{minutes:g}min.npz"))
            state["curve"] = [*state["curve"], (state["minutes"], sum(losses) / len(losses))]
            now.write(state)
            written, losses = time.monotonic(), []
            if interrupts.seen:
                return
    now.write(state | {"ended": "finished"})


def _named(state: dict[str, Any]) -> bool:
    """Whether a state names this process."""
    return state.get("process", [None])[0] == os.getpid()


def _name(process: psutil.Process) -> list[float]:
    return [process.pid, process.create_time()]  # numbers of processes come again


def _process(name: list[float] | None) -> psutil.Process | None:
    try:
        process = psutil.Process(int(name[0])) if name else None
        return process if process and process.create_time() == name[1] else None  # type: ignore
    except psutil.NoSuchProcess:
        return None
