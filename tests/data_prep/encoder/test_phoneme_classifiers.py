"""Training of phoneme heads: a small run learns, counts are counts, bad input is one sentence."""

import math

import pytest
import torch

from data_prep.encoder import phoneme_classifiers as phoneme_heads
from data_prep.encoder.frame_labels import LABELS
from data_prep.encoder.phoneme_classifiers import Recipe, main, train_heads
from otlib.phonemes.frame_classifier import load_heads
from otlib.speech.encoder import load_encoder
from tests.fixtures.small_hubert import local_hubert, saved

pytestmark = pytest.mark.slow

TINY = Recipe(speakers=2, sentences=2, hours=0.0)
SINGLE = 1e-5


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return load_encoder(saved(local_hubert(), tmp_path_factory.mktemp("encoder")))


def test_both_heads_learn_even_from_a_random_network(encoder):
    heard = phoneme_heads._hear(encoder, TINY)
    heads = train_heads(encoder, TINY)
    assert heads.labels == LABELS and heads.encoder_digest
    for head, loss in ((heads.frames, phoneme_heads._frame_loss), (heads.ctc, phoneme_heads._ctc_loss)):
        def mean_loss(of, loss=loss):
            with torch.no_grad():
                return sum(float(loss(of(one.features[None]), torch.tensor([len(one.features)]), [one])) for one in heard)

        untrained = type(head)(encoder.layers, encoder.channels, len(LABELS), TINY.reach)
        assert mean_loss(head) < 0.9 * mean_loss(untrained)


def test_the_same_seed_gives_the_same_heads(encoder):
    one, other = (train_heads(encoder, TINY) for _ in range(2))
    assert torch.equal(one.frames.convolution.weight, other.frames.convolution.weight)
    assert torch.equal(one.transitions, other.transitions)


def test_counts_by_hand():
    prior, transitions = phoneme_heads._counts([torch.tensor([0, 0, 3, -100, 3])])
    smoothing, labels = phoneme_heads._SMOOTHING, len(LABELS)
    assert float(prior[3]) == pytest.approx(math.log((2 + smoothing) / (4 + labels * smoothing)), abs=SINGLE)
    assert float(transitions[0, 3]) == pytest.approx(math.log((1 + smoothing) / (2 + labels * smoothing)), abs=SINGLE)
    torch.testing.assert_close(transitions.exp().sum(1), torch.ones(labels), rtol=0, atol=SINGLE)


def test_the_command_leaves_heads_beside_the_encoder(encoder):
    assert main(["--encoder", encoder.name, "--sentences", "1", "--hours", "0.003"]) == 0
    assert load_heads(encoder).labels == LABELS


def test_a_place_that_cannot_be_is_refused_before_the_training(encoder, monkeypatch, capsys):
    monkeypatch.setattr(phoneme_heads, "train_heads", lambda *_: pytest.fail("has trained"))
    assert main(["--encoder", encoder.name, "--out", "n" * 300]) == 2
    assert "nnn: cannot be written (File name too long)" in capsys.readouterr().err


def test_no_encoder_is_said_in_one_sentence(capsys):
    assert main(["--encoder", "/no/such/encoder"]) == 2
    assert "/no/such/encoder" in capsys.readouterr().err
