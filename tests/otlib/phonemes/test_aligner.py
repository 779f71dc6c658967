"""Phonemes and times by any back end: names, heads in their file, states of a text, spans that tile the recording."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from otlib.errors import InputError
from otlib.files import read_tensors
from otlib.phonemes import BACK_ENDS, Phoneme, Transcript, Word, load_aligner
from otlib.phonemes.frame_aligner import spans_of, states_of, with_closures
from otlib.phonemes.frame_classifier import (
    FILE,
    FrameClassifier,
    PhonemeHeads,
    load_heads,
    log_probabilities,
    weights_digest,
)
from otlib.phonemes.words import split_symbol
from otlib.speech.encoder import encode, load_encoder
from tests.fixtures.bad_paths import BAD_PATHS
from tests.fixtures.small_hubert import local_hubert, saved

LABELS = ("", "a", "ɪ", "b", "tʃ", "s")
HALF = 2e-3  # of scores of about one, whose weights the file keeps in half precision
SINGLE = 1e-5
SOUND = 0.1 * torch.randn(16321, generator=torch.Generator().manual_seed(0))
TEXT = Transcript((Word("by", ("b", "ˈaɪ")), Word("each", ("ɪ", "tʃ"))))


def head(seed, reach=1):
    made = FrameClassifier(3, 32, len(LABELS), reach)
    generator = torch.Generator().manual_seed(seed)
    for parameter in made.parameters():
        parameter.data.normal_(0, 0.1, generator=generator)
    made.standardise(torch.randn(3, 32, generator=generator), torch.rand(3, 32, generator=generator) + 0.5)
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small encoder with heads beside it."""
    name = saved(local_hubert(), tmp_path_factory.mktemp("encoder"))
    encoder = load_encoder(name)
    transitions = torch.full((len(LABELS), len(LABELS)), 1 / len(LABELS)).log()
    heads = PhonemeHeads(LABELS, head(0), head(1), torch.full((len(LABELS),), 1 / len(LABELS)).log(), transitions,
                         weights_digest(encoder))
    heads.save(encoder_file(name))
    return name


def encoder_file(name):
    return Path(name) / FILE


@pytest.fixture
def copy(folder, tmp_path):
    return str(shutil.copytree(folder, tmp_path / "copy"))


# ---- the classifier


@pytest.mark.parametrize("reach", [0, 1, 3])
def test_scores_by_a_naive_loop(reach):
    made = head(3, reach)
    features = torch.randn(7, 3, 32, generator=torch.Generator().manual_seed(1))
    weights = torch.softmax(made.layer_weights, 0)
    expected = torch.zeros(7, len(LABELS))
    for frame in range(7):
        for label in range(len(LABELS)):
            score = made.convolution.bias[label]
            for offset in range(-reach, reach + 1):
                if 0 <= frame + offset < 7:
                    standard = (features[frame + offset] - made.mean) / made.deviation
                    weighed = (weights[:, None] * standard).sum(0) * 3 ** 0.5
                    score = score + (made.convolution.weight[label, :, offset + reach] * weighed).sum()
            expected[frame, label] = score
    torch.testing.assert_close(made(features[None])[0], expected, rtol=0, atol=SINGLE)


def test_a_new_classifier_prefers_nothing():
    assert FrameClassifier(3, 32, 5)(torch.randn(1, 4, 3, 32)).abs().max() == 0.0


def test_probabilities_of_a_stream_are_those_of_the_whole(folder):
    encoder = load_encoder(folder)
    samples = 0.1 * torch.randn(16000 * 45, generator=torch.Generator().manual_seed(0))  # three windows
    expected = head(0)(encode(encoder, samples)[None])[0].log_softmax(-1)
    torch.testing.assert_close(log_probabilities(encoder, head(0), samples), expected, rtol=0, atol=SINGLE)


# ---- their file


def test_saved_heads_are_loaded(folder):
    heads = load_heads(load_encoder(folder))
    features = torch.randn(1, 9, 3, 32)
    assert heads.labels == LABELS
    for loaded, original in ((heads.frames, head(0)), (heads.ctc, head(1))):
        torch.testing.assert_close(loaded(features), original(features), rtol=HALF, atol=HALF)


def refusal(name, back_end="frames"):
    with pytest.raises(InputError) as caught:
        load_aligner(back_end, name)
    message = str(caught.value)
    assert "\n" not in message and ". " not in message.replace("phonemes.safetensors: ", "")
    return message


def test_heads_of_another_encoder_are_refused(copy):
    weights = load_file(f"{copy}/model.safetensors")
    weights["encoder.layer_norm.bias"] += 1e-3
    save_file(weights, f"{copy}/model.safetensors", metadata={"format": "pt"})
    assert "another encoder" in refusal(copy)


def with_labels(text):
    def change(tensors, metadata):
        metadata["labels"] = text
    return change


CONTENTS = {
    "fewer labels": with_labels('["", "p"]'), "numbers for labels": with_labels("[0, 1, 2, 3, 4, 5]"),
    "no pause": with_labels('["a", "b", "c", "d", "e", "f"]'), "deep labels": with_labels("[" * 10**5),
    "labels of one kind": with_labels('["", "a", "a", "a", "a", "a"]'), "labels no list": with_labels("6"),
    "another prior": lambda tensors, _: tensors.update(prior=torch.zeros(3)),
    "transitions without rows": lambda tensors, _: tensors.update(transitions=torch.zeros(6)),
    "not a number": lambda tensors, _: tensors["frames.mean"].fill_(float("nan")),
}


