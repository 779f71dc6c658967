"""All scores of one clip at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from otlib.metrics.aggregate import ratio
from otlib.metrics.closures import closure_counts
from otlib.metrics.shapes import chamfer_distance, mesh_sliced_wasserstein
from otlib.metrics.timing import (
    correlation_lag,
    framewise_speech_lip_correlation,
    lip_intensity,
    speech_intensity,
    temporal_misalignment,
)
from otlib.metrics.vertices import MILLIMETRES, mean_vertex_error, region_distances, upper_face_dynamics_deviation
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.topology import Topology

CHAMFER_FRAMES = 10
"""Number of frames, spread over the clip, in which the chamfer distance is computed: each needs its own search trees."""


@dataclass(frozen=True)
class Soundtrack:
    """The speech of a clip; frame t is at t / frame_rate seconds.

    Attributes:
        frame_rate: frames a second.
        phonemes: with their times; None leaves the closure scores out.
        audio: samples of full scale 1 and their rate in Hz; None leaves the scores against the sound out.
    """

    frame_rate: float
    phonemes: Sequence[Phoneme] | None = None
    audio: tuple[ndarray, int] | None = None


def evaluate_sequence(truth: Float[ndarray, "T V 3"], prediction: Float[ndarray, "T V 3"],
                      template: Float[ndarray, "V 3"], topology: Topology, soundtrack: Soundtrack,
                      directions: Float[ndarray, "L 6"] | None = None) -> dict[str, float]:
    """Score a predicted clip against the true one of the same topology.

    Args:
        truth, prediction: metres.
        template: the speaker's neutral face, metres.
        topology: with the regions "lips", "upper_face" and "lip_gap".
        soundtrack: frame rate, phonemes and sound.
        directions: unit vectors in R^6, truth's dtype; None leaves the distances between surfaces out.

    Returns:
        Numbers by name, for ``aggregate``; means over the frames of the clip unless stated otherwise; NaN for a score that
        is not defined.

        =========================  ======================================================================
        frames                     T
        lip_max_mm                 largest distance over the lips (the headline)
        lip_mean_mm                mean distance over the lips
        lve_m2                     largest squared distance over the lips, m^2 (CodeTalker's LVE of one clip)
        mve_mm                     mean distance over all vertices
        fdd_m2, fdd_absolute_m2    FDD of the clip, signed and absolute, m^2
        mouth_opening_mm           absolute difference of the lip gaps
        mtm_frames, lag_frames     MTM, and the mean signed lag of its matches (late is positive)
        correlation_lag_frames     lag of the best correlation of the lip gaps (late is positive)
        lip_intensity_mm           root mean square of the predicted lips' mean speed, mm a frame
        lip_speed_share            that of the prediction as a share of the truth's: below 1 the motion is too smooth
        gap_spread_share           standard deviation of the lip gap in time, likewise
        closures, closures_found, closures_claimed; closure_recall, closure_precision   with phonemes
        speech_intensity, speech_lip_correlation   with audio; the latter over frames (see ``timing``), while SLCC,
                                   which is over clips, is made by ``aggregate`` from the two intensities
        sliced_wasserstein_mm      SW_2 of the varifolds, with the root, with directions
        chamfer_mm                 chamfer distance, not squared, over ten frames, with directions
        =========================  ======================================================================

    Raises:
        ValueError: shapes that do not match, values that are not finite, a region that is missing or out of range.
    """
    faces, lips = topology.faces, topology.lips
    fdd = upper_face_dynamics_deviation(truth, prediction, template, topology.region("upper_face"))
    distances = region_distances(truth, prediction, lips)
    largest, gap_mm, predicted_mm = distances.max(axis=1), topology.gap_mm(truth), topology.gap_mm(prediction)
    misalignment, intensity = temporal_misalignment(gap_mm, predicted_mm), lip_intensity(prediction, lips)
    scores = {
        "frames": float(len(truth)),
        "lip_max_mm": MILLIMETRES * float(largest.mean()),
        "lip_mean_mm": MILLIMETRES * float(distances.mean()),
        "lve_m2": float(np.square(largest).mean()),
        "mve_mm": MILLIMETRES * float(mean_vertex_error(truth, prediction).mean()),
        "fdd_m2": fdd,
        "fdd_absolute_m2": abs(fdd),
        "mouth_opening_mm": float(np.abs(predicted_mm - gap_mm).mean()),
        "mtm_frames": misalignment.absolute,
        "lag_frames": misalignment.signed,
        "correlation_lag_frames": correlation_lag(gap_mm, predicted_mm),
        "lip_intensity_mm": MILLIMETRES * intensity,
        "lip_speed_share": ratio(intensity, lip_intensity(truth, lips)),
        "gap_spread_share": ratio(float(predicted_mm.std()), float(gap_mm.std())),
    }
    if soundtrack.phonemes is not None:
        counts = closure_counts(predicted_mm, soundtrack.phonemes, soundtrack.frame_rate,
                                rest_mm=float(topology.gap_mm(template)), truth_mm=gap_mm)
        scores |= {
            "closures": float(counts.closures),
            "closures_found": float(counts.found),
            "closures_claimed": float(counts.claimed),
            "closure_recall": ratio(counts.found, counts.closures),
            "closure_precision": ratio(counts.found, counts.claimed),
        }
    if soundtrack.audio is not None:
        samples, sample_rate = soundtrack.audio
        scores |= {
            "speech_intensity": speech_intensity(samples),
            "speech_lip_correlation": framewise_speech_lip_correlation(samples, sample_rate, prediction, lips,
                                                                       soundtrack.frame_rate),
        }
    if directions is not None:
        frames = np.unique(np.linspace(0, len(truth) - 1, CHAMFER_FRAMES).round().astype(int)).tolist()
        transport = mesh_sliced_wasserstein(truth, faces, prediction, faces, directions)
        scores |= {
            "sliced_wasserstein_mm": MILLIMETRES * float(transport.mean(dtype=float)),
            "chamfer_mm": MILLIMETRES * float(np.mean([chamfer_distance(truth[t], faces, prediction[t], faces)
                                                       for t in frames])),
        }
    return scores
