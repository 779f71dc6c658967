"""How published numbers were computed, by name: squared or not, which mean, which unit.

The name LVE stands for at least five formulas. Each is written here as in its authors' code, so that a table can be
compared with the paper it quotes. This project's own numbers use ``otlib``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from otlib.metrics.aggregate import AVERAGES, average
from otlib.metrics.vertices import mean_vertex_error, region_distances, upper_face_dynamics_deviation
from otlib.topology import Topology

REDUCTIONS = ("max", "mean", "mean_over_all")


@dataclass(frozen=True)
class Convention:
    """One way to compute lip error, FDD and MVE.

    Attributes:
        reduction: over the lip vertices of a frame: "max"; "mean"; "mean_over_all", the sum over lip vertices divided
            by the number of all vertices of the mesh.
        squared: reduce squared distances.
        scale: units in a metre: 1000 gives mm (mm^2 if squared), 1 gives m (m^2).
        centred: subtract the mean lip position of each frame first.
        lip_average, mve_average: "frames" pools all frames of all clips; "clips" averages over the frames of a clip
            first; "speakers" then over the clips of a speaker.
        fdd_absolute: take the absolute value of each clip's FDD before the mean over clips; otherwise signs cancel.
        source: where the formula is written.
    """

    reduction: str
    squared: bool
    scale: float
    source: str
    centred: bool = False
    lip_average: str = "frames"
    mve_average: str = "frames"
    fdd_absolute: bool = False

    def __post_init__(self) -> None:
        if self.reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}, not {self.reduction!r}")
        for name in ("lip_average", "mve_average"):
            if getattr(self, name) not in AVERAGES:
                raise ValueError(f"{name} must be one of {', '.join(AVERAGES)}, not {getattr(self, name)!r}")

    def lip_error(self, truth: Float[ndarray, "T V 3"], prediction: Float[ndarray, "T V 3"],
                  lips: Integer[ndarray, " N"]) -> Float[ndarray, " T"]:
        """Return the lip error of each frame of a clip, in this convention's unit."""
        distance = self.scale * region_distances(truth, prediction, lips, centred=self.centred)
        value = np.square(distance) if self.squared else distance
        if self.reduction == "max":
            return value.max(axis=1)
        return value.mean(axis=1) if self.reduction == "mean" else value.sum(axis=1) / truth.shape[1]


CONVENTIONS: Mapping[str, Convention] = MappingProxyType({
    "otlib": Convention("max", False, 1000.0, lip_average="speakers", mve_average="speakers", fdd_absolute=True,
                        source="our choice: a length in mm that a person can picture, and every speaker counts alike"),
    "codetalker": Convention("max", True, 1.0, source="Doubiiu/CodeTalker main/cal_metric.py"),
    "selftalk": Convention("max", True, 1.0, source="its authors point to CodeTalker's script (SelfTalk issue 4)"),
    "torchmetrics": Convention("max", True, 1.0, source="torchmetrics 1.9 LipVertexError, frames of all updates"),
    "facediffuser": Convention("max", True, 1.0, fdd_absolute=True,
                               source="FaceDiffuser evaluation/compute_objective_metrics.py, line ABS FDD"),
    "scantalk": Convention("max", True, 1.0, fdd_absolute=True, source="ScanTalk src/compute_metrics.py"),
    "diffspeaker": Convention("max", True, 1.0, lip_average="clips", mve_average="clips",
                              source="DiffSpeaker's test step: the mean of the clips' means"),
    "unitalker": Convention("max", True, 1.0, lip_average="clips", mve_average="clips",
                            source="UniTalker loss/loss.py mouth_metric, a mean for each clip"),
    "meshtalk": Convention("max", False, 1000.0, centred=True,
                           source="the author's reply in facebookresearch/meshtalk issue 32; mm as in the paper"),
    "imitator": Convention("mean_over_all", False, 1000.0, lip_average="clips", mve_average="clips",
                           source="Imitator utils/losses.py compute_masked_error_in_mm: the masked error is averaged "
                                  "over all vertices, so with 254 of 5,023 lip vertices it is 20 times too small"),
    "imitator_lip_sync": Convention("max", False, 1000.0, lip_average="clips", mve_average="clips",
                                    source="Imitator utils/losses.py lip_max_l2"),
})
"""Conventions by the name of the system whose code they follow. FDD is in m^2 in all of them."""


class ClipPair(NamedTuple):
    """One sentence, true and predicted: (T, V, 3) each, and the speaker's (V, 3) neutral face, metres."""

    speaker: str
    truth: ndarray
    prediction: ndarray
    template: ndarray


def convention(name: str) -> Convention:
    """Return a convention by name.

    Raises:
        ValueError: no such name; the message lists the names.
    """
    if name not in CONVENTIONS:
        raise ValueError(f"there is no convention {name!r}; choose from {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]


def published_scores(clips: Iterable[ClipPair], topology: Topology, how: Convention) -> dict[str, float]:
    """Compute a paper's three numbers over a corpus the way its code does.

    Args:
        clips: the clips, read one at a time.
        topology: the topology of all clips, with the regions "lips" and "upper_face".
        how: the convention, such as ``convention("codetalker")``.

    Returns:
        "lve" in the convention's unit, "fdd" in m^2 (mean over clips), "mve" in metres times the convention's scale.

    Raises:
        ValueError: no clip, a clip that does not fit, or a region that is missing.
    """
    lips, upper_face = topology.lips, topology.region("upper_face")
    lip_errors, vertex_errors, deviations, speakers = [], [], [], []
    for clip in clips:
        lip_errors.append(how.lip_error(clip.truth, clip.prediction, lips))
        vertex_errors.append(how.scale * mean_vertex_error(clip.truth, clip.prediction))
        deviations.append(upper_face_dynamics_deviation(clip.truth, clip.prediction, clip.template, upper_face))
        speakers.append(clip.speaker)
    if not speakers:
        raise ValueError("there is no clip to score")
    return {
        "lve": average(lip_errors, speakers, how.lip_average),
        "fdd": float(np.mean(np.abs(deviations) if how.fdd_absolute else deviations)),
        "mve": average(vertex_errors, speakers, how.mve_average),
    }
