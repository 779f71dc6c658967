"""Sliced Wasserstein distance on the CPU: the compiled kernel on all frames, in memory proportional to the atoms.

The work is split by frame and by block of directions, independently of the number of threads, and summed in a fixed
order: one thread and many give the same bits. It runs on as many plain Python threads as torch uses (the kernel holds no
lock), so calls from several threads at once, or after a fork, are safe.
"""

import functools
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otlib.measures.compiled.sliced_numba import directions_block, make_buffers, prepare

LEAST_TASKS = 8
"""Fewest tasks in a call: enough to share among threads, few enough that their gradients take little memory."""


def solve(
    x_points: Float[Tensor, "T N d"],
    x_weights: Float[Tensor, "T N"],
    y_points: Float[Tensor, "T M d"],
    y_weights: Float[Tensor, "T M"],
    directions: Float[Tensor, "#T L d"],
    p: float,
    gradient: bool,
) -> tuple[Float[Tensor, " T"], Float[Tensor, "T N d"] | None, Float[Tensor, "T N"] | None]:
    """SW_p^p of each pair of measures and its gradient in the first; ``otlib.measures.sliced`` has checked the arguments.

    Seven arguments: PyTorch follows gradients through tensors, not through the measures that hold them.

    Returns:
        The values; with ``gradient`` also the gradients in ``x_points`` and in ``x_weights`` (centred: weighted by the
        masses, the latter sums to zero), otherwise None twice.
    """
    x, a, y, b, theta = (array.detach().contiguous().numpy()
                         for array in (x_points, x_weights, y_points, y_weights, directions))
    frames = len(x)
    blocks = _block_count(frames, theta.shape[1])
    value = np.zeros(frames)
    gradient_frames = frames if gradient else 0
    point_gradient = np.zeros((gradient_frames, x.shape[2], x.shape[1]), x.dtype)  # T d N, the kernel's layout
    weight_gradient = np.zeros((gradient_frames, x.shape[1]), x.dtype)
    prepared = [prepare(x[t], a[t], y[t], b[t]) for t in range(frames)] if blocks > 1 else None
    idle: deque[tuple] = deque()  # buffers that no task is using; at most one per thread exists

    def task(number: int) -> tuple[float, np.ndarray, np.ndarray]:
        frame, block = divmod(number, blocks)
        ready = prepare(x[frame], a[frame], y[frame], b[frame]) if prepared is None else prepared[frame]
        try:
            buffers = idle.pop()
        except IndexError:
            buffers = make_buffers(x[0], y[0])
        result = directions_block(*ready, theta[frame % len(theta)], block, blocks, p, gradient, buffers)
        idle.append(buffers)
        return result

    for number, (cost, point_part, weight_part) in enumerate(_in_order(task, frames * blocks)):
        frame = number // blocks
        value[frame] += cost
        if gradient:
            point_gradient[frame] += point_part
            weight_gradient[frame] += weight_part
    value = torch.from_numpy(value).to(x_points.dtype)
    if not gradient:
        return value, None, None
    with np.errstate(over="ignore", invalid="ignore"):  # otlib.measures.sliced checks what comes out
        weight_gradient /= a.sum(1, keepdims=True, dtype=np.float64)  # the kernel rescales the weights to sum to one
    return value, torch.from_numpy(point_gradient).transpose(1, 2), torch.from_numpy(weight_gradient)


def _block_count(frames: int, directions: int) -> int:
    """Blocks of directions per frame: a function of the problem only, never of the number of threads."""
    return max(1, min(-(-LEAST_TASKS // frames), (directions + 1) // 2))


def _in_order(task: Callable[[int], Any], count: int) -> Iterator[Any]:
    """Yield task(0) ... task(count - 1), computed on as many threads as torch uses, with few results waiting at a time."""
    threads = min(torch.get_num_threads(), count)
    if threads == 1:
        yield from map(task, range(count))
        return
    pool = _pool(threads, os.getpid())
    started: deque[Future] = deque()
    for number in range(count):
        started.append(pool.submit(task, number))
        if len(started) > threads:
            yield started.popleft().result()
    while started:
        yield started.popleft().result()


@functools.lru_cache(maxsize=1)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads that persist between calls; a forked process does not inherit them, so it gets its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix=f"sliced-{process}")
