"""Her training, in a process of its own: it goes on while she reads, and can be watched and heard.

The one idea: training is a row of legs (1 minute, 1 more, 3, 5, 10, …), each with a rate that falls
to nothing, so that every leg ends with a codec that can be used. Weights lie beside `my_codec.py`:
`my_codec.npz` is the newest version, `my_codec.5min.npz` the one after five minutes, and
`my_codec.now.npz` what to go on with. Minutes are those of the processor (of the clock on a GPU).
`VQLAB_TRAINING=off` starts none: so what a saved notebook shows does not depend on a clock. Before
there is a version of hers, the reference's model (`data/weights/own`) stands in.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import torch
from IPython.display import display
from torch import Tensor, nn

from vqlab import datasets
from vqlab.files import bundled, load_json, write_whole
from vqlab.lessons.guesses import Answer
from vqlab.lessons.own_file import pieces, program, read, where
from vqlab.lessons.own_pieces import from_file, own

PEOPLE = ("speech_commands", "mini_speech_commands")
"""Recordings of people that her training takes where they are, the first that is there."""
MOST_CLIPS = 8_000
"""For memory's sake: the spectra of so many clips take 0.26 GB; all of Speech Commands 2.7 GB."""
LEGS = (1, 2, 5, 10, 20, 40, 60, 90, 120)
"""Minutes after which there is a version to hear; a leg ends at each."""


class Training:
    """How her training stands, read anew whenever it is asked; Jupyter shows it as a sentence."""

    @property
    def state(self) -> dict[str, Any]:
        """What the process wrote last, empty before any: minutes, steps, loss, versions, data.

        `curve` has pairs of minutes and the mean loss since the pair before.
        """
        path = where().with_suffix(".training.json")
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

    def versions(self) -> dict[str, nn.Module]:
        """The codecs kept so far, such as "2 min"; her own `load_codec` reads them."""
        codec, kept = own(), self.state.get("versions", [])
        found = {f"{m:g} min": where().with_suffix(f".{m:g}min.npz") for m in kept}
        return {name: codec.load_codec(path) for name, path in found.items() if path.exists()}

    def __repr__(self) -> str:
        state = self.state
        if not state:
            return "No training yet."
        kept = ", ".join(map(str, state["versions"])) or "none"
        loss = f", loss {state['loss']:.3f}" if state["steps"] else ""  # none before the first step
        told = "Training runs" if self.running else f"Training is {state['ended'] or 'stopped'}"
        return (
            f"{told}: {state['minutes']:.1f} of {state['until']} minutes on "
            f"{_whose(state['data'])}, {state['steps']} steps{loss}; "
            f"versions after minute: {kept}."
        )


def training() -> Training:
    """How her training stands."""
    return Training()


class Progress(str):
    """A table in Markdown, which Jupyter shows as one."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return str(self)


def progress() -> Progress:
    """Which pieces of the codec are hers, and how her training stands."""
    sections = read()[1]
    lines = [f"| {where().name} | whose | lines |", "|---|---|--:|"]
    hers = 0
    for name in pieces():
        section = sections.get(name)
        whose, size = "ours", "–"
        if section is not None and section.hers:
            fault = from_file(name, section)[1]
            whose = f"yours, but: {fault}" if fault else "**yours**"
            size, hers = str(len(section.code.splitlines())), hers + (not fault)
        lines.append(f"| {name} | {whose} | {size} |")
    lines += ["", f"{hers} of {len(pieces())} pieces are yours. {Training()!r}"]
    return Progress("\n".join(lines))


def start_training(data: str | None = None, *, minutes: float = 20) -> Training:
    """Start her training, or go on with it, in a process that outlives the kernel.

    It ends by itself, and with the JupyterLab (or the program) that started it. With
    `VQLAB_TRAINING=off` in the environment nothing is started.

    data : a data set's name; None for people's recordings where they are, else the bundled words
    minutes : until how many minutes, those of earlier starts included
    """
    now = Training()
    if os.environ.get("VQLAB_TRAINING", "") == "off":
        display(Answer("Nothing is started here: VQLAB_TRAINING is off."))
    elif not now.running:
        log = where().with_suffix(".training.log")
        lab = os.environ.get("JPY_PARENT_PID", "")  # the server, in a kernel of Jupyter
        watched = int(lab) if lab.isdigit() and psutil.pid_exists(int(lab)) else os.getpid()
        data = data or recordings()
        program = f"from {__name__} import main; main({watched}, {minutes}, {data!r})"
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
        _write_state(started | begun | {"data": data})
    return now


def trained() -> tuple[ModuleType, nn.Module]:
    """Her codec as it stands and its newest version, or ours after 2,000 steps. Says which.

    Returns a module with all pieces, such as `compress`, and the model to give them.
    """
    weights = where().with_suffix(".npz")
    said = "Our codec, which the solutions learned in 2,000 steps, until yours has a version."
    if weights.exists():
        own_codec, minutes = own(), Training().state.get("minutes", 0)
        try:
            codec = own_codec.load_codec(weights)
        except RuntimeError:
            said = f"Our codec: the weights in {weights.name} are of other pieces than yours now."
        else:
            display(Answer(f"Your codec, {minutes:.0f} minutes old."))
            return own_codec, codec
    display(Answer(said))
    ours = program({})
    return ours, ours.load_codec(bundled("weights", "own", "my_codec.npz"))


def recordings() -> str:
    """Which data set her training takes: people's recordings where they are, else "words"."""
    for name in PEOPLE:
        with suppress(FileNotFoundError, ValueError):
            datasets.load(name, "train", words="all")
            return name
    return "words"


