"""Clips in memory: what is read, how windows are drawn, and sound that ends before the motion."""

import numpy as np
import pytest
import torch

from otlib.data.dataset import Dataset
from otlib.errors import InputError
from otlib.metrics import lip_error_mm
from otlib.models.ottalk import ModelSettings, OTTalk, prepare_geometry
from otlib.speech.features import feature_source
from otlib.train.batches import draw_batch, read_clips
from otlib.train.tuned_encoder import FrozenEncoder, WholeModel
from tests.fixtures.tiny_corpus import FRAMES, write_corpus

SETTINGS = ModelSettings(feature_layers=1, feature_channels=3, levels=(20, 8))
SOURCE = feature_source("prosody")
WINDOW = 20


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return Dataset.open(write_corpus(tmp_path_factory.mktemp("corpus") / "tiny"))


@pytest.fixture(scope="module")
def clips(dataset, tmp_path_factory):
    return read_clips(dataset, "train", FrozenEncoder(SOURCE, tmp_path_factory.mktemp("features")), SETTINGS)


def test_clips_are_those_of_the_split_with_their_motion(dataset, clips):
    sequences = dataset.select("train")
    assert [clip.id for clip in clips.clips] == [sequence.id for sequence in sequences] == ["a0", "a1", "b0", "b1"]
    for clip, sequence in zip(clips.clips, sequences, strict=True):
        assert clip.audio.shape == (sequence.frames, 1, 3) and clip.audio.dtype == torch.float16
        assert torch.equal(clip.vertices, torch.from_numpy(np.array(sequence.vertices)))


def test_speakers_share_a_hierarchy_and_have_signals_of_their_own(dataset, clips):
    (geometry,) = clips.geometries
    assert geometry.hierarchy.sizes == (42, 20, 8)
    for index, speaker in enumerate(("a", "b")):
        template = torch.from_numpy(dataset.template(speaker))
        expected = prepare_geometry(template, dataset.topology, SETTINGS, hierarchy=geometry.hierarchy)
        assert torch.equal(geometry.signal[[index]], expected.signal)
    assert not torch.equal(geometry.signal[0], geometry.signal[1])


def test_features_are_read_from_the_cache_the_second_time(dataset, tmp_path, monkeypatch):
    first = read_clips(dataset, "val", FrozenEncoder(SOURCE, tmp_path), SETTINGS)
    assert len(list(tmp_path.glob("*.npy"))) == 2
    monkeypatch.setattr("otlib.speech.features.recording_features", None)
    again = read_clips(dataset, "val", FrozenEncoder(SOURCE, tmp_path), SETTINGS)
    assert all(torch.equal(x.audio, y.audio) for x, y in zip(first.clips, again.clips, strict=True))


def test_sound_that_ends_before_the_motion_is_held(tmp_path):
    dataset = Dataset.open(write_corpus(tmp_path / "late", late=2))
    for clip in read_clips(dataset, "val", FrozenEncoder(SOURCE, tmp_path / "features"), SETTINGS).clips:
        assert len(clip.audio) == len(clip.vertices)
        assert torch.equal(clip.audio[-1], clip.audio[-3])


def test_a_split_without_clips_is_refused(tmp_path):
    dataset = Dataset.open(write_corpus(tmp_path / "train_only", splits=("train",)))
    with pytest.raises(InputError, match="train_only: has no clips of the split 'val'"):
        read_clips(dataset, "val", FrozenEncoder(SOURCE, tmp_path / "features"), SETTINGS)


def test_a_batch_is_windows_of_clips_with_their_speaker(clips):
    batch = draw_batch(clips, 12, WINDOW, torch.Generator().manual_seed(0))
    assert [audio.shape for audio in batch.audio] == [(WINDOW, 1, 3)] * 12 and batch.vertices.shape == (12, WINDOW, 42, 3)
    for index in range(12):
        places = [(clip, start) for clip in clips.clips for start in range(len(clip.audio) - WINDOW + 1)
                  if torch.equal(clip.audio[start: start + WINDOW], batch.audio[index])]
        assert len(places) == 1  # noise: no two windows sound alike
        clip, start = places[0]
        assert torch.equal(clip.vertices[start: start + WINDOW], batch.vertices[index])
        assert torch.equal(clips.templates[clip.speaker], batch.templates[index])
        assert torch.equal(clips.geometries[0].signal[clip.speaker], batch.geometry.signal[index])


