"""Phonemes to controls: the inventory, the blend against a naive loop, and the closures that nothing may undo."""

import itertools

import numpy as np
import pytest

from data_prep.corpus import articulation
from data_prep.corpus import articulatory_targets as phonemes
from data_prep.corpus.articulation import Style, articulate, frame_count
from data_prep.corpus.articulatory_targets import ARTICULATORS, LABIODENTALS, TARGETS, VOWELS, letters, stress
from data_prep.corpus.sentences import DEMO_SENTENCE
from data_prep.corpus.voices import ACCENTS
from data_prep.head import CONTROLS
from otlib.errors import InputError
from otlib.phonemes.timed_phoneme import BILABIALS, Phoneme

FINE = 1000.0  # frames a second; a phoneme whose centre is at a whole millisecond then has a frame there
EXACT = 1e-9  # rounding of a few double-precision operations
MEAN = Style()
SPEECH = ("jaw", "aperture", "round", "spread", "protrude", "press", "tuck")

# every symbol that the English voices of espeak-ng 1.52 gave for 6,000 words, stress marks taken off
SYMBOLS = ("a a: aa aɪ aɪə aɪɚ aʊ aː b d dʒ e ei eə eɪ eː f h i iə iː j k l m n n̩ o oə oɪ oʊ oː p r s t tʃ t̪ uː v w x z "
           "æ æʊ ð ŋ ɐ ɑə ɑː ɑːɹ ɑ̃ ɒ ɔ ɔə ɔɪ ɔː ɔːɹ ə əl əu əɪ əɹ əʊ ɚ ɛ ɛə ɛɹ ɜ ɜː ɡ ɪ ɪɹ ɬ ɹ ɾ ʃ ʉ ʉɹ ʉː ʊ ʊə ʊɹ ʌ ʌɹ "
           "ʌʉ ʌʊ ʍ ʒ ʔ ʲ θ ᵻ i")


def spans(symbols, duration=0.08, lead_in=0.4):
    """Phonemes of one duration after a pause, and a pause at the end."""
    starts = lead_in + duration * np.arange(len(symbols) + 1)
    return [("", 0.0, lead_in), *((symbol, starts[i], starts[i + 1]) for i, symbol in enumerate(symbols)),
            ("", starts[-1], starts[-1] + 0.4)]


def move(timeline, rate=FINE, style=MEAN, seed=0):
    """Controls by name, each (T,)."""
    frames = int(timeline[-1][2] * rate) if timeline else 10
    controls = articulate([Phoneme(*part) for part in timeline], frames, rate, style, np.random.default_rng(seed))
    assert controls.shape == (frames, len(CONTROLS)) and controls.dtype == np.float64
    return dict(zip(CONTROLS, controls.T, strict=True))


@pytest.mark.parametrize("symbol", SYMBOLS.split())
def test_symbols_come_apart_into_known_letters(symbol):
    parts = letters(symbol)
    assert parts and all(part.letter in TARGETS for part in parts)
    assert sum(part.share for part in parts) == pytest.approx(1, abs=EXACT)
    assert letters("ˈ" + symbol) == parts


@pytest.mark.parametrize(("symbol", "expected"), [
    ("ˈaɪə", ["a", "ɪ", "ə"]), ("tʃ", ["tʃ"]), ("ɔːɹ", ["ɔ", "ɹ"]), ("n̩", ["n"]),
    ("əl", ["ə", "l"]), ("", []), ("aː", ["a"])])
def test_letters_of_a_symbol(symbol, expected):
    assert [part.letter for part in letters(symbol)] == expected


def test_a_long_vowel_holds_longer_than_what_follows():
    assert letters("ɔːɹ")[0].share > letters("ɔɹ")[0].share > 0.5


def test_stress_marks():
    assert [stress(symbol) for symbol in ("ˈa", "ˌa", "a", "")] == [1.0, 0.5, 0.0, 0.0]


def test_an_unknown_letter_is_named():
    with pytest.raises(InputError, match="'y̆' has the letter 'y'"):
        letters("y̆")


def test_targets_are_in_range_and_vowels_are_known():
    for target in TARGETS.values():
        assert len(target.position) == len(target.dominance) == len(ARTICULATORS)
        assert all(0 <= value <= 1 for value in (*target.position, *target.dominance))
    assert VOWELS < TARGETS.keys() and BILABIALS < TARGETS.keys() and LABIODENTALS < TARGETS.keys()


@pytest.mark.parametrize("accent", ACCENTS)
def test_every_accent_speaks_in_known_symbols(accent):
    pytest.importorskip("espeakng_loader", reason="espeak-ng comes with otlib[corpus]")
    from data_prep.corpus.espeak import synthesise

    text = DEMO_SENTENCE + " The church judge's loch, genre and thing; what a measure of fire, tour and pure beige hours!"
    for phoneme in synthesise(text, accent).phonemes:
        letters(phoneme.symbol)


