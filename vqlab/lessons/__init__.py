"""What makes the notebooks answer: checks for the exercises, and guesses kept until the result.

`check` compares a learner's function with the reference and answers in one sentence: passed, not
attempted yet, or a hint that fits the particular mistake. `guess` keeps a prediction and `reveal`
puts it beside the result. The exercises of notebook NN live in the module `nbNN` of this package.

    >>> from vqlab import lessons, quantize
    >>> lessons.check("05-nearest", quantize.nearest)
    Passed: 05-nearest.
    >>> lessons.guess("codes used", 300)
    Kept: 300.
    >>> lessons.reveal("codes used", 661, "codes")
    You guessed 300 codes; it is 661 codes.

Notebook: all of them
"""

from ._exercise import Exercise, Verdict, value_of
from ._machinery import check, exercise_names, find, forget
from ._notes import Note, guess, reveal

__all__ = [
    "Exercise",
    "Note",
    "Verdict",
    "check",
    "exercise_names",
    "find",
    "forget",
    "guess",
    "reveal",
    "value_of",
]
