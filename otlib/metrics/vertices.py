"""Errors between vertices of one topology: lips, whole face, and how much the upper face moves.

Functions of one clip return a number for each frame or one for the clip, in float64 whatever comes in; how frames,
clips and speakers are averaged is in :mod:`otlib.metrics.aggregate`, and what the peers' code does in
:mod:`otlib.metrics.conventions`. Sums of squares are in m^2, distances in metres, unless the name says ``_mm``.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otlib.checks import check_finite, check_region

FRAMES_AT_ONCE = 256
"""Frames that are held in float64 at a time where all vertices count: 28 MB at 5,023 vertices."""


def check_pair(truth: Float[Tensor, "T V 3"], prediction: Float[Tensor, "T V 3"]) -> None:
    """Refuse two motions that cannot be compared vertex by vertex.

    Raises:
        ValueError: shapes differ or are not (T, V, 3) with T and V above 0, or a value is not finite. Peers cut the
            longer one silently; here the caller does.
    """
    if truth.ndim != 3 or truth.shape[-1] != 3 or truth.numel() == 0:
        raise ValueError(f"truth must have shape (T, V, 3) with T, V > 0, not {tuple(truth.shape)}")
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction has shape {tuple(prediction.shape)}, truth {tuple(truth.shape)}")
    check_finite("truth", truth)
    check_finite("prediction", prediction)



def region_distances(truth: Float[Tensor, "T V 3"], prediction: Float[Tensor, "T V 3"], region: Int[Tensor, " N"],
                     *, centred: bool = False) -> Float[Tensor, "T N"]:
    """Return the distance in metres of each vertex of a region in each frame.

    Args:
        truth, prediction: metres.
        region: vertices; one that is listed twice counts twice, as in the peers' code.
        centred: subtract the region's mean position from both, frame by frame: the shape of the lips without their
            place, as the author of MeshTalk computed it (facebookresearch/meshtalk issue 32).

    Raises:
        ValueError: motions that do not match, or a region out of range.
    """
    check_pair(truth, prediction)
    check_region("region", region, truth.shape[1])
    difference = prediction[:, region].double() - truth[:, region].double()  # T N 3
    if centred:
        difference = difference - difference.mean(dim=1, keepdim=True)
    return torch.linalg.vector_norm(difference, dim=-1)


def lip_max_distance(truth: Float[Tensor, "T V 3"], prediction: Float[Tensor, "T V 3"], lips: Int[Tensor, " N"],
                     ) -> Float[Tensor, " T"]:
    """Return the largest distance over the lip vertices of each frame, metres, not squared.

    Its mean over frames, then clips, then speakers, in mm, is this project's headline ``lip_max_mm``.
    """
    return region_distances(truth, prediction, lips).amax(dim=1)


def lip_vertex_error(truth: Float[Tensor, "T V 3"], prediction: Float[Tensor, "T V 3"], lips: Int[Tensor, " N"],
                     ) -> Float[Tensor, " T"]:
    """Return LVE of each frame: the largest **squared** distance over the lip vertices, m^2.

    The peers' number is its mean over all frames of all clips together (CodeTalker, SelfTalk, FaceDiffuser, ScanTalk;
    ``torchmetrics.functional.multimodal.lip_vertex_error`` is the mean over one clip).
    """
    return lip_max_distance(truth, prediction, lips).square()


def lip_mean_distance(truth: Float[Tensor, "T V 3"], prediction: Float[Tensor, "T V 3"], lips: Int[Tensor, " N"],
                      ) -> Float[Tensor, " T"]:
    """Return the mean distance over the lip vertices of each frame, metres, not squared."""
    return region_distances(truth, prediction, lips).mean(dim=1)


def mean_vertex_error(truth: Float[Tensor, "T V 3"], prediction: Float[Tensor, "T V 3"]) -> Float[Tensor, " T"]:
    """Return MVE of each frame: the mean distance over all vertices, metres, not squared, no mask."""
    check_pair(truth, prediction)
    parts = zip(truth.split(FRAMES_AT_ONCE), prediction.split(FRAMES_AT_ONCE), strict=True)
    return torch.cat([torch.linalg.vector_norm(p.double() - t.double(), dim=-1).mean(dim=1) for t, p in parts])


def motion_variation(motion: Float[Tensor, "T V 3"], template: Float[Tensor, "V 3"], region: Int[Tensor, " N"],
                     ) -> Float[Tensor, ""]:
    """Return the mean over a region of the standard deviation in time of the squared displacement, m^2.

    The deviation divides by T (ddof = 0), so one frame gives zero.

    Args:
        motion: metres.
        template: the neutral face, metres.
        region: vertices, such as the upper face.

    Raises:
        ValueError: shapes that do not match, or a region out of range.
    """
    if motion.ndim != 3 or motion.shape[1:] != template.shape:
        raise ValueError(f"motion of shape {tuple(motion.shape)} does not fit a template of {tuple(template.shape)}")
    check_region("region", region, len(template))
    displacement = motion[:, region].double() - template[region].double()  # T N 3
    return displacement.square().sum(dim=-1).std(dim=0, correction=0).mean()


def upper_face_dynamics_deviation(truth: Float[Tensor, "T V 3"], prediction: Float[Tensor, "T V 3"],
                                  template: Float[Tensor, "V 3"], upper_face: Int[Tensor, " N"],
                                  ) -> Float[Tensor, ""]:
    """Return FDD of one clip, m^2, **signed**: the variation of the truth minus that of the prediction.

    Positive means that the prediction moves too little. It knows nothing of timing: a delayed prediction scores zero.
    CodeTalker averages the signed value over clips, so that clips cancel; FaceDiffuser and ScanTalk also report the
    mean of its absolute value.

    Args:
        truth, prediction, template: metres.
        upper_face: vertices.

    Source: Xing et al. 2023 (CodeTalker), by its evaluation code.
    """
    check_pair(truth, prediction)
    return motion_variation(truth, template, upper_face) - motion_variation(prediction, template, upper_face)


def lip_error_mm(predicted: Float[Tensor, "T V 3"], truth: Float[Tensor, "T V 3"], lips: Tensor) -> float:
    """Return the mean over frames of the largest distance of a lip vertex, in mm; what validation looks at."""
    return float((predicted[:, lips] - truth[:, lips]).norm(dim=-1).amax(-1).mean() * 1000)
