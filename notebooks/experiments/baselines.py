"""What a trained model is measured against: motion that nobody trains, from a face that stays still to an oracle."""

from collections.abc import Callable

import numpy as np

from otlib.data.dataset import Dataset, Sequence
from otlib.errors import InputError

Reference = Callable[[Sequence], np.ndarray]
"""Returns the vertices (T, V, 3) of a clip, metres, as a :class:`otlib.predict.Predictor` does."""


def still_face(dataset: Dataset) -> Reference:
    """Return the speaker's template at every frame."""
    return lambda sequence: np.broadcast_to(sequence.template, sequence.vertices.shape)


def mean_motion(dataset: Dataset) -> Reference:
    """Return the mean displacement of all training frames, on the speaker's template, at every frame.

    Raises:
        InputError: the data set has no clip to train on.
    """
    total, frames = 0.0, 0
    for sequence in dataset.select("train"):
        total = total + (sequence.vertices - sequence.template).sum(0, dtype=np.float64)
        frames += sequence.frames
    if frames == 0:
        raise InputError(f"{dataset.path}: has no clips of the split 'train', whose mean motion is asked for")
    mean = (total / frames).astype(np.float32)
    return lambda sequence: np.broadcast_to(sequence.template + mean, sequence.vertices.shape)


def oracle(dataset: Dataset) -> Reference:
    """Return the true articulation with the speaker's own style replaced by the mean one.

    Nothing that has never seen a speaker can be expected to be better.

    Raises:
        InputError: when it is called with a clip of which the mean style is not known, as in recorded data sets.
    """
    def motion(sequence: Sequence) -> np.ndarray:
        styleless = sequence.mean_style
        if styleless is None:
            raise InputError(f"{dataset.path}: clip {sequence.id} has no motion in the mean style, so there is no oracle; "
                             "only the synthetic corpus has one")
        return styleless

    return motion


REFERENCES: dict[str, Callable[[Dataset], Reference]] = {"still face": still_face, "mean motion": mean_motion,
                                                         "oracle": oracle}


def reference(name: str, dataset: Dataset) -> Reference:
    """Return a reference by name.

    Args:
        name: "still face", "mean motion" or "oracle".
        dataset: whose clips it is called with.

    Raises:
        InputError: no such name, or the data set lacks what it needs.
    """
    if name not in REFERENCES:
        raise InputError(f"no reference {name!r}; there are {', '.join(REFERENCES)}")
    return REFERENCES[name](dataset)
