"""Metrics of talking heads, each with its unit, square, mask and average said; arrays in, numbers out.

:mod:`vertices` has the errors of vertices, :mod:`mouth` closures, :mod:`timing` lags and agreement with the sound,
:mod:`shapes` distances without correspondence, :mod:`conventions` the peers' variants by name, :mod:`aggregate` the
averages over clips and speakers, :mod:`intervals` what a mean over speakers is sure of, :mod:`evaluate` all scores of one
clip.
"""

from otlib.metrics.aggregate import CorpusScores, aggregate
from otlib.metrics.clip_scores import Soundtrack, evaluate_sequence
from otlib.metrics.conventions import CONVENTIONS, ClipPair, convention, published_scores
from otlib.metrics.vertices import lip_error_mm

__all__ = ["CONVENTIONS", "ClipPair", "CorpusScores", "Soundtrack", "aggregate", "convention", "evaluate_sequence",
           "lip_error_mm", "published_scores"]
