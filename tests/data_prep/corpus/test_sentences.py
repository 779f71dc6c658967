"""Sentences: distinct, the same for the same seed, and test words that training never sees."""

import itertools
import re

import numpy as np
import pytest

from data_prep.corpus.sentences import DEMO_SENTENCE, corpus_sentences, sentences

SEEDS = (0, 1, 2)


def words(text):
    return set(re.findall(r"[a-z']+", text.lower()))


def draw(count, seed=0, **settings):
    return list(itertools.islice(sentences(np.random.default_rng(seed), **settings), count))


@pytest.fixture(scope="module")
def training_words():
    """Every word that training and validation can ever draw: far more sentences than any corpus here has."""
    return words(" ".join(draw(5000)))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_test_sentence_has_words_that_training_never_sees(seed, training_words):
    for text in corpus_sentences(seed, train=0, validation=0, test=500)["test"]:
        assert words(text) - training_words, text


def test_training_vocabulary_is_exhausted(training_words):
    assert words(" ".join(draw(5000, seed=1))) == training_words


@pytest.mark.parametrize("seed", SEEDS)
def test_splits_share_no_sentence(seed):
    splits = corpus_sentences(seed, train=300, validation=60, test=100)
    assert {name: len(texts) for name, texts in splits.items()} == {"train": 300, "val": 60, "test": 100}
    everything = sum(splits.values(), [])
    assert len(set(everything)) == len(everything)


def test_the_same_seed_gives_the_same_sentences():
    assert corpus_sentences(3, 20, 5, 10) == corpus_sentences(3, 20, 5, 10)
    assert corpus_sentences(3, 20, 5, 10)["train"] != corpus_sentences(4, 20, 5, 10)["train"]
    assert corpus_sentences(3, 20, 5, 10)["test"][1:] != corpus_sentences(4, 20, 5, 10)["test"][1:]


def test_more_training_sentences_leave_the_test_alone():
    assert corpus_sentences(0, 10, 5, 10)["test"] == corpus_sentences(0, 100, 50, 10)["test"]


def test_the_demo_sentence_comes_first():
    assert corpus_sentences(0, 1, 1, 3)["test"][0] == DEMO_SENTENCE
    assert corpus_sentences(0, 1, 1, 0)["test"] == []


@pytest.mark.parametrize("test", [False, True])
def test_sentences_look_like_sentences(test):
    for text in draw(300, test=test):
        assert re.fullmatch(r"[A-Z][A-Za-z ',]*[.?]", text) and "  " not in text, text


def test_closures_and_rounded_lips_are_frequent():
    """The words were chosen for the sounds that a mouth shows: each sentence has several."""
    letters = [sum(text.lower().count(letter) for letter in "pbmfvw") for text in draw(300)]
    assert np.mean(letters) > 4
