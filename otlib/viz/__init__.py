"""Figures and pictures; every function returns its picture and shows nothing."""

from otlib.viz.curves import interval_plot, lip_gap_curves, loss_curves
from otlib.viz.display import show
from otlib.viz.fields import curve_panels, field_row
from otlib.viz.frames import render_frames
from otlib.viz.head_figures import film_strip, head_triptych
from otlib.viz.heads import HeadRenderer
from otlib.viz.lessons import convergence, pull_panels, surface_row
from otlib.viz.matrices import answer_map, count_bars, matrix_row
from otlib.viz.measures import add_measure, measure_views, quantile_matching
from otlib.viz.rows import row_of_heads
from otlib.viz.speech import feature_tracks, phoneme_rows, probe_layers, self_similarity, speech_panels

__all__ = [
    "HeadRenderer",
    "add_measure",
    "answer_map",
    "convergence",
    "count_bars",
    "curve_panels",
    "field_row",
    "feature_tracks",
    "film_strip",
    "head_triptych",
    "interval_plot",
    "lip_gap_curves",
    "loss_curves",
    "matrix_row",
    "measure_views",
    "phoneme_rows",
    "probe_layers",
    "pull_panels",
    "quantile_matching",
    "render_frames",
    "row_of_heads",
    "self_similarity",
    "show",
    "speech_panels",
    "surface_row",
]
