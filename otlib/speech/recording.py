"""Sound in: read a recording and bring it to 16 kHz mono."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
import torch
from jaxtyping import Float
from torch import Tensor

from otlib.errors import InputError

SAMPLE_RATE = 16_000
SILENCE_DB = -60.0  # a recording that never rises above this is silence to us
_READ = 1 << 20  # frames of a file read at once: only their mean over the channels is kept


@dataclass(frozen=True)
class Recording:
    """One recording: ``samples`` (S,) float32, mono, in [-1, 1], at ``sample_rate`` Hz."""

    samples: np.ndarray
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    @property
    def peak_db(self) -> float:
        """Largest magnitude in dB of full scale; -inf for zeros."""
        peak = max(float(self.samples.max()), -float(self.samples.min()))
        return 20 * float(np.log10(peak)) if peak > 0 else float("-inf")

    def frames(self, frame_rate: float) -> int:
        """Return how many frames of a mesh sequence the recording covers."""
        return int(len(self.samples) / self.sample_rate * frame_rate + 1e-6)


def read_recording(path: Path | str, frame_rate: float = 25.0) -> Recording:
    """Read a sound file of any rate and channel count; channels are averaged.

    Args:
        path: wav, flac, ogg, mp3 or whatever else libsndfile reads.
        frame_rate: of the meshes to come; a recording shorter than one frame is refused.

    Raises:
        InputError: no such file, not a sound file, no samples, samples that are NaN or infinite, or too short.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the path of a recording, such as a .wav")
    try:
        with soundfile.SoundFile(path) as file:
            recording = Recording(np.concatenate([np.zeros(0, np.float32), *_mono(file, path)]), file.samplerate)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:  # TypeError: .raw, which has no header
        raise InputError(f"{path}: not a sound file that can be read; give a wav, flac, ogg or mp3 recording") from error
    if len(recording.samples) == 0:
        raise InputError(f"{path}: has no samples; give a recording that is not empty")
    if recording.frames(frame_rate) < 1:
        raise InputError(f"{path}: {recording.seconds * 1000:.1f} ms is shorter than one frame "
                         f"({1000 / frame_rate:.0f} ms); give a longer recording")
    return recording


def _mono(file: soundfile.SoundFile, path: Path) -> Iterator[np.ndarray]:
    done = 0
    for block in file.blocks(_READ, dtype="float32", always_2d=True):
        if not np.isfinite(block).all():
            bad = done + int((~np.isfinite(block)).any(1).argmax())
            raise InputError(f"{path}: sample {bad} is not a number or infinite; export the recording again")
        done += len(block)
        yield block.mean(1)


def resampled(recording: Recording) -> Float[Tensor, " S"]:
    """Return the recording at 16 kHz, by scipy's polyphase filter (ten zero crossings to each side)."""
    samples = np.ascontiguousarray(recording.samples, dtype=np.float32)
    divisor = math.gcd(recording.sample_rate, SAMPLE_RATE)
    up, down = SAMPLE_RATE // divisor, recording.sample_rate // divisor
    return torch.from_numpy(samples if up == down else scipy.signal.resample_poly(samples, up, down))
