"""Audio features at the mesh's frame rate: of any stretch of a recording, or of whole clips, cached by content."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otlib.errors import InputError
from otlib.files import kept_array, read_array, sha256
from otlib.speech.encoder import Encoder, load_encoder
from otlib.speech.overlapping_windows import Windows
from otlib.speech.prosody import MARGIN, prosody
from otlib.speech.recording import Recording, read_recording, resampled
from otlib.speech.small_hubert import HOP, SAMPLE_RATE, WINDOW, feature_count, samples_between

PROSODY = "prosody"
WINDOW_SECONDS = 20.0  # new mesh frames per window; see otlib.speech.encoder.CORE
_CACHE = 2  # goes up when the same sound, encoder and rate give other features; since 2, scipy resamples
_RATE_STEP = 50  # Hz; a divisor of 16 kHz


@dataclass(frozen=True)
class FeatureSource:
    """What turns sound into features of mesh frames.

    Attributes:
        name: which encoder; "prosody" is loudness and pitch alone.
        fingerprint: digest of everything that shapes the features.
        layers, channels: shape of one frame's features.
        extract: turns samples (S,) at 16 kHz into features (T, layers, C), 50 a second, in one pass.
        margin: features to each side of a stretch that are computed with it and thrown away.
        fade: seconds over which neighbouring windows are cross-faded; 0 if the margin makes them agree.
    """

    name: str
    fingerprint: str
    layers: int
    channels: int
    extract: Callable[[Tensor], Tensor]
    margin: int
    fade: float = 0.0

    def windows(self, frame_rate: float, margin: int = 0) -> Windows:
        """Return how a long recording is cut, in mesh frames, for a network that sees ``margin`` frames to each side."""
        return Windows(round(WINDOW_SECONDS * frame_rate), margin, round(self.fade * frame_rate))

    def between(self, samples: Float[Tensor, " S"], first: int, last: int, frame_rate: float,
                silence: int = 0) -> Float[Tensor, "T layers C"]:
        """Return the features of mesh frames ``first`` to ``last - 1``, computed from the sound around them alone.

        Args:
            samples: the whole recording, at 16 kHz.
            first, last: numbers of mesh frames.
            frame_rate: of the mesh, Hz.
            silence: number of zeros before the samples; frame 0 is at the first of them.
        """
        part, skipped = sound_between(samples, first, last, frame_rate, self.margin, silence)
        return align_by_interpolation(self.extract(part), last, frame_rate, first=first, skipped=skipped)


def feature_source(name: str) -> FeatureSource:
    """Return "prosody", or the HuBERT that :func:`otlib.speech.encoder.load_encoder` loads by this name.

    Raises:
        InputError: there is no such encoder.
    """
    if name == PROSODY:
        return FeatureSource(PROSODY, PROSODY + "-1", 1, 3, prosody, MARGIN)
    return encoder_source(load_encoder(name))


def encoder_source(encoder: Encoder) -> FeatureSource:
    """Return a loaded encoder as a source of features."""
    windows = encoder.windows
    return FeatureSource(encoder.name, encoder.fingerprint, encoder.layers, encoder.channels, encoder.features,
                         windows.margin, windows.fade * HOP / SAMPLE_RATE)


def sound_between(samples: Float[Tensor, " S"], first: int, last: int, frame_rate: float, margin: int,
                  silence: int = 0) -> tuple[Float[Tensor, " S2"], int]:
    """Return the samples that the features around some mesh frames see, and how many features come before these.

    Args:
        samples, first, last, frame_rate, silence: as for :meth:`FeatureSource.between`.
        margin: how many more features to each side, as far as the recording goes.
    """
    total = feature_count(silence + len(samples))
    begin, end = (int(_position(frame, frame_rate) // 1) for frame in (first, last - 1))
    begin, end = min(max(0, begin - margin), total - 1), min(end + 2 + margin, total)  # frames lie between two features
    return samples_between(samples, begin, end, silence), begin


def _position(frames: int | Tensor, frame_rate: float) -> float | Tensor:
    """Return the positions of mesh frames among the features; a feature stands for the middle of its window."""
    return (frames / frame_rate * SAMPLE_RATE - WINDOW / 2) / HOP


def align_by_interpolation(features: Float[Tensor, "T ..."], frames: int, frame_rate: float, *, first: int = 0,
                           skipped: int = 0) -> Float[Tensor, "T2 ..."]:
    """Interpolate features, 50 a second, at the times of mesh frames.

    Feature k looks at samples 320 k to 320 k + 400 and stands for their middle; mesh frame t stands for the moment
    t / frame_rate. FaceFormer interpolates over the whole clip instead (align_corners), which stretches a clip by up to a
    frame; here the times are exact at any rate.

    Args:
        features: of a recording, or of a stretch of it.
        frames: number of mesh frames from the recording's start to the end of the result.
        frame_rate: of the mesh, Hz.
        first: the first frame of the result.
        skipped: how many features of the recording come before ``features``.

    Returns:
        (frames - first, ...); before the first feature and after the last one the value is constant.
    """
    time = torch.arange(first, frames, device=features.device, dtype=torch.float64)
    position = (_position(time, frame_rate) - skipped).clamp(0, len(features) - 1)
    left = position.floor().long().clamp(max=max(len(features) - 2, 0))
    weight = (position - left).to(features.dtype).reshape(-1, *[1] * (features.ndim - 1))
    return torch.lerp(features[left], features[(left + 1).clamp(max=len(features) - 1)], weight)


def recording_features(source: FeatureSource, recording: Recording, frame_rate: float) -> Float[Tensor, "T layers C"]:
    """Return the features of all the mesh frames that a recording covers."""
    return sound_features(source, resampled(recording), recording.frames(frame_rate), frame_rate)


def sound_features(source: FeatureSource, samples: Float[Tensor, " S"], frames: int,
                   frame_rate: float) -> Float[Tensor, "T layers C"]:
    """Return the features of ``frames`` mesh frames from samples at 16 kHz."""
    return torch.cat(list(source.windows(frame_rate).over(frames, lambda first, last: source.between(
        samples, first, last, frame_rate))))


def played_recording(path: Path, frame_rate: float, speed: float = 1.0) -> Recording:
    """Read a sound as if played ``speed`` times as fast, rounded to 0.2 % so that resampling stays cheap."""
    recording = read_recording(path, frame_rate)
    if speed == 1.0:
        return recording
    return Recording(recording.samples, round(recording.sample_rate * speed / _RATE_STEP) * _RATE_STEP)


def cached_features(source: FeatureSource, path: Path, frame_rate: float, cache: Path,
                    speed: float = 1.0) -> Float[Tensor, "T layers C"]:
    """Return the features of a sound file in half precision, from ``cache`` if the same sound was encoded before.

    Args:
        source: makes the features.
        path: the sound file.
        frame_rate: of the meshes.
        cache: folder of features: new, empty, or made by this project.
        speed: plays the sound that much faster, as a tape does: pitch and formants rise, so it becomes another voice, with
            as many fewer frames.
    """
    def make() -> np.ndarray:
        return recording_features(source, played_recording(path, frame_rate, speed), frame_rate).half().numpy()

    key = f"{_CACHE} {sha256(path)} {source.fingerprint} {frame_rate} {speed}"
    return torch.from_numpy(kept_array(cache, key, lambda file: _whole_features(file, source), make, "its features"))


def _whole_features(file: Path, source: FeatureSource) -> np.ndarray:
    features = read_array(file)
    if (features.dtype != np.float16 or features.shape[1:] != (source.layers, source.channels) or not len(features)
            or not np.isfinite(features).all()):
        raise InputError(f"{file}: does not hold the features of {source.name}")
    return features
