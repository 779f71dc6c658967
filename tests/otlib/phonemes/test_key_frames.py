"""Key frames: in the middles of phonemes or where they start and end, by whatever source, and what each source needs."""

import numpy as np
import pytest
import soundfile
import torch

from otlib.errors import InputError
from otlib.phonemes import key_frames
from otlib.phonemes.key_frames import (
    SOURCES,
    KeyFinder,
    KeyFrames,
    KeySettings,
    boundaries,
    even_frames,
    first_found,
    frames_at,
    middles,
)
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
    keys = frames_at(boundaries(SPOKEN), 20, RATE)
    assert np.flatnonzero(keys).tolist() == [0, 6, 9, 16, 18, 19]  # 0, 6.3, 9, 15.6, 18 and the last


def test_middles_lie_halfway_between_boundaries(tmp_path, listener):
    expected = [0, 3, 8, 12, 17, 19]  # 0, 3.15, 7.65, 12.3, 16.8 and the last
    assert np.flatnonzero(frames_at(middles(boundaries(SPOKEN)), 20, RATE)).tolist() == expected
    path = write_wav(tmp_path / "a.wav", np.ones(16_000, np.float32))
    keys = KeyFinder(KeySettings("true", "middles")).of_clip(path, 20, RATE, SPOKEN)
    assert np.flatnonzero(keys).tolist() == expected
    heard = KeyFinder(KeySettings("frames", "middles")).of_recording(torch.ones(16_000), 20, RATE, Transcript(()))
    assert np.array_equal(keys, heard)
    assert np.array_equal(KeyFinder(KeySettings("true")).of_clip(path, 20, RATE, SPOKEN), keys)  # unless told otherwise
    assert middles(np.empty(0)).tolist() == middles(np.array([0.5])).tolist() == []


def test_the_rate_says_which_frames():
    assert np.flatnonzero(frames_at(boundaries(SPOKEN), 40, 2 * RATE)).tolist()[1:4] == [6, 13, 18]  # one between


def test_no_two_keys_lie_further_apart_than_eight_frames():
    pause = (Phoneme("", 0.0, 2.0), Phoneme("a", 2.0, 2.1))
    places = np.flatnonzero(frames_at(boundaries(pause), 70, RATE))
    assert np.diff(places).max() == 8 and {0, 60, 63, 69} <= set(places.tolist())


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_short_clips_and_times_beyond_the_end(frames):
    keys = frames_at(boundaries(SPOKEN), frames, RATE)
    assert keys.shape == (frames,) and keys[0] and keys[-1]


@pytest.mark.parametrize("error", [1, 2, 3])
def test_an_error_moves_every_boundary_by_as_many_frames(error):
    times = 0.8 * np.arange(1, 21)  # a boundary every 24 frames
    true = set(np.rint(times * RATE).astype(int).tolist())
    keys = frames_at(times, 700, RATE, error)
    moved = {place + sign * error for place in true for sign in (-1, 1)}
    near = [place for place in np.flatnonzero(keys).tolist() if min(abs(place - one) for one in true) <= error
            and place in moved]
    assert len(near) == len(true) and not true & set(near)
    assert {np.sign(place - min(true, key=lambda one: abs(place - one))) for place in near} == {-1, 1}
    assert np.array_equal(keys, frames_at(times, 700, RATE, error))


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
    finder = KeyFinder(KeySettings("true", "boundaries"))
    slow = finder.of_clip(tmp_path / "a.wav", 20, RATE, SPOKEN)
    assert np.array_equal(slow, frames_at(boundaries(SPOKEN), 20, RATE))
    fast = finder.of_clip(tmp_path / "a.wav", 10, RATE, SPOKEN, speed=2.0)
    assert np.array_equal(fast, frames_at(boundaries(SPOKEN) / 2, 10, RATE))
    with pytest.raises(InputError, match="a.wav: the times of its phonemes are not known"):
        finder.of_clip(tmp_path / "a.wav", 20, RATE)


def test_an_aligner_listens_once_to_each_sound(tmp_path, listener):
    sound = np.concatenate([np.zeros(4000), np.full(12_000, 1000)]).astype(np.int16)
    path = write_wav(tmp_path / "a.wav", sound)
    finder = KeyFinder(KeySettings(at="boundaries"), tmp_path / "cache")
    first = finder.of_clip(path, 30, RATE)
    assert first[round(0.25 * RATE)] and listener.times == 1
    assert np.array_equal(KeyFinder(KeySettings(at="boundaries"), tmp_path / "cache").of_clip(path, 30, RATE), first)
    assert listener.times == 1
    finder.of_clip(path, 15, RATE, speed=2.0)
    assert listener.times == 2
    other = write_wav(tmp_path / "b.wav", sound[::-1].copy())
    finder.of_clip(other, 30, RATE)
    assert listener.times == 3
    KeyFinder(KeySettings(at="boundaries")).of_clip(path, 30, RATE)  # no cache
    assert listener.times == 4


