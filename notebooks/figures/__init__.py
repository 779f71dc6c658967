"""Figures that one notebook shows; every function returns its picture and shows nothing."""

from notebooks.figures.fields import curve_panels, field_row
from notebooks.figures.lessons import convergence, pull_panels, surface_row
from notebooks.figures.matrices import answer_map, count_bars, matrix_row
from notebooks.figures.speech import closed_and_open, feature_tracks, probe_layers, self_similarity, speech_panels

__all__ = [
    "answer_map",
    "closed_and_open",
    "convergence",
    "count_bars",
    "curve_panels",
    "feature_tracks",
    "field_row",
    "matrix_row",
    "probe_layers",
    "pull_panels",
    "self_similarity",
    "speech_panels",
    "surface_row",
]
