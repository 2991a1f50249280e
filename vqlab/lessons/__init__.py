"""What makes the notebooks answer: checks for the exercises, and guesses kept until the result.

`check` compares a learner's function with the reference and answers in one sentence: passed, not
attempted yet, or a hint that fits the particular mistake. `guess` keeps a prediction and `reveal`
puts it beside the result. The exercises of notebook NN lie beside the
notebooks, in `notebooks/checks/nbNN.py` (in an installed wheel with its data), and are imported as
`vqlab.lessons.nbNN`; so is what only notebooks and benchmarks use, in `notebooks/beside`.

    >>> from vqlab import lessons
    >>> lessons.check("05-vq-loss", lessons.find("05-vq-loss").right)
    Passed: 05-vq-loss.
    >>> lessons.guess("codes used", 300)
    Kept: 300.
    >>> lessons.reveal("codes used", 661, "codes")
    You guessed 300 codes; it is 661 codes.

Notebook: all of them
"""

from ..files import beside_notebooks

__path__ += beside_notebooks("checks", "beside")  # modules of this room, so before they are asked

from .checking import exercise_names, find  # noqa: E402
from .exercise import Exercise, Verdict, value_of  # noqa: E402
from .guesses import Answer, guess, reveal  # noqa: E402
from .own_file import fill, pieces  # noqa: E402
from .own_pieces import check, mine, own  # noqa: E402
from .own_prior_training import trained_prior  # noqa: E402
from .own_process import Training, start_training, training  # noqa: E402
from .own_training import progress, trained  # noqa: E402
