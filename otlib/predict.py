"""Use a trained model: animate clips of a data set, or any recording, on any template."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otlib.data.dataset import Dataset, Sequence
from otlib.errors import InputError
from otlib.models.ottalk import Geometry, OTTalk, prepare_geometry
from otlib.speech.features import FeatureSource, feature_source
from otlib.speech.overlapping_windows import Windows
from otlib.speech.recording import SAMPLE_RATE, Recording, heard
from otlib.topology import Topology
from otlib.train.batches import shared_hierarchy
from otlib.train.checkpoint import load_model
from otlib.train.tuned_encoder import FrozenEncoder

LEAD_IN = 0.3  # seconds of silence before a recording: sentences of the built-in corpus, and most others, begin like this


@dataclass(frozen=True)
class Trained:
    """A trained model, the features that it was trained on, and the frame rate of its data, Hz."""

    model: OTTalk
    source: FeatureSource
    frame_rate: float


def load_trained(run: Path | str) -> Trained:
    """Load the model of a finished run with its encoder.

    Raises:
        InputError: there is none, an earlier version trained it, or its encoder is missing or has changed since.
    """
    model, facts = load_model(Path(run))
    source = feature_source(facts["encoder"])
    if source.fingerprint != facts["fingerprint"]:
        raise InputError(f"{run}: was trained on another encoder {source.name!r} than the present one; train again")
    return Trained(model, source, facts["frame_rate"])


def talk(trained: Trained, recording: Recording, template: np.ndarray, topology: Topology,
         speaker: str = "") -> Iterator[np.ndarray]:
    """Yield the frames (T, V, 3), float32 metres, of a head that speaks a recording, stretch by stretch.

    Each window of the recording passes through encoder, alignment and network on its own, with a margin as wide as they
    see, so memory beyond the samples is bounded by one window. There are ``trained.frame_rate`` frames a second.

    A recording that begins within a sound is unlike the training data: a short silence is put before it, so that the mouth
    starts from rest, and the frames of that silence are left out. Our choice: without it the lips stay apart at an *m* at
    the start of a file; with it they are together at its start, though most models part them before its end.

    Args:
        trained: from :func:`load_trained`.
        recording: of any length.
        template: (V, 3) metres, of any topology.
        topology: topology of the template; if it has a region "lips", the coarse graphs are denser there.
        speaker: name, for the styles that know their training speakers.
    """
    rate, samples = trained.frame_rate, heard(recording)
    lead = round(LEAD_IN * rate)
    silence = round(lead / rate * SAMPLE_RATE)
    vertices = torch.from_numpy(np.asarray(template, np.float32))
    show = _showing(trained.model, vertices, prepare_geometry(vertices, topology, trained.model.settings), speaker)
    stretches = trained.source.windows(rate, trained.model.reach).over(
        lead + recording.frames(rate), lambda first, last: show(trained.source.between(samples, first, last, rate, silence)))
    yield next(stretches)[lead:].numpy()  # the silence is shorter than a window
    yield from (stretch.numpy() for stretch in stretches)


def animate(model: OTTalk, features: Float[Tensor, "T layers C"], template: Float[Tensor, "V 3"], geometry: Geometry,
            window: int = 600, speaker: str = "") -> Float[Tensor, "T V 3"]:
    """Return the frames, metres, of a head that speaks a sentence with these features.

    Windows overlap by the reach of the model, so the result is that of one pass.

    Args:
        model: trained; it is put in evaluation mode here.
        features: features of all frames.
        template: metres.
        geometry: geometry of that template.
        window: new frames a window.
        speaker: name, for the styles that know their training speakers.
    """
    show = _showing(model, template, geometry, speaker)
    return torch.cat(list(Windows(window, model.reach).over(len(features), lambda first, last: show(features[first: last]))))


def _showing(model: OTTalk, template: Tensor, geometry: Geometry, speaker: str) -> Callable[[Tensor], Tensor]:
    """Return a function from features (T, layers, C) to vertices (T, V, 3); the template is described once."""
    model.eval()
    with torch.no_grad():
        levels = model.describe_template(geometry)

    @torch.no_grad()
    def show(features: Tensor) -> Tensor:
        latent = model.listen(features[None], levels, speakers=[speaker])
        return template + model.move(latent, levels, geometry.hierarchy)[0]

    return show


class Predictor:
    """Predicts clips of one data set; all its templates share one hierarchy, which is made once, as in training.

    Raises:
        InputError: the model was trained at another frame rate than the data set's.
    """

    def __init__(self, trained: Trained, dataset: Dataset, cache: Path) -> None:
        if trained.frame_rate != dataset.frame_rate:
            raise InputError(f"{dataset.path}: has {dataset.frame_rate:g} frames a second, but the model was trained at "
                             f"{trained.frame_rate:g}; choose data or a model of the same rate")
        self.trained, self.topology = trained, dataset.topology
        self.encoder = FrozenEncoder(trained.source, cache)
        self.hierarchy = shared_hierarchy(dataset, trained.model.settings)

    def __call__(self, sequence: Sequence) -> np.ndarray:
        """Return the predicted vertices (T, V, 3) of a clip, float32 metres."""
        template, model = torch.from_numpy(sequence.template), self.trained.model
        geometry = prepare_geometry(template, self.topology, model.settings, hierarchy=self.hierarchy)
        return animate(model, self.encoder.read(sequence), template, geometry, speaker=sequence.subject).numpy()
