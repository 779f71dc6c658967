"""Features at mesh frames, computed once for the same sound, encoder and rate."""

import dataclasses

import numpy as np
import pytest
import soundfile
import torch

from otlib.errors import InputError
from otlib.speech.features import (
    PROSODY,
    FeatureSource,
    align_by_interpolation,
    cached_features,
    feature_source,
    recording_features,
)
from otlib.speech.prosody import MARGIN, prosody
from otlib.speech.recording import Recording, read_recording
from otlib.speech.small_hubert import SAMPLE_RATE
from tests.fixtures.small_hubert import local_hubert, saved, whole_clip_hubert

HALF = 1e-3  # relative step of half precision
SINGLE = 1e-6  # float32 rounding
STRETCH = {"rtol": 1e-6, "atol": 1e-5}  # float32 sums of other lengths in features of 1 to 100


class Counting:
    """Loudness and pitch, with a count of how often they were asked for."""

    def __init__(self):
        self.calls = 0

    def __call__(self, samples):
        self.calls += 1
        return prosody(samples)


def counted(fingerprint="one"):
    extract = Counting()
    return FeatureSource("counted", fingerprint, 1, 3, extract, MARGIN), extract


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
    assert extract.calls == 1 and torch.equal(first, second) and first.dtype == torch.float16
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1


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
    assert extract.calls == 1 and len(list(cache.glob("*.npy"))) == 4


def test_kept_features_are_the_fresh_ones_in_half_precision(sound, tmp_path):
    source = feature_source(PROSODY)
    fresh = recording_features(source, read_recording(sound), 30.0)
    kept = cached_features(source, sound, 30.0, tmp_path / "cache")
    assert torch.equal(kept, fresh.half())
    torch.testing.assert_close(kept.float(), fresh, rtol=HALF, atol=HALF)


def other_array(*arguments, **more):
    return lambda file: np.save(file, np.full(*arguments, **more))


