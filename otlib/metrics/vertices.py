"""Errors between vertices of one topology: lips, whole face, and how much the upper face moves.

Functions of one clip return one number a frame or one for the clip, in float64 whatever the input;
:mod:`otlib.metrics.aggregate` averages them over frames, clips and speakers, and :mod:`otlib.metrics.conventions` has the
formulas of the peers' code. Sums of squares are in m^2, distances in metres, unless the name ends with ``_mm``.
"""

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from otlib.checks import NotFiniteError
from otlib.topology import MILLIMETRES

FRAMES_AT_ONCE = 256
"""Frames held in float64 at a time by a metric of all vertices: 28 MB at 5,023 vertices."""


def check_pair(truth: Float[ndarray, "T V 3"], prediction: Float[ndarray, "T V 3"]) -> None:
    """Refuse two motions that cannot be compared vertex by vertex.

    Raises:
        ValueError: shapes differ or are not (T, V, 3) with T and V above 0, or a value is not finite. Peers cut the
            longer motion silently; here the caller does it.
    """
    if truth.ndim != 3 or truth.shape[-1] != 3 or truth.size == 0:
        raise ValueError(f"truth must have shape (T, V, 3) with T, V > 0, not {truth.shape}")
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction has shape {prediction.shape}, truth {truth.shape}")
    check_motion("truth", truth)
    check_motion("prediction", prediction)


def check_motion(name: str, motion: Float[ndarray, "*T V 3"]) -> None:
    """Refuse a motion with a value that is not finite: a score of NaN would mean "not defined" and leave the clip out."""
    if not np.isfinite(motion).all():
        where = np.argwhere(~np.isfinite(motion))[0].tolist()
        raise NotFiniteError(f"{name} must be finite, and is {motion[tuple(where)]} at index {where}")


def check_region(name: str, region: Integer[ndarray, " N"], count: int) -> None:
    """Refuse a list of vertices that is empty or out of range."""
    if region.ndim != 1 or len(region) == 0:
        raise ValueError(f"{name} must be a list of vertices, not of shape {region.shape}")
    if region.min() < 0 or region.max() >= count:
        raise ValueError(f"{name} names vertices {region.min()} to {region.max()}, but there are {count}")


def region_distances(truth: Float[ndarray, "T V 3"], prediction: Float[ndarray, "T V 3"], region: Integer[ndarray, " N"],
                     *, centred: bool = False) -> Float[ndarray, "T N"]:
    """Return the distance in metres of each vertex of a region in each frame.

    Args:
        truth, prediction: metres.
        region: vertices; one that is listed twice counts twice, as in the peers' code.
        centred: subtract the region's mean position from both, frame by frame: the shape of the lips without their
            position, as the author of MeshTalk computed it (facebookresearch/meshtalk issue 32).

    Raises:
        ValueError: motions that do not match, or a region out of range.
    """
    check_pair(truth, prediction)
    check_region("region", region, truth.shape[1])
    difference = prediction[:, region].astype(float) - truth[:, region].astype(float)  # T N 3
    if centred:
        difference -= difference.mean(axis=1, keepdims=True)
    return np.linalg.norm(difference, axis=-1)


def lip_error_mm(truth: Float[ndarray, "T V 3"], prediction: Float[ndarray, "T V 3"], lips: Integer[ndarray, " N"]) -> float:
    """Return the mean over frames of the largest distance of a lip vertex, in mm, not squared.

    Its mean over clips, then speakers, is this project's headline ``lip_max_mm``.
    """
    return MILLIMETRES * float(region_distances(truth, prediction, lips).max(axis=1).mean())


def mean_vertex_error(truth: Float[ndarray, "T V 3"], prediction: Float[ndarray, "T V 3"]) -> Float[ndarray, " T"]:
    """Return MVE of each frame: the mean distance over all vertices, metres, not squared, no mask."""
    check_pair(truth, prediction)
    parts = [slice(first, first + FRAMES_AT_ONCE) for first in range(0, len(truth), FRAMES_AT_ONCE)]
    return np.concatenate([np.linalg.norm(prediction[part].astype(float) - truth[part].astype(float), axis=-1).mean(axis=1)
                           for part in parts])


def motion_variation(motion: Float[ndarray, "T V 3"], template: Float[ndarray, "V 3"], region: Integer[ndarray, " N"],
                     ) -> float:
    """Return the mean over a region of the standard deviation in time of the squared displacement, m^2.

    The deviation divides by T (ddof = 0), so one frame gives zero.

    Args:
        motion: metres.
        template: the neutral face, metres.
        region: vertices, such as the upper face.

    Raises:
        ValueError: shapes that do not match, a region out of range, or a value that is not finite.
    """
    if motion.ndim != 3 or motion.shape[1:] != template.shape:
        raise ValueError(f"motion of shape {motion.shape} does not fit a template of {template.shape}")
    check_region("region", region, len(template))
    displacement = motion[:, region].astype(float) - template[region].astype(float)  # T N 3
    check_motion("the displacement", displacement)
    return float(np.square(displacement).sum(axis=-1).std(axis=0).mean())


def upper_face_dynamics_deviation(truth: Float[ndarray, "T V 3"], prediction: Float[ndarray, "T V 3"],
                                  template: Float[ndarray, "V 3"], upper_face: Integer[ndarray, " N"]) -> float:
    """Return FDD of one clip, m^2, **signed**: the variation of the truth minus that of the prediction.

    Positive means that the prediction moves too little. It ignores timing: a delayed prediction scores zero.
    CodeTalker averages the signed value over clips, so that clips cancel; FaceDiffuser and ScanTalk also report the
    mean of its absolute value.

    Args:
        truth, prediction, template: metres.
        upper_face: vertices.

    Source: Xing et al. 2023 (CodeTalker), by its evaluation code.
    """
    check_pair(truth, prediction)
    return motion_variation(truth, template, upper_face) - motion_variation(prediction, template, upper_face)
