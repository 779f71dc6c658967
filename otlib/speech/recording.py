"""Read sound of any format as one channel and bring it to 16 kHz, without offset and rumble if people recorded it."""

import contextlib
import logging
import math
import struct
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
import torch
from jaxtyping import Float
from torch import Tensor

from otlib.errors import InputError, shown
from otlib.files import on_disk, opened
from otlib.settings import SOUND_RATES

SAMPLE_RATE = 16_000
SILENCE_DB = -60.0  # a recording that never rises above this counts as silence
_LONGEST = 24 * 3600  # seconds: a day of sound takes at most 30 GB
_READ = 1 << 18  # frames of a file read at once, and samples filtered at once
_VOICE_HZ = (200.0, 4000.0)  # where voices have most of their power, and neither hum nor hiss
_SURROUND = (6, 8)  # channels of 5.1 and 7.1, whose third is the centre, where films put voices
_A_DECIBEL = 0.8  # ratio of powers
_FAINT = 1e-3  # of the loudest channel's power: a centre below it is not in use
_OTHER = 0.1  # of the chosen channel's power: that much of another sound in a channel is worth a warning
_LOWEST_HZ = 60.0  # no voice is lower
# ffmpeg reads the open file and may open no other: no name is taken for an option, and no playlist leads elsewhere.
_FFMPEG = ("-v", "error", "-nostdin", "-protocol_whitelist", "fd", "-i", "fd:", "-map", "0:a:0", "-c:a", "pcm_f32be", "-f",
           "au", "pipe:1")
_AU_HEADER = struct.Struct(">4s5I")  # magic, where samples begin, their bytes, their coding, rate, channels

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """One recording: ``samples`` (S,) float32, mono, in [-1, 1], at ``sample_rate`` Hz; they may lie on disk."""

    samples: np.ndarray
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    @property
    def peak_db(self) -> float:
        """Largest magnitude in dB of full scale; -inf for zeros."""
        return _decibel(_peak(self.samples))

    @property
    def is_silent(self) -> bool:
        """Whether it never rises above -60 dB; a constant offset is not sound."""
        return _decibel((float(self.samples.max()) - float(self.samples.min())) / 2) < SILENCE_DB

    def frames(self, frame_rate: float) -> int:
        """Return how many frames of a mesh sequence the recording covers."""
        return int(len(self.samples) / self.sample_rate * frame_rate + 1e-6)


def _peak(samples: np.ndarray) -> float:
    return max(float(samples.max()), -float(samples.min()))


def _decibel(magnitude: float) -> float:
    return 20 * float(np.log10(magnitude)) if magnitude > 0 else float("-inf")


