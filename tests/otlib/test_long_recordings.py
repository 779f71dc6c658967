"""Recordings longer than memory should hold: vertices stretch by stretch, joins without a seam, and a disk that fills."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from otlib.data.dataset import Dataset
from otlib.models.ottalk import ModelSettings, OTTalk, prepare_geometry
from otlib.own_files import LEDGER
from otlib.predict import Trained, load_trained, talk
from otlib.speech.features import align_by_interpolation, feature_source
from otlib.speech.recording import Recording, heard
from otlib.train.__main__ import main
from otlib.train.loop import LOG, STATE, train
from otlib.train.settings import TrainSettings
from tests.fixtures.full_disk import full_disk
from tests.fixtures.last_write import Killed, killed_after
from tests.fixtures.small_hubert import local_hubert, saved, whole_clip_hubert
from tests.fixtures.tiny_corpus import write_corpus
from tests.otlib.train.test_train import SETTINGS_OF_RUN, content, options

pytestmark = pytest.mark.slow

ONE_PASS = {"rtol": 0.0, "atol": 1e-6}  # metres: float32 sums of other lengths
LEAD = 9  # frames of silence that a recording is heard after, at 30 a second
SEAM_MM = 0.001  # what rounding may put between two frames at a join; motion is millimetres
GROWTH_MB = 40  # four times the sound may cost: its samples (15 MB) and a longer window of it; the vertices are 221 MB
FILE_GROWTH_MB = 110  # the animation is fitted in pieces of 32 MB, some at a time, which two minutes do not fill
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "131072"}  # glibc: else what is freed may stay with the process, 30 to 55 MB by luck
MEMORY = '''
import sys
from pathlib import Path
import numpy as np, torch
from otlib.speech.recording import Recording
from otlib.speech.features import feature_source
from otlib.models.ottalk import ModelSettings, OTTalk
from otlib.predict import Trained, talk
from otlib.topology import Topology
from tests.fixtures.talking_ball import ball

torch.set_num_threads(1)
source = feature_source("bundled")
model = OTTalk(ModelSettings(source.layers, source.channels, levels=(64, 16)))
torch.nn.init.normal_(model.decoder.out.weight)
vertices, faces, _ = ball(4)
for seconds in (60, 240):
    noise = np.random.default_rng(0).random(16_000 * seconds, np.float32)
    noise -= 0.5
    shape = (30 * seconds, len(vertices), 3)
    with open(sys.argv[1], "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for stretch in talk(Trained(model, source, 30.0), Recording(noise, 16_000), vertices, Topology(faces)):
            file.write(stretch.data)
    status = Path("/proc/self/status").read_text().splitlines()  # getrusage would count what the parent had at its most
    print(shape[0], next(line.split()[1] for line in status if line.startswith("VmHWM")))
'''


FROM_A_FILE = '''
import sys, threading
from pathlib import Path
import numpy as np, soundfile, torch
from otlib.export.glb import write_glb
from otlib.models.ottalk import ModelSettings, OTTalk
from otlib.files import on_disk
from otlib.predict import Trained, talk
from otlib.speech.features import feature_source
from otlib.speech.recording import read_recording
from otlib.topology import Topology
from tests.fixtures.talking_ball import ball

torch.set_num_threads(1)
source, folder, peak, done = feature_source("prosody"), Path(sys.argv[1]), [0], threading.Event()
model = OTTalk(ModelSettings(source.layers, source.channels, levels=(64, 16)))
torch.nn.init.normal_(model.decoder.out.weight, std=0.1)
vertices, faces, _ = ball(2)

def watch():
    while not done.wait(0.02):
        lines = Path("/proc/self/status").read_text().splitlines()
        peak[0] = max(peak[0], int(next(line.split()[1] for line in lines if line.startswith("RssAnon"))))

threading.Thread(target=watch).start()
try:
    for minutes in (2, 20):
        generator, peak[0] = np.random.default_rng(0), 0
        with soundfile.SoundFile(folder / "talk.wav", "w", 44_100, 2) as file:
            for _ in range(minutes * 12):
                file.write(generator.uniform(-0.5, 0.5, (5 * 44_100, 2)).astype(np.float32))
        motion = on_disk(talk(Trained(model, source, 30.0), read_recording(folder / "talk.wav"), vertices, Topology(faces)),
                         folder)
        report = write_glb(folder / "talk.glb", motion, Topology(faces), 30.0, template=vertices, max_targets=8)
        print(len(motion), (folder / "talk.glb").stat().st_size, peak[0])
finally:
    done.set()
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


def whole_motion(trained, recording, template, topology):
    """One pass over all that is heard of a recording after its silence, in no windows: encoder, alignment, network."""
    samples = torch.nn.functional.pad(heard(recording), (round(LEAD / 30 * 16_000), 0))
    samples = samples[: (len(samples) - 400) // 320 * 320 + 400]  # what is left over makes no feature
    with torch.no_grad():
        features = align_by_interpolation(trained.source.extract(samples), LEAD + recording.frames(30.0), 30.0)
        geometry = prepare_geometry(template, topology, trained.model.settings)
        return template + trained.model(features[None], geometry)[0, LEAD:]


def steps_mm(motion):
    return 1000 * motion.diff(dim=0).norm(dim=-1).amax(1)


def test_windows_join_without_a_seam(trained, data):
    """The step over each join is that of one pass over the whole recording, and no larger than steps usually are."""
    dataset, recording = Dataset.open(data), noise(45)
    template = torch.from_numpy(dataset.template("d"))
    stretches = list(talk(trained, recording, template.numpy(), dataset.topology))
    assert [len(stretch) for stretch in stretches] == [591, 600, 159]  # the first window begins with silence
    joined, whole = torch.from_numpy(np.concatenate(stretches)), whole_motion(trained, recording, template, dataset.topology)
    torch.testing.assert_close(joined, whole, **ONE_PASS)
    steps = [steps_mm(motion) for motion in (joined, whole)]
    joins = torch.tensor([599, 1199]) - LEAD
    assert (steps[0] - steps[1])[joins].abs().max() < SEAM_MM < steps[1].median()


@pytest.fixture
def talker(tmp_path):
    """A head by an encoder of the bundled one's kind or of HuBERT-base's; its network's last layer is random."""
    def made(name):
        source = feature_source(saved({"local": local_hubert, "whole": whole_clip_hubert}[name](), tmp_path / name))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = OTTalk(ModelSettings(source.layers, source.channels, **SETTINGS_OF_RUN.model)).eval()
            torch.nn.init.normal_(model.decoder.out.weight, std=0.1)
        return Trained(model, source, 30.0)
    return made