def spectra(codec: ModuleType, data: str | None = None, split: str = "train") -> tuple[str, Tensor]:
    """The name of a data set, and its clips as her codec sees them (clips, MELS, frames).

    data : None for people's recordings where they are, else the bundled words
    """
    data = data or recordings()
    clips = datasets.load(data, split, words="all", limit=MOST_CLIPS)
    rows = (codec.log_mel(codec.to_level(clip.waveform)[0][None]) for clip in clips)
    return data, torch.cat(list(rows))


def learn(
    own_codec: ModuleType, codec: nn.Module, mels: Tensor, *, done: float = 0, until: float = 20
) -> Iterator[tuple[float, float, bool]]:
    """Train leg by leg; yields after every step minutes, loss, and whether a leg has ended.

    done, until : minutes trained before, and in all
    """
    clock: Callable[[], float] = time.process_time
    if torch.cuda.is_available():
        codec, mels, clock = codec.cuda(), mels.cuda(), time.perf_counter
    trial = own_codec.Codec().to(mels.device)
    list(own_codec.train(trial, mels, 3))
    begun = clock()
    list(own_codec.train(trial, mels, 10))
    seconds_per_step = (clock() - begun) / 10
    for end in [m for m in LEGS if done < m < until] + [until]:
        steps = max(1, round(60 * (end - done) / seconds_per_step))
        begun = clock()
        for n, loss in enumerate(own_codec.train(codec, mels, steps), start=1):
            if n < steps:
                yield done + (clock() - begun) / 60, loss, False
        seconds_per_step, done = (clock() - begun) / steps, end
        yield done, loss, True


def count_codes(own_codec: ModuleType, codec: Any, mels: Tensor) -> None:
    """Count the codes of some 500 clips into the codec's tables."""
    device = next(codec.parameters()).device
    with torch.no_grad():
        parts = mels[:: max(1, len(mels) // 500)].split(50)
        codes = torch.cat([codec.eval()(part.to(device))[1].cpu() for part in parts])
    codec.frequencies.copy_(own_codec.frequencies(codes))


def main(watched: int, until: float, data: str) -> None:
    """The process: train, keep versions, write down how it stands; end with `watched`."""
    if hasattr(os, "nice"):
        os.nice(10)
    torch.set_num_threads(1)
    others, path = psutil.Process(watched), where().with_suffix(".npz")
    now = path.with_suffix(".now.npz")
    state = Training().state | {"process": _name(psutil.Process())}
    own_codec = own()
    codec = own_codec.Codec()
    if now.exists():
        try:
            codec.load_state_dict(own_codec.load_codec(now).state_dict())
        except RuntimeError:  # other sizes than those weights have
            state |= {"minutes": 0.0, "steps": 0, "versions": [], "curve": []}
    state["data"], mels = spectra(own_codec, data)
    state["ended"] = "stopped"
    written, losses = time.monotonic(), []
    for minutes, loss, version in learn(own_codec, codec, mels, done=state["minutes"], until=until):
        state |= {"minutes": round(minutes, 3), "steps": state["steps"] + 1, "loss": loss}
        losses.append(loss)
        if version:
            count_codes(own_codec, codec, mels)
            state["versions"] = [*state["versions"], round(minutes, 3)]
        if version or time.monotonic() - written > 20:
            whole = copy.deepcopy(codec).cpu()
            own_codec.save_codec(whole, now)
            if version:
                own_codec.save_codec(whole, path)
                own_codec.save_codec(whole, path.with_suffix(f".{minutes:g}min.npz"))
            state["curve"] = [*state["curve"], (state["minutes"], sum(losses) / len(losses))]
            _write_state(state)
            written, losses = time.monotonic(), []
            if not others.is_running():
                return
    _write_state(state | {"ended": "finished"})


def _whose(data: str) -> str:
    if data == "words":
        return "the bundled words (synthetic voices)"
    return f"people's recordings ({data})" if data in PEOPLE else data


def _write_state(state: dict[str, Any]) -> None:
    write_whole(where().with_suffix(".training.json"), json.dumps(state).encode())


def _name(process: psutil.Process) -> list[float]:
    return [process.pid, process.create_time()]  # numbers of processes come again


def _process(name: list[float] | None) -> psutil.Process | None:
    try:
        process = psutil.Process(int(name[0])) if name else None
        return process if process and process.create_time() == name[1] else None  # type: ignore
    except psutil.NoSuchProcess:
        return None
