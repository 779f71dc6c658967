"""A sequence of pictures and a sound track as one mp4 file that every browser plays."""

import contextlib
import itertools
import tempfile
from collections.abc import Iterable
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import soundfile
from jaxtyping import Float, UInt8

from otlib.errors import InputError
from otlib.files import atomic_write

_QUALITY = "16"  # x264's constant rate factor: smooth shading shows no bands
_PRESET = "veryfast"  # half of medium's time at 18; measured on a head, 0.25 dB less (43.0) and a sixth larger
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
        frames: (height, width, 3) uint8 pictures of one size; an odd side grows by a repeated row or column, because H.264
            halves the resolution of colour.
        frame_rate: pictures per second.
        audio: (S,) samples; 1.0 is full scale.
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
    if len(audio) == 0 or not np.isfinite([audio.min(), audio.max()]).all():
        raise ValueError("audio: needs at least one sample, all finite")
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise ValueError("frames: there are none")
    with atomic_write(path) as temporary, tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "sound.w64"  # a wav file ends at 4 GB, six hours
        try:
            soundfile.write(sound, audio, sample_rate, subtype="FLOAT")  # no rounding, no clipping before AAC
        except soundfile.LibsndfileError as error:
            raise InputError(f"{path}: its sound cannot be written to {folder} ({error.error_string}); free some space "
                             "there") from error
        count = _encode(temporary, itertools.chain([first], pictures), first.shape, frame_rate, sound)
        written = None
        with contextlib.suppress(RuntimeError):  # not a video
            written, _ = imageio_ffmpeg.count_frames_and_secs(temporary)
        if written != count:
            raise InputError(f"{path}: ffmpeg could not write the video; free some space, or let its name end in .mp4")
        audio_seconds, video_seconds = len(audio) / sample_rate, count / frame_rate
        if abs(audio_seconds - video_seconds) * frame_rate > 1 + 1e-6:
            raise ValueError(
                f"audio: lasts {audio_seconds:.3f} s but {count} frames at {frame_rate:g}/s last {video_seconds:.3f} s"
            )
    return count


def _encode(target: Path, pictures: Iterable[np.ndarray], shape: tuple[int, ...], frame_rate: float, sound: Path) -> int:
    """Pass the pictures to ffmpeg one by one; return how many it took, which is fewer than there are if it stopped."""
    to_even = [(0, side % 2) for side in shape[:2]] + [(0, 0)]
    height, width = (side + side % 2 for side in shape[:2])
    # No encoder names or dates in the file, and the index in front, so that a browser starts before it has the whole file.
    options = ["-crf", _QUALITY, "-preset", _PRESET, "-b:a", _AUDIO_BITS_PER_SECOND, "-bitexact", "-movflags", "+faststart"]
    encoder = imageio_ffmpeg.write_frames(
        target, (width, height), fps=frame_rate, quality=None, codec="libx264", macro_block_size=2,
        ffmpeg_log_level="quiet", output_params=options, audio_path=str(sound), audio_codec="aac")
    count = 0
    with contextlib.closing(encoder):
        encoder.send(None)
        for picture in pictures:
            if picture.shape != shape or picture.dtype != np.uint8:
                raise ValueError(f"frames: number {count} is {picture.dtype} {picture.shape}, the first {shape}")
            try:
                encoder.send(np.pad(picture, to_even, mode="edge"))
            except OSError:
                break  # ffmpeg has ended
            count += 1
    return count
