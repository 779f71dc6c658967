"""The figure from sound to movement: one axis of time, what it shades, and what it refuses."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from notebooks import figures
from otlib import viz
from otlib.phonemes import Phoneme
from otlib.viz import palette

RATE = 1000
PHONEMES = [Phoneme("m", 0.0, 0.2), Phoneme("ˈaː", 0.2, 0.9), Phoneme("b", 0.9, 1.5)]
TIMES = np.arange(30) / 30


def drawn(**controls):
    samples = np.sin(np.arange(RATE)).astype(np.float32)
    return figures.speech_panels(samples, RATE, PHONEMES, TIMES, controls or {"jaw": TIMES, "aperture": 1 - TIMES})


def test_sound_and_controls_share_the_axis_of_time():
    wave, jaw, aperture = drawn().axes
    assert [axes.get_ylabel() for axes in (wave, jaw, aperture)] == ["sound", "jaw", "aperture"]
    assert len({axes.get_xlim() for axes in (wave, jaw, aperture)}) == 1 and wave.get_xlim() == (0.0, 1.0)
    assert np.array_equal(jaw.lines[0].get_ydata(), TIMES) and aperture.get_xlabel() == "time (s)"
    assert [text.get_text() for text in wave.texts] == ["m", "ˈaː", "b"] and not jaw.texts


def test_closures_are_shaded_in_every_panel_up_to_the_end_of_the_sound():
    for axes in drawn().axes:
        spans = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches]
        assert spans == [(0.0, 0.2), pytest.approx((0.9, 1.0))]
        assert {to_hex(patch.get_facecolor()).upper() for patch in axes.patches} == {palette.HIGHLIGHT}


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="jaw: 29 values, expected 30"):
        drawn(jaw=TIMES[1:])
    with pytest.raises(ValueError, match="at least one"):
        figures.speech_panels(np.zeros(9), RATE, PHONEMES, TIMES, {})


def test_each_aligner_has_a_row_with_its_phonemes():
    samples = np.sin(np.arange(RATE)).astype(np.float32)
    figure = viz.phoneme_rows(samples, RATE, {"one": PHONEMES, "other": PHONEMES[:2]})
    assert [axes.get_ylabel() for axes in figure.axes] == ["one", "other"]
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes] == [["m", "ˈaː", "b"], ["m", "ˈaː"]]
    with pytest.raises(ValueError, match="at least one"):
        viz.phoneme_rows(samples, RATE, {})


def test_similarity_is_drawn_over_time_with_phonemes_on_both_edges():
    similarity = np.eye(30)
    picture, scale = figures.self_similarity(similarity, PHONEMES, 1.5).axes
    (image,) = picture.images
    assert np.array_equal(image.get_array(), similarity) and image.get_extent() == [0, 1.5, 1.5, 0]
    assert [text.get_text() for text in picture.texts] == ["m", "m", "ˈaː", "ˈaː", "b", "b"]
    assert "cosine" in scale.get_ylabel()


def test_layers_are_curves_and_other_features_are_lines():
    layers = {"a": np.array([50.0, 60.0, 70.0]), "b": np.array([40.0, 41.0, 42.0])}
    (axes,) = figures.probe_layers(layers, {"MFCC": 45.0}).axes
    a, b, line = axes.lines
    assert a.get_ydata().tolist() == [50, 60, 70] and set(line.get_ydata()) == {45.0}
    assert axes.get_ylim() == (0, 100)
    with pytest.raises(ValueError, match="at least one"):
        figures.probe_layers({}, {})


def test_a_feature_is_drawn_at_every_rate():
    tracks = {"50 a second": (np.arange(60) / 50, np.arange(60.0)), "25 a second": (np.arange(30) / 25, np.arange(30.0))}
    (axes,) = figures.feature_tracks(tracks, PHONEMES, "first component").axes
    drawn_lines = [line for line in axes.lines if line.get_label() in tracks]
    assert [len(line.get_xdata()) for line in drawn_lines] == [60, 30] and axes.get_xlim() == (0.0, 59 / 50)
    with pytest.raises(ValueError, match="slow: 2 values, expected 3"):
        figures.feature_tracks({"slow": (np.zeros(3), np.zeros(2))}, PHONEMES, "x")
    with pytest.raises(ValueError, match="at least one"):
        figures.feature_tracks({}, PHONEMES, "x")


def test_half_of_the_frames_are_closures_between_openings_and_half_are_openings():
    time = np.arange(200)
    gap = np.where((time >= 20) & (time < 180), 6 - 6 * np.cos((time - 20) * np.pi / 16), 0.0)  # five openings
    gap[[4, 6]] = 0.1  # silence is never quite still
    assert figures.closed_and_open(gap, 8) == [36, 52, 68, 84, 100, 116, 132, 148]
    assert figures.closed_and_open(gap[:60], 8) == [36, 52]
    assert figures.closed_and_open(np.full(9, 0.3), 8) == [0]
