"""Use a trained model: animate clips of a data set, or any recording, on any template."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from otlib.audio import Recording
from otlib.checkpoint import load_model
from otlib.dataset import Dataset, Sequence
from otlib.features import FeatureSource, cached_features, feature_source, recording_features
from otlib.files import read_json
from otlib.model import Geometry, OTTalk, animate, prepare_geometry
from otlib.train import RUN


@dataclass(frozen=True)
class Trained:
    """A trained model and the features it was trained on."""

    model: OTTalk
    source: FeatureSource


def load_trained(run: Path) -> Trained:
    """Load the model of a finished run with its encoder.

    Raises:
        InputError: there is none, or its encoder is not to be had.
    """
    model = load_model(run)
    return Trained(model, feature_source(read_json(run / RUN)["settings"]["encoder"]))


def talk(trained: Trained, recording: Recording, template: np.ndarray, faces: np.ndarray, frame_rate: float,
         lips: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Yield the frames (T, V, 3), float32 metres, of a head that says a recording, stretch by stretch.

    Args:
        trained: from :func:`load_trained`.
        recording: of any length.
        template: (V, 3) metres, of any topology.
        faces: (F, 3) of the template.
        frame_rate: as in training.
        lips: vertices of the lips, which get a denser coarse graph.
    """
    features = recording_features(trained.source, recording, frame_rate)
    vertices = torch.from_numpy(np.asarray(template, np.float32))
    geometry = prepare_geometry(vertices, torch.from_numpy(faces), trained.model.settings,
                                None if lips is None else torch.from_numpy(lips))
    for stretch in animate(trained.model, features, vertices, geometry):
        yield stretch.numpy()


class Predictor:
    """Predict clips of one data set; the hierarchy, which all its templates share, is made once.

    It is made from the mean of the training templates, as in training.
    """

    def __init__(self, trained: Trained, dataset: Dataset, cache: Path) -> None:
        self.trained, self.dataset, self.cache = trained, dataset, cache
        self.faces = torch.from_numpy(dataset.faces)
        speakers = sorted({sequence.subject for sequence in dataset.select("train")})
        mean = torch.from_numpy(np.mean([dataset.template(speaker) for speaker in speakers], axis=0, dtype=np.float32))
        lips = torch.from_numpy(dataset.regions["lips"])
        self.hierarchy = prepare_geometry(mean, self.faces, trained.model.settings, lips).hierarchy

    def __call__(self, sequence: Sequence) -> np.ndarray:
        """Return the predicted vertices (T, V, 3) of a clip, float32 metres."""
        template = torch.from_numpy(sequence.template)
        shared: Geometry = prepare_geometry(template, self.faces, self.trained.model.settings, hierarchy=self.hierarchy)
        features = cached_features(self.trained.source, sequence.audio_path, self.dataset.frame_rate, self.cache)
        return torch.cat(list(animate(self.trained.model, features[: sequence.frames], template, shared))).numpy()
