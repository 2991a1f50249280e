"""Do you hear a difference? A blind ABX test.

A and B are two versions, X is one of them, drawn anew for each trial, and you say which. The one
idea (Munson and Gardner 1950): who hears no difference can only guess, and how often guesses come
out right by chance is known exactly: it is a binomial distribution with probability 1/2.

Notebook: 07
"""

from __future__ import annotations

import random
from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
import torch
import traitlets as t

from vqlab import listen
from vqlab.plots.media import sound_uri
from vqlab.widgets.base import LONGEST, Widget, assets, mono, whole_number

MOST = 100


def chance(right: int, trials: int) -> Fraction:
    """Probability of `right` or more right answers in `trials` when each is a coin toss.

    >>> chance(9, 10)  # (10 + 1) of 1024 ways
    Fraction(11, 1024)
    """
    if not 0 <= right <= trials or trials < 1:
        raise ValueError(
            f"{right} right of {trials} trials: there must be 0 to {trials}, and a trial"
        )
    return Fraction(sum(comb(trials, k) for k in range(right, trials + 1)), 2**trials)


def written_out(right: int, trials: int) -> str:
    """The same as a calculation in words, for example `(10 + 1) / 2^10 = 11/1024 = 0.0107`."""
    ways = [comb(trials, k) for k in range(right, trials + 1)]
    shown = [str(way) for way in ways]
    terms = " + ".join(shown if len(ways) <= 5 else [*shown[:2], "…", shown[-1]])
    terms = f"({terms})" if len(ways) > 1 else terms
    p = sum(ways) / 2**trials
    text = f"{p:.4f}" if p >= 0.001 else f"{p:.1e}"
    return f"{terms} / 2^{trials} = {sum(ways)}/{2**trials} = {text}"


class ABX(Widget):
    """A blind test of two sounds (samples,), brought to the same level as `listen.compare` does.

    names   : what A and B are, shown beside them, for example ("original", "1.0 kbit/s")
    answers : "a" or "b" for each trial so far

    `right`, `p_value` and `result` have a value after the last trial.
    Raises ValueError for sounds that `listen.compare` refuses, equal ones, ones of more than 40 s
    (three of them go to the page), or a number of trials that is not from 1 to 100.
    """

    _esm, _css = assets(__file__)
    trial = t.Int(1).tag(sync=True)  # counted from 1; trials + 1 after the last
    trials = t.Int().tag(sync=True)
    names = t.List(t.Unicode()).tag(sync=True)
    result = t.Unicode().tag(sync=True)
    _rows: t.List[Any] = t.List().tag(
        sync=True
    )  # (truth, answer) of each trial; empty before the end
    _sounds = t.Dict().tag(sync=True)

    def __init__(
        self,
        a: Any,
        b: Any,
        sample_rate: int = 16000,
        *,
        trials: int = 10,
        names: tuple[str, str] = ("A", "B"),
    ) -> None:
        if not 1 <= trials <= MOST:
            raise ValueError(f"trials is {trials}, it must be from 1 to {MOST}")
        if len(names) != 2:
            raise ValueError(f"names are two, of a and of b, not {len(names)}")
        fair = listen.compare({"a": a, "b": b}, sample_rate)
        self._pair = {v.label: mono(v.samples, sample_rate, LONGEST / 3) for v in fair.versions}
        if self._pair["a"].equal(self._pair["b"]):
            raise ValueError("a and b are the same sound, sample for sample: nobody can tell them")
        self._rate = sample_rate
        super().__init__(trials=trials, names=list(names))
        self.restart()

    def restart(self) -> None:
        """Begin again with new Xs, which nobody can know beforehand."""
        self._truth = random.SystemRandom().choices("ab", k=self.trials)
        self.answers: list[str] = []
        self.result, self._rows = "", []
        self._next()

    def _next(self) -> None:
        self.trial = len(self.answers) + 1
        if self.trial > self.trials:
            self._sounds = {}
            return
        x = self._truth[self.trial - 1]
        self._sounds = {
            key: self._copy(self._pair[k]) for key, k in (("a", "a"), ("b", "b"), ("x", x))
        }

    def _copy(self, sound: torch.Tensor) -> str:
        """The sound with noise of its own at the last bit: no two copies have the same bytes."""
        noise = np.random.default_rng().triangular(-1, 0, 1, len(sound)) / 32768
        return sound_uri(sound + torch.from_numpy(noise).float(), self._rate)

    def answer(self, choice: str) -> None:
        """Say which one X of the present trial is, "a" or "b"; nothing tells whether it is right.

        Raises ValueError for another word, or after the last trial.
        """
        if choice not in ("a", "b"):
            raise ValueError(f"the answer is 'a' or 'b', not {choice[:40]!r}")
        if self.done:
            raise ValueError("all trials are answered: restart() begins again")
        self.answers = [*self.answers, choice]
        if self.done:
            self._rows = [list(pair) for pair in zip(self._truth, self.answers, strict=True)]
            self.result = self._told()
        self._next()

    @property
    def done(self) -> bool:
        """Whether all trials are answered."""
        return len(self.answers) == self.trials

    @property
    def right(self) -> int | None:
        """Number of right answers, None before the end."""
        if not self.done:
            return None
        return sum(x == y for x, y in zip(self._truth, self.answers, strict=True))

    @property
    def p_value(self) -> float | None:
        """How likely guessing gives as many right answers or more, None before the end."""
        return None if self.right is None else float(chance(self.right, self.trials))

    def _told(self) -> str:
        right, p = self.right, self.p_value
        assert right is not None and p is not None
        verdict = (
            "Guessing does that well in less than one test in twenty: you hear a difference."
            if p < 0.05
            else "Guessing does that well often enough. This test did not show that you hear a "
            "difference, nor that there is none to be heard."
        )
        return (
            f"{right} of {self.trials} right. Who only guesses gets {right} or more right with "
            f"probability {written_out(right, self.trials)}. {verdict}"
        )

    def asked(self, content: dict[str, Any]) -> None:
        if content.get("do") == "restart":
            self.restart()
        elif (
            whole_number(content, "trial") == self.trial
        ):  # a second click on the last one: nothing
            self.answer(str(content.get("choice")))

    def sentence(self) -> str:
        state = (
            self.result or f"{len(self.answers)} answered; with a running kernel you can take it"
        )
        return (
            f"blind test of {self.names[0]} against {self.names[1]}, {self.trials} trials: {state}"
        )
