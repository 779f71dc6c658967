"""What a trained model is measured against: motion that nobody trains."""

import numpy as np
import pytest

from notebooks.experiments.baselines import REFERENCES, reference
from otlib.data.dataset import Dataset
from otlib.errors import InputError
from tests.fixtures.tiny_corpus import write_corpus

FLOAT32 = 1e-7  # metres: the sums of a ball of some centimetres rounded to float32


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return Dataset.open(write_corpus(tmp_path_factory.mktemp("references") / "corpus"))


def test_a_still_face_is_the_speakers_own_at_every_frame(dataset):
    for clip in dataset.select("test"):
        still = reference("still face", dataset)(clip)
        assert still.shape == clip.vertices.shape and (still == clip.template).all()


def test_the_mean_motion_is_that_of_all_training_frames_alike(dataset):
    frames = [frame - clip.template for clip in dataset.select("train") for frame in np.asarray(clip.vertices, np.float64)]
    clip = dataset.select("test")[0]
    found = reference("mean motion", dataset)(clip)
    assert found.shape == clip.vertices.shape and found.dtype == np.float32
    np.testing.assert_allclose(found - clip.template, np.broadcast_to(sum(frames) / len(frames), found.shape), atol=FLOAT32)
    assert np.abs(found - clip.template).max() > 1000 * FLOAT32  # the ball does move


def test_the_oracle_is_the_motion_in_the_mean_style(dataset):
    clip = dataset.select("test")[0]
    assert (reference("oracle", dataset)(clip) == clip.mean_style).all()


def test_what_cannot_be_had_is_said(dataset, tmp_path):
    assert list(REFERENCES) == ["still face", "mean motion", "oracle"]
    with pytest.raises(InputError, match="no reference 'still'; there are still face, mean motion, oracle"):
        reference("still", dataset)
    with pytest.raises(InputError, match="clip a0 has no motion in the mean style, so there is no oracle"):
        reference("oracle", dataset)(dataset.select("train")[0])
    with pytest.raises(InputError, match="no clips of the split 'train', whose mean motion is asked for"):
        reference("mean motion", Dataset.open(write_corpus(tmp_path / "corpus", splits=("test",))))
