"""The mp4 file read back by ffmpeg: both streams, their lengths, the pictures and the sound."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

from otlib.errors import InputError
from otlib.export.mp4 import write_talking_head
from tests.fixtures.full_disk import full_disk

FRAME_RATE = 25.0
SAMPLE_RATE = 16000
TONE_HZ = 440.0
GREY_LEVELS = 6  # lossy video: a flat area comes back this close
AAC_FRAME = 1024  # samples; a decoder may return one block of silence more than went in


def tone(seconds):
    return (0.5 * np.sin(2 * np.pi * TONE_HZ * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(np.float32)


def fading_pictures(count, size=(64, 48)):
    for number in range(count):
        yield np.full((size[1], size[0], 3), 40 + 5 * number, np.uint8)


def ffmpeg(*arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "info", *arguments]
    return subprocess.run(command, capture_output=True, check=True, timeout=60)


def read_pictures(path, size):
    raw = ffmpeg("-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-").stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, size[1], size[0], 3)


def read_sound(path):
    raw = ffmpeg("-i", str(path), "-vn", "-f", "f32le", "-ac", "1", "-ar", str(SAMPLE_RATE), "-").stdout
    return np.frombuffer(raw, "<f4")


def test_pictures_and_sound_come_back(tmp_path):
    path = tmp_path / "head.mp4"
    assert write_talking_head(path, fading_pictures(25), FRAME_RATE, tone(1.0), SAMPLE_RATE) == 25
    streams = ffmpeg("-i", str(path), "-f", "null", "-").stderr.decode()
    assert "h264" in streams
    assert "yuv420p" in streams
    assert "aac" in streams

    pictures = read_pictures(path, (64, 48)).astype(int)
    assert len(pictures) == 25
    np.testing.assert_allclose(pictures.mean((1, 2, 3)), 40 + 5 * np.arange(25), atol=GREY_LEVELS)

    sound = read_sound(path)
    assert abs(len(sound) - SAMPLE_RATE) <= AAC_FRAME
    middle = sound[SAMPLE_RATE // 4 : 3 * SAMPLE_RATE // 4]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    spectrum = np.abs(np.fft.rfft(middle))
    assert np.fft.rfftfreq(len(middle), 1 / SAMPLE_RATE)[spectrum.argmax()] == pytest.approx(TONE_HZ, abs=3)
    assert list(tmp_path.iterdir()) == [path]


def test_sound_and_picture_start_together(tmp_path):
    # A click at 0.4 s, where the picture turns white.
    audio = np.zeros(SAMPLE_RATE, np.float32)
    audio[int(0.4 * SAMPLE_RATE) :] = tone(0.6)
    pictures = (np.full((32, 32, 3), 0 if number < 10 else 255, np.uint8) for number in range(25))
    path = tmp_path / "clap.mp4"
    write_talking_head(path, pictures, FRAME_RATE, audio, SAMPLE_RATE)
    white = int(np.argmax(read_pictures(path, (32, 32)).mean((1, 2, 3)) > 128))
    loud = int(np.argmax(np.abs(read_sound(path)) > 0.2))
    assert white == 10
    assert loud / SAMPLE_RATE == pytest.approx(0.4, abs=0.01)


def test_odd_sides_grow_by_one(tmp_path):
    path = tmp_path / "odd.mp4"
    write_talking_head(path, fading_pictures(5, (33, 21)), FRAME_RATE, tone(0.2), SAMPLE_RATE)
    assert read_pictures(path, (34, 22)).shape[1:] == (22, 34, 3)


def test_sound_may_end_within_a_frame_of_the_pictures(tmp_path):
    path = tmp_path / "near.mp4"
    write_talking_head(path, fading_pictures(5), FRAME_RATE, tone(0.2 + 0.9 / FRAME_RATE), SAMPLE_RATE)
    write_talking_head(path, fading_pictures(5), FRAME_RATE, tone(0.2 - 0.9 / FRAME_RATE), SAMPLE_RATE)
    assert len(read_pictures(path, (64, 48))) == 5


def test_bad_input_is_named_and_leaves_no_file(tmp_path):
    path = tmp_path / "bad.mp4"
    with pytest.raises(ValueError, match=r"audio: lasts 1\.000 s but 5 frames at 25/s last 0\.200 s"):
        write_talking_head(path, fading_pictures(5), FRAME_RATE, tone(1.0), SAMPLE_RATE)
    with pytest.raises(ValueError, match="frames: there are none"):
        write_talking_head(path, fading_pictures(0), FRAME_RATE, tone(1.0), SAMPLE_RATE)
    with pytest.raises(ValueError, match="frames: number 1 is"):
        sizes = (np.zeros((32, 32 + 2 * number, 3), np.uint8) for number in range(2))
        write_talking_head(path, sizes, FRAME_RATE, tone(0.08), SAMPLE_RATE)
    with pytest.raises(ValueError, match="audio"):
        write_talking_head(path, fading_pictures(5), FRAME_RATE, np.full(3200, np.nan, np.float32), SAMPLE_RATE)
    with pytest.raises(ValueError, match="frame_rate"):
        write_talking_head(path, fading_pictures(5), 0.0, tone(0.2), SAMPLE_RATE)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_drawing_leaves_no_file(tmp_path):
    def pictures():
        yield from fading_pictures(2)
        raise RuntimeError("the drawing failed")

    with pytest.raises(RuntimeError, match="the drawing failed"):
        write_talking_head(tmp_path / "half.mp4", pictures(), FRAME_RATE, tone(0.2), SAMPLE_RATE)
    assert list(tmp_path.iterdir()) == []


def test_what_ffmpeg_refuses_is_an_input_error(tmp_path):
    path = tmp_path / "head.nosuchformat"
    with pytest.raises(InputError, match="ffmpeg could not write the video"):
        write_talking_head(path, fading_pictures(5), FRAME_RATE, tone(0.2), SAMPLE_RATE)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_input_error_and_leaves_no_file(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (30, 240, 320, 3), dtype=np.uint8)  # no pipe holds them
    with full_disk(100_000), pytest.raises(InputError, match=r"head\.mp4: ffmpeg could not write the video; free"):
        write_talking_head(tmp_path / "head.mp4", noise, FRAME_RATE, tone(1.2), SAMPLE_RATE)
    assert list(tmp_path.iterdir()) == []
