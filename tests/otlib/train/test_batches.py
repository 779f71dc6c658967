"""Clips in memory: what is read, how windows are drawn, and sound that ends before the motion."""

import numpy as np
import pytest
import torch

from otlib.data.dataset import Dataset
from otlib.errors import InputError
from otlib.metrics.vertices import lip_error_mm
from otlib.models.ottalk import ModelSettings, prepare_geometry
from otlib.speech.features import feature_source
from otlib.train.batches import draw_batch, read_clips
from tests.fixtures.tiny_corpus import FRAMES, write_corpus

SETTINGS = ModelSettings(feature_layers=1, feature_channels=3, levels=(20, 8))
SINGLE = {"rtol": 0.0, "atol": 1e-7}  # metres: float32 rounding of positions of a tenth of a metre
SOURCE = feature_source("prosody")
WINDOW = 20


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return Dataset.open(write_corpus(tmp_path_factory.mktemp("corpus") / "tiny"))


@pytest.fixture(scope="module")
def clips(dataset, tmp_path_factory):
    return read_clips(dataset, "train", SOURCE, tmp_path_factory.mktemp("features"), SETTINGS)


def test_clips_are_those_of_the_split_with_their_motion(dataset, clips):
    sequences = dataset.select("train")
    assert [clip.id for clip in clips.clips] == [sequence.id for sequence in sequences] == ["a0", "a1", "b0", "b1"]
    for clip, sequence in zip(clips.clips, sequences, strict=True):
        assert clip.features.shape == (sequence.frames, 1, 3) and clip.features.dtype == torch.float16
        moved = clips.templates[clip.speaker] + clip.displacements
        torch.testing.assert_close(moved, torch.from_numpy(np.array(sequence.vertices)), **SINGLE)


def test_speakers_share_a_hierarchy_and_have_signals_of_their_own(dataset, clips):
    assert clips.hierarchy.sizes == (42, 20, 8)
    for index, speaker in enumerate(("a", "b")):
        template = torch.from_numpy(dataset.template(speaker))
        expected = prepare_geometry(template, torch.from_numpy(dataset.faces), SETTINGS, hierarchy=clips.hierarchy)
        assert torch.equal(clips.signals[index], expected.signal)
    assert not torch.equal(clips.signals[0], clips.signals[1])


def test_features_are_read_from_the_cache_the_second_time(dataset, tmp_path, monkeypatch):
    first = read_clips(dataset, "val", SOURCE, tmp_path, SETTINGS)
    assert len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr("otlib.speech.features.recording_features", None)
    again = read_clips(dataset, "val", SOURCE, tmp_path, SETTINGS)
    assert all(torch.equal(x.features, y.features) for x, y in zip(first.clips, again.clips, strict=True))


def test_sound_that_ends_before_the_motion_is_held(tmp_path):
    dataset = Dataset.open(write_corpus(tmp_path / "late", late=2))
    for clip in read_clips(dataset, "val", SOURCE, tmp_path, SETTINGS).clips:
        assert len(clip.features) == len(clip.displacements)
        assert torch.equal(clip.features[-1], clip.features[-3])


def test_a_split_without_clips_is_refused(tmp_path):
    dataset = Dataset.open(write_corpus(tmp_path / "train_only", splits=("train",)))
    with pytest.raises(InputError, match="train_only: has no clips of the split 'val'"):
        read_clips(dataset, "val", SOURCE, tmp_path, SETTINGS)


def test_a_batch_is_windows_of_clips_with_their_speaker(clips):
    batch = draw_batch(clips, 12, WINDOW, torch.Generator().manual_seed(0))
    assert batch.features.shape == (12, WINDOW, 1, 3) and batch.displacements.shape == (12, WINDOW, 42, 3)
    for index in range(12):
        places = [(clip, start) for clip in clips.clips for start in range(len(clip.features) - WINDOW + 1)
                  if torch.equal(clip.features[start: start + WINDOW].float(), batch.features[index])]
        assert len(places) == 1  # noise: no two windows sound alike
        clip, start = places[0]
        assert torch.equal(clip.displacements[start: start + WINDOW], batch.displacements[index])
        assert torch.equal(clips.templates[clip.speaker], batch.templates[index])
        assert torch.equal(clips.signals[clip.speaker], batch.signals[index])


def test_half_of_the_batches_are_on_the_plain_hierarchy_the_others_on_its_variations(dataset, tmp_path):
    clips = read_clips(dataset, "train", SOURCE, tmp_path, SETTINGS, variations=3)
    assert len(clips.geometries) == 4 and clips.geometries[0].hierarchy is clips.hierarchy
    assert len({tuple(geometry.hierarchy.chosen[1].tolist()) for geometry in clips.geometries}) == 4
    drawn = [draw_batch(clips, 1, WINDOW, torch.Generator().manual_seed(seed)) for seed in range(600)]
    counts = np.bincount([batch.geometry for batch in drawn])
    assert len(counts) == 4 and abs(counts[0] - 300) < 4 * 150**0.5  # 4 standard deviations
    assert all(abs(count - 100) < 4 * 84**0.5 for count in counts[1:])
    for batch in drawn[:20]:
        (speaker,) = batch.speakers
        assert torch.equal(batch.signals[0], clips.geometries[batch.geometry].signals["ab".index(speaker)])


def test_the_same_generator_draws_the_same_batch(clips):
    one, same, other = (draw_batch(clips, 4, WINDOW, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one.features, same.features) and not torch.equal(one.features, other.features)


def test_every_window_is_as_likely_as_any_other(clips):
    """17 windows fit into each long clip and 11 into each short one; 4 standard errors of a share."""
    size = 2000
    batch = draw_batch(clips, size, WINDOW, torch.Generator().manual_seed(0))
    windows = [frames - WINDOW + 1 for frames in FRAMES]
    first_of_all = clips.clips[0].features[:WINDOW].float()
    share = (batch.features == first_of_all).flatten(1).all(1).double().mean().item()
    expected = 1 / (2 * sum(windows))
    assert abs(share - expected) < 4 * (expected * (1 - expected) / size) ** 0.5


def test_a_clip_of_just_one_window_can_be_drawn(clips):
    assert draw_batch(clips, 8, min(FRAMES), torch.Generator().manual_seed(0)).features.shape == (8, min(FRAMES), 1, 3)


def test_lip_error_is_the_mean_over_frames_of_the_largest_distance():
    truth = torch.zeros(2, 4, 3)
    predicted = truth.clone()
    predicted[0, 1, 0], predicted[0, 2, 1], predicted[1, 2, 2], predicted[1, 3, 0] = 0.001, 0.003, 0.002, 1.0
    assert lip_error_mm(predicted, truth, torch.tensor([1, 2])) == pytest.approx(2.5)  # vertex 3 is no lip