def test_times_in_the_cache_that_are_damaged_are_found_anew(tmp_path, listener, caplog):
    path = write_wav(tmp_path / "a.wav", np.full(16_000, 1000, np.int16))
    finder = KeyFinder(KeySettings(at="boundaries"), tmp_path / "cache")
    keys = finder.of_clip(path, 30, RATE)
    file = next((tmp_path / "cache").glob("*.npy"))
    np.save(file, np.array([3.0, 1.0]))
    assert np.array_equal(finder.of_clip(path, 30, RATE), keys) and listener.times == 2
    assert "does not hold times of phonemes" in caplog.text


def test_a_text_reaches_the_aligner(listener):
    found = KeyFinder(KeySettings(at="boundaries")).of_recording(torch.ones(16_000), 30, RATE, transcript=Transcript(()))
    assert np.array_equal(found, frames_at(boundaries(SPOKEN), 30, RATE))


def finders(*sources):
    return [KeyFinder(KeySettings(source, "boundaries")) for source in sources]


def loader(monkeypatch, **aligners):
    """Let aligners be loaded by name: an aligner, or a sentence for one that cannot be; return the names asked for."""
    asked = []

    def load(name):
        asked.append(name)
        if isinstance(aligners[name], str):
            raise InputError(aligners[name])
        return aligners[name]

    monkeypatch.setattr(key_frames, "load_aligner", load)
    return asked


class Refuser(Listener):
    """An aligner whose recording does not fit its text."""

    def phonemes(self, samples, transcript=None, *, name="the recording"):
        raise InputError(f"{name}: does not fit; check the text")


def test_a_source_is_asked_only_if_those_before_it_refuse(monkeypatch):
    asked = loader(monkeypatch, frames=Listener(), ctc=Refuser(), pocketsphinx="pocketsphinx: is not installed; install it")
    sound, text = torch.ones(16_000), Transcript(())
    found = first_found(finders("frames", "ctc"), sound, 30, RATE, text)
    assert (found.source, found.with_text, found.refused, asked) == ("frames", True, (), ["frames"])
    np.testing.assert_array_equal(found.mask, frames_at(boundaries(SPOKEN), 30, RATE))
    found = first_found(finders("pocketsphinx", "ctc", "even", "frames"), sound, 30, RATE, text, "a.wav")
    assert (found.source, found.with_text, asked[1:]) == ("even", False, ["pocketsphinx", "ctc"])
    assert found.refused == ("no key frames from 'pocketsphinx': pocketsphinx: is not installed; install it",
                             "no key frames from 'ctc': a.wav: does not fit; check the text")


def test_nothing_is_asked_that_was_not_named(monkeypatch):
    asked = loader(monkeypatch, frames=Listener(), ctc=Refuser(), pocketsphinx="is not installed; install it")
    with pytest.raises(InputError) as refusal:
        first_found(finders("ctc"), torch.ones(16_000), 30, RATE, name="a.wav")
    assert str(refusal.value) == "no key frames from 'ctc': a.wav: does not fit; check the text" and asked == ["ctc"]
    with pytest.raises(InputError, match="^no key frames from 'pocketsphinx': is not installed; install it; no key frames "
                                         "from 'ctc': a.wav: does not fit; check the text$"):
        first_found(finders("pocketsphinx", "ctc"), torch.ones(16_000), 30, RATE, name="a.wav")


def test_a_text_for_no_aligner_is_refused():
    with pytest.raises(InputError, match="a.wav: a text is for an aligner .*, which 'even', 'every' is not; leave the text"):
        first_found(finders("even", "every"), torch.ones(16_000), 30, RATE, Transcript(()), "a.wav")


@pytest.mark.parametrize("found, said", [
    (KeyFrames(np.arange(9) % 3 == 0, "frames"), "3 of 9 frames are key; they come from 'frames'"),
    (KeyFrames(np.ones(2, bool), "ctc", True, usual="ctc"), "2 of 2 frames are key; they come from 'ctc' and the text"),
    (KeyFrames(np.ones(2, bool), "even", usual="frames"),
     "2 of 2 frames are key; they come from 'even', those of the model's training from 'frames'")])
def test_key_frames_say_where_they_come_from(found, said):
    assert str(found) == said


def test_sources_have_names():
    assert {"frames", "pocketsphinx", "true", "even", "every"} <= set(SOURCES)
    with pytest.raises(ValueError, match="source must be one of"):
        KeySettings("whisper")
