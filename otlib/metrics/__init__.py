"""Metrics of talking heads, each with its unit, square, mask and average said.

:mod:`vertices` has the errors of vertices, :mod:`mouth` openings and closures, :mod:`timing` lags and agreement with
the sound, :mod:`shapes` distances without correspondence, :mod:`conventions` the peers' variants by name,
:mod:`aggregate` the averages over clips and speakers, :mod:`evaluate` all of them for one clip.
"""

from otlib.metrics.aggregate import AVERAGES, CorpusScores, aggregate, average
from otlib.metrics.conventions import CONVENTIONS, ClipPair, Convention, convention, published_scores
from otlib.metrics.evaluate import evaluate_sequence
from otlib.metrics.mouth import (
    ClosureCounts,
    ClosureSettings,
    closure_counts,
    is_bilabial,
    lip_gap,
    mouth_opening_error,
)
from otlib.metrics.shapes import chamfer_distance, mesh_sliced_wasserstein
from otlib.metrics.timing import (
    Misalignment,
    correlation_lag,
    framewise_speech_lip_correlation,
    lip_intensity,
    lip_speed,
    speech_intensity,
    speech_lip_correlation,
    temporal_misalignment,
)
from otlib.metrics.vertices import (
    lip_max_distance,
    lip_mean_distance,
    lip_vertex_error,
    mean_vertex_error,
    motion_variation,
    region_distances,
    upper_face_dynamics_deviation,
)

__all__ = [
    "AVERAGES",
    "CONVENTIONS",
    "ClipPair",
    "ClosureCounts",
    "ClosureSettings",
    "Convention",
    "CorpusScores",
    "Misalignment",
    "aggregate",
    "average",
    "chamfer_distance",
    "closure_counts",
    "convention",
    "correlation_lag",
    "evaluate_sequence",
    "framewise_speech_lip_correlation",
    "is_bilabial",
    "lip_gap",
    "lip_intensity",
    "lip_max_distance",
    "lip_mean_distance",
    "lip_speed",
    "lip_vertex_error",
    "mean_vertex_error",
    "mesh_sliced_wasserstein",
    "motion_variation",
    "mouth_opening_error",
    "published_scores",
    "region_distances",
    "speech_intensity",
    "speech_lip_correlation",
    "temporal_misalignment",
    "upper_face_dynamics_deviation",
]
