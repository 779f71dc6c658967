"""The figure from sound to movement: one axis of time, what it shades, and what it refuses."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from otlib import viz
from otlib.viz import palette

RATE = 1000
PHONEMES = [{"phoneme": "m", "start": 0.0, "end": 0.2}, {"phoneme": "ˈaː", "start": 0.2, "end": 0.9},
            {"phoneme": "b", "start": 0.9, "end": 1.5}]
TIMES = np.arange(30) / 30


def drawn(**controls):
    samples = np.sin(np.arange(RATE)).astype(np.float32)
    return viz.speech_panels(samples, RATE, PHONEMES, TIMES, controls or {"jaw": TIMES, "aperture": 1 - TIMES})


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
        viz.speech_panels(np.zeros(9), RATE, PHONEMES, TIMES, {})