DAMAGES = {
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-2]), "empty": lambda file: file.write_bytes(b""),
    "shape": other_array((25, 3), 0.5, np.float16), "channels": other_array((25, 1, 4), 0.5, np.float16),
    "dtype": other_array((25, 1, 3), 0.5, np.float64), "not a number": other_array((25, 1, 3), np.nan, np.float16),
    "no frames": other_array((0, 1, 3), 0.5, np.float16), "folder": lambda file: (file.unlink(), file.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_told_and_left_and_its_features_are_made_anew(sound, tmp_path, damage, caplog):
    source, extract = counted()
    first = cached_features(source, sound, 25.0, tmp_path / "cache")
    (file,) = (tmp_path / "cache").glob("*.npy")
    DAMAGES[damage](file)
    left = file.read_bytes() if file.is_file() else None
    again = cached_features(source, sound, 25.0, tmp_path / "cache")
    (said,) = caplog.messages
    assert file.name in said and said.endswith("; its features are made anew every time until it is moved away")
    assert torch.equal(first, again) and extract.calls == 2
    assert left is None or file.read_bytes() == left


def test_failure_leaves_nothing_behind(sound, tmp_path):
    def fail(samples):
        raise RuntimeError("out of memory")

    cache = tmp_path / "cache"
    with pytest.raises(RuntimeError):
        cached_features(FeatureSource("failing", "f", 1, 3, fail, 0), sound, 25.0, cache)
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
    layers = source.extract(torch.from_numpy(recording.samples[:48 * 320 + 400]))  # what is left over makes no feature
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


# ---- alignment


@pytest.mark.parametrize("frame_rate", [25.0, 29.97, 30.0, 60.0])
@pytest.mark.parametrize("count", [1, 2, 50])
def test_interpolation_is_linear_between_the_middles_of_windows(frame_rate, count):
    features = torch.randn(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    frames = int(count / 50 * frame_rate) + 2
    times = np.arange(frames) / frame_rate
    middles = (320 * np.arange(count) + 200) / SAMPLE_RATE
    expected = np.stack([np.interp(times, middles, channel) for channel in features.numpy().T], 1)
    np.testing.assert_allclose(align_by_interpolation(features, frames, frame_rate), expected, rtol=0, atol=1e-12)


def test_interpolation_keeps_the_time_of_an_event():
    when = 0.5  # seconds; each feature says how long after it its window's middle lies
    features = (((320 * torch.arange(100) + 200) / SAMPLE_RATE) - when)[:, None]
    aligned = align_by_interpolation(features, 50, 25.0)
    np.testing.assert_allclose(aligned[1:-1, 0], np.arange(1, 49) / 25 - when, rtol=0, atol=SINGLE)


def test_interpolation_keeps_dtype():
    assert align_by_interpolation(torch.zeros(9, 2, dtype=torch.float16), 4, 25.0).dtype == torch.float16


def test_interpolation_of_a_later_part_is_that_part():
    features = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    part = align_by_interpolation(features[50:], 100, 30.0, first=40, skipped=50)
    torch.testing.assert_close(part, align_by_interpolation(features, 100, 30.0)[40:], rtol=0, atol=1e-5)  # of 200 frames


# ---- any stretch of a recording


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["bundled", PROSODY])
@pytest.mark.parametrize("frame_rate", [8.0, 29.97, 60.0])
def test_features_of_a_stretch_need_the_sound_around_it_alone(encoder, frame_rate):
    """Those of the whole recording; of the sound, no more than the margins goes through the encoder."""
    source, sizes = feature_source(encoder), []

    def extract(samples):
        sizes.append(len(samples))
        return source.extract(samples)

    measured = dataclasses.replace(source, extract=extract)
    samples = torch.from_numpy(np.random.default_rng(0).uniform(-0.5, 0.5, 748 * 320 + 400).astype(np.float32))  # 15 s
    frames = int(14.985 * frame_rate)
    whole = align_by_interpolation(source.extract(samples), frames, frame_rate)
    for first, last in ((0, frames // 6), (frames // 3, frames // 2), (frames - 3, frames)):
        part = measured.between(samples, first, last, frame_rate)
        torch.testing.assert_close(part, whole[first: last], **STRETCH)
        longest = (last - first) / frame_rate * 50 + 2 * source.margin + 4
        assert sizes.pop() <= longest * 320 + 400


@pytest.mark.parametrize("encoder", ["bundled", PROSODY])
@pytest.mark.parametrize("silence", [1, 399, 4_800, 50_000])
def test_silence_before_a_recording_is_that_of_one_that_has_it(encoder, silence):
    source = feature_source(encoder)
    samples = torch.from_numpy(np.random.default_rng(0).uniform(-0.5, 0.5, 24_000).astype(np.float32))
    silent, frames = torch.nn.functional.pad(samples, (silence, 0)), int((silence + 24_000) / 16_000 * 25)
    for first, last in ((0, frames), (frames // 2, frames)):
        assert torch.equal(source.between(samples, first, last, 25.0, silence), source.between(silent, first, last, 25.0))


@pytest.mark.parametrize("name", ["local", "whole"])
def test_a_long_recording_is_encoded_in_windows(name, tmp_path, monkeypatch):
    """Exact for an encoder with a bounded reach; one that looks at whole clips fades from window to window."""
    monkeypatch.setattr("otlib.speech.features.WINDOW_SECONDS", 3.0)
    source = feature_source(saved({"local": local_hubert, "whole": whole_clip_hubert}[name](), tmp_path / "encoder"))
    recording = Recording(np.random.default_rng(0).uniform(-0.5, 0.5, 16_000 * 10).astype(np.float32), 16_000)
    cut = recording_features(source, recording, 25.0)
    whole = align_by_interpolation(source.extract(torch.from_numpy(recording.samples)), 250, 25.0)
    if name == "local":
        torch.testing.assert_close(cut, whole, **STRETCH)
    else:
        moved, usual = (one.diff(dim=0).flatten(1).norm(dim=1) for one in (cut, whole))
        assert moved[[74, 149, 224]].max() < 1.2 * usual.max() and source.fade == 1.0
        assert (cut - whole).abs().max() > 100 * STRETCH["atol"]