@pytest.mark.parametrize("encoder", ["local", "whole"])
def test_any_encoder_joins_without_a_jump(talker, data, encoder):
    """Exact for one with a bounded reach; one that looks at whole clips gives another motion, which fades in."""
    dataset, recording, trained = Dataset.open(data), noise(45), talker(encoder)
    template = torch.from_numpy(dataset.template("d"))
    joined = torch.from_numpy(np.concatenate(list(talk(trained, recording, template.numpy(), dataset.topology))))
    whole = whole_motion(trained, recording, template, dataset.topology)
    joins, usual = torch.tensor([599, 1199]) - LEAD, steps_mm(whole)
    if encoder == "local":
        torch.testing.assert_close(joined, whole, **ONE_PASS)
    assert steps_mm(joined)[joins].max() < 1.2 * usual.max() and 0.01 < usual.median()


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


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read as Linux tells it")
def test_twenty_minutes_of_a_file_become_a_glb_in_the_memory_of_two(tmp_path):
    """By 18 minutes more, sound grows by 260 MB (one channel at 44,100 Hz, and at 16 kHz), and vertices by 63 MB."""
    done = subprocess.run([sys.executable, "-c", FROM_A_FILE, str(tmp_path)], capture_output=True, text=True, check=False,
                          env=os.environ | GIVEN_BACK)
    assert done.returncode == 0, done.stderr
    (short, _, before), (long, size, after) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert (short, long) == (3600, 36_000) and size > 4 * 36_000
    assert (after - before) * 1024 < FILE_GROWTH_MB * 1e6, (before, after)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["talk.glb", "talk.wav"]


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
    assert (out / STATE).read_bytes() == state and {path.name for path in out.iterdir()} == {STATE, LOG, LEDGER}
    assert main(options(data, out, cache)) == 0
    assert content(out) == content(whole)
