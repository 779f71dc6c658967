"""The probe: it finds a linear rule, sees no more than it is shown, and scores like the classifier that it is."""

import pytest
import torch

from data_prep.encoder.linear_probe import Fit, accuracy, fit_probe, scores, with_context
from otlib.phonemes.frame_classifier import FrameClassifier

SINGLE = 1e-4


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_linear_rule_is_found():
    features = noise(3000, 1, 1, 20)
    labels = (features[:, 0, 0] @ noise(20, 5, seed=1)).argmax(1)
    probe = fit_probe(features[:2000], labels[:2000], 5, Fit(passes=100, learning_rate=0.03, weight_decay=0.0))
    assert accuracy(probe, features[2000:], labels[2000:]) > 0.9
    assert accuracy(probe, features[2000:], (labels[2000:] + 1) % 5) < 0.1


def test_labels_that_have_nothing_to_do_with_the_features_are_not_found():
    features, labels = noise(4000, 1, 1, 20), torch.randint(5, (4000,), generator=torch.Generator().manual_seed(3))
    probe = fit_probe(features[:2000], labels[:2000], 5)
    assert accuracy(probe, features[2000:], labels[2000:]) < 0.25  # chance is 0.2, and a share of 2,000 has 0.009


def test_the_layer_that_knows_gets_the_weight():
    features = noise(3000, 1, 3, 20)
    labels = (features[:, 0, 2] @ noise(20, 5, seed=1)).argmax(1)
    assert fit_probe(features, labels, 5).layer_weights.argmax() == 2


def test_the_same_seed_gives_the_same_probe():
    features, labels = noise(600, 1, 1, 8), torch.arange(600) % 3
    one, same, other = (fit_probe(features, labels, 3, Fit(passes=2, seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(one.convolution.weight, same.convolution.weight)
    assert not torch.equal(one.convolution.weight, other.convolution.weight)


@pytest.mark.parametrize("reach", [0, 2])
def test_scores_are_those_of_the_classifier_over_the_whole_clip(reach):
    classifier = FrameClassifier(3, 8, 5, reach)
    classifier.convolution.weight.data = noise(5, 8, 2 * reach + 1)
    classifier.layer_weights.data = noise(3, seed=2)
    classifier.standardise(noise(3, 8, seed=4), noise(3, 8, seed=5).abs() + 0.5)
    clip = noise(12, 3, 8, seed=6)
    inner = slice(reach, 12 - reach)  # beyond the ends the classifier sees zeros and the probe holds the last frame
    found = scores(classifier, with_context(clip, reach))
    torch.testing.assert_close(found[inner], classifier(clip[None])[0, inner], rtol=0, atol=SINGLE)


def test_context_by_hand():
    clip = torch.arange(4.0).reshape(4, 1, 1)
    assert with_context(clip, 1)[:, :, 0, 0].tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]


@pytest.mark.parametrize("count", [0, 4])
def test_as_many_labels_as_frames(count):
    with pytest.raises(ValueError, match="^labels: "):
        fit_probe(noise(count, 1, 1, 2), torch.zeros(count and count + 1, dtype=torch.long), 3)
