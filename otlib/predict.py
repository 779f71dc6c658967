"""Use a trained model: animate clips of a data set, or any recording, on any template."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from otlib.data.dataset import Dataset, Sequence
from otlib.errors import InputError
from otlib.models.kmtalk import KMTalk
from otlib.models.ottalk import Geometry, prepare_geometry
from otlib.phonemes.key_frames import KeyFinder, KeyFrames, KeySettings, first_found
from otlib.phonemes.words import Transcript
from otlib.settings import made
from otlib.speech.features import FeatureSource, feature_source
from otlib.speech.overlapping_windows import Windows
from otlib.speech.recording import SAMPLE_RATE, Recording, heard
from otlib.topology import Topology
from otlib.train.batches import shared_hierarchy
from otlib.train.checkpoint import load_model
from otlib.train.methods import Model
from otlib.train.tuned_encoder import FrozenEncoder

LEAD_IN = 0.3  # seconds of silence before a recording: sentences of the built-in corpus, and most others, begin like this


@dataclass(frozen=True)
class Trained:
    """A trained model and what its user needs.

    Attributes:
        model: the model.
        source: the features that it was trained on.
        frame_rate: frame rate of its data, Hz.
        finder: what finds key frames, for a method that has them.
    """

    model: Model
    source: FeatureSource
    frame_rate: float
    finder: KeyFinder | None = None


def load_trained(run: Path | str) -> Trained:
    """Load the model of a finished run with its encoder.

    Raises:
        InputError: there is none, an earlier version trained it, or its encoder is missing or has changed since.
    """
    model, facts = load_model(Path(run))
    source = feature_source(facts.encoder)
    if source.fingerprint != facts.fingerprint:
        raise InputError(f"{run}: was trained on another encoder {source.name!r} than the present one; train again")
    return Trained(model, source, facts.frame_rate, KeyFinder(facts.keys) if isinstance(model, KMTalk) else None)


def find_keys(trained: Trained, recording: Recording, sources: Iterable[str] = (), transcript: Transcript | None = None,
              name: str = "the recording") -> KeyFrames | None:
    """Return the key frames of a recording, for :func:`talk`; None for a method that has none.

    Args:
        trained: from :func:`load_trained`.
        recording: of any length.
        sources: names of :data:`otlib.phonemes.key_frames.OF_RECORDINGS` in order of preference; none: that of the training.
        transcript: what is said, for an aligner; None to recognise the sounds.
        name: the recording's name in messages.

    Raises:
        InputError: no source gives any, see :func:`otlib.phonemes.key_frames.first_found`; there is no such source; or
            the method has no key frames, for which a source or a text could be.
    """
    own, wanted = trained.finder, list(dict.fromkeys(sources))
    if own is None:
        if wanted or transcript is not None:
            raise InputError("the model has no key frames, which a source of key frames or a text would be for; leave them "
                             "out, or choose a model of KMTalk")
        return None
    usual = own.settings.source
    finders = [own if source == usual else
               KeyFinder(made(KeySettings, asdict(own.settings) | {"source": source}, "key frames"))
               for source in wanted or [usual]]
    found = first_found(finders, heard(recording), recording.frames(trained.frame_rate), trained.frame_rate, transcript,
                        name)
    return replace(found, usual=usual)


def talk(trained: Trained, recording: Recording, template: np.ndarray, topology: Topology,
         speaker: str = "", keys: KeyFrames | None = None, middle: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Yield the frames (T, V, 3), float32 metres, of a head that speaks a recording, stretch by stretch.

    Seven arguments, since the last is for heads that are not those of a data set.

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
        keys: the recording's key frames, for a method that has them; None finds them as :func:`find_keys` does by itself.
        middle: (3,) metres, see :func:`otlib.models.ottalk.prepare_geometry`.

    Raises:
        InputError: as :func:`find_keys`.
        ValueError: key frames of another recording, or for a method that has none.
    """
    rate, samples = trained.frame_rate, heard(recording)
    lead = round(LEAD_IN * rate)
    silence = round(lead / rate * SAMPLE_RATE)
    vertices = torch.from_numpy(np.asarray(template, np.float32))
    frames, mask = recording.frames(rate), None
    if keys is not None and (trained.finder is None or len(keys.mask) != frames):
        raise ValueError(f"keys: are of {len(keys.mask)} frames, expected "
                         f"{'none, since the method has no key frames' if trained.finder is None else frames}")
    if spoken := keys or find_keys(trained, recording):
        at_rest = np.arange(lead) == 0  # the silence is a pause, and the recording's first frame is key
        mask = torch.from_numpy(np.concatenate([at_rest, spoken.mask]))
    centre = None if middle is None else torch.from_numpy(np.asarray(middle, np.float32))
    geometry = prepare_geometry(vertices, topology, trained.model.settings, middle=centre)
    show = _showing(trained.model, vertices, geometry, speaker, mask)
    stretches = trained.source.windows(rate, trained.model.reach).over(
        lead + frames,
        lambda first, last: show(trained.source.between(samples, first, last, rate, silence), first, last))
    yield next(stretches)[lead:].numpy()  # the silence is shorter than a window
    yield from (stretch.numpy() for stretch in stretches)


def animate(model: Model, features: Float[Tensor, "T layers C"], template: Float[Tensor, "V 3"], geometry: Geometry,
            window: int = 600, speaker: str = "", keys: Bool[Tensor, " T"] | None = None) -> Float[Tensor, "T V 3"]:
    """Return the frames, metres, of a head that speaks a sentence with these features.

    Seven arguments: the last is for KMTalk alone.

    Windows overlap by the reach of the model, so the result is that of one pass.

    Args:
        model: trained; it is put in evaluation mode here.
        features: features of all frames.
        template: metres.
        geometry: geometry of that template.
        window: new frames a window.
        speaker: name, for the styles that know their training speakers.
        keys: which frames are key.
    """
    show = _showing(model, template, geometry, speaker, keys)
    return torch.cat(list(Windows(window, model.reach).over(
        len(features), lambda first, last: show(features[first: last], first, last))))


def _showing(model: Model, template: Tensor, geometry: Geometry, speaker: str,
             keys: Tensor | None) -> Callable[[Tensor, int, int], Tensor]:
    """Return a function from features (T, layers, C) of some frames to vertices (T, V, 3); describes the template once."""
    model.eval()
    with torch.no_grad():
        levels = model.describe_template(geometry)

    @torch.no_grad()
    def show(features: Tensor, first: int, last: int) -> Tensor:
        if isinstance(model, KMTalk):
            window = keys[None, first: last].to(features.device)
            completed = model.complete(features[None], window, levels, geometry.hierarchy, speakers=[speaker])
            return template + completed.motion[0]
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
        self.finder = trained.finder and KeyFinder(trained.finder.settings, cache)
        self.hierarchy = shared_hierarchy(dataset, trained.model.settings)

    def __call__(self, sequence: Sequence) -> np.ndarray:
        """Return the predicted vertices (T, V, 3) of a clip, float32 metres."""
        template, model = torch.from_numpy(sequence.template), self.trained.model
        geometry = prepare_geometry(template, self.topology, model.settings, hierarchy=self.hierarchy)
        features = self.encoder.read(sequence)
        keys = None if self.finder is None else torch.from_numpy(self.finder.of_clip(
            sequence.audio_path, len(features), sequence.frame_rate, sequence.phonemes))
        return animate(model, features, template, geometry, speaker=sequence.subject, keys=keys).numpy()