def naive_blend(timeline, time, articulator):
    """Cohen and Massaro's weighted mean, one sound at a time, for phonemes of one letter and long outer pauses."""
    index = ARTICULATORS.index(articulator)
    total = weighted = 0.0
    for symbol, start, end in timeline:
        target = TARGETS[symbol] if symbol else phonemes.REST
        core = articulation._VOWEL_CORE if symbol in VOWELS else articulation._CONSONANT_CORE
        half = core * (end - start) / 2 if symbol else (end - start) / 2 - articulation._REST_MARGIN
        offset = time - (start + end) / 2
        decay = (articulation._DECAY_BEFORE if offset < 0 else articulation._DECAY_AFTER)[index]
        beyond = max(abs(offset) - half, 0.0)
        beyond = np.sqrt(beyond**2 + articulation._ROUNDNESS**2) - articulation._ROUNDNESS
        dominance = target.dominance[index] * np.exp(-beyond / decay)
        total += dominance
        weighted += dominance * target.position[index]
    return weighted / total


def test_the_blend_is_that_of_a_naive_loop():
    timeline = spans("suklæʃ")
    controls = move(timeline, style=Style(effort=0.0))
    whole = [("", -articulation._ENDLESS, timeline[0][2]), *timeline[1:-1],
             ("", timeline[-1][1], timeline[-1][2] + articulation._ENDLESS)]
    for frame, name in itertools.product(range(300, 1200, 37), ARTICULATORS):
        assert controls[name][frame] == pytest.approx(naive_blend(whole, frame / FINE, name), abs=1e-6), (frame, name)


CENTRE = 18  # frame of the middle sound of context() at 100 frames a second


def context(before, middle, after):
    """A sound of 60 ms between two others of 100 ms, or between pauses ("")."""
    return [("", 0.0, 0.05), (before, 0.05, 0.15), (middle, 0.15, 0.21), (after, 0.21, 0.31), ("", 0.31, 0.4)]


@pytest.mark.slow
@pytest.mark.parametrize("closure", sorted(BILABIALS))
def test_lips_meet_in_every_context(closure):
    """1e-6: the hold reaches a few ms to either side of the centre, where the envelope is exactly 1."""
    for before, after in itertools.product([*TARGETS, ""], repeat=2):
        for style in (Style(), Style(amplitude=1.3, smoothness=1.25, effort=1.5)):
            controls = move(context(before, closure, after), rate=100.0, style=style)
            assert controls["aperture"][CENTRE] < 1e-6, (before, after)
            assert controls["press"][CENTRE] > 0.5
            assert controls["tuck"][CENTRE] < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("labiodental", sorted(LABIODENTALS))
def test_the_lower_lip_meets_the_teeth_in_every_context_without_closure(labiodental):
    for before, after in itertools.product(set(TARGETS) - BILABIALS, repeat=2):
        controls = move(context(before, labiodental, after), rate=100.0)
        assert controls["tuck"][CENTRE] == pytest.approx(1, abs=1e-6)
        assert controls["aperture"][CENTRE] <= articulation._TUCK_APERTURE + 1e-6


def test_every_closure_has_a_closed_frame_at_thirty_frames_a_second():
    for shift, duration in itertools.product(np.linspace(0, 1 / 30, 7), (0.02, 0.05, 0.09)):
        timeline = [("", 0.0, 0.4 + shift), ("a", 0.4 + shift, 0.5 + shift),
                    ("b", 0.5 + shift, 0.5 + shift + duration), ("a", 0.5 + shift + duration, 0.8), ("", 0.8, 1.2)]
        assert move(timeline, rate=30.0)["aperture"][13:22].min() < 1e-6, (shift, duration)


def test_vowels_open_round_and_spread_as_they_should():
    centre = 440

    def at_centre(vowel):
        return {name: values[centre] for name, values in move(spans([vowel])).items()}

    opened, close, rounded = at_centre("ɑ"), at_centre("i"), at_centre("u")
    assert opened["aperture"] > close["aperture"] > rounded["aperture"] > 0.05
    assert opened["jaw"] > close["jaw"]
    assert rounded["round"] > 0.4 and rounded["protrude"] > 0.3 and close["round"] < 0.05
    assert close["spread"] > 0.3 and rounded["spread"] < 0.05


def test_a_neighbour_colours_a_sound():
    """Coarticulation: s before u is rounder than s before i, and before its own centre."""
    assert move(spans("su"))["round"][440] > 5 * move(spans("si"))["round"][440]


def test_fast_speech_undershoots():
    assert move(spans("takat", duration=0.05))["aperture"].max() < move(spans("takat", duration=0.12))["aperture"].max()


def test_stress_opens_a_vowel_and_raises_the_brows():
    stressed, plain = move(spans(["t", "ˈa", "t"])), move(spans(["t", "a", "t"]))
    assert stressed["aperture"].max() > 1.1 * plain["aperture"].max()
    assert stressed["brow"][520] > plain["brow"][520] + 0.05


