"""Compute what is too long to compute at once: in overlapping windows, keeping the middle of each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Windows:
    """How a row of positions (features of a recording, frames of a mesh) is cut.

    Attributes:
        core: number of new positions per window.
        margin: positions that a window sees beyond its inner ends; their values are thrown away.
        fade: positions over which neighbouring windows are cross-faded; 0 if no value depends on more than the margin.
    """

    core: int
    margin: int
    fade: int = 0

    def over(self, total: int, values: Callable[[int, int], Tensor]) -> Iterator[Tensor]:
        """Yield the values (T, ...) of consecutive stretches, which together cover all positions.

        Memory is bounded by one window and one fade, however many positions there are.

        Args:
            total: number of positions.
            values: takes ``first`` and ``last`` and returns the values (last - first, ...) of positions first to last - 1,
                computed from these positions alone.
        """
        tail = None  # the previous window's view of the first positions of this one
        for first in range(0, total, self.core):
            last = min(first + self.core, total)
            end, begin = min(last + self.fade, total), max(0, first - self.margin)
            kept = values(begin, min(total, end + self.margin))[first - begin: end - begin]
            if tail is not None:
                shared = min(len(tail), len(kept))
                ramp = torch.arange(1, shared + 1, device=kept.device, dtype=kept.dtype) / (self.fade + 1)
                ramp = ramp.reshape(-1, *[1] * (kept.ndim - 1))
                kept[:shared] = torch.lerp(tail[:shared], kept[:shared], ramp)
            tail = kept[last - first:].clone()
            yield kept[: last - first]