@pytest.mark.parametrize("damage", CONTENTS)
def test_heads_that_make_no_sense_are_refused(copy, damage):
    tensors, metadata = read_tensors(encoder_file(copy))
    CONTENTS[damage](tensors, metadata)
    save_file(tensors, encoder_file(copy), metadata)
    assert "the phoneme heads are damaged; `python -m data_prep.encoder.phoneme_classifiers" in refusal(copy)


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_heads_that_are_no_file_are_refused_at_once(copy, kind, tmp_path):
    if kind not in BAD_PATHS:
        pytest.skip("this system has no named pipes")
    encoder_file(copy).unlink()
    path, _ = BAD_PATHS[kind](tmp_path)
    path.rename(encoder_file(copy))
    assert "python -m data_prep.encoder.phoneme_classifiers" in refusal(copy)


@pytest.mark.parametrize("damage", ["none", "empty", "cut", "text", "tensor missing", "labels missing"])
def test_missing_or_damaged_heads_are_refused_with_the_command_that_trains_them(copy, damage):
    file = encoder_file(copy)
    content = file.read_bytes()
    file.unlink()
    if damage in ("empty", "cut", "text"):
        file.write_bytes({"empty": b"", "cut": content[:-100], "text": b"no tensors here"}[damage])
    elif damage == "tensor missing":
        save_file({"prior": torch.zeros(6)}, file, metadata={"labels": "[]", "encoder_digest": ""})
    elif damage == "labels missing":
        save_file({"prior": torch.zeros(6)}, file)
    message = refusal(copy)
    assert "python -m data_prep.encoder.phoneme_classifiers" in message and FILE in message


# ---- the interface


def test_unknown_back_end_is_refused_with_those_that_exist():
    assert all(name in refusal(None, "kaldi") for name in BACK_ENDS)


def test_pocketsphinx_takes_no_model():
    assert "leave the model out" in refusal("some/model", "pocketsphinx")


@pytest.mark.parametrize("back_end", ["frames", "ctc"])
@pytest.mark.parametrize("transcript", [TEXT, None])
@pytest.mark.parametrize("samples", [16000, 16321, 3000])
def test_phonemes_tile_the_recording(folder, back_end, transcript, samples):
    found = load_aligner(back_end, folder).phonemes(SOUND[:samples], transcript)
    assert found[0].start == 0.0 and found[-1].end == pytest.approx(samples / 16000, abs=1e-12)
    for one, other in zip(found, found[1:], strict=False):
        assert one.end == other.start and (one.symbol or other.symbol)
    assert all(span.end > span.start for span in found)
    if transcript:
        assert [span.symbol for span in found if span.symbol] == ["b", "ˈaɪ", "ɪ", "tʃ"]


@pytest.mark.parametrize("back_end", ["frames", "ctc"])
def test_a_recording_too_short_for_its_text_is_refused_by_name(folder, back_end):
    with pytest.raises(InputError, match="^speech.wav: .*too few.*check that the text"):
        load_aligner(back_end, folder).phonemes(SOUND[:900], TEXT, name="speech.wav")


@pytest.mark.parametrize("back_end", ["frames", "ctc"])
def test_a_sound_that_the_labels_lack_is_refused(folder, back_end):
    with pytest.raises(InputError, match=re.escape("'ɲ'")):
        load_aligner(back_end, folder).phonemes(SOUND, Transcript((Word("ñ", ("ɲ",)),)))


# ---- states and spans


def test_states_stand_for_letters_with_pauses_between_words():
    letters, owners, symbols = states_of(TEXT, LABELS)
    assert symbols == ("", "b", "ˈaɪ", "", "ɪ", "tʃ", "")
    assert [LABELS[letter] for letter in letters] == ["", "b", "a", "ɪ", "", "ɪ", "tʃ", ""]
    assert [symbols[owner] for owner in owners] == ["", "b", "ˈaɪ", "ˈaɪ", "", "ɪ", "tʃ", ""]


def test_spans_change_midway_between_the_middles_of_two_frames():
    spans = spans_of(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1]), ("", "ˈaɪ"), 0.1125)
    assert [span.symbol for span in spans] == ["", "ˈaɪ"]
    # frames 1 and 2 have their middles at 320 + 200 and 640 + 200 samples
    assert spans[0].end == pytest.approx((520 + 840) / 2 / 16000) and spans[-1].end == 0.1125


def test_a_short_silence_before_a_stop_is_its_closure():
    def spans(*parts):
        return tuple(Phoneme(*part) for part in parts)

    said = spans(("", 0.0, 0.1), ("p", 0.1, 0.2), ("a", 0.2, 0.5), ("", 0.5, 0.6), ("p", 0.6, 0.7), ("", 0.7, 0.8),
                 ("s", 0.8, 1.0), ("", 1.0, 1.4), ("b", 1.4, 1.5))
    assert with_closures(said) == spans(("", 0.0, 0.1), ("p", 0.1, 0.2), ("a", 0.2, 0.5), ("p", 0.5, 0.7), ("", 0.7, 0.8),
                                        ("s", 0.8, 1.0), ("", 1.0, 1.4), ("b", 1.4, 1.5))  # not at the start, nor a long one


@pytest.mark.parametrize("symbol, parts", [
    ("ˈaɪ", ("a", "ɪ")), ("tʃ", ("tʃ",)), ("aː", ("a",)), ("s̩", ("s",)), ("", ()), ("ˌatʃɪ", ("a", "tʃ", "ɪ"))])
def test_symbols_are_taken_apart_the_longest_label_first(symbol, parts):
    assert split_symbol(symbol, LABELS) == parts


def test_a_letter_without_a_label_is_named():
    with pytest.raises(InputError, match="'t'"):
        split_symbol("at", LABELS)
