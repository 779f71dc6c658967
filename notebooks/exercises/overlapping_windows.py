"""Exercise of notebook 07, windows of a long recording."""

from notebooks.exercises.exercise import Exercise, same


def _windows(answer):
    cases = {(10, 4, 2): [(0, 0, 4, 6), (2, 4, 8, 10), (6, 8, 10, 10)], (4, 4, 9): [(0, 0, 4, 4)],
             (5, 4, 0): [(0, 0, 4, 4), (4, 4, 5, 5)], (3, 10, 1): [(0, 0, 3, 3)]}
    for (frames, window, reach), expected in cases.items():
        same(f"{frames} frames, windows of {window}, reach {reach}", answer(frames, window, reach), expected)


WINDOW_EDGES = Exercise(
    question="window_edges(frames, window, reach) -> a list of (start, first, last, end): frames start to end - 1 are read "
             "so that frames first to last - 1, at most `window` of them, come out as in a single pass; each frame once.",
    hint="Step through the new frames first, and only then widen each stretch by the reach, as far as the recording goes.",
    try_on=_windows)
