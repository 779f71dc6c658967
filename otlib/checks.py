"""Refusals that several rooms share: values that are not finite, indices that are not there."""

import math

import torch
from jaxtyping import Int
from torch import Tensor


def check_finite(name: str, values: Tensor) -> None:
    """Raise ValueError naming ``name`` and the index of its first value that is NaN or infinite."""
    low, high = extremes(values)
    if not math.isfinite(high - low):
        bad = (~torch.isfinite(values.detach())).nonzero()
        where = f"at index {tuple(bad[0].tolist())}" if len(bad) else "(their range overflows)"
        raise ValueError(f"{name} must be finite, found {float(values[tuple(bad[0])]) if len(bad) else high} {where}")


def extremes(values: Tensor) -> tuple[float, float]:
    """Return the least and the largest of some values, NaN if one of them is: a check in one pass, without a temporary.

    On the CPU numpy looks for them, on one thread: torch's threads, woken for a large tensor, go on spinning for
    milliseconds on the cores that what is checked here is then computed on.
    """
    values = values.detach()
    if values.device.type == "cpu":
        array = values.numpy()
        return float(array.min()), float(array.max())
    low, high = torch.aminmax(values)
    return float(low), float(high)


def check_region(name: str, region: Int[Tensor, " N"], count: int) -> None:
    """Refuse a list of vertices that is empty or out of range."""
    if region.ndim != 1 or len(region) == 0:
        raise ValueError(f"{name} must be a list of vertices, not of shape {tuple(region.shape)}")
    if int(region.min()) < 0 or int(region.max()) >= count:
        raise ValueError(f"{name} names vertices {int(region.min())} to {int(region.max())}, but there are {count}")
