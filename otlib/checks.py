"""Checks that several packages share: whether a value is a tensor, and whether all values are finite."""

import math

import torch
from torch import Tensor


class NotFiniteError(ValueError):
    """A number is NaN, infinite, or so small that its type cannot hold it: nothing may be computed from it."""


def check_tensor(name: str, value: object) -> None:
    """Raise ValueError naming ``name`` unless its value is a tensor."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} must be a torch tensor, not {type(value).__module__}.{type(value).__name__}")


def check_finite(name: str, values: Tensor) -> None:
    """Raise NotFiniteError naming ``name`` and the index of its first value that is NaN or infinite."""
    values = values.detach()
    low, high = extremes(values)
    if not math.isfinite(high - low):
        bad = (~torch.isfinite(values)).nonzero()
        where = f"at index {tuple(bad[0].tolist())}" if len(bad) else "(their range overflows)"
        raise NotFiniteError(f"{name} must be finite, found {float(values[tuple(bad[0])]) if len(bad) else high} {where}")


def extremes(values: Tensor) -> tuple[float, float]:
    """Return the smallest and the largest value, or NaN if any value is NaN: one pass, no temporary.

    On the CPU numpy does it on one thread: torch would wake all its threads for a large tensor, and they would keep
    spinning for milliseconds on the cores that the next computation needs.
    """
    values = values.detach()
    if values.device.type == "cpu":
        array = values.numpy()
        return float(array.min()), float(array.max())
    low, high = torch.aminmax(values)
    return float(low), float(high)