def read_recording(path: Path | str, frame_rate: float | None = 25.0) -> Recording:
    """Read the sound of a file; if it has several channels, the one that :func:`voice_channel` chooses.

    Samples beyond one are scaled so that the largest is one. A warning (logging) names a silent recording, and one whose
    other channels hold other sounds.

    Args:
        path: sound or video that libsndfile, or the ffmpeg of imageio_ffmpeg, reads.
        frame_rate: that of the meshes to come; a recording shorter than one frame is refused. None refuses none.

    Raises:
        InputError: no such file, no sound in it, no samples, samples that are NaN or infinite, a rate that no sound has, too
            short, or longer than a day.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the path of a recording, such as a .wav")
    others = False
    with _decoded(path) as (rate, channels, blocks):
        if channels == 1:
            samples = on_disk(_of_channel(blocks, 0))
        else:
            channel, others = voice_channel(blocks, rate)
    if channels > 1:
        with _decoded(path) as (_, _, blocks):
            samples = on_disk(_of_channel(blocks, channel))
    if len(samples) == 0:
        raise InputError(f"{path}: has no samples; give a recording that is not empty")
    if (peak := _peak(samples)) > 1:
        np.divide(samples, np.float32(peak), out=samples)
    recording = Recording(samples, rate)
    if frame_rate is not None and recording.frames(frame_rate) < 1:
        raise InputError(f"{path}: {recording.seconds * 1000:.1f} ms is shorter than one frame "
                         f"({1000 / frame_rate:.0f} ms); give a longer recording")
    if recording.is_silent:
        _log.warning("%s: is silent (it never rises above %g dB), so the mouth stays shut", shown(path), SILENCE_DB)
    elif others:
        _log.warning("%s: its %d channels hold different sounds, and number %d is heard; give another one alone to hear it",
                     shown(path), channels, channel + 1)
    return recording


@contextlib.contextmanager
def _decoded(path: Path) -> Iterator[tuple[int, int, Iterator[np.ndarray]]]:
    """Yield the sample rate, the number of channels and all samples, in blocks (n, channels) float32."""
    try:
        with opened(path) as file, contextlib.ExitStack() as stack:
            try:
                sound = stack.enter_context(soundfile.SoundFile(file))
                blocks = sound.blocks(_READ, dtype="float32", always_2d=True)
                rate, channels = sound.samplerate, sound.channels
                if channels > 2 and sound.format == "OGG":  # libsndfile keeps Vorbis' order: the centre is second
                    raise _Undecoded
            except (soundfile.LibsndfileError, _Undecoded):
                rate, channels, blocks = stack.enter_context(_by_ffmpeg(path))
            if rate not in SOUND_RATES:
                raise InputError(f"{path}: has {rate} samples a second, which must be {SOUND_RATES}; export it again")
            yield rate, channels, _sound(blocks, path, rate)
    except (soundfile.LibsndfileError, _Undecoded) as error:
        raise InputError(f"{path}: not a sound file that can be read; give a recording or video that libsndfile or ffmpeg "
                         "reads, such as wav, m4a or mp4") from error


class _Undecoded(Exception):
    """ffmpeg is missing, or the file has no sound or is damaged."""


@contextlib.contextmanager
def _by_ffmpeg(path: Path) -> Iterator[tuple[int, int, Iterator[np.ndarray]]]:
    """Do the same as :func:`_decoded` for files that libsndfile does not read; the caller must read all blocks."""
    try:
        import imageio_ffmpeg

        program = imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise _Undecoded from error
    with opened(path) as file, subprocess.Popen([program, *_FFMPEG], stdin=file, stdout=subprocess.PIPE,
                                                stderr=subprocess.DEVNULL) as process:
        try:
            header = process.stdout.read(_AU_HEADER.size)
            if len(header) < _AU_HEADER.size:
                raise _Undecoded
            _, begin, _, _, rate, channels = _AU_HEADER.unpack(header)
            process.stdout.read(begin - _AU_HEADER.size)
            frame = np.dtype((">f4", channels))
            yield rate, channels, (np.frombuffer(block, frame).astype(np.float32).reshape(-1, channels) for block in iter(
                lambda: process.stdout.read(_READ * frame.itemsize), b""))
            if process.wait():
                raise _Undecoded
        finally:
            process.kill()


def _sound(blocks: Iterable[np.ndarray], path: Path, rate: int) -> Iterator[np.ndarray]:
    """Yield the blocks (n, channels) after checking that they are finite and not too many."""
    done = 0
    for block in blocks:
        if not np.isfinite(block).all():
            bad = done + int((~np.isfinite(block)).any(1).argmax())
            raise InputError(f"{path}: sample {bad} is not a number or infinite; export the recording again")
        done += len(block)
        if done > _LONGEST * rate:
            raise InputError(f"{path}: lasts more than {_LONGEST // 3600} hours; give a part of it")
        yield block


def _of_channel(blocks: Iterable[np.ndarray], channel: int) -> Iterator[np.ndarray]:
    yield np.zeros(0, np.float32)
    for block in blocks:
        yield block[:, channel]


def voice_channel(blocks: Iterable[np.ndarray], rate: int) -> tuple[int, bool]:
    """Return the number of the channel with the voice, and whether another channel holds another sound.

    The voice is in the centre of 5.1 or 7.1 (the third of six or eight channels), unless that is 30 dB fainter than another
    channel; otherwise in the channel with the most power between 200 and 4,000 Hz, the first of those within a decibel of
    it. Our choice: a mean would cancel a sound that one channel holds inverted, halve a voice that is in one channel only,
    and drown the centre in music.

    Args:
        blocks: (n, channels) samples, one after the other.
        rate: samples a second.
    """
    low, high = _VOICE_HZ
    band = scipy.signal.butter(2, [min(low, 0.2 * rate), min(high, 0.45 * rate)], "bandpass", fs=rate, output="sos")
    products, state = None, None
    for block in blocks:
        if state is None:
            products, state = 0.0, np.zeros((len(band), 2, block.shape[1]))
        voice, state = scipy.signal.sosfilt(band, block, axis=0, zi=state)
        products = products + voice.T @ voice
    if products is None:
        return 0, False
    power = products.diagonal()
    centre = len(power) in _SURROUND and power[2] > _FAINT * power.max()
    channel = 2 if centre else int((power >= _A_DECIBEL * power.max()).argmax())
    shared = products[channel] ** 2 / max(float(power[channel]), np.finfo(float).tiny)
    return channel, not centre and bool((power - shared > _OTHER * power[channel]).any())


def resampled(recording: Recording) -> Float[Tensor, " S"]:
    """Return the recording at 16 kHz, by scipy's polyphase filter (ten zero crossings to each side)."""
    divisor = math.gcd(recording.sample_rate, SAMPLE_RATE)
    up, down = SAMPLE_RATE // divisor, recording.sample_rate // divisor
    samples = np.ascontiguousarray(recording.samples, np.float32)
    if up != down:
        margin = 10 // min(up, down) + 1
        samples = on_disk(_piecewise(samples, down, margin, lambda part: scipy.signal.resample_poly(part, up, down), up))
    return torch.from_numpy(samples)


