"""Use a trained model: animate clips of a data set, or any recording, on any template."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from otlib.data.dataset import Dataset, Sequence
from otlib.errors import InputError
from otlib.files import atomic_write, read_json
from otlib.models.ottalk import OTTalk, animate, prepare_geometry
from otlib.speech.features import INTERPOLATION, FeatureSource, feature_source, streamed_features
from otlib.speech.recording import Recording
from otlib.train.batches import clip_features, shared_hierarchy
from otlib.train.checkpoint import load_model
from otlib.train.loop import RUN
from otlib.train.tuned_encoder import saved_encoder

LEAD_IN = 0.3  # seconds of silence heard before a recording: sentences of the built-in corpus begin so, and so do most


@dataclass(frozen=True)
class Trained:
    """A trained model and the features it was trained on."""

    model: OTTalk
    source: FeatureSource


def load_trained(run: Path) -> Trained:
    """Load the model of a finished run with its encoder.

    Raises:
        InputError: there is none, or its encoder is not to be had or has changed since.
    """
    model, record = load_model(run), read_json(run / RUN)
    settings = record["settings"]
    tuned = settings.get("frozen_layers") is not None  # then the encoder was trained too
    source = feature_source(saved_encoder(run) if tuned else settings["encoder"], settings.get("alignment", INTERPOLATION))
    if source.fingerprint != record["tuned_encoder" if tuned else "encoder"]:
        raise InputError(f"{run}: was trained on another encoder {source.name!r} than the one that is here now; train again")
    return Trained(model, source)


def talk(trained: Trained, recording: Recording, template: np.ndarray, faces: np.ndarray, frame_rate: float,
         lips: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Yield the frames (T, V, 3), float32 metres, of a head that says a recording, stretch by stretch.

    A recording that begins within a sound is unlike what models are trained on: a short silence is heard before it, so
    that the mouth starts from rest, and the frames of that silence are left out. Our choice: without it lips stay apart at
    an *m* with which a file begins; with it they are together as it begins, though most models part them before its end.

    Args:
        trained: from :func:`load_trained`.
        recording: of any length.
        template: (V, 3) metres, of any topology.
        faces: (F, 3) of the template.
        frame_rate: as in training.
        lips: vertices of the lips, which get a denser coarse graph.
    """
    lead = round(LEAD_IN * frame_rate)
    features = streamed_features(trained.source, recording, frame_rate, lead)
    vertices = torch.from_numpy(np.asarray(template, np.float32))
    geometry = prepare_geometry(vertices, torch.from_numpy(faces), trained.model.settings,
                                None if lips is None else torch.from_numpy(lips))
    for stretch in animate(trained.model, features, vertices, geometry):
        if lead < len(stretch):
            yield stretch[lead:].numpy()
        lead = max(0, lead - len(stretch))


def write_talk(trained: Trained, recording: Recording, template: np.ndarray, faces: np.ndarray, frame_rate: float,
               file: Path, lips: np.ndarray | None = None) -> tuple[int, int, int]:
    """Write what :func:`talk` yields to a .npy file, stretch by stretch; open it with ``np.load(file, mmap_mode="r")``.

    Memory does not grow with the recording but for its samples. The file is written in order and not through a memory
    map: a full disk then is an error that can be told, where a map would end the process.

    Args:
        file: to write, whole or not at all; the other arguments are those of :func:`talk`.

    Returns:
        The shape (T, V, 3).

    Raises:
        InputError: the folder cannot be written or the disk is full.
    """
    shape = (recording.frames(frame_rate), len(template), 3)
    with atomic_write(file) as temporary, open(temporary, "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for stretch in talk(trained, recording, template, faces, frame_rate, lips):
            stream.write(np.ascontiguousarray(stretch, "<f4").data)
    return shape


class Predictor:
    """Predict clips of one data set; the hierarchy, which all its templates share, is made once and as in training."""

    def __init__(self, trained: Trained, dataset: Dataset, cache: Path) -> None:
        self.trained, self.cache = trained, cache
        self.faces = torch.from_numpy(dataset.faces)
        self.hierarchy = shared_hierarchy(dataset, trained.model.settings)

    def __call__(self, sequence: Sequence) -> np.ndarray:
        """Return the predicted vertices (T, V, 3) of a clip, float32 metres."""
        template = torch.from_numpy(sequence.template)
        geometry = prepare_geometry(template, self.faces, self.trained.model.settings, hierarchy=self.hierarchy)
        features = clip_features(self.trained.source, sequence, self.cache)
        stretches = animate(self.trained.model, features, template, geometry, speaker=sequence.subject)
        return torch.cat(list(stretches)).numpy()
