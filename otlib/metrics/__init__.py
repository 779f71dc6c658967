"""Metrics of talking heads, each documented with its unit, square, mask and average; arrays in, numbers out.

:mod:`vertices` has vertex errors, :mod:`closures` and :mod:`closures_of_speech` lip closures with and without a true
motion, :mod:`timing` lags and agreement with the sound, :mod:`shapes` distances without correspondence, :mod:`conventions`
the peers' variants by name, :mod:`clip_scores` all scores of one clip, :mod:`aggregate` averages over clips and speakers,
:mod:`intervals` the uncertainty of a mean over speakers.
"""

from otlib.metrics.aggregate import CorpusScores, aggregate
from otlib.metrics.clip_scores import Soundtrack, evaluate_sequence
from otlib.metrics.conventions import CONVENTIONS, ClipPair, convention, published_scores
from otlib.metrics.vertices import lip_error_mm

__all__ = ["CONVENTIONS", "ClipPair", "CorpusScores", "Soundtrack", "aggregate", "convention", "evaluate_sequence",
           "lip_error_mm", "published_scores"]
