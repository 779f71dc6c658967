"""How alignments are judged: boundaries one against its own, closures one against one."""

import numpy as np
import pytest
import soundfile
from scipy.optimize import linear_sum_assignment

from data_prep.align.measure import (
    boundary_errors,
    closures,
    matched,
    measure_boundaries,
    measure_closures,
    measure_true_closures,
)
from data_prep.corpus.labelled_speech import corpus_speech
from otlib.errors import InputError
from otlib.phonemes import Phoneme


def spans(*parts):
    """(symbol, end) each, from 0 on."""
    starts = [0.0, *(end for _, end in parts[:-1])]
    return tuple(Phoneme(symbol, start, end) for (symbol, end), start in zip(parts, starts, strict=True))


TRUE = spans(("", 0.1), ("m", 0.2), ("a", 0.4), ("", 0.5), ("s", 0.7))


def test_each_boundary_against_its_own():
    found = spans(("m", 0.23), ("a", 0.38), ("", 0.51), ("s", 0.7))
    # starts of m, a, s; ends of a and of s, which a pause and the end follow
    assert boundary_errors(found, TRUE) == pytest.approx([-0.1, 0.03, 0.01, -0.02, 0.0])


def test_a_pause_that_only_one_has_shifts_nothing():
    found = spans(("", 0.1), ("m", 0.15), ("", 0.2), ("a", 0.5), ("s", 0.7))
    assert boundary_errors(found, TRUE) == pytest.approx([0.0, 0.0, 0.0, 0.1, 0.0])


def test_other_phonemes_are_refused():
    with pytest.raises(ValueError, match="other phonemes"):
        boundary_errors(spans(("m", 0.1), ("o", 0.7)), TRUE)


def test_closures_are_the_middles_of_p_b_and_m():
    assert closures(spans(("b", 0.2), ("v", 0.4), ("ˈa", 0.5), ("m", 0.6))) == pytest.approx([0.1, 0.55])


@pytest.mark.parametrize("seed", range(20))
def test_as_many_are_matched_as_any_matching_can(seed):
    generator = np.random.default_rng(seed)
    wanted, found = (np.sort(generator.uniform(0, 0.6, generator.integers(1, 9))) for _ in range(2))
    near = np.abs(wanted[:, None] - found) <= 0.05
    rows, columns = linear_sum_assignment(~near)
    assert matched(wanted, found) == near[rows, columns].sum()


class Shifted:
    """An aligner that knows the truth and is late."""

    def __init__(self, speeches, late):
        self.truth = {len(one.samples): one.phonemes for one in speeches}
        self.late = late

    def phonemes(self, samples, transcript=None, *, name="the recording"):
        return tuple(Phoneme(p.symbol, max(p.start + self.late, 0), p.end + self.late)
                     for p in self.truth[len(samples)])


class Refusing:
    def phonemes(self, samples, transcript=None, *, name="the recording"):
        raise InputError(f"{name}: no")


@pytest.mark.parametrize("late, within, closed", [(0.0, 1.0, 1.0), (0.03, 1.0, 1.0), (0.045, 0.0, 1.0), (0.2, 0.0, None)])
def test_a_late_aligner_is_judged_late(late, within, closed):
    speeches = corpus_speech("test", 2, 1)
    figures = measure_boundaries(Shifted(speeches, late), speeches)
    assert figures["within_40_ms"] == within and figures["median_ms"] == pytest.approx(1000 * late, abs=0.1)
    found = measure_true_closures(Shifted(speeches, late), speeches)
    assert found["sentences"] == 2 and found["refused"] == 0 and found["closures"] > 5
    assert closed is None or found["within_50_ms"] == closed


def test_refusals_are_counted_and_find_nothing():
    speeches = corpus_speech("test", 2, 1)
    assert measure_true_closures(Refusing(), speeches) | {"closures": 0} == {
        "sentences": 2, "refused": 2, "closures": 0, "within_50_ms": 0.0}


def test_closures_of_recordings_are_counted(tmp_path):
    (speech,) = corpus_speech("test", 1, 1)
    soundfile.write(tmp_path / "a.wav", speech.samples, 16000)
    reference = Shifted([speech], 0.0)
    wanted = len(closures(speech.phonemes))
    recordings = [(str(tmp_path / "a.wav"), speech.text)]
    near, far = (measure_closures(Shifted([speech], late), reference, recordings) for late in (0.02, 10.0))
    assert near == {"recordings": 1, "closures": wanted, "found_with_text": wanted, "found_without_text": wanted}
    assert far["closures"] == wanted and far["found_with_text"] == 0
