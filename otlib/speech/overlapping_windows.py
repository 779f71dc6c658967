"""What is too long to be computed at once: windows that overlap, of each of which the middle is kept."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Windows:
    """How a row of positions (features of a recording, frames of a mesh) is cut.

    Attributes:
        core: new positions a window gives.
        margin: positions that a window sees at its inner ends and whose values are thrown away.
        fade: positions over which neighbouring windows are cross-faded; 0 where no value depends on more than the margin.
    """

    core: int
    margin: int
    fade: int = 0

    def over(self, total: int, values: Callable[[int, int], Tensor]) -> Iterator[Tensor]:
        """Yield the values (T, ...) of consecutive stretches; laid end to end they are those of all positions.

        Memory is bounded by one window and one fade, however many positions there are.

        Args:
            total: number of positions.
            values: returns those of the positions from a first to before a last one, (last - first, ...), as far as these
                positions alone tell.
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
