"""Features at mesh frames, computed once for the same sound, encoder and rate."""

import numpy as np
import pytest
import soundfile
import torch

from otlib.errors import InputError
from otlib.speech.features import PROSODY, FeatureSource, cached_features, feature_source, recording_features
from otlib.speech.local_hubert import SAMPLE_RATE
from otlib.speech.prosody import prosody
from otlib.speech.recording import align_by_interpolation, read_recording
from tests.fixtures.small_hubert import local_hubert, saved

HALF = 1e-3  # relative step of half precision


class Counting:
    """Loudness and pitch, with a count of how often they were asked for."""

    def __init__(self):
        self.calls = 0

    def __call__(self, samples):
        self.calls += 1
        return prosody(samples)


def counted(fingerprint="one"):
    extract = Counting()
    return FeatureSource("counted", fingerprint, 1, 3, extract), extract


def write(path, seed=0, seconds=1.0, rate=22050):
    samples = 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * rate))
    soundfile.write(path, samples, rate)
    return path


@pytest.fixture
def sound(tmp_path):
    return write(tmp_path / "a.wav")


def test_second_call_reads_the_file(sound, tmp_path):
    source, extract = counted()
    first = cached_features(source, sound, 25.0, tmp_path / "cache")
    second = cached_features(source, sound, 25.0, tmp_path / "cache")
    assert extract.calls == 1 and torch.equal(first, second) and first.dtype == torch.float32
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_the_same_sound_by_another_name_is_known(sound, tmp_path):
    source, extract = counted()
    cached_features(source, sound, 25.0, tmp_path / "cache")
    cached_features(source, sound.rename(tmp_path / "b.wav"), 25.0, tmp_path / "cache")
    assert extract.calls == 1


def test_another_sound_encoder_or_rate_is_computed(sound, tmp_path):
    cache = tmp_path / "cache"
    source, extract = counted()
    cached_features(source, sound, 25.0, cache)
    cached_features(source, sound, 30.0, cache)
    cached_features(source, write(sound, seed=1), 25.0, cache)
    assert extract.calls == 3
    other, extract = counted("another")
    cached_features(other, sound, 25.0, cache)
    assert extract.calls == 1 and len(list(cache.iterdir())) == 4


def test_kept_features_are_the_fresh_ones_in_half_precision(sound, tmp_path):
    source = feature_source(PROSODY)
    fresh = recording_features(source, read_recording(sound), 30.0)
    kept = cached_features(source, sound, 30.0, tmp_path / "cache")
    assert torch.equal(kept, fresh.half().float())
    torch.testing.assert_close(kept, fresh, rtol=HALF, atol=HALF)


def test_failure_leaves_nothing_behind(sound, tmp_path):
    def fail(samples):
        raise RuntimeError("out of memory")

    cache = tmp_path / "cache"
    with pytest.raises(RuntimeError):
        cached_features(FeatureSource("failing", "f", 1, 3, fail), sound, 25.0, cache)
    assert not cache.exists() or not list(cache.iterdir())


@pytest.mark.parametrize("seconds, frame_rate, frames",
                         [(1.0, 25.0, 25), (1.0, 30.0, 30), (0.999, 30.0, 29), (0.05, 25.0, 1)])
def test_one_feature_for_each_frame_of_the_recording(seconds, frame_rate, frames, tmp_path):
    recording = read_recording(write(tmp_path / "a.wav", seconds=seconds, rate=16000))
    features = recording_features(feature_source(PROSODY), recording, frame_rate)
    assert features.shape == (frames, 1, 3) and features.isfinite().all()


def test_encoder_source_aligns_every_layer(tmp_path):
    source = feature_source(saved(local_hubert(), tmp_path / "encoder"))
    assert (source.layers, source.channels) == (3, 32)
    recording = read_recording(write(tmp_path / "a.wav", rate=SAMPLE_RATE))
    features = recording_features(source, recording, 30.0)
    layers = source.extract(torch.from_numpy(recording.samples))
    assert features.shape == (30, 3, 32)
    for layer in range(3):
        expected = align_by_interpolation(layers[:, layer].contiguous(), 30, 30.0)
        torch.testing.assert_close(features[:, layer], expected, rtol=0, atol=0)


def test_encoders_have_fingerprints_of_their_own(tmp_path):
    encoders = [saved(local_hubert(seed), tmp_path / str(seed)) for seed in (0, 1)]
    assert len({feature_source(name).fingerprint for name in [*encoders, PROSODY]}) == 3


def test_unknown_encoder_is_refused():
    with pytest.raises(InputError, match="/no/such/encoder"):
        feature_source("/no/such/encoder")


@pytest.mark.parametrize("samples", [16000, 16319, 700])
def test_pairs_lie_side_by_side_in_every_layer(samples, tmp_path):
    """The published recipe; where the last frame has no two features of its own, the last one is held."""
    encoder = saved(local_hubert(), tmp_path / "encoder")
    source, plain = feature_source(encoder, "pairs"), feature_source(encoder)
    recording = read_recording(write(tmp_path / "a.wav", seconds=samples / SAMPLE_RATE, rate=SAMPLE_RATE))
    features = plain.extract(torch.from_numpy(recording.samples))
    paired = recording_features(source, recording, 25.0)
    assert paired.shape == (samples // 640, 3, 64) and source.channels == 64
    assert source.fingerprint != plain.fingerprint
    for frame in range(len(paired)):
        for layer in range(3):
            two = [features[min(2 * frame + k, len(features) - 1), layer] for k in (0, 1)]
            assert torch.equal(paired[frame, layer], torch.cat(two))


def test_pairs_at_another_rate_and_unknown_alignments_are_refused(sound):
    with pytest.raises(InputError, match="25 frames a second, not 30"):
        recording_features(feature_source(PROSODY, "pairs"), read_recording(sound), 30.0)
    with pytest.raises(InputError, match="^stretch: no such alignment"):
        feature_source(PROSODY, "stretch")
