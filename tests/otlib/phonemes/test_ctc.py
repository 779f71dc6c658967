"""CTC alignment: against every string of labels that means the text, and torchaudio's where it loads; spikes to spans."""

import itertools

import numpy as np
import pytest
import torch

from otlib.errors import InputError
from otlib.phonemes.ctc import FrameClock, ctc_path, ctc_phonemes
from otlib.phonemes.words import Transcript, Word
from tests.oracles.compiled_ctc import compiled_path

DOUBLE = 1e-9
LABELS = ("", "a", "b", "ʃ")
CLOCK = FrameClock(0.02, 0.0, 1.0)
SHORT = Transcript((Word("a b", ("a", "b")),))


def logarithms(frames, seed):
    return torch.randn(frames, len(LABELS), generator=torch.Generator().manual_seed(seed)).log_softmax(-1)


def meant(labels):
    """What a string of labels says: repeats are one, blanks are none."""
    return [label for label, _ in itertools.groupby(labels) if label]


def labels_of(path, sounds):
    return [0 if state < 0 else sounds[state] for state in path]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sounds", [[1], [1, 2], [1, 1], [2, 2, 1], [3, 1, 3]])
def test_the_path_is_the_likeliest_string_that_means_the_text(sounds, seed):
    values = logarithms(6, seed)

    def score(labels):
        return sum(float(values[frame, label]) for frame, label in enumerate(labels))

    best = max(score(labels) for labels in itertools.product(range(len(LABELS)), repeat=6) if meant(labels) == sounds)
    found = ctc_path(values.numpy(), np.array(sounds), 0)
    assert meant(labels_of(found, sounds)) == sounds
    assert score(labels_of(found, sounds)) == pytest.approx(best, abs=DOUBLE)
    assert [state for state, _ in itertools.groupby(found) if state >= 0] == list(range(len(sounds)))


@pytest.mark.parametrize("seed", range(3))
def test_torchaudio_finds_the_same_path(seed):
    import torchaudio._extension  # here, after otlib: a test file's own imports are sorted before it

    if not torchaudio._extension._IS_ALIGN_AVAILABLE:
        pytest.skip("torchaudio's compiled part does not fit this build of torch")
    sounds = np.array([1, 2, 2, 3, 1])
    values = logarithms(40, seed)
    assert compiled_path(values, sounds, 0).tolist() == ctc_path(values.numpy(), sounds, 0).tolist()


@pytest.mark.parametrize("sounds", [[1, 2, 3, 1, 2, 3, 1], [1, 1, 1, 1]])
def test_too_few_frames_are_refused_by_name(sounds):
    with pytest.raises(ValueError, match="6 frames are too few"):
        ctc_path(logarithms(6, 0).numpy(), np.array(sounds), 0)
    words = Transcript((Word("w", tuple(LABELS[sound] for sound in sounds)),))
    with pytest.raises(InputError, match="^clip.wav: cannot be aligned with its text"):
        ctc_phonemes(logarithms(6, 0), LABELS, 0, words, CLOCK, "clip.wav")


def spiking(*spikes):
    """50 frames of blank but for (frame, label)."""
    values = torch.full((50, len(LABELS)), -20.0)
    values[:, 0] = 0.0
    for frame, label in spikes:
        values[frame], values[frame, label] = -20.0, 0.0
    return values


def spans(values, transcript):
    return [(span.symbol, round(span.start, 3), round(span.end, 3))
            for span in ctc_phonemes(values, LABELS, 0, transcript, CLOCK, "clip")]


def test_sounds_part_midway_between_their_spikes():
    assert spans(spiking((10, 1), (19, 2)), SHORT) == [
        ("", 0.0, 0.16), ("a", 0.16, 0.30), ("b", 0.30, 0.44), ("", 0.44, 1.0)]


def test_blanks_within_a_word_are_no_pause_and_between_words_they_are():
    apart = Transcript((Word("a", ("a",)), Word("b", ("b",))))
    values = spiking((2, 1), (40, 2))
    assert spans(values, SHORT) == [("a", 0.0, 0.43), ("b", 0.43, 1.0)]
    assert spans(values, apart) == [("a", 0.0, 0.10), ("", 0.10, 0.76), ("b", 0.76, 1.0)]


def test_parts_of_a_diphthong_are_one_phoneme():
    assert spans(spiking((1, 1), (5, 2), (9, 3)), Transcript((Word("w", ("ˈab", "ʃ")),))) == [
        ("ˈab", 0.0, 0.15), ("ʃ", 0.15, 0.24), ("", 0.24, 1.0)]


def test_without_a_text_the_likeliest_labels_are_taken():
    assert [symbol for symbol, _, _ in spans(spiking((3, 1), (4, 1), (8, 1), (12, 3)), None)] == ["a", "a", "ʃ", ""]
    assert spans(spiking(), None) == [("", 0.0, 1.0)]


def test_spans_tile_the_recording():
    for seed in range(5):
        for transcript in (None, Transcript((Word("a", ("a", "ʃ")), Word("b", ("b", "a"))))):
            found = ctc_phonemes(logarithms(50, seed), LABELS, 0, transcript, CLOCK, "clip")
            assert found[0].start == 0.0 and found[-1].end == 1.0
            assert all(one.end == other.start for one, other in zip(found, found[1:], strict=False))
            assert np.all([span.end > span.start for span in found])
