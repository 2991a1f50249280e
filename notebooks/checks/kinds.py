"""What kind of mistake a wrong result looks like, from its numbers alone.

The one idea: many slips leave a mark that can be seen without knowing the exercise: everything
twice as large, two axes exchanged, one entry too many, right but for the ends.

Notebook: all of them
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_FUNCTIONS: tuple[tuple[str, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("the sign is wrong everywhere", np.negative),
    ("this is the square of it", np.square),
    ("this is its square root", np.sqrt),
    ("this is its absolute value", np.abs),
    ("this is 1 divided by it: a quotient is upside down", np.reciprocal),
    ("this is its natural logarithm", np.log),
    ("this is its logarithm to base 10", np.log10),
    ("this is the exponential of it", np.exp),
)


def same(found: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Where two arrays agree, nan with nan."""
    return np.isclose(found, right, rtol=1e-4, atol=1e-5, equal_nan=True)


def kind_of_shape(found: tuple[int, ...], right: tuple[int, ...]) -> str:
    """What is wrong with a shape, as a sentence; empty where nothing can be said."""
    if sorted(found) == sorted(right):
        return "The axes are in another order."
    if len(found) != len(right):
        more = "more" if len(found) > len(right) else "fewer"
        return (
            f"That is {len(found)} axes, {more} than {len(right)}: see which axis a sum, a mean or "
            "an index takes away, or leaves."
        )
    axes = [a for a in range(len(right)) if found[a] != right[a]]
    if len(axes) == 1:
        n = found[axes[0]] - right[axes[0]]
        return f"Along axis {axes[0]} there {_is(abs(n))} too {'many' if n > 0 else 'few'}."
    return ""


def kind_of(found: np.ndarray, right: np.ndarray) -> str:
    """What two arrays of one shape differ in, as a sentence; empty where nothing can be said."""
    found, right = np.atleast_1d(found), np.atleast_1d(right)
    if np.isfinite(right).all() and not np.isfinite(found).all():
        n = int((~np.isfinite(found)).sum())
        what = "nan (0 / 0, or a root or logarithm of less than 0)"
        if np.isinf(found).any():
            what = "infinite (something divided by 0, or the logarithm of 0)"
        return f"{n} of its values {'is' if n == 1 else 'are'} {what}."
    if found.dtype.kind == "b" or right.dtype.kind == "b":
        return ""
    looks = (_function, _affine, _order, _end, _constant)
    with np.errstate(all="ignore"):
        return next(filter(None, (look(found, right) for look in looks)), "")


def _function(found: np.ndarray, right: np.ndarray) -> str:
    if np.iscomplexobj(right):
        conjugate = same(found, right.conj()).all()
        return "This is its complex conjugate." if conjugate else ""
    if right.dtype.kind in "iu" and same(np.round(found), right).all():
        return "It is not rounded to a whole number."
    for told, function in _FUNCTIONS:
        if same(found, function(right.astype(float))).all() and np.any(right):
            return told[0].upper() + told[1:] + "."
    return ""


def _affine(found: np.ndarray, right: np.ndarray) -> str:
    """Everything times the same number, or the same number too much."""
    large = np.abs(right) > 1e-3 * np.abs(right).max()
    if large.any() and np.any(found):
        ratio = np.median((found[large] / right[large]).real)
        if same(found, ratio * right).all() and (right.size > 1 or _simple(ratio)):
            return f"Everything is {ratio:.4g} times what it should be."
    shift = np.median((found - right).real)
    if same(found, right + shift).all() and (right.size > 1 or abs(shift) in (1, 2)):
        return f"It is {abs(shift):.4g} too {'large' if shift > 0 else 'small'} everywhere."
    return ""


def _simple(ratio: float) -> bool:
    return any(abs(r - round(r)) < 1e-3 and 1 < abs(round(r)) <= 512 for r in (ratio, 1 / ratio))


def _order(found: np.ndarray, right: np.ndarray) -> str:
    """The right values at other places."""
    if right.size < 3 or not same(np.sort(found, None), np.sort(right, None)).all():
        return ""
    for axis in range(right.ndim):
        if same(found, np.flip(right, axis)).all():
            return f"The values run backwards along axis {axis}."
        for n in (-2, -1, 1, 2):
            if same(found, np.roll(right, n, axis)).all():
                where = "late" if n > 0 else "early"
                return f"The values stand {abs(n)} too {where} along axis {axis}."
    return "The values are the right ones, in another order."


def _end(found: np.ndarray, right: np.ndarray) -> str:
    """Right but for the beginning or the end of an axis."""
    wrong = ~same(found, right)
    for axis in range(right.ndim):
        size = right.shape[axis]
        places = np.flatnonzero(wrong.any(tuple(a for a in range(right.ndim) if a != axis)))
        if 0 < len(places) <= size // 4:
            if places.max() < size // 4:
                return f"Only the beginning of axis {axis} is wrong, up to {places.max()}."
            if places.min() >= size - size // 4:
                return f"Only the end of axis {axis} is wrong, from {places.min()} of {size} on."
    return ""


def _constant(found: np.ndarray, right: np.ndarray) -> str:
    if found.size > 2 and np.ptp(np.abs(found)) == 0 and np.ptp(np.abs(right)) > 0:
        return f"All its values are the same, {found.flat[0]:.4g}."
    if not np.iscomplexobj(right) and found.min() < 0 <= right.min():
        return "Nothing in it should be below 0."
    return ""


def _is(n: int) -> str:
    return "is one" if n == 1 else f"are {n}"
