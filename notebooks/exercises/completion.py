"""Exercise of notebook 15, interpolation between key frames."""

import numpy as np

from notebooks.exercises.exercise import Exercise, same

ROUNDING = 1e-9  # rounding error of a sum of two products in float64


def _between(answer):
    cases = {"keys 1 and 5 of 7 frames": ([1, 5], [0.0, 8.0], 7, [0, 0, 2, 4, 6, 8, 8]),
             "one key": ([2], [3.0], 4, [3, 3, 3, 3]),
             "no key": ([], [], 3, [0, 0, 0]),
             "every frame a key": ([0, 1, 2], [5.0, -1.0, 2.0], 3, [5, -1, 2])}
    for case, (keys, values, frames, expected) in cases.items():
        same(case, answer(np.array(keys, int), np.array(values), frames), expected, ROUNDING)
    generator = np.random.default_rng(0)
    keys, values = np.flatnonzero(generator.random(60) < 1 / 3), generator.normal(size=60)
    expected = np.empty(60)
    for frame in range(60):
        before, after = keys[keys <= frame], keys[keys >= frame]
        left = before[-1] if len(before) else after[0]
        right = after[0] if len(after) else before[-1]
        share = (frame - left) / (right - left) if right > left else 0.0
        expected[frame] = (1 - share) * values[left] + share * values[right]
    same(f"{len(keys)} of 60 frames, at random", answer(keys.copy(), values[keys], 60), expected, ROUNDING)


BETWEEN_KEYS = Exercise(
    question="between_keys(keys (K,), values (K,), frames) -> (frames,): a straight line from each key frame to the next; "
             "before the first key and after the last the nearest key's value; without any key zero, the face at rest.",
    hint="np.interp does nearly all of it. What does it do with no key at all?",
    try_on=_between)
