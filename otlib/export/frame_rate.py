"""Motion at another frame rate."""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float


def at_frame_rate(stretches: Iterable[Float[np.ndarray, "_ V 3"]], rate: float, new_rate: float,
                  count: int) -> Iterator[Float[np.ndarray, "_ V 3"]]:
    """Yield a sequence at another frame rate, stretch by stretch, linear between its frames.

    Our choice, since a line between two frames is what programs draw between those of a glb. A lower rate shows a short
    closure of the lips only if a frame falls on it; beyond the last frame the head holds still.

    Args:
        stretches: (n, V, 3) float32 each, one after the other; frame t is at t / rate seconds.
        rate, new_rate: frames a second.
        count: how many frames the result has; frame t is at t / new_rate seconds.

    Raises:
        ValueError: there is no frame.
    """
    done, before, held = 0, 0, None  # frames yielded and frames read, and the last of these
    for stretch in stretches:
        if not len(stretch):
            continue
        known = stretch if held is None else np.concatenate([held, stretch])
        start = before - len(known) + len(stretch)  # number of the first known frame
        before, held = before + len(stretch), stretch[-1:]
        last = min(count, int(np.floor((before - 1) * new_rate / rate + 1e-9)) + 1)
        if last <= done:
            continue
        place = np.clip(np.arange(done, last) * rate / new_rate - start, 0, len(known) - 1)
        first = np.floor(place).astype(int)
        share = (place - first).astype(np.float32)[:, None, None]
        yield (1 - share) * known[first] + share * known[np.minimum(first + 1, len(known) - 1)]
        done = last
    if held is None:
        raise ValueError("stretches: there is no frame")
    if done < count:
        yield np.repeat(held, count - done, axis=0)
