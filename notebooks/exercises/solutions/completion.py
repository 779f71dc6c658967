"""Answer to the exercise of notebook 15."""

import numpy as np


def between_keys(keys, values, frames):
    """(K,), (K,), a number -> (frames,)."""
    return np.interp(np.arange(frames), keys, values) if len(keys) else np.zeros(frames)