def heard(recording: Recording) -> Float[Tensor, " S"]:
    """Return the recording at 16 kHz without a constant offset and without rumble (everything below 60 Hz).

    Both would count in the level that speech is scaled by (:func:`otlib.speech.small_hubert.running_gain`): they shut the
    mouth, and in pauses even a little of them is raised to the level of speech. A Butterworth filter removes them, run
    forward and backward so that nothing is delayed. Our choice: for recordings of people only. Clips of a data set are
    encoded as they are, since a model learns from what its corpus has there (in the built-in one, a median of 3 % of the
    amplitude).
    """
    rate = recording.sample_rate
    ringing = rate // 2  # samples after which nothing is left of the filter's initial state
    sections = scipy.signal.butter(6, _LOWEST_HZ, "highpass", fs=rate, output="sos")  # twice: -72 dB at 30 Hz

    def high_passed(part: np.ndarray) -> np.ndarray:
        return scipy.signal.sosfiltfilt(sections, part, padlen=min(ringing, len(part) - 1)).astype(np.float32)

    return resampled(Recording(on_disk(_piecewise(recording.samples, ringing, 1, high_passed)), rate))


def _piecewise(samples: np.ndarray, step: int, margin: int, change: Callable[[np.ndarray], np.ndarray],
               becomes: int | None = None) -> Iterator[np.ndarray]:
    """Apply ``change`` to samples piece by piece; it sees at most ``margin`` steps beyond each piece.

    ``step`` samples become ``becomes`` samples of the result, or as many as before if that is None.
    """
    becomes = becomes or step
    core = -(-_READ // step)
    for first in range(0, -(-len(samples) // step), core):
        begin = max(0, first - margin)
        end = first + core + margin
        changed = change(samples[begin * step: end * step])[(first - begin) * becomes:]
        yield changed if end * step >= len(samples) + margin * step else changed[: core * becomes]
