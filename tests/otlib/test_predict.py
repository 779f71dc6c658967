"""Using a trained model: the same head as in training, any recording, any template."""

import dataclasses

import numpy as np
import pytest
import torch

from otlib.data.dataset import Dataset
from otlib.errors import InputError
from otlib.files import read_json, write_json
from otlib.metrics import lip_error_mm
from otlib.models.ottalk import prepare_geometry
from otlib.phonemes import Transcript
from otlib.predict import Predictor, animate, find_keys, load_trained, talk
from otlib.speech.features import recording_features
from otlib.speech.recording import Recording, heard, read_recording
from otlib.topology import Topology
from otlib.train.checkpoint import SETTINGS
from otlib.train.loop import RUN, TrainSettings, train
from tests.fixtures.small_talker import write_talker
from tests.fixtures.talking_ball import ball
from tests.fixtures.tiny_corpus import write_corpus

MODEL = {"width": 8, "layers": 1, "heads": 2, "radius": 3, "channels": 4, "terms": 2, "levels": (20, 8)}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return Dataset.open(write_corpus(tmp_path_factory.mktemp("corpus") / "tiny"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("features")


@pytest.fixture(scope="module")
def run(dataset, cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    settings = TrainSettings("prosody", steps=20, batch=2, window=12, validate=20, learning_rate=1e-2, model=MODEL)
    train(dataset.path, out, settings, cache=cache)
    return out


@pytest.fixture(scope="module")
def trained(run):
    return load_trained(run)


def said(trained, recording, template, topology):
    return np.concatenate(list(talk(trained, recording, template, topology)))


def test_the_predictor_makes_the_error_that_training_saw(trained, run, dataset, cache):
    predict = Predictor(trained, dataset, cache)
    errors = []
    for clip in dataset.select("val"):
        motion = predict(clip)
        assert motion.shape == clip.vertices.shape and motion.dtype == np.float32
        errors.append(lip_error_mm(clip.vertices, motion, dataset.topology.lips))
    assert np.mean(errors) == pytest.approx(read_json(run / RUN)["validation_lip_mm"], rel=1e-5)


def test_the_predictor_moves_the_head_but_knows_no_motion(trained, dataset, cache):
    clip = dataset.select("test")[0]
    motion = Predictor(trained, dataset, cache)(clip)
    assert np.abs(motion - clip.template).max() > 1e-3
    assert np.abs(motion - clip.vertices).max() > 1e-4


def test_a_prediction_is_as_long_as_the_clip_where_the_sound_ends_before(trained, tmp_path):
    late = Dataset.open(write_corpus(tmp_path / "late", late=2))
    clip = late.select("test")[0]
    assert len(Predictor(trained, late, tmp_path / "features")(clip)) == clip.frames == len(clip.vertices)


def test_a_recording_talks_as_its_clip_does(trained, dataset, cache):
    clip = dataset.select("train")[0]
    recording = read_recording(clip.audio_path)
    motion = said(trained, recording, clip.template, dataset.topology)
    assert motion.dtype == np.float32 and motion.shape == clip.vertices.shape
    assert np.abs(motion - clip.template).max() > 1e-3
    again = said(trained, recording, clip.template.astype(np.float64), dataset.topology)
    np.testing.assert_array_equal(again, motion)


def test_another_rate_and_another_topology_simply_work(trained, dataset):
    generator = np.random.default_rng(0)
    recording = Recording(generator.uniform(-0.5, 0.5, 44_100).astype(np.float32), 44_100)
    vertices, faces, _ = ball(2)
    motion = said(trained, recording, vertices, Topology(faces))
    assert motion.shape == (30, len(vertices), 3) and np.abs(motion - vertices).max() > 1e-3


@pytest.mark.parametrize("frames", [1, 40])
def test_a_recording_is_heard_after_a_short_silence(trained, dataset, frames):
    """As one that has the silence, to the same numbers, and with no frame too many; rumble is taken out before."""
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, round(frames * 16_000 / 30) + 1).astype(np.float32)
    template = torch.from_numpy(dataset.template("d"))
    geometry = prepare_geometry(template, dataset.topology, trained.model.settings)
    clean = heard(Recording(samples, 16_000))
    sounds = [np.concatenate([np.zeros(silence, np.float32), clean]) for silence in (4_800, 0)]
    features = [recording_features(trained.source, Recording(sound, 16_000), 30.0) for sound in sounds]
    after_silence, at_once = (animate(trained.model, one, template, geometry).numpy() for one in features)
    motion = said(trained, Recording(samples, 16_000), template.numpy(), dataset.topology)
    assert motion.shape == at_once.shape == (frames, len(template), 3)
    np.testing.assert_array_equal(motion, after_silence[9:])
    assert np.abs(motion[0] - at_once[0]).max() > 1e-6


def test_the_frame_rate_is_the_models(trained, dataset, tmp_path):
    """Whoever talks cannot get it wrong; data of another rate are refused."""
    assert trained.frame_rate == dataset.frame_rate == 30.0
    recording = Recording(np.random.default_rng(0).uniform(-0.5, 0.5, 16_000).astype(np.float32), 16_000)
    slower = dataclasses.replace(trained, frame_rate=25.0)
    assert len(said(trained, recording, dataset.template("d"), dataset.topology)) == 30
    assert len(said(slower, recording, dataset.template("d"), dataset.topology)) == 25
    with pytest.raises(InputError, match="tiny: has 30 frames a second, but the model was trained at 25; choose data or"):
        Predictor(slower, dataset, tmp_path)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    return load_trained(write_talker(tmp_path_factory.mktemp("talkers") / "keyed", method="kmtalk"))


def test_key_frames_by_another_source_than_that_of_the_training_are_another_motion(keyed, dataset):
    recording = Recording(np.random.default_rng(0).uniform(-0.5, 0.5, 16_000).astype(np.float32), 16_000)
    even, every = (find_keys(keyed, recording, [source]) for source in ("even", "every"))
    assert (even.source, even.usual, even.mask.sum(), every.mask.sum()) == ("even", "frames", 10, 30)
    motions = [np.concatenate(list(talk(keyed, recording, dataset.template("d"), dataset.topology, keys=keys)))
               for keys in (even, every)]
    assert motions[0].shape == motions[1].shape and np.abs(motions[0] - motions[1]).max() > 1e-4


def test_key_frames_that_do_not_fit_are_refused(keyed, trained, dataset):
    recording, longer = (Recording(np.full(count, 0.1, np.float32), 16_000) for count in (16_000, 32_000))
    assert find_keys(trained, recording) is None
    for options in ({"sources": ["even"]}, {"transcript": Transcript(())}):
        with pytest.raises(InputError, match="the model has no key frames, .*; leave them out, or choose a model of KMTalk"):
            find_keys(trained, recording, **options)
    with pytest.raises(InputError, match="key frames: source must be one of 'frames', .* but is 'whisper'"):
        find_keys(keyed, recording, ["whisper"])
    even = find_keys(keyed, recording, ["even"])
    for model, sound, expected in ((keyed, longer, "60"), (trained, recording, "none, since the method has no key frames")):
        with pytest.raises(ValueError, match=f"keys: are of 30 frames, expected {expected}"):
            next(talk(model, sound, dataset.template("d"), dataset.topology, keys=even))


def test_a_run_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}: no trained model there"):
        load_trained(tmp_path)


def changed(run, folder, **facts):
    """Copy a run with another model.json."""
    for file in run.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    write_json(folder / SETTINGS, read_json(run / SETTINGS) | facts)
    return folder


def test_an_encoder_that_is_gone_is_named(run, tmp_path):
    with pytest.raises(InputError, match="no/such/encoder: no HuBERT"):
        load_trained(changed(run, tmp_path, encoder="no/such/encoder"))


def test_an_encoder_that_has_changed_since_is_refused(run, tmp_path):
    """Features of other weights would be noise to the model."""
    with pytest.raises(InputError, match="was trained on another encoder 'prosody' than the present one; train again"):
        load_trained(changed(run, tmp_path, fingerprint="another"))


def test_a_model_of_an_earlier_version_is_refused_with_what_to_do(run, tmp_path):
    """Its model.json held the settings alone, and said nothing of the frame rate."""
    old = changed(run, tmp_path)
    write_json(old / SETTINGS, read_json(run / SETTINGS)["model"])
    with pytest.raises(InputError, match="earlier version, whose model.json does not say at which frame rate; train again"):
        load_trained(old)
