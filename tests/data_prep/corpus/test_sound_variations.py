"""Augmented copies: faster, higher, in a room, and still in step with their phonemes and their motion."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from data_prep.corpus import sound_variations as variations
from data_prep.corpus.espeak import synthesise
from data_prep.corpus.sentences import DEMO_SENTENCE
from data_prep.corpus.sound_variations import SEMITONES, SPEEDS, Variation, draw_variation
from data_prep.corpus.speakers import draw_speakers, speak
from data_prep.corpus.synthetic import FRAME_RATE, Profile, build
from otlib.data.dataset import Dataset, validate
from otlib.phonemes import Phoneme

pytest.importorskip("espeakng_loader", reason="espeak-ng comes with otlib[corpus]")

TINY = Profile({"train": 1, "val": 0, "test": 1}, {"train": 2, "val": 0, "test": 1}, "low")
STEP = 0.005  # seconds between the values of an envelope
LARGEST_LAG = 0.010  # seconds: two values; a third of a frame
LEAST_MATCH = 0.7  # correlation of envelopes: a room and noise blur them; sound played backwards has 0.25
SPEED_ERROR = 0.08  # espeak-ng speaks in whole words a minute, and shortens some sounds less than others
PITCH_ERROR = 0.04  # 0.7 semitones: the melody is drawn anew at another speed

VARIATIONS = [Variation(0.85, -3.0, 1), Variation(1.15, 3.0, 2), Variation(1.0, 3.0, 3), Variation(1.15, -3.0, 4)]


@pytest.fixture(autouse=True)
def no_progress_bars(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")


@pytest.fixture
def speaker():
    return draw_speakers(0, {"train": 1, "val": 0, "test": 0}, 23)[0]


def varied(speaker, variation):
    return variation.record(speak(replace(speaker, rate=variation.words_a_minute(speaker.rate)), DEMO_SENTENCE))


def envelope(samples, rate):
    """Loudness every 5 ms."""
    size = round(STEP * rate)
    whole = samples[: len(samples) // size * size].astype(float).reshape(-1, size)
    return np.sqrt((whole**2).mean(axis=1)), (np.arange(len(whole)) + 0.5) * size / rate


def lag_and_match(original, copy):
    """Seconds by which the copy's sound lags what its phonemes say, and the correlation there.

    The phonemes of both map the original's time to the copy's.
    """
    assert [phoneme.symbol for phoneme in original.phonemes] == [phoneme.symbol for phoneme in copy.phonemes]
    (loudness, times), (loudness2, times2) = (envelope(speech.samples, speech.sample_rate) for speech in (original, copy))
    ends, ends2 = ([0.0, *(phoneme.end for phoneme in speech.phonemes)] for speech in (original, copy))
    expected = np.interp(times, ends, ends2)
    lags = STEP * np.arange(-20, 21)
    matches = [np.corrcoef(np.interp(expected + lag, times2, loudness2), loudness)[0, 1] for lag in lags]
    best = int(np.argmax(matches))
    return lags[best], matches[best]


def melody(samples, rate):
    """Median pitch of the loud parts in Hz, by autocorrelation of 40 ms."""
    size = round(0.04 * rate)
    pieces = samples[: len(samples) // size * size].astype(float).reshape(-1, size)
    pieces = pieces[np.argsort((pieces**2).sum(1))[-len(pieces) // 3:]]
    spectrum = np.abs(np.fft.rfft(pieces - pieces.mean(1, keepdims=True), 2 * size)) ** 2
    correlation = np.fft.irfft(spectrum)[:, :size] / np.arange(size, 0, -1)  # each lag by the number of its products
    low, high = round(rate / 400), round(rate / 60)
    return float(np.median(rate / (low + correlation[:, low:high].argmax(1))))


@pytest.mark.parametrize("variation", VARIATIONS)
def test_phonemes_stay_in_step_with_the_sound(speaker, variation):
    original, copy = speak(speaker, DEMO_SENTENCE), varied(speaker, variation)
    lag, match = lag_and_match(original, copy)
    assert abs(lag) <= LARGEST_LAG and match > LEAST_MATCH
    phonemes = copy.phonemes
    assert phonemes[0].start == 0
    assert phonemes[-1].end == pytest.approx(len(copy.samples) / copy.sample_rate, abs=1e-4)
    assert all(one.end == two.start for one, two in zip(phonemes, phonemes[1:], strict=False))


@pytest.mark.parametrize("variation", VARIATIONS)
def test_speed_and_pitch_are_those_drawn(speaker, variation, monkeypatch):
    monkeypatch.setattr(variations, "_in_a_room", lambda samples, rate, seed: samples)
    flat = replace(speaker, voice="en-us+m3", pitch_range=0)
    original, copy = speak(flat, DEMO_SENTENCE), varied(flat, variation)
    spoken, spoken_again = (speech.phonemes[-2].end - speech.phonemes[0].end for speech in (original, copy))
    assert spoken / spoken_again == pytest.approx(variation.speed, rel=SPEED_ERROR)
    pitch, pitch_again = (melody(speech.samples, speech.sample_rate) for speech in (original, copy))
    assert pitch_again / pitch == pytest.approx(variation.pitch, rel=PITCH_ERROR)


def test_the_room_is_heard_and_follows_the_seed():
    speech = replace(synthesise(DEMO_SENTENCE), phonemes=(Phoneme("", 0.0, 1.0),))
    one, same, other = (Variation(1.0, 0.0, seed).record(speech) for seed in (1, 1, 2))
    assert one.samples.dtype == np.int16 and len(one.samples) == len(speech.samples)
    assert (one.sample_rate, one.phonemes) == (speech.sample_rate, speech.phonemes)
    assert np.array_equal(one.samples, same.samples)
    assert not np.array_equal(one.samples, other.samples) and not np.array_equal(one.samples, speech.samples)


def test_bytes_do_not_depend_on_threads():
    speech, variation = synthesise(DEMO_SENTENCE), Variation(1.0, 2.0, 5)
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(variation.record(speech).samples)
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(*results)


def test_draws_keep_their_bounds():
    drawn = [draw_variation(np.random.default_rng(seed)) for seed in range(300)]
    for name, (low, high) in (("speed", SPEEDS), ("semitones", SEMITONES)):
        values = np.array([getattr(variation, name) for variation in drawn])
        assert low <= values.min() < low + 0.05 * (high - low) and high - 0.05 * (high - low) < values.max() <= high
    assert len({variation.recording for variation in drawn}) == len(drawn)


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_corpus_with_copies_holds_the_one_without(tmp_path):
    """The files of the originals are byte for byte the same; copies are training sequences of the same sentences."""
    build(tmp_path / "plain", TINY, workers=1)
    build(tmp_path / "copies", TINY, workers=1, copies=2)
    assert validate(tmp_path / "copies") == []
    plain, more = content(tmp_path / "plain"), content(tmp_path / "copies")
    del plain["manifest.json"]
    assert plain.items() <= more.items()
    dataset = Dataset.open(tmp_path / "copies")
    assert len(dataset.select("train")) == 2 * 3 and len(dataset.select("test")) == 1
    assert dataset.provenance["parameters"]["augmented_copies"] == 2
    copies = [sequence for sequence in dataset.sequences if "copy" in sequence.id]
    for sequence in copies:
        samples, rate = sequence.audio
        assert sequence.split == "train" and sequence.mean_style is None
        assert sequence.frames == int(len(samples) * FRAME_RATE // rate)
    assert len({sequence.frames for sequence in copies if sequence.sentence == copies[0].sentence}) > 1


@pytest.mark.slow
def test_copies_have_the_same_bytes_in_other_processes(tmp_path):
    for workers in (1, 2):
        build(tmp_path / str(workers), TINY, workers=workers, copies=1)
    assert content(tmp_path / "1") == content(tmp_path / "2")