def test_a_batch_is_half_precision_until_the_network(clips, tmp_path):
    """From the cache to the network's first operation nothing is converted; there it becomes float32, once."""
    batch = draw_batch(clips, 2, WINDOW, torch.Generator().manual_seed(0)).share(slice(0, 2), torch.device("cpu"))
    assert {audio.dtype for audio in batch.audio} == {torch.float16}
    model, given, first = WholeModel(OTTalk(SETTINGS), FrozenEncoder(SOURCE, tmp_path)), [], []
    model.talker.register_forward_pre_hook(lambda _, arguments: given.append(arguments[0].dtype))
    model.talker.feature_norm.register_forward_pre_hook(lambda _, arguments: first.append(arguments[0].dtype))
    model(batch.audio, batch.geometry)
    assert (given, first) == ([torch.float16], [torch.float32])


def test_another_voice_moves_along_with_its_speed(dataset, tmp_path):
    """Frame t of the sound is frame 1.25 t of the motion, which is linear between frames."""
    clip = read_clips(dataset, "val", FrozenEncoder(SOURCE, tmp_path), SETTINGS, speeds=(1.25,)).clips[0]
    _, vertices = clip.window(2, 3)  # frames 2.5, 3.75, 5 of the motion
    torch.testing.assert_close(vertices[0], (clip.vertices[2] + clip.vertices[3]) / 2)
    torch.testing.assert_close(vertices[1], clip.vertices[3] / 4 + clip.vertices[4] * 3 / 4)
    assert torch.equal(vertices[2], clip.vertices[5])


def test_half_of_the_batches_are_on_the_plain_hierarchy_the_others_on_its_variations(dataset, tmp_path):
    clips = read_clips(dataset, "train", FrozenEncoder(SOURCE, tmp_path), SETTINGS, variations=3)
    hierarchies = [geometry.hierarchy for geometry in clips.geometries]
    assert len({tuple(hierarchy.chosen[1].tolist()) for hierarchy in hierarchies}) == 4
    drawn = [draw_batch(clips, 1, WINDOW, torch.Generator().manual_seed(seed)) for seed in range(600)]
    places = [next(index for index, one in enumerate(hierarchies) if one is batch.geometry.hierarchy) for batch in drawn]
    counts = np.bincount(places)
    assert len(counts) == 4 and abs(counts[0] - 300) < 4 * 150**0.5  # 4 standard deviations
    assert all(abs(count - 100) < 4 * 84**0.5 for count in counts[1:])
    for batch, place in list(zip(drawn, places, strict=True))[:20]:
        (speaker,) = batch.speakers
        assert torch.equal(batch.geometry.signal[0], clips.geometries[place].signal["ab".index(speaker)])


def test_the_same_generator_draws_the_same_batch(clips):
    one, same, other = (draw_batch(clips, 4, WINDOW, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    one, same, other = (torch.stack(batch.audio) for batch in (one, same, other))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_every_window_is_as_likely_as_any_other(clips):
    """17 windows fit into each long clip and 11 into each short one; 4 standard errors of a share."""
    size = 2000
    batch = draw_batch(clips, size, WINDOW, torch.Generator().manual_seed(0))
    windows = [frames - WINDOW + 1 for frames in FRAMES]
    first_of_all = clips.clips[0].audio[:WINDOW]
    share = (torch.stack(batch.audio) == first_of_all).flatten(1).all(1).double().mean().item()
    expected = 1 / (2 * sum(windows))
    assert abs(share - expected) < 4 * (expected * (1 - expected) / size) ** 0.5


def test_a_clip_of_just_one_window_can_be_drawn(clips):
    assert draw_batch(clips, 8, min(FRAMES), torch.Generator().manual_seed(0)).vertices.shape == (8, min(FRAMES), 42, 3)


@pytest.mark.parametrize("more", [1, 2])  # torch would leave the clip out without a word, or fail on a weight below zero
def test_a_window_longer_than_a_clip_is_refused_by_the_clips_name(more, clips):
    """The shorter clips of both speakers; the first of them is named."""
    with pytest.raises(ValueError, match=f"a window of {min(FRAMES) + more} frames does not fit into clip 'a1', which has "
                                         f"{min(FRAMES)}"):
        draw_batch(clips, 2, min(FRAMES) + more, torch.Generator().manual_seed(0))


def test_lip_error_is_the_mean_over_frames_of_the_largest_distance():
    truth, predicted = np.zeros((2, 4, 3)), np.zeros((2, 4, 3))
    predicted[0, 1, 0], predicted[0, 2, 1], predicted[1, 2, 2], predicted[1, 3, 0] = 0.001, 0.003, 0.002, 1.0
    assert lip_error_mm(truth, predicted, np.array([1, 2])) == pytest.approx(2.5)  # vertex 3 is no lip
