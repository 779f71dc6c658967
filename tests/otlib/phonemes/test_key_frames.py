"""Key frames: where phonemes start and end, by whatever source, and what each source needs."""

import numpy as np
import pytest
import soundfile
import torch

from otlib.errors import InputError
from otlib.phonemes import key_frames
from otlib.phonemes.key_frames import SOURCES, KeyFinder, KeySettings, boundaries, boundary_frames, even_frames
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.phonemes.words import Transcript

RATE = 30.0
SPOKEN = (Phoneme("", 0.0, 0.21), Phoneme("m", 0.21, 0.3), Phoneme("a", 0.3, 0.52), Phoneme("p", 0.52, 0.6))


class Listener:
    """An aligner that counts how often it listens and finds a boundary wherever the sound begins."""

    fingerprint = "listener 1"

    def __init__(self):
        self.times = 0

    def phonemes(self, samples, transcript=None, *, name="the recording"):
        self.times += 1
        if transcript is not None:
            return SPOKEN
        first = int(torch.nonzero(samples)[0]) / 16_000
        return Phoneme("", 0.0, first), Phoneme("a", first, len(samples) / 16_000)


def write_wav(path, samples):
    soundfile.write(path, samples, 16_000)
    return path


@pytest.fixture
def listener(monkeypatch):
    one = Listener()
    monkeypatch.setattr(key_frames, "load_aligner", lambda name: one)
    return one


def test_frames_at_starts_and_ends_are_key():
    keys = boundary_frames(boundaries(SPOKEN), 20, RATE)
    assert np.flatnonzero(keys).tolist() == [0, 6, 9, 16, 18, 19]  # 0, 6.3, 9, 15.6, 18 and the last


def test_the_rate_says_which_frames():
    assert np.flatnonzero(boundary_frames(boundaries(SPOKEN), 40, 2 * RATE)).tolist()[1:4] == [6, 13, 18]  # one between


def test_no_two_keys_lie_further_apart_than_eight_frames():
    pause = (Phoneme("", 0.0, 2.0), Phoneme("a", 2.0, 2.1))
    places = np.flatnonzero(boundary_frames(boundaries(pause), 70, RATE))
    assert np.diff(places).max() == 8 and {0, 60, 63, 69} <= set(places.tolist())


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_short_clips_and_times_beyond_the_end(frames):
    keys = boundary_frames(boundaries(SPOKEN), frames, RATE)
    assert keys.shape == (frames,) and keys[0] and keys[-1]


@pytest.mark.parametrize("error", [1, 2, 3])
def test_an_error_moves_every_boundary_by_as_many_frames(error):
    times = 0.8 * np.arange(1, 21)  # a boundary every 24 frames
    true = set(np.rint(times * RATE).astype(int).tolist())
    keys = boundary_frames(times, 700, RATE, error)
    moved = {place + sign * error for place in true for sign in (-1, 1)}
    near = [place for place in np.flatnonzero(keys).tolist() if min(abs(place - one) for one in true) <= error
            and place in moved]
    assert len(near) == len(true) and not true & set(near)
    assert {np.sign(place - min(true, key=lambda one: abs(place - one))) for place in near} == {-1, 1}
    assert np.array_equal(keys, boundary_frames(times, 700, RATE, error))


@pytest.mark.parametrize("share, places", [(1 / 3, [0, 3, 6, 9]), (0.5, [0, 2, 4, 6, 8, 10]), (1.0, list(range(11)))])
def test_even_frames(share, places):
    assert np.flatnonzero(even_frames(11, share)).tolist() == places


def test_sources_that_do_not_listen():
    silence = torch.zeros(16_000)
    even, every = (KeyFinder(KeySettings(source)).of_recording(silence, 30, RATE) for source in ("even", "every"))
    assert even.sum() == 10 and every.all()
    with pytest.raises(InputError, match="mine.wav: key frames of the source 'true' need a data set"):
        KeyFinder(KeySettings("true")).of_recording(silence, 30, RATE, name="mine.wav")


def test_true_times_follow_the_speed(tmp_path):
    finder = KeyFinder(KeySettings("true"))
    slow = finder.of_clip(tmp_path / "a.wav", 20, RATE, SPOKEN)
    assert np.array_equal(slow, boundary_frames(boundaries(SPOKEN), 20, RATE))
    fast = finder.of_clip(tmp_path / "a.wav", 10, RATE, SPOKEN, speed=2.0)
    assert np.array_equal(fast, boundary_frames(boundaries(SPOKEN) / 2, 10, RATE))
    with pytest.raises(InputError, match="a.wav: the times of its phonemes are not known"):
        finder.of_clip(tmp_path / "a.wav", 20, RATE)


def test_an_aligner_listens_once_to_each_sound(tmp_path, listener):
    sound = np.concatenate([np.zeros(4000), np.full(12_000, 1000)]).astype(np.int16)
    path = write_wav(tmp_path / "a.wav", sound)
    finder = KeyFinder(KeySettings(), tmp_path / "cache")
    first = finder.of_clip(path, 30, RATE)
    assert first[round(0.25 * RATE)] and listener.times == 1
    assert np.array_equal(KeyFinder(KeySettings(), tmp_path / "cache").of_clip(path, 30, RATE), first)
    assert listener.times == 1
    finder.of_clip(path, 15, RATE, speed=2.0)
    assert listener.times == 2
    other = write_wav(tmp_path / "b.wav", sound[::-1].copy())
    finder.of_clip(other, 30, RATE)
    assert listener.times == 3
    KeyFinder(KeySettings()).of_clip(path, 30, RATE)  # no cache
    assert listener.times == 4


def test_times_in_the_cache_that_are_damaged_are_found_anew(tmp_path, listener, caplog):
    path = write_wav(tmp_path / "a.wav", np.full(16_000, 1000, np.int16))
    finder = KeyFinder(KeySettings(), tmp_path / "cache")
    keys = finder.of_clip(path, 30, RATE)
    file = next((tmp_path / "cache").glob("*.npy"))
    np.save(file, np.array([3.0, 1.0]))
    assert np.array_equal(finder.of_clip(path, 30, RATE), keys) and listener.times == 2
    assert "does not hold times of phonemes" in caplog.text


def test_a_text_reaches_the_aligner(listener):
    found = KeyFinder(KeySettings()).of_recording(torch.ones(16_000), 30, RATE, transcript=Transcript(()))
    assert np.array_equal(found, boundary_frames(boundaries(SPOKEN), 30, RATE))


def test_sources_have_names():
    assert {"frames", "pocketsphinx", "true", "even", "every"} <= set(SOURCES)
    with pytest.raises(ValueError, match="source must be one of"):
        KeySettings("whisper")
