"""CTC alignment by torchaudio's compiled ``forced_align``."""

import numpy as np
import torch
import torchaudio.functional


def compiled_path(logarithms, sounds, blank):
    """Which of N sounds each frame is, -1 for a blank; at least as many frames as a path needs."""
    labels, _ = torchaudio.functional.forced_align(logarithms[None], torch.tensor(sounds)[None], blank=blank)
    found = labels[0].numpy()
    starts = (found != blank) & (np.diff(found, prepend=blank) != 0)
    return np.where(found == blank, -1, np.cumsum(starts) - 1)
