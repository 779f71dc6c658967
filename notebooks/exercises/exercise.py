"""What an exercise is: a check that takes the learner's function and says in one sentence what differs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


class Differs(Exception):
    """An answer is not the expected one; the message says how."""


@dataclass(frozen=True)
class Verdict:
    """What a check found.

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
        question: what it shall do, with shapes.
        hint: a push in the right direction.
        try_on: calls the function on cases and raises :class:`Differs` at the first that is wrong; see :func:`same`.
    """

    question: str
    hint: str
    try_on: Callable[[Callable[..., Any]], None]

    def check(self, answer: Callable[..., Any]) -> Verdict:
        """Try a learner's function; whatever it does, a sentence comes back."""
        name = getattr(answer, "__name__", "your function")
        try:
            self.try_on(answer)
        except Differs as difference:
            return Verdict(False, f"{name}: not yet, {difference}")
        except Exception as error:  # a learner's function may fail in any way
            return Verdict(False, f"{name}: not yet, it stopped with {type(error).__name__}: {error}")
        return Verdict(True, f"{name}: right")


def same(what: str, found: Any, expected: Any, tolerance: float = 0.0) -> None:
    """Compare what an answer returned with what it should.

    Args:
        what: names the case, such as "three terms on a triangle".
        found: anything; arrays and tensors are compared as numbers.
        expected: number or array.
        tolerance: of each number, relative to the largest expected one.

    Raises:
        Differs: nothing returned, another shape, not a number, a constant factor, or numbers that differ; the message
            says which.
    """
    if found is None:
        raise Differs(f"{what}: it returns nothing")
    try:
        found = np.asarray(found, dtype=float)
    except (TypeError, ValueError) as error:
        raise Differs(f"{what}: it returns {type(found).__name__}, which is no array of numbers") from error
    expected = np.asarray(expected, dtype=float)
    if found.shape != expected.shape:
        raise Differs(f"{what}: the shape is {found.shape}, it should be {expected.shape}")
    if not np.isfinite(found).all():
        raise Differs(f"{what}: a number is not finite")
    gap = np.abs(found - expected)
    allowed = tolerance * max(float(np.abs(expected).max(initial=0.0)), 1e-300)
    if not (gap > allowed).any():
        return
    factor = float((found * expected).sum() / max(float((expected**2).sum()), 1e-300))
    if expected.size > 1 and factor != 0 and (np.abs(found - factor * expected) <= allowed * abs(factor)).all():
        raise Differs(f"{what}: every number is {factor:.4g} times what it should be")
    if expected.ndim == 0:
        raise Differs(f"{what}: it is {float(found):.6g}, it should be {float(expected):.6g}")
    at = np.unravel_index(int(gap.argmax()), gap.shape)
    place = ", ".join(str(index) for index in at)
    raise Differs(f"{what}: {np.mean(gap > allowed):.0%} of the numbers differ, most at [{place}], "
                  f"{found[at]:.6g} in place of {expected[at]:.6g}")
