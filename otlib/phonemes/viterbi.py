"""The best path through time: along a known row of sounds, or around a loop of all sounds.

Viterbi's algorithm in both cases (Rabiner 1989, section III-B); scores are log-probabilities, one row per frame.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

_LARGEST = 400_000_000  # entries of the table of steps, one byte each


def best_path(scores: Float[np.ndarray, "T N"], optional: Bool[np.ndarray, " N"]) -> Int[np.ndarray, " T"]:
    """Return which of N states in a row each frame is in.

    A path starts in the first state, ends in the last, stays or goes one state further from frame to frame, and may skip
    optional states; every other state gets at least one frame.

    Args:
        scores: of each state at each frame.
        optional: states that may be skipped; never two in a row.

    Raises:
        ValueError: fewer frames than states that need one, two optional states in a row, or so many frames and states that
            the table of steps would not fit in memory.
    """
    frames, states = scores.shape
    needed = int((~optional).sum())
    if frames < max(1, needed):
        raise ValueError(f"{frames} frames are too few for {needed} sounds")
    if (optional[1:] & optional[:-1]).any():
        raise ValueError("optional: two states in a row may be left out")
    if frames * states > _LARGEST:
        raise ValueError(f"{frames} frames by {states} states are too many at once")
    skips = np.zeros(states, bool)  # whether a state can be reached by skipping the one before it
    skips[2:] = optional[1:-1]
    best = np.full(states, -np.inf)
    best[0] = scores[0, 0]
    if optional[0] and states > 1:
        best[1] = scores[0, 1]
    steps = np.zeros((frames, states), np.uint8)  # how many states further than a frame ago
    candidates = np.full((3, states), -np.inf)
    for frame in range(1, frames):
        candidates[0] = best
        candidates[1, 1:] = best[:-1]
        candidates[2, 2:] = np.where(skips[2:], best[:-2], -np.inf)
        steps[frame] = candidates.argmax(0)
        best = candidates.max(0) + scores[frame]
    last = states - 1
    if optional[last] and states > 1 and best[last - 1] > best[last]:
        last -= 1
    path = np.empty(frames, np.int64)
    for frame in range(frames - 1, -1, -1):
        path[frame] = last
        last -= int(steps[frame, last])
    return path


def best_loop(scores: Float[np.ndarray, "T N"], transitions: Float[np.ndarray, "N N"]) -> Int[np.ndarray, " T"]:
    """Return which of N sounds each frame is, when any may follow any.

    Args:
        scores: of each sound at each frame.
        transitions: score of going from one sound (row) to another (column) between two frames, or of staying (diagonal).
    """
    frames, states = scores.shape
    best = scores[0].copy()
    before = np.zeros((frames, states), np.int16)
    for frame in range(1, frames):
        through = best[:, None] + transitions
        before[frame] = through.argmax(0)
        best = through.max(0) + scores[frame]
    path = np.empty(frames, np.int64)
    state = int(best.argmax())
    for frame in range(frames - 1, -1, -1):
        path[frame] = state
        state = int(before[frame, state])
    return path
