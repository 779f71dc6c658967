"""Recordings in: every format and rate to 16 kHz mono, and clear refusals."""

import math
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import scipy.signal
import soundfile
import torch

from otlib.errors import InputError
from otlib.speech.recording import SAMPLE_RATE, Recording, heard, read_recording, resampled, voice_channel
from otlib.speech.small_hubert import running_gain

PCM_16 = 1 / 32768  # one step of 16-bit samples
RIPPLE = 5e-3  # of the filter in its pass band, relative to the tone, and of what it leaves above it
SINGLE = 1e-6  # float32 rounding
LOSSY = 0.05  # of what AAC and Opus leave of a tone of 0.5 (0.024 seen)


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


def ffmpeg(*words):
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *map(str, words)], check=True)


@pytest.mark.parametrize("file, options", [
    ("a.m4a", ()), ("a.webm", ("-ac", "1")), ("a.mp4", ("-f", "lavfi", "-i", "testsrc=d=1:s=64x64:r=5")),
    ("alac.m4a", ("-c:a", "alac")), ("-i.m4a", ()), ("concat:a|b.m4a", ()), ("line\nbreak.m4a", ())])
def test_what_ffmpeg_alone_reads(file, options, tmp_path):
    """Sound and video, by names that look like an option or a protocol."""
    samples = tone(1.0, 48_000)
    ffmpeg("-i", write(tmp_path / "a.wav", samples, 48_000), *options, "-y", f"file:{tmp_path / file}")
    recording = read_recording(tmp_path / file)
    assert recording.sample_rate == 48_000 and recording.seconds == pytest.approx(1.0, abs=0.03)
    inner = slice(4800, 40_000)
    np.testing.assert_allclose(recording.samples[inner], samples[inner], rtol=0, atol=LOSSY)


def test_ffmpeg_is_read_block_by_block(monkeypatch, tmp_path):
    ffmpeg("-i", write(tmp_path / "a.wav", tone(0.5, 8000), 8000), "-c:a", "alac", tmp_path / "a.m4a")
    whole = read_recording(tmp_path / "a.m4a").samples
    monkeypatch.setattr("otlib.speech.recording._READ", 1000)
    np.testing.assert_array_equal(read_recording(tmp_path / "a.m4a").samples, whole)
    assert len(whole) == 4000


def test_no_playlist_leads_to_another_file(tmp_path):
    ffmpeg("-i", write(tmp_path / "a.wav", tone(1.0, 48_000), 48_000), tmp_path / "a.aac")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\na.aac\n#EXT-X-ENDLIST\n")
    (tmp_path / "list.ffconcat").write_text("ffconcat version 1.0\nfile a.aac\n")
    for name in ("list.m3u8", "list.ffconcat"):
        with pytest.raises(InputError, match="not a sound file"):
            read_recording(tmp_path / name)


# ---- channels


def voice(seconds=1.0, rate=SAMPLE_RATE, seed=0):
    """Harmonics of a voice with pauses, at -20 dB."""
    time = np.arange(round(seconds * rate)) / rate
    sound = sum(np.sin(2 * np.pi * 120 * k * time + k * seed) / k for k in range(1, 30))
    return (0.1 / sound.std() * sound * np.clip(0.3 - np.cos(2 * np.pi * 3 * time), 0, 1)).astype(np.float32)


