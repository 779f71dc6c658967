"""Exercises of notebook 09, numbers one can trust."""

import numpy as np

from notebooks.exercises.exercise import Exercise, same

ROUNDING = 1e-9  # rounding error of means of a few numbers in float64


def _lve(answer):
    still = np.zeros((2, 3, 3))
    moved = still.copy()
    moved[0, 1] = (0.003, 0.004, 0.0)  # 5 mm at one lip vertex in the first frame
    moved[:, 2, 0] = 0.1  # far off, but not a lip
    same("5 mm at one of two lip vertices in one of two frames", answer(still, moved, np.array([0, 1])), 12.5e-6, ROUNDING)
    generator = np.random.default_rng(0)
    truth, prediction, lips = generator.normal(size=(6, 9, 3)), generator.normal(size=(6, 9, 3)), np.array([1, 4, 8])
    expected = np.mean([max(sum((prediction[t, v] - truth[t, v]) ** 2) for v in lips) for t in range(6)])
    same("random motions", answer(truth, prediction, lips), expected, ROUNDING)


def _delay(answer):
    wave = np.sin(np.arange(80) / 5.0) + np.cos(np.arange(80) / 3.1)
    for frames in (0, 3, -2, 7):
        late = np.roll(wave, frames)[10:-10]
        same(f"a prediction {frames} frames late", answer(wave[10:-10], late, 8), frames)
        same(f"a prediction {frames} frames late and half as large", answer(wave[10:-10], 0.5 * late + 3.0, 8), frames)


LIP_VERTEX_ERROR = Exercise(
    question="lip_vertex_error(truth (T, V, 3), prediction (T, V, 3), lips (N,)) -> one number: the published LVE, in m^2.",
    hint="The largest over the lips comes first, in each frame; the mean over frames comes last. No root anywhere.",
    try_on=_lve)

DELAY = Exercise(
    question="delay(truth_gap (T,), predicted_gap (T,), most) -> by how many whole frames, at most `most` either way, the "
             "prediction is late (early is negative), whatever its size.",
    hint="Shift one against the other, keep the frames that both have, and take the shift with the largest correlation, "
         "which size and offset do not affect.",
    try_on=_delay)
