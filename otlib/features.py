"""Audio features at the mesh's frame rate, computed once and kept on disk by content."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otlib.audio import Recording, align_by_interpolation, read_recording, resampled
from otlib.encoder import encode, load_encoder
from otlib.files import atomic_write, sha256
from otlib.prosody import prosody

PROSODY = "prosody"


@dataclass(frozen=True)
class FeatureSource:
    """What turns 16 kHz samples into features (T, layers, C) at 50 Hz, with a fingerprint of how."""

    name: str
    fingerprint: str
    layers: int
    channels: int
    extract: Callable[[Tensor], Tensor]


def feature_source(name: str) -> FeatureSource:
    """Return "prosody" (loudness and pitch alone), or the HuBERT that :func:`otlib.encoder.load_encoder` finds by name.

    Raises:
        InputError: there is no such encoder.
    """
    if name == PROSODY:
        return FeatureSource(PROSODY, PROSODY + "-1", 1, 3, prosody)
    encoder = load_encoder(name)
    return FeatureSource(name, encoder.fingerprint, encoder.layers, encoder.channels, lambda x: encode(encoder, x))


def recording_features(source: FeatureSource, recording: Recording, frame_rate: float) -> Float[Tensor, "T layers C"]:
    """Return features of a recording at the times of its mesh frames."""
    features = source.extract(resampled(recording))
    aligned = align_by_interpolation(features.flatten(1), recording.frames(frame_rate), frame_rate)
    return aligned.unflatten(1, features.shape[1:])


def cached_features(source: FeatureSource, path: Path, frame_rate: float, cache: Path) -> Float[Tensor, "T layers C"]:
    """Return features of a sound file, from ``cache`` if the same sound was encoded in the same way before.

    Kept in half precision; the first call rounds alike, so that it makes no difference which call it is.
    """
    key = hashlib.sha256(f"{sha256(path)} {source.fingerprint} {frame_rate}".encode()).hexdigest()[:32]
    file = cache / f"{key}.npy"
    if not file.is_file():
        features = recording_features(source, read_recording(path, frame_rate), frame_rate)
        with atomic_write(file) as temporary:
            np.save(temporary, features.to(torch.float16).numpy(), allow_pickle=False)
    return torch.from_numpy(np.load(file, allow_pickle=False)).float()
