"""Audio features at the mesh's frame rate, computed once and kept on disk by content."""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otlib.errors import InputError
from otlib.files import atomic_write, sha256
from otlib.speech.encoder import Encoder, encode, encode_stream, load_encoder
from otlib.speech.local_hubert import HOP, SAMPLE_RATE, WINDOW
from otlib.speech.prosody import prosody
from otlib.speech.recording import Recording, align_by_interpolation, align_by_pairs, read_recording, resampled

PROSODY = "prosody"
INTERPOLATION, PAIRS = "interpolation", "pairs"
_PAIRED_RATE = 25.0  # frames a second that pairs make of features at 50 Hz
_KEPT = 2  # features of a stretch that the next one needs: its first mesh frame lies behind the last of them
_RATE_STEP = 50  # Hz; a divisor of 16 kHz


@dataclass(frozen=True)
class FeatureSource:
    """What turns 16 kHz samples into features at 50 Hz and those into features of mesh frames, with a fingerprint of how.

    Attributes:
        name: of the encoder.
        fingerprint: of everything that shapes the features.
        layers, channels: of a mesh frame.
        extract: samples (S,) to features (T, layers, C) at 50 Hz.
        alignment: "interpolation", or "pairs", which lays each two features side by side.
        stream: the same stretch by stretch, in memory that does not grow with the recording, after so many samples of
            silence; None where the whole is small enough.
    """

    name: str
    fingerprint: str
    layers: int
    channels: int
    extract: Callable[[Tensor], Tensor]
    alignment: str = INTERPOLATION
    stream: Callable[[Tensor, int], Iterator[Tensor]] | None = None


def feature_source(name: str, alignment: str = INTERPOLATION) -> FeatureSource:
    """Return "prosody" (loudness and pitch alone), or the HuBERT that :func:`otlib.speech.encoder.load_encoder` finds by
    name.

    Args:
        name: of the encoder.
        alignment: "interpolation" (by the times of features and frames, for any rate) or "pairs" (the published recipe
            for 25 frames a second: twice the channels).

    Raises:
        InputError: there is no such encoder or alignment.
    """
    _check_alignment(alignment)
    if name != PROSODY:
        return encoder_source(load_encoder(name), alignment)
    return _aligned(FeatureSource(PROSODY, PROSODY + "-1", 1, 3, prosody), alignment)


def encoder_source(encoder: Encoder, alignment: str = INTERPOLATION) -> FeatureSource:
    """Return an encoder that has been loaded as what :func:`feature_source` finds by name."""
    _check_alignment(alignment)
    return _aligned(FeatureSource(encoder.name, encoder.fingerprint, encoder.layers, encoder.channels,
                                  lambda x: encode(encoder, x),
                                  stream=lambda x, silence: encode_stream(encoder, x, silence=silence)), alignment)


def _check_alignment(alignment: str) -> None:
    if alignment not in (INTERPOLATION, PAIRS):
        raise InputError(f"{alignment}: no such alignment; there are {INTERPOLATION} and {PAIRS}")


def _aligned(source: FeatureSource, alignment: str) -> FeatureSource:
    if alignment == PAIRS:
        source = replace(source, fingerprint=f"{source.fingerprint} {PAIRS}", channels=2 * source.channels, alignment=PAIRS)
    return source


def recording_features(source: FeatureSource, recording: Recording, frame_rate: float) -> Float[Tensor, "T layers C"]:
    """Return features of a recording at the times of its mesh frames.

    Raises:
        InputError: features are laid side by side and the mesh has other than 25 frames a second.
    """
    check_rate(source.alignment, frame_rate)
    return frame_features(source.extract(resampled(recording)), source.alignment, frame_rate, recording.frames(frame_rate))


def check_rate(alignment: str, frame_rate: float) -> None:
    """Refuse features laid side by side for meshes of other than 25 frames a second, with an InputError."""
    if alignment == PAIRS and frame_rate != _PAIRED_RATE:
        raise InputError(f"alignment {PAIRS!r} makes {_PAIRED_RATE:g} frames a second, not {frame_rate:g}; use "
                         f"{INTERPOLATION!r}")


