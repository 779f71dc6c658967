"""Recordings in: every format and rate to 16 kHz mono, and clear refusals."""

import numpy as np
import pytest
import soundfile
import torch

from otlib.errors import InputError
from otlib.speech.recording import SAMPLE_RATE, Recording, read_recording, resampled

PCM_16 = 1 / 32768  # one step of 16-bit samples
RIPPLE = 5e-3  # of the filter in its pass band, relative to the tone, and of what it leaves above it
SINGLE = 1e-6  # float32 rounding


def tone(seconds, rate, hertz=440.0):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write(path, samples, rate=SAMPLE_RATE, subtype=None):
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


# ---- reading


@pytest.mark.parametrize("file, subtype, tolerance", [
    ("a.wav", "PCM_16", PCM_16), ("a.wav", "PCM_24", PCM_16), ("a.wav", "PCM_U8", 1 / 127), ("a.wav", "FLOAT", SINGLE),
    ("a.wav", "DOUBLE", SINGLE), ("a.flac", "PCM_16", PCM_16), ("a.aiff", "PCM_16", PCM_16)])
def test_formats(file, subtype, tolerance, tmp_path):
    samples = tone(0.2, SAMPLE_RATE)
    recording = read_recording(write(tmp_path / file, samples, subtype=subtype))
    assert recording.samples.dtype == np.float32 and recording.sample_rate == SAMPLE_RATE
    np.testing.assert_allclose(recording.samples, samples, rtol=0, atol=tolerance)


@pytest.mark.parametrize("file", ["a.ogg", "a.mp3"])
def test_lossy_formats(file, tmp_path):
    recording = read_recording(write(tmp_path / file, tone(0.5, 44100), 44100))
    assert recording.sample_rate == 44100 and recording.seconds >= 0.5
    assert np.abs(recording.samples[8820:13230]).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("channels", [2, 6])
def test_channels_are_averaged(channels, tmp_path):
    samples = np.random.default_rng(0).uniform(-1, 1, (4000, channels))
    recording = read_recording(write(tmp_path / "a.wav", samples, 48000, "DOUBLE"))
    np.testing.assert_allclose(recording.samples, samples.mean(1), rtol=0, atol=SINGLE)


def test_facts_of_a_recording():
    recording = Recording(np.float32([0.0, -0.5, 0.25] * 7350), 22050)
    assert recording.seconds == 1.0 and recording.peak_db == pytest.approx(20 * np.log10(0.5))
    assert [recording.frames(rate) for rate in (25.0, 30.0, 29.97)] == [25, 30, 29]
    assert Recording(np.zeros(10, np.float32), 16000).peak_db == float("-inf")
    assert Recording(np.zeros(4800, np.float32), 16000).frames(30.0) == 9  # 0.3 * 30 is 8.999... in floating point


def write_text(path):
    path.write_text("this is not sound")


def write_nan(path):
    samples = np.zeros((16000, 2), np.float32)
    samples[1234, 1] = np.nan
    write(path, samples, subtype="FLOAT")


BAD = {
    "missing": ("a.wav", lambda path: None, "no such file"),
    "a folder": ("a.wav", lambda path: path.mkdir(), "no such file"),
    "no bytes": ("a.wav", lambda path: path.write_bytes(b""), "not a sound file"),
    "text": ("a.wav", write_text, "not a sound file"),
    "text by the name of mp3": ("a.mp3", write_text, "not a sound file"),
    "samples without a header": ("a.raw", write_text, "not a sound file"),
    "header cut short": ("a.wav", lambda path: path.write_bytes(write(path, tone(1, 8000), 8000).read_bytes()[:30]),
                         "not a sound file"),
    "no samples": ("a.wav", lambda path: write(path, np.zeros(0)), "has no samples"),
    "shorter than one frame": ("a.wav", lambda path: write(path, np.zeros(639)), "39.9 ms is shorter than one frame"),
    "not a number": ("a.wav", write_nan, "sample 1234"),
    "infinite": ("a.wav", lambda path: write(path, np.full(16000, np.inf), subtype="DOUBLE"), "sample 0"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_recordings_are_refused_in_one_sentence(kind, tmp_path):
    name, make, words = BAD[kind]
    make(tmp_path / name)
    with pytest.raises(InputError) as caught:
        read_recording(tmp_path / name)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: ") and words in message and "; " in message
    assert "\n" not in message and ". " not in message


def test_exactly_one_frame_is_enough(tmp_path):
    assert read_recording(write(tmp_path / "a.wav", np.zeros(640))).frames(25.0) == 1


def test_real_recordings(shared):
    for path in sorted((shared / "speech").glob("*.wav")):
        recording = read_recording(path)
        assert recording.sample_rate in (16000, 22050) and -20 < recording.peak_db <= 0
        assert len(resampled(recording)) == pytest.approx(recording.seconds * SAMPLE_RATE, abs=1)


def test_a_file_is_read_block_by_block(monkeypatch, tmp_path):
    monkeypatch.setattr("otlib.speech.recording._READ", 1000)
    samples = np.random.default_rng(0).uniform(-1, 1, (4321, 2))
    recording = read_recording(write(tmp_path / "a.wav", samples, subtype="DOUBLE"))
    np.testing.assert_allclose(recording.samples, samples.mean(1), rtol=0, atol=SINGLE)
    write_nan(tmp_path / "b.wav")
    with pytest.raises(InputError, match="sample 1234 is not a number"):
        read_recording(tmp_path / "b.wav")


# ---- resampling


@pytest.mark.parametrize("rate", [8000, 11025, 12345, 16000, 22050, 22255, 32000, 44100, 44101, 48000, 96000, 192000])
def test_any_rate_becomes_16_kilohertz(rate):
    found = resampled(Recording(tone(1.0, rate).astype(np.float32), rate))
    assert found.dtype == torch.float32 and len(found) == SAMPLE_RATE
    inner = slice(200, -200)  # the filter sees silence beyond the ends
    np.testing.assert_allclose(found[inner], tone(1.0, SAMPLE_RATE)[inner], rtol=0, atol=RIPPLE)


def test_what_16_kilohertz_cannot_hold_is_removed():
    found = resampled(Recording(tone(1.0, 44101, hertz=10_000.0).astype(np.float32), 44101))
    assert found[200:-200].abs().max() < RIPPLE


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44101])
@pytest.mark.parametrize("count", [1, 700, 5003])
def test_no_sample_is_lost_at_the_end(rate, count):
    """One output sample for each begun sixteen-thousandth of a second, as many as torchaudio makes."""
    assert len(resampled(Recording(np.ones(count, np.float32), rate))) == -(-count * SAMPLE_RATE // rate)


def test_an_event_keeps_its_time():
    """A click half a second in: the filter delays nothing."""
    clicks = np.zeros(44_100, np.float32)
    clicks[22_050] = 1.0
    assert int(resampled(Recording(clicks, 44_100)).argmax()) == 8_000
