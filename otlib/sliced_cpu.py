"""Sliced Wasserstein distance on the CPU: the compiled kernel on all frames, in memory of a few atoms' worth.

The work is cut by frame and by block of directions, independently of the number of threads, and summed in a fixed
order: the same bits come out of one thread and of many. The threads are torch's number of plain Python threads (the
kernel holds no lock), so calls from several threads at once, or after a fork, are safe.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otlib.sliced_kernel import directions_block

LEAST_TASKS = 8
"""Tasks that a call is cut into at least: enough to share out, few enough that their gradients take little room."""


def solve(
    x_points: Float[Tensor, "T N d"],
    x_weights: Float[Tensor, "T N"],
    y_points: Float[Tensor, "T M d"],
    y_weights: Float[Tensor, "T M"],
    directions: Float[Tensor, "#T L d"],
    p: float,
    gradient: bool,
) -> tuple[Float[Tensor, " T"], Float[Tensor, "T N d"] | None, Float[Tensor, "T N"] | None]:
    """SW_p^p of each pair of measures and its gradient in the first one. Arguments as checked by ``otlib.sliced``.

    Returns:
        The values, and if ``gradient`` the gradients in ``x_points`` and in ``x_weights`` (centred: the masses times
        it sum to zero), else None twice.
    """
    arrays = [array.detach().contiguous().numpy() for array in (x_points, x_weights, y_points, y_weights, directions)]
    frames, atoms, dimension = x_points.shape
    blocks = _block_count(frames, directions.shape[1])
    values = np.empty((frames, blocks))
    # One slot per task, so no task waits for another; without gradients the slots are empty.
    kept = (frames, blocks) if gradient else (frames, 0)
    point_gradient = np.empty((*kept, atoms, dimension), arrays[0].dtype)
    weight_gradient = np.empty((*kept, atoms), arrays[0].dtype)

    def task(number: int) -> None:
        frame, block = divmod(number, blocks)
        x, a, y, b, theta = (array[frame % len(array)] for array in arrays)
        slot = (point_gradient[frame, block], weight_gradient[frame, block]) if gradient else (
            np.empty((0, dimension), x.dtype), np.empty(0, x.dtype))
        values[frame, block] = directions_block(x, a, y, b, theta, block, blocks, p, *slot)

    _run(task, frames * blocks)
    value = torch.from_numpy(values.sum(axis=1)).to(x_points.dtype)
    if not gradient:
        return value, None, None
    if blocks == 1:
        return value, torch.from_numpy(point_gradient[:, 0]), torch.from_numpy(weight_gradient[:, 0])
    return value, torch.from_numpy(point_gradient.sum(axis=1)), torch.from_numpy(weight_gradient.sum(axis=1))


def _block_count(frames: int, directions: int) -> int:
    """Blocks of directions per frame: a function of the problem only, never of the number of threads."""
    return max(1, min(-(-LEAST_TASKS // frames), (directions + 1) // 2))


def _run(task: Callable[[int], None], count: int) -> None:
    """Call task(0) ... task(count - 1) on as many threads as torch uses."""
    threads = min(torch.get_num_threads(), count)
    if threads == 1:
        for number in range(count):
            task(number)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(task, range(count)):  # the loop raises what a task raised
            pass