def noise(level, count, seed=0):
    return (level * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


SOUND, MUSIC = voice(), noise(0.2, SAMPLE_RATE)
CHANNELS = {
    "both": [SOUND, SOUND], "the left": [SOUND, 0 * SOUND], "the right": [0 * SOUND, SOUND], "one inverted": [SOUND, -SOUND],
    "rumble in the other": [3 * voice().max() * np.sin(np.arange(SAMPLE_RATE) / 80), SOUND],
    "5.1": [MUSIC, MUSIC, SOUND, MUSIC, MUSIC, MUSIC], "7.1": [MUSIC, MUSIC, SOUND, *[MUSIC] * 5],
    "5.1 without a centre": [0.1 * SOUND, SOUND, 0 * SOUND, 0 * SOUND, 0 * SOUND, 0 * SOUND]}


@pytest.mark.parametrize("name", CHANNELS)
def test_the_channel_with_the_voice_is_heard(name, tmp_path, caplog):
    channels = np.stack(CHANNELS[name], 1).clip(-1, 1)
    recording = read_recording(write(tmp_path / "a.wav", channels, subtype="FLOAT"))
    np.testing.assert_array_equal(recording.samples, SOUND)
    assert not caplog.messages or name == "rumble in the other"


def test_the_centre_is_found_in_a_container_with_another_order(tmp_path):
    """Vorbis' order has it second, and libsndfile leaves that."""
    write(tmp_path / "a.flac", np.stack(CHANNELS["5.1"], 1).clip(-1, 1))
    ffmpeg("-i", tmp_path / "a.flac", "-c:a", "libvorbis", "-q:a", "9", tmp_path / "a.ogg")
    samples = read_recording(tmp_path / "a.ogg").samples[:SAMPLE_RATE]
    assert np.corrcoef(samples, SOUND[:len(samples)])[0, 1] > 0.99


def test_two_people_on_two_channels_are_told_of(tmp_path, caplog):
    file = write(tmp_path / "a.wav", np.stack([noise(0.03, SAMPLE_RATE), SOUND], 1), subtype="FLOAT")
    np.testing.assert_array_equal(read_recording(file).samples, SOUND)
    assert caplog.messages == [f"{tmp_path / 'a.wav'}: its 2 channels hold different sounds, and number 2 is heard; give "
                               "another one alone to hear it"]


def test_channels_are_chosen_alike_whatever_the_blocks():
    """The filter's state goes from block to block."""
    channels = np.stack([noise(0.03, SAMPLE_RATE), SOUND], 1)
    expected = voice_channel([channels], SAMPLE_RATE)
    assert voice_channel(np.array_split(channels, 7), SAMPLE_RATE) == expected == (1, True)
    assert voice_channel([], SAMPLE_RATE) == (0, False)
    assert voice_channel([np.zeros((99, 2), np.float32)], 1000) == (0, False)


# ---- level


@pytest.mark.parametrize("peak", [1.0, 1.5, 6.0])
def test_peaks_beyond_one_are_scaled(peak, tmp_path):
    samples = peak * 2 * tone(0.5, SAMPLE_RATE)
    found = read_recording(write(tmp_path / "a.wav", samples, subtype="FLOAT")).samples
    np.testing.assert_allclose(found, samples / np.abs(samples).max() if peak > 1 else samples, rtol=0, atol=SINGLE)


@pytest.mark.parametrize("samples, silent", [
    (np.zeros(1000), True), (np.full(1000, 0.3), True), (tone(0.1, 8000) / 600, True),
    (tone(0.1, 8000) / 400, False), (0.3 + tone(0.1, 8000) / 400, False)])
def test_silence_is_told_of(samples, silent, tmp_path, caplog):
    """Also that of a constant offset."""
    assert read_recording(write(tmp_path / "a.wav", samples, subtype="FLOAT")).is_silent == silent
    assert [message.startswith(f"{tmp_path / 'a.wav'}: is silent") for message in caplog.messages] == [True] * silent


@pytest.mark.parametrize("rate, words", [(1, "1 samples a second"), (2_000_000, "2000000 samples a second")])
def test_rates_that_no_sound_has_are_refused(rate, words, tmp_path):
    with pytest.raises(InputError, match=words):
        read_recording(write(tmp_path / "a.wav", tone(0.1, 8000), rate))


def test_the_longest(monkeypatch, tmp_path):
    monkeypatch.setattr("otlib.speech.recording._LONGEST", 1)
    assert read_recording(write(tmp_path / "a.wav", tone(1.0, 8000), 8000)).seconds == 1
    with pytest.raises(InputError, match="lasts more than"):
        read_recording(write(tmp_path / "b.wav", tone(1.01, 8000), 8000))


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
    np.testing.assert_allclose(recording.samples, samples[:, 0], rtol=0, atol=SINGLE)
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


@pytest.mark.parametrize("rate", [8000, 11025, 44101, 48000])
def test_resampling_piece_by_piece_changes_no_bit(rate, monkeypatch):
    samples = noise(0.1, 3 * rate + 7)
    divisor = math.gcd(rate, SAMPLE_RATE)
    monkeypatch.setattr("otlib.speech.recording._READ", 3000)
    expected = scipy.signal.resample_poly(samples, SAMPLE_RATE // divisor, rate // divisor)
    np.testing.assert_array_equal(resampled(Recording(samples, rate)).numpy(), expected)


# ---- what is heard of a recording


PASSED = 0.01  # relative: what the filter takes of a voice, and leaves of rumble
SAME_LEVEL = 5e-3  # of the 0.1 to which speech is brought: a trained model's lips differed by 0.08 mm (seen) at 4e-3


def test_a_voice_is_heard_as_it_is():
    sound = voice(3.0)
    found = heard(Recording(sound, SAMPLE_RATE)).numpy()
    np.testing.assert_allclose(found, sound, rtol=0, atol=PASSED * np.abs(sound).max())
    low = 0.1 * np.sin(2 * np.pi * 80 * np.arange(48_000) / SAMPLE_RATE).astype(np.float32)
    assert heard(Recording(low, SAMPLE_RATE)).numpy()[8000:-8000].std() == pytest.approx(low.std(), rel=0.05)


@pytest.mark.parametrize("name, rate", [("offset", 16_000), ("offset", 44_100), ("rumble", 16_000), ("rumble", 48_000)])
def test_offset_and_rumble_are_not(name, rate):
    """An offset of 0.1, and 30 Hz as loud as the voice: what the encoder is given is the same, in pauses too."""
    sound = voice(3.0, rate)
    time = np.arange(len(sound)) / rate
    added = {"offset": 0.1, "rumble": np.sqrt(2) * sound.std() * np.sin(2 * np.pi * 30 * time + 0.3)}[name]
    clean, dirty = (running_gain(heard(Recording((sound + more).astype(np.float32), rate))) for more in (0.0, added))
    difference = (clean - dirty).unfold(0, 320, 320).square().mean(1).sqrt().max()
    assert difference < SAME_LEVEL
    plain = running_gain(resampled(Recording((sound + added).astype(np.float32), rate)))
    assert (clean - plain).square().mean().sqrt() > 10 * SAME_LEVEL  # so that it was needed


def test_hearing_piece_by_piece_is_hearing_at_once(monkeypatch):
    recording = Recording(noise(0.1, 100_000) + np.float32(0.1), SAMPLE_RATE)
    whole = heard(recording)
    monkeypatch.setattr("otlib.speech.recording._READ", 8000)
    torch.testing.assert_close(heard(recording), whole, rtol=0, atol=1e-5)
    assert [len(heard(Recording(recording.samples[:count], SAMPLE_RATE))) for count in (1, 2, 640)] == [1, 2, 640]