def test_the_face_rests_in_silence():
    """1e-3 of full range: 0.1 s into a pause the dominance of the last sound has decayed by exp(-9)."""
    controls = move([("", 0.0, 1.0), ("a", 1.0, 1.2), ("", 1.2, 2.4)])
    for name in SPEECH:
        assert np.abs(controls[name][:500]).max() < 1e-3 and np.abs(controls[name][-500:]).max() < 1e-3
    silent = move([])
    assert all(np.array_equal(silent[name], np.zeros(10)) for name in (*SPEECH, "smirk"))


def test_motion_has_no_jumps():
    """A millisecond moves a control by at most the steepest slope of the fastest envelope, cubed for the press."""
    steepest = 3 * 1.5 / (articulation._FASTEST * FINE)
    controls = move(spans(["ˈa", "p", "i", "f", "u", "m", "b", "ˈæ", "w", "v"], duration=0.03))
    assert max(np.abs(np.diff(values)).max() for values in controls.values()) < steepest


def test_lead_shifts_the_face_against_the_sound():
    timeline = spans(["m", "ˈa", "f", "u"])
    ahead, on_time = move(timeline, style=Style(lead=0.05)), move(timeline)
    for name in SPEECH:
        np.testing.assert_allclose(ahead[name][:-50], on_time[name][50:], atol=EXACT)


def test_style_scales_what_it_names():
    timeline = spans(["t", "ˈa", "u", "i", "m"])
    mean = move(timeline)
    small = move(timeline, style=Style(amplitude=0.8))
    np.testing.assert_allclose(small["jaw"], 0.8 * mean["jaw"], atol=EXACT)
    np.testing.assert_allclose(small["aperture"], 0.8 * mean["aperture"], atol=EXACT)
    np.testing.assert_allclose(move(timeline, style=Style(rounding=0.8))["round"], 0.8 * mean["round"], atol=EXACT)
    jaw = move(timeline, style=Style(jaw_preference=0.5))
    assert jaw["jaw"].max() > mean["jaw"].max() and jaw["spread"].max() < mean["spread"].max()
    assert np.array_equal(mean["smirk"], np.zeros_like(mean["smirk"]))
    smirk = move(timeline, style=Style(asymmetry=-0.2))["smirk"]
    assert smirk.min() == pytest.approx(-0.2, abs=0.01) and abs(smirk[0]) < 0.01
    still = move(timeline, style=Style(brow_activity=0.0, blink_rate=0.0))
    assert not still["brow"].any() and not still["blink"].any()


def test_chance_moves_brows_and_lids_alone():
    timeline = spans(["t", "ˈa", "m"])
    one, same, other = (move(timeline, seed=seed) for seed in (1, 1, 2))
    for name in CONTROLS:
        assert np.array_equal(one[name], same[name])
        assert np.array_equal(one[name], other[name]) == (name not in ("brow", "blink"))


def test_blinks_come_at_their_rate():
    """Gamma intervals of shape 4 vary by half their mean: 30 %, six standard errors of about 100 blinks."""
    blink = move([("", 0.0, 240.0)], rate=100.0)["blink"]
    count = np.count_nonzero(np.diff((blink > 0.5).astype(int)) == 1)
    assert count == pytest.approx(240 * Style.blink_rate, rel=0.3)
    assert blink.max() == pytest.approx(1) and blink.min() == 0


def test_controls_stay_in_range_for_extreme_styles():
    timeline = spans(["ˈɑ", "u", "p", "i", "f"])
    controls = move(timeline, style=Style(amplitude=3.0, rounding=3.0, effort=3.0, brow_activity=30.0, asymmetry=1.0))
    for name, values in controls.items():
        assert values.max() <= 1 and values.min() >= (-1 if name in ("brow", "smirk") else 0)


def test_frames_lie_within_the_sound():
    assert frame_count(44100, 22050, 30.0) == 60
    assert frame_count(44099, 22050, 30.0) == 59
    assert frame_count(734, 22050, 30.0) == 0
    assert frame_count(3 * 16000, 16000, 29.97) == 89


def test_a_gap_is_a_pause():
    gap, pause = (move([("", 0.0, 0.2), ("a", 0.2, 0.4), *between, ("b", 1.0, 1.1), ("i", 1.1, 1.2)])
                  for between in ([], [("", 0.4, 1.0)]))
    assert all(np.array_equal(gap[name], pause[name]) for name in SPEECH)


@pytest.mark.parametrize(("timeline", "message"), [
    ([("a", 0.2, 0.2)], "'a' lasts from 0.2 to 0.2"), ([("a", 0.0, 0.2), ("b", 0.1, 0.3)], "'b' at 0.1 s starts before")])
def test_impossible_times_are_refused(timeline, message):
    with pytest.raises(ValueError, match=message):
        articulate([Phoneme(*part) for part in timeline], 10, 30.0, MEAN, np.random.default_rng(0))
