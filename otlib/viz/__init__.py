"""Figures and pictures; every function returns its picture and shows nothing."""

from otlib.viz.curves import interval_plot, lip_gap_curves, loss_curves, phoneme_rows
from otlib.viz.display import show
from otlib.viz.film_frames import render_frames
from otlib.viz.head_figures import film_strip, head_triptych, row_of_heads
from otlib.viz.heads import HeadRenderer
from otlib.viz.measures import add_measure, measure_views, quantile_matching

__all__ = [
    "HeadRenderer",
    "add_measure",
    "film_strip",
    "head_triptych",
    "interval_plot",
    "lip_gap_curves",
    "loss_curves",
    "measure_views",
    "phoneme_rows",
    "quantile_matching",
    "render_frames",
    "row_of_heads",
    "show",
]
