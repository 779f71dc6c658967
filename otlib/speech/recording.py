"""Sound in: read a recording, bring it to 16 kHz mono, and carry features over to the frames of a mesh sequence."""

import math
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio.functional
from jaxtyping import Float
from torch import Tensor

from otlib.errors import InputError

SAMPLE_RATE = 16_000
SILENCE_DB = -60.0  # a recording that never rises above this is silence to us
_LARGEST_KERNEL = 4_000_000  # weights; torchaudio's table for 44,101 Hz would have 700 million
_CROSSINGS, _ROLL_OFF = 6, 0.99  # torchaudio's window: zero crossings to each side, pass band as a share of the lower rate
_BLOCK = 1 << 16  # output samples made at once without a table
_READ = 1 << 20  # samples read or resampled at once
_IN_MEMORY = 10 * 60 * 48_000  # samples; those of longer recordings lie on disk and are mapped


@dataclass(frozen=True)
class Recording:
    """One recording: ``samples`` (S,) float32, mono, in [-1, 1], at ``sample_rate`` Hz.

    Samples of a long one are those of a temporary file, mapped, which goes when they do: an hour takes no memory.
    """

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
            recording = Recording(_stored(_mono(file, path)), file.samplerate)
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


def _stored(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Lay blocks of float32 end to end, in memory, or where there are many in a temporary file that is mapped."""
    with tempfile.TemporaryFile(buffering=0) as file:  # a full disk is told at once, and not on closing
        total = 0
        try:
            for block in blocks:
                total += len(block)
                left = memoryview(block.astype(np.float32).tobytes())
                while left:
                    left = left[file.write(left):]
        except OSError as error:
            raise InputError(f"{tempfile.gettempdir()}: has no room for the samples of a recording; free some, or name "
                             "another folder in TMPDIR") from error
        if total > _IN_MEMORY:
            return np.memmap(file, np.float32, "c", shape=(total,))  # "c": writing to it would not change the file
        file.seek(0)
        return np.fromfile(file, np.float32)


def resampled(recording: Recording) -> Float[Tensor, " S"]:
    """Return the recording at 16 kHz (torchaudio's windowed sinc).

    torchaudio tabulates its filter for every phase; for a rate that has no large divisor in common with 16 kHz the same
    filter is worked out sample by sample instead.
    """
    samples = torch.from_numpy(np.ascontiguousarray(recording.samples, dtype=np.float32))
    divisor = math.gcd(recording.sample_rate, SAMPLE_RATE)
    if recording.sample_rate == SAMPLE_RATE:
        return samples
    if recording.sample_rate * SAMPLE_RATE // divisor**2 > _LARGEST_KERNEL:
        blocks = _without_table(samples, recording.sample_rate)
    else:
        blocks = _by_table(samples, recording.sample_rate, recording.sample_rate // divisor)
    return torch.from_numpy(_stored(block.numpy() for block in blocks))


def _by_table(samples: Float[Tensor, " S"], rate: int, period: int) -> Iterator[Tensor]:
    """Yield stretches of what torchaudio makes of the whole: the filter repeats itself every ``period`` input samples."""
    reach = math.ceil(_CROSSINGS * rate / (min(rate, SAMPLE_RATE) * _ROLL_OFF)) + 1
    margin, step = -(-reach // period) * period, -(-_READ // period) * period
    for start in range(0, len(samples), step):
        before = min(start, margin)
        part = samples[start - before: start + step + margin]
        made = torchaudio.functional.resample(part, rate, SAMPLE_RATE)[before * SAMPLE_RATE // rate:]
        yield made if start + step >= len(samples) else made[: step * SAMPLE_RATE // rate]


def _without_table(samples: Float[Tensor, " S"], rate: int) -> Iterator[Tensor]:
    lower = min(rate, SAMPLE_RATE) * _ROLL_OFF  # zero crossings a second
    reach = math.ceil(_CROSSINGS * rate / lower)
    padded = torch.nn.functional.pad(samples, (reach, reach + 1))
    taps = torch.arange(-reach, reach + 2)
    for output in torch.arange(-(-len(samples) * SAMPLE_RATE // rate)).split(_BLOCK):
        left = output * rate // SAMPLE_RATE  # the input sample at or before each output sample
        phase = (output * rate % SAMPLE_RATE).double() / SAMPLE_RATE
        time = ((taps - phase[:, None]) * (lower / rate)).clamp(-_CROSSINGS, _CROSSINGS).float()  # (S2, taps)
        weights = torch.sinc(time) * torch.cos(time * (torch.pi / 2 / _CROSSINGS)).square() * (lower / rate)
        yield (padded[left[:, None] + taps + reach] * weights).sum(1)


def align_by_interpolation(features: Float[Tensor, "T C"], frames: int, frame_rate: float, *, hop: int = 320,
                           window: int = 400, first: int = 0, skipped: int = 0) -> Float[Tensor, "T2 C"]:
    """Carry features over to mesh frames by the times of both.

    Feature k looks at samples hop * k to hop * k + window and stands for their middle; mesh frame t stands for the
    moment t / frame_rate. FaceFormer interpolates over the whole clip instead (align_corners), which stretches a clip by
    up to a frame; here the times are exact at any rate.

    Args:
        features: 50 a second for HuBERT.
        frames: how many mesh frames to make.
        frame_rate: of the mesh, Hz.
        hop, window: of the encoder, in samples at 16 kHz.
        first: make frames from this one on.
        skipped: how many features came before ``features``, of a recording that is read in stretches.

    Returns:
        (frames - first, C); before the first and after the last feature the value is held.
    """
    time = torch.arange(first, frames, device=features.device, dtype=torch.float64) / frame_rate
    position = ((time * SAMPLE_RATE - window / 2) / hop - skipped).clamp(0, len(features) - 1)
    left = position.floor().long().clamp(max=max(len(features) - 2, 0))
    weight = (position - left).to(features.dtype)[:, None]
    return torch.lerp(features[left], features[(left + 1).clamp(max=len(features) - 1)], weight)


def align_by_pairs(features: Float[Tensor, "T C"]) -> Float[Tensor, "T2 C2"]:
    """Lay each two features side by side: 50 Hz to 25 Hz, C to 2 C channels, an odd last one dropped.

    The published recipe of FaceXHuBERT and FaceDiffuser for 25 frames a second.
    """
    even = len(features) // 2 * 2
    return features[:even].reshape(even // 2, 2 * features.shape[1])
