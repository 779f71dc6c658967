"""All scores of one clip at once."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from otlib.metrics.aggregate import ratio
from otlib.metrics.mouth import DEFAULT_CLOSURES, ClosureSettings, closure_counts, lip_gap
from otlib.metrics.shapes import chamfer_distance, mesh_sliced_wasserstein
from otlib.metrics.timing import (
    correlation_lag,
    framewise_speech_lip_correlation,
    lip_intensity,
    speech_intensity,
    temporal_misalignment,
)
from otlib.metrics.vertices import (
    lip_max_distance,
    lip_mean_distance,
    mean_vertex_error,
    upper_face_dynamics_deviation,
)

MILLIMETRES = 1000.0
CHAMFER_FRAMES = 10
"""Frames, spread over the clip, on which the chamfer distance is taken: it builds search trees for each."""


def evaluate_sequence(truth: Float[Tensor, "T V 3"], prediction: Float[Tensor, "T V 3"], template: Float[Tensor, "V 3"],
                      faces: Int[Tensor, "F 3"], regions: Mapping[str, np.ndarray | Tensor | Sequence[int]], *,
                      frame_rate: float | int, phonemes: Sequence[tuple[str, float, float]] | None = None,
                      audio: tuple[np.ndarray, int] | None = None, directions: Float[Tensor, "L 6"] | None = None,
                      closures: ClosureSettings = DEFAULT_CLOSURES) -> dict[str, float]:
    """Score a predicted clip against the true one of the same topology.

    Args:
        truth, prediction: metres.
        template: the speaker's neutral face, metres.
        faces: of the mesh.
        regions: vertex indices; "lips", "upper_face" and "lip_gap" [upper, lower] are used.
        frame_rate: frames a second.
        phonemes: (IPA symbol, start, end), seconds; without them there are no closure scores.
        audio: samples of full scale 1 and their rate; without it there are no scores against the sound.
        directions: unit vectors in R^6, truth's dtype and device; without them there is no transport score.
        closures: thresholds of the closure scores.

    Returns:
        Numbers by name, for ``aggregate``; means over the frames of the clip unless said otherwise. NaN where a score is
        not defined.

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
        closures, closures_found, closures_claimed; closure_recall, closure_precision   with phonemes
        speech_intensity, speech_lip_correlation   with audio; the latter over frames (see ``timing``), while SLCC,
                                   which is over clips, is made by ``aggregate`` from the two intensities
        sliced_wasserstein_mm      SW_2 of the varifolds, with the root, with directions
        chamfer_mm                 chamfer distance, not squared, over ten frames, with directions
        =========================  ======================================================================

    Raises:
        ValueError: shapes that do not match, values that are not finite, a region that is missing or out of range.
    """
    lips, upper_face, pair = (_region(regions, name, truth.device) for name in ("lips", "upper_face", "lip_gap"))
    fdd = upper_face_dynamics_deviation(truth, prediction, template, upper_face).item()
    largest = lip_max_distance(truth, prediction, lips)
    truth_gap, predicted_gap = lip_gap(truth, pair), lip_gap(prediction, pair)
    gaps = truth_gap.cpu().numpy(), predicted_gap.cpu().numpy()
    misalignment = temporal_misalignment(*gaps)
    scores = {
        "frames": float(len(truth)),
        "lip_max_mm": MILLIMETRES * largest.mean().item(),
        "lip_mean_mm": MILLIMETRES * lip_mean_distance(truth, prediction, lips).mean().item(),
        "lve_m2": largest.square().mean().item(),
        "mve_mm": MILLIMETRES * mean_vertex_error(truth, prediction).mean().item(),
        "fdd_m2": fdd,
        "fdd_absolute_m2": abs(fdd),
        "mouth_opening_mm": MILLIMETRES * (predicted_gap - truth_gap).abs().mean().item(),
        "mtm_frames": misalignment.absolute,
        "lag_frames": misalignment.signed,
        "correlation_lag_frames": correlation_lag(*gaps),
        "lip_intensity_mm": MILLIMETRES * lip_intensity(prediction, lips),
    }
    if phonemes is not None:
        counts = closure_counts(gaps[1], phonemes, frame_rate, rest_gap=lip_gap(template, pair).item(),
                                truth_gap=gaps[0], settings=closures)
        scores |= {"closures": float(counts.closures), "closures_found": float(counts.found),
                   "closures_claimed": float(counts.claimed)}
        scores |= {
            "closure_recall": ratio(scores["closures_found"], scores["closures"]),
            "closure_precision": ratio(scores["closures_found"], scores["closures_claimed"]),
        }
    if audio is not None:
        samples, sample_rate = audio
        scores |= {
            "speech_intensity": speech_intensity(samples),
            "speech_lip_correlation": framewise_speech_lip_correlation(samples, sample_rate, prediction, lips, frame_rate),
        }
    if directions is not None:
        chosen = np.unique(np.linspace(0, len(truth) - 1, CHAMFER_FRAMES).round().astype(int)).tolist()
        transport = mesh_sliced_wasserstein(truth, faces, prediction, faces, directions)
        scores |= {
            "sliced_wasserstein_mm": MILLIMETRES * transport.double().mean().item(),
            "chamfer_mm": MILLIMETRES * float(np.mean([chamfer_distance(truth[t], faces, prediction[t], faces)
                                                       for t in chosen])),
        }
    return scores


def _region(regions: Mapping[str, np.ndarray | Tensor | Sequence[int]], name: str, device: torch.device) -> Tensor:
    if name not in regions:
        raise ValueError(f"regions lack {name!r}; there are {', '.join(regions)}")
    return torch.as_tensor(regions[name], device=device).to(torch.int64)
