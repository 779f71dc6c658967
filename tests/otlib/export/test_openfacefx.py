"""What we write of weights, read by OpenFaceFX, an independent program that turns it into what engines read."""

import numpy as np
import pytest
from openfacefx.export_a2f import read_a2f
from openfacefx.importers_csv import read_csv

from otlib.export.arkit import ARKIT_NAMES
from otlib.export.audio2face import write_audio2face
from otlib.export.live_link import write_live_link

FRAMES = 40
READ = 2e-4  # it keeps four digits, and leaves out keys on a line between others
CLOCK_RATE = 60  # of the timecodes, whatever the frame rate
MOMENT = 1e-4  # seconds: a timecode has thousandths of a sixtieth, and it keeps four digits


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(0).uniform(0, 1, (FRAMES, len(ARKIT_NAMES)))


def check(track, warnings, names, weights, frame_rate):
    assert warnings == []
    channels = {channel.name: channel.keys for channel in track.channels}
    times = np.arange(FRAMES) / frame_rate
    for name, expected in zip(names, weights.T, strict=True):
        keys = channels.pop(name)
        assert len(keys) > FRAMES / 2
        assert np.abs(np.subtract.outer([key.time for key in keys], times)).min(1).max() < MOMENT
        held = np.interp(times, [key.time for key in keys], [key.value for key in keys])
        np.testing.assert_allclose(held, expected, atol=READ)
    assert all(key.value == 0 for keys in channels.values() for key in keys)  # the angles


@pytest.mark.parametrize("frame_rate", [30.0, 25.0])
def test_it_reads_our_live_link_file(tmp_path, weights, frame_rate):
    write_live_link(tmp_path / "a.csv", ARKIT_NAMES, weights, frame_rate)
    track, warnings = read_csv(str(tmp_path / "a.csv"), fps=CLOCK_RATE, epsilon=1e-5)
    check(track, warnings, [name[0].upper() + name[1:] for name in ARKIT_NAMES], weights, frame_rate)


@pytest.mark.parametrize("frame_rate", [30.0, 25.0])
def test_it_reads_our_audio2face_file(tmp_path, weights, frame_rate):
    write_audio2face(tmp_path / "a.json", ARKIT_NAMES, weights, frame_rate)
    track, warnings = read_a2f(str(tmp_path / "a.json"), epsilon=1e-5)
    assert track.fps == frame_rate
    check(track, warnings, ARKIT_NAMES, weights, frame_rate)
