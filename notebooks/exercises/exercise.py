"""An exercise: a check that takes the learner's function and says in one sentence what differs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


class Differs(Exception):
    """An answer differs from the expected one; the message says how."""


@dataclass(frozen=True)
class Verdict:
    """The result of a check.

    Attributes:
        passed: whether the answer is right.
        says: a sentence for the learner.
    """

    passed: bool
    says: str

    def __str__(self) -> str:
        return self.says


@dataclass(frozen=True)
class Exercise:
    """A function to write.

    Attributes:
        question: what the function should do, with shapes.
        hint: a push in the right direction.
        try_on: calls the function on test cases and raises :class:`Differs` at the first wrong one; see :func:`same`.
    """

    question: str
    hint: str
    try_on: Callable[[Callable[..., Any]], None]

    def check(self, answer: Callable[..., Any]) -> Verdict:
        """Try a learner's function and return a sentence, whatever the function does."""
        name = getattr(answer, "__name__", "your function")
        try:
            self.try_on(answer)
        except Differs as difference:
            return Verdict(False, f"{name}: not yet, {difference}")
        except Exception as error:  # a learner's function may fail in any way
            return Verdict(False, f"{name}: not yet, it stopped with {type(error).__name__}: {error}")
        return Verdict(True, f"{name}: right")


def same(what: str, returned: Any, expected: Any, tolerance: float = 0.0) -> None:
    """Compare an answer's result with the expected one.

    Args:
        what: name of the case, such as "three terms on a triangle".
        returned: anything; arrays and tensors are compared as numbers.
        expected: number or array.
        tolerance: allowed error of each number, relative to the largest expected one.

    Raises:
        Differs: nothing returned, a wrong shape, not a number, a constant factor, or wrong numbers; the message says
            which.
    """
    if returned is None:
        raise Differs(f"{what}: it returns nothing")
    try:
        returned = np.asarray(returned, dtype=float)
    except (TypeError, ValueError) as error:
        raise Differs(f"{what}: it returns {type(returned).__name__}, which is not an array of numbers") from error
    expected = np.asarray(expected, dtype=float)
    if returned.shape != expected.shape:
        raise Differs(f"{what}: the shape is {returned.shape}, it should be {expected.shape}")
    if not np.isfinite(returned).all():
        raise Differs(f"{what}: a number is not finite")
    gap = np.abs(returned - expected)
    allowed = tolerance * max(float(np.abs(expected).max(initial=0.0)), 1e-300)
    if not (gap > allowed).any():
        return
    factor = float((returned * expected).sum() / max(float((expected**2).sum()), 1e-300))
    if expected.size > 1 and factor != 0 and (np.abs(returned - factor * expected) <= allowed * abs(factor)).all():
        raise Differs(f"{what}: every number is {factor:.4g} times what it should be")
    if expected.ndim == 0:
        raise Differs(f"{what}: it is {float(returned):.6g}, it should be {float(expected):.6g}")
    at = np.unravel_index(int(gap.argmax()), gap.shape)
    place = ", ".join(str(index) for index in at)
    raise Differs(f"{what}: {np.mean(gap > allowed):.0%} of the numbers differ, most at [{place}], "
                  f"{returned[at]:.6g} in place of {expected[at]:.6g}")
