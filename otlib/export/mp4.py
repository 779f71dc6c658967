"""A sequence of pictures and a sound track as one mp4 file that every browser plays."""

import itertools
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import soundfile
from jaxtyping import Float, UInt8

from otlib.errors import InputError
from otlib.files import atomic_write

_QUALITY = "18"  # x264's constant rate factor: smooth shading shows no bands
_AUDIO_BITS_PER_SECOND = "128k"


def write_talking_head(
    path: Path | str,
    frames: Iterable[UInt8[np.ndarray, "_ _ 3"]],
    frame_rate: float,
    audio: Float[np.ndarray, " S"],
    sample_rate: int,
) -> int:
    """Write pictures and sound as H.264 and AAC in an mp4 file; picture t is shown at t / frame_rate seconds.

    Args:
        path: the file to write; it appears only when it is whole.
        frames: (height, width, 3) uint8 pictures of one size; an odd side grows by one repeated row or column, because
            H.264 halves the resolution of colour.
        frame_rate: pictures per second.
        audio: (S,) samples, 1.0 is full scale.
        sample_rate: samples per second.

    Returns:
        The number of pictures written.

    Raises:
        ValueError: no pictures, pictures of two sizes, samples that are not finite, or a sound track whose length
            differs from the pictures' by more than one frame.
        InputError: the file cannot be written.
    """
    if not frame_rate > 0:
        raise ValueError(f"frame_rate: {frame_rate} is not positive")
    if len(audio) == 0 or not np.isfinite(audio).all():
        raise ValueError("audio: needs at least one sample, all finite")
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise ValueError("frames: there are none")
    with atomic_write(path) as temporary, tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "sound.wav"
        soundfile.write(sound, audio, sample_rate, subtype="FLOAT")  # no rounding, no clipping before AAC
        with tempfile.TemporaryFile() as log:
            encoder = _start_encoder(temporary, first, frame_rate, sound, log)
            try:
                count = _feed(encoder, first, itertools.chain([first], pictures))
            except BaseException:
                encoder.kill()
                raise
            finally:
                encoder.communicate()
            if encoder.returncode != 0:
                log.seek(0)
                message = log.read().decode(errors="replace").strip().splitlines() or ["no message"]
                raise InputError(f"{path}: ffmpeg could not write the video ({message[-1].strip()})")
        audio_seconds, video_seconds = len(audio) / sample_rate, count / frame_rate
        if abs(audio_seconds - video_seconds) * frame_rate > 1 + 1e-6:
            raise ValueError(
                f"audio: lasts {audio_seconds:.3f} s but {count} frames at {frame_rate:g}/s last {video_seconds:.3f} s"
            )
    return count


def _start_encoder(target: Path, first: np.ndarray, frame_rate: float, sound: Path, log) -> subprocess.Popen:
    """Start ffmpeg, which reads raw pictures of the size of ``first`` from its standard input."""
    height, width = (side + side % 2 for side in first.shape[:2])
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{frame_rate:.6f}", "-i", "-"]
    command += ["-i", str(sound), "-map", "0:v", "-map", "1:a"]
    command += ["-c:v", "libx264", "-crf", _QUALITY, "-pix_fmt", "yuv420p"]
    command += ["-c:a", "aac", "-b:a", _AUDIO_BITS_PER_SECOND]
    # No encoder names or dates in the file, and the index in front so that a browser starts before all is loaded.
    command += ["-bitexact", "-movflags", "+faststart", str(target)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log)


def _feed(encoder: subprocess.Popen, first: np.ndarray, pictures: Iterable[np.ndarray]) -> int:
    """Hand the pictures to ffmpeg as they come; return how many it took before it stopped, if it did."""
    height, width = first.shape[:2]
    to_even = ((0, height % 2), (0, width % 2), (0, 0))
    count = 0
    for picture in pictures:
        if picture.shape != first.shape or picture.dtype != np.uint8:
            raise ValueError(f"frames: number {count} is {picture.dtype} {picture.shape}, the first {first.shape}")
        try:
            encoder.stdin.write(np.pad(picture, to_even, mode="edge").tobytes())
        except BrokenPipeError:
            break  # ffmpeg has ended and says why in its log
        count += 1
    return count