def frame_features(features: Float[Tensor, "T layers C"], alignment: str, frame_rate: float, frames: int, *, first: int = 0,
                   skipped: int = 0) -> Float[Tensor, "T2 layers C2"]:
    """Carry an encoder's features over to mesh frames; after the last feature its value is held.

    Args:
        features: 50 a second.
        alignment: "interpolation" or "pairs".
        frame_rate: of the mesh, Hz; 25 for pairs.
        frames: how many mesh frames to make, counted from the recording's begin.
        first: make frames from this one on.
        skipped: how many features came before ``features``.
    """
    if alignment == PAIRS:
        chosen = (torch.arange(2 * first, 2 * frames) - skipped).clamp(max=len(features) - 1)
        pairs = [align_by_pairs(features[chosen, layer].contiguous()) for layer in range(features.shape[1])]
        return torch.stack(pairs, 1)
    aligned = align_by_interpolation(features.flatten(1), frames, frame_rate, first=first, skipped=skipped)
    return aligned.unflatten(1, features.shape[1:])


def held_features(features: Float[Tensor, "T layers C"], frames: int) -> Float[Tensor, "T2 layers C"]:
    """Return features of so many frames: where the sound ends before the motion, its last ones are held."""
    return features[torch.arange(frames).clamp(max=len(features) - 1)]


def streamed_features(source: FeatureSource, recording: Recording, frame_rate: float,
                      lead: int = 0) -> Iterator[Float[Tensor, "T layers C"]]:
    """Yield the features of consecutive mesh frames; laid end to end they are those of :func:`recording_features`.

    Memory beyond the samples is bounded by one window of the encoder, whatever the length of the recording.

    Args:
        source: what makes the features.
        recording: of any length.
        frame_rate: of the meshes.
        lead: so many frames of digital silence are heard before the recording; their features come first.
    """
    check_rate(source.alignment, frame_rate)
    samples, frames = resampled(recording), lead + recording.frames(frame_rate)
    silence = round(lead / frame_rate * SAMPLE_RATE)
    if source.stream is None or source.alignment == PAIRS:
        heard = source.extract(torch.nn.functional.pad(samples, (silence, 0)))
        yield frame_features(heard, source.alignment, frame_rate, frames)
        return
    held, dropped, done = None, 0, 0  # features at hand, how many came before them, mesh frames yielded
    for stretch in source.stream(samples, silence):
        held = stretch if held is None else torch.cat([held, stretch])
        ready = _frames_up_to(dropped + len(held) - 1, frames, frame_rate)
        if ready > done:
            yield align_by_interpolation(held.flatten(1), ready, frame_rate, first=done, skipped=dropped).unflatten(
                1, held.shape[1:])
            done = ready
        spent = max(0, len(held) - _KEPT)
        held, dropped = held[spent:], dropped + spent
    if done < frames:  # after the last feature its value is held
        yield align_by_interpolation(held.flatten(1), frames, frame_rate, first=done, skipped=dropped).unflatten(
            1, held.shape[1:])


def _frames_up_to(feature: int, frames: int, frame_rate: float) -> int:
    """Return how many mesh frames lie at or before the middle of a feature."""
    moment = (feature * HOP + WINDOW / 2) / SAMPLE_RATE
    return min(frames, math.floor(moment * frame_rate) + 1)


def played_recording(path: Path, frame_rate: float, speed: float = 1.0) -> Recording:
    """Read a sound that is played faster by ``speed``, rounded to 0.2 % so that resampling stays cheap."""
    recording = read_recording(path, frame_rate)
    if speed == 1.0:
        return recording
    return Recording(recording.samples, round(recording.sample_rate * speed / _RATE_STEP) * _RATE_STEP)


def cached_features(source: FeatureSource, path: Path, frame_rate: float, cache: Path,
                    speed: float = 1.0) -> Float[Tensor, "T layers C"]:
    """Return features of a sound file, from ``cache`` if the same sound was encoded in the same way before.

    Kept in half precision; the first call rounds alike, so that it makes no difference which call it is.

    Args:
        source: what makes the features.
        path: the sound file.
        frame_rate: of the meshes.
        cache: folder of features.
        speed: play the sound that much faster, as a tape does: pitch and formants rise with it, so that it is another
            voice, and there are as many fewer frames.
    """
    key = hashlib.sha256(f"{sha256(path)} {source.fingerprint} {frame_rate} {speed}".encode()).hexdigest()[:32]
    file = cache / f"{key}.npy"
    if not file.is_file():
        features = recording_features(source, played_recording(path, frame_rate, speed), frame_rate)
        with atomic_write(file) as temporary:
            np.save(temporary, features.to(torch.float16).numpy(), allow_pickle=False)
    return torch.from_numpy(np.load(file, allow_pickle=False)).float()
