"""The optional exercise of notebook 06: speakers held out.

The core exercises are pieces of the codec and stand in `own_network`.

Notebook: 06
"""

from __future__ import annotations

from collections.abc import Sequence

from vqlab.lessons.exercise import Exercise, value_of


def _split(speakers: Sequence[str], n: int) -> tuple[list[int], list[int]]:
    held_out = set(sorted(set(speakers))[-n:])
    return _rows(speakers, held_out)


def _rows(speakers: Sequence[str], held_out: set[str]) -> tuple[list[int], list[int]]:
    rows = range(len(speakers))
    train = [i for i in rows if speakers[i] not in held_out]
    return train, [i for i in rows if speakers[i] in held_out]


_clips = ["eve", "ada", "dee", "bo", "cy", "ada", "eve", "bo"]
split_by_speaker = Exercise(
    probe=value_of(_clips, 2),
    right=_split,
    mistakes=(
        (
            lambda s, n: (list(range(len(s) - n)), list(range(len(s) - n, len(s)))),
            "you hold out clips, not speakers: a voice of the test set is heard in training.",
        ),
        (
            lambda s, n: (list(range(len(s))), _split(s, n)[1]),
            "the test clips are in the training set too.",
        ),
        (lambda s, n: _split(s, n)[::-1], "the two lists are exchanged: training first."),
        (
            lambda s, n: _rows(s, set(sorted(set(s))[:n])),
            "you hold out the first speakers of the sorted names; take the last.",
        ),
        (
            lambda s, n: _rows(s, set(sorted(s)[-n:])),
            "the sorted list names a speaker once for each clip: remove the doubles first (`set`).",
        ),
        (
            lambda s, n: _rows(s, set(list(dict.fromkeys(s))[-n:])),
            "the names are in the order of the clips: sort them before you take the last.",
        ),
        (
            lambda s, n: tuple([s[i] for i in part] for part in _split(s, n)),
            "these are names; the positions of the clips in the list are wanted.",
        ),
    ),
    hints=(
        "First the speakers (each name once, sorted), then which of them are held out, then the "
        "clips.",
        "`sorted(set(speakers))[-n_test:]` are the speakers of the test set.",
    ),
)

EXERCISES = {"split-by-speaker": split_by_speaker}
