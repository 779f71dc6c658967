"""Recordings longer than memory should hold: streamed features and vertices, joins without a seam, and a disk that fills."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from otlib.data.dataset import Dataset
from otlib.errors import InputError
from otlib.models.ottalk import animate, prepare_geometry
from otlib.predict import load_trained, talk, write_talk
from otlib.speech.features import (
    PROSODY,
    FeatureSource,
    feature_source,
    frame_features,
    recording_features,
    streamed_features,
)
from otlib.speech.recording import Recording, align_by_interpolation
from otlib.train.__main__ import main
from otlib.train.loop import LOG, STATE, train
from otlib.train.settings import TrainSettings
from tests.fixtures.full_disk import full_disk
from tests.fixtures.tiny_corpus import write_corpus
from tests.otlib.train.test_train import SETTINGS_OF_RUN, Killed, content, killed_after, options

SAME = {"rtol": 0.0, "atol": 1e-5}  # of features of size one: positions of thousands of frames, weights rounded to float32
ONE_PASS = {"rtol": 0.0, "atol": 1e-6}  # metres: float32 sums of other lengths
LEAD = 9  # frames of silence that a recording is heard after, at 30 a second
SEAM_MM = 0.001  # what rounding may put between two frames at a join; motion is millimetres
GROWTH_MB = 40  # four times the sound may cost: its samples (15 MB) and a longer window of it; the vertices are 221 MB
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "131072"}  # glibc: else what is freed may stay with the process, 30 to 55 MB by luck
MEMORY = '''
import sys
from pathlib import Path
import numpy as np, torch
from otlib.speech.recording import Recording
from otlib.speech.features import feature_source
from otlib.models.ottalk import ModelSettings, OTTalk
from otlib.predict import Trained, write_talk
from tests.fixtures.talking_ball import ball

torch.set_num_threads(1)
source = feature_source("bundled")
model = OTTalk(ModelSettings(source.layers, source.channels, levels=(64, 16)))
torch.nn.init.normal_(model.out.weight)
vertices, faces, _ = ball(4)
for seconds in (60, 240):
    noise = np.random.default_rng(0).random(16_000 * seconds, np.float32)
    noise -= 0.5
    shape = write_talk(Trained(model, source), Recording(noise, 16_000), vertices, faces, 30.0, Path(sys.argv[1]))
    status = Path("/proc/self/status").read_text().splitlines()  # getrusage would count what the parent had at its most
    print(shape[0], next(line.split()[1] for line in status if line.startswith("VmHWM")))
'''


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus") / "tiny")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("features")


@pytest.fixture(scope="module")
def trained(data, cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    train(data, out, TrainSettings("prosody", steps=20, batch=2, window=12, validate=20, learning_rate=1e-2,
                                   model=SETTINGS_OF_RUN.model), cache=cache)
    return load_trained(out)


def noise(seconds, rate=16_000, seed=0):
    return Recording(np.random.default_rng(seed).uniform(-0.5, 0.5, int(seconds * rate)).astype(np.float32), rate)


@pytest.mark.parametrize("frame_rate", [8.0, 25.0, 29.97, 30.0, 60.0])
@pytest.mark.parametrize("stretches", [[300], [1, 1, 2, 296], [100, 100, 100], [299, 1], [7] * 42 + [6]])
@pytest.mark.parametrize("lead", [0, 9])
def test_streamed_features_are_those_of_the_whole(frame_rate, stretches, lead):
    whole = torch.randn(sum(stretches), 2, 3, generator=torch.Generator().manual_seed(0))
    source = FeatureSource("made up", "", 2, 3, lambda samples: whole,
                           stream=lambda samples, silence: iter(whole.split(stretches)))
    recording = noise(sum(stretches) * 0.02 + 0.005)
    streamed = list(streamed_features(source, recording, frame_rate, lead))
    frames = lead + recording.frames(frame_rate)
    torch.testing.assert_close(torch.cat(streamed), frame_features(whole, source.alignment, frame_rate, frames), **SAME)
    assert len(stretches) < 3 or len(streamed) > 1


@pytest.mark.parametrize(("encoder", "alignment"), [("bundled", "interpolation"), ("bundled", "pairs"),
                                                    (PROSODY, "interpolation"), (PROSODY, "pairs")])
def test_silence_before_a_recording_is_that_of_one_that_has_it(encoder, alignment):
    source, recording = feature_source(encoder, alignment), noise(1.5)
    silent = Recording(np.concatenate([np.zeros(5_120, np.float32), recording.samples]), 16_000)
    heard = torch.cat(list(streamed_features(source, recording, 25.0, 8)))
    torch.testing.assert_close(heard, recording_features(source, silent, 25.0), **SAME)


def test_pairs_at_another_rate_are_refused_before_anything_is_heard():
    with pytest.raises(InputError, match="makes 25 frames a second, not 30"):
        next(streamed_features(feature_source(PROSODY, "pairs"), noise(1), 30.0))


def test_interpolation_of_a_later_part_is_that_part():
    features = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    part = align_by_interpolation(features[50:], 100, 30.0, first=40, skipped=50)
    torch.testing.assert_close(part, align_by_interpolation(features, 100, 30.0)[40:], **SAME)


@pytest.mark.parametrize("stretches", [[1000], [3, 997], [400, 1, 599], [100] * 10])
def test_a_mesh_from_stretches_of_features_is_that_of_the_whole(trained, data, stretches):
    dataset = Dataset.open(data)
    template = torch.from_numpy(dataset.template("d"))
    geometry = prepare_geometry(template, torch.from_numpy(dataset.faces), trained.model.settings)
    features = torch.randn(1000, 1, 3, generator=torch.Generator().manual_seed(0))
    whole = list(animate(trained.model, features, template, geometry))
    pieces = list(animate(trained.model, iter(features.split(stretches)), template, geometry))
    assert [len(piece) for piece in pieces] == [len(piece) for piece in whole] == [300, 300, 300, 100]
    assert all(torch.equal(one, other) for one, other in zip(whole, pieces, strict=True))


def test_windows_join_without_a_seam(trained, data):
    """The step over each join is that of one pass over the whole recording, and no larger than steps usually are."""
    dataset, recording = Dataset.open(data), noise(21)
    template = torch.from_numpy(dataset.template("d"))
    joined = torch.from_numpy(np.concatenate(list(talk(trained, recording, template.numpy(), dataset.faces, 30.0))))
    geometry = prepare_geometry(template, torch.from_numpy(dataset.faces), trained.model.settings)
    with torch.no_grad():
        features = torch.cat(list(streamed_features(trained.source, recording, 30.0, LEAD)))
        whole = template + trained.model(features[None], geometry.signal[None], geometry.hierarchy)[0, LEAD:]
    torch.testing.assert_close(joined, whole, **ONE_PASS)
    steps = [motion.diff(dim=0).norm(dim=-1).amax(1) for motion in (joined, whole)]
    joins = torch.tensor([299, 599]) - LEAD
    assert ((steps[0] - steps[1])[joins].abs() * 1000).max() < SEAM_MM < 1000 * steps[1].median()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read as Linux tells it")
def test_memory_does_not_grow_with_the_recording(tmp_path):
    """By the bundled encoder and 2,562 vertices, in a process of its own: 60 seconds, then 240."""
    done = subprocess.run([sys.executable, "-c", MEMORY, str(tmp_path / "talk.npy")], capture_output=True, text=True,
                          check=False, env=os.environ | GIVEN_BACK)
    assert done.returncode == 0, done.stderr
    (short, before), (long, after) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert (short, long) == (1800, 7200)
    motion = np.load(tmp_path / "talk.npy", mmap_mode="r", allow_pickle=False)
    assert motion.shape == (7200, 2562, 3) and motion.nbytes > 5 * GROWTH_MB * 1e6
    assert (after - before) * 1024 < GROWTH_MB * 1e6, (before, after)
    assert np.abs(motion[7199] - motion[0]).max() > 1e-3


def test_what_is_written_is_what_is_yielded(trained, data, tmp_path):
    dataset, recording = Dataset.open(data), noise(2)
    arguments = (trained, recording, dataset.template("d"), dataset.faces, 30.0)
    assert write_talk(*arguments, tmp_path / "talk.npy") == (60, 42, 3)
    np.testing.assert_array_equal(np.load(tmp_path / "talk.npy", allow_pickle=False), np.concatenate(list(talk(*arguments))))


def test_vertices_on_a_full_disk_end_in_one_sentence_and_leave_what_was_there(trained, data, tmp_path):
    dataset, file = Dataset.open(data), tmp_path / "talk.npy"
    file.write_bytes(b"earlier")
    with full_disk(20_000), pytest.raises(InputError, match=r"talk.npy: cannot be written \(File too large\); free some"):
        write_talk(trained, noise(21), dataset.template("d"), dataset.faces, 30.0, file)
    assert [path.name for path in tmp_path.iterdir()] == ["talk.npy"] and file.read_bytes() == b"earlier"


def test_a_training_on_a_full_disk_keeps_its_last_checkpoint(data, cache, tmp_path, monkeypatch, capsys):
    """Full from the first checkpoint on: one sentence, status 2; with space again it ends as if nothing had been."""
    whole, out = tmp_path / "whole", tmp_path / "run"
    train(data, whole, SETTINGS_OF_RUN, cache=cache)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(3, patch)  # the first checkpoint
        train(data, out, SETTINGS_OF_RUN, cache=cache)
    state = (out / STATE).read_bytes()
    with full_disk(len(state) // 2):
        assert main(options(data, out, cache)) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert f"{STATE}: cannot be written (File too large); free some space" in said
    assert (out / STATE).read_bytes() == state and {path.name for path in out.iterdir()} == {STATE, LOG}
    assert main(options(data, out, cache)) == 0
    assert content(out) == content(whole)
