"""Everything a training follows from, beside the data."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

from otlib.errors import InputError
from otlib.losses import LossSettings
from otlib.models.ottalk import ModelSettings
from otlib.speech.features import PROSODY, FeatureSource


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a training; the values are our choice.

    Attributes:
        encoder: "bundled", a HuBERT by folder or hub name, or "prosody" (loudness and pitch alone, the control).
        seed: of weights, batches, dropout and directions.
        steps: optimiser steps, fixed, so that results don't depend on the machine's speed.
        batch: windows a step, shared out among the processes.
        window: frames a window, 1.5 s at 30 frames a second; at most the shortest clip.
        learning_rate: peak of AdamW, reached after ``warm_up`` of all steps, then falling to zero as a cosine.
        frozen_layers: of the encoder: None freezes all of it, and its features are cached; a number freezes the extractor,
            the projection and so many of the first layers, and trains the rest with the model. FaceXHuBERT and
            FaceDiffuser freeze 2; see :mod:`otlib.train.tuned_encoder`.
        encoder_learning_rate: the same for what is trained of the encoder; theirs for everything.
        weight_decay: of AdamW.
        speeds: training clips are heard at each of these speeds, as voices with longer and shorter vocal tracts, their
            motion along with them: a handful of voices is too few to tell a sound from a speaker.
        variations: mesh hierarchies to train on beside the data's own, see :func:`otlib.meshes.hierarchy.build_hierarchy`.
            Without them the model is at a loss on a head with other faces; 7 help on some heads, 31 on all (our finding).
        validate: steps between two looks at the validation clips; the best model by their lip error is kept.
        loss, model: see there; of ``model`` the first two fields are set by the encoder, the speakers by the data.
    """

    encoder: str = "bundled"
    seed: int = 0
    steps: int = 900
    batch: int = 4
    window: int = 45
    learning_rate: float = 2e-3
    frozen_layers: int | None = None
    encoder_learning_rate: float = 1e-4
    warm_up: float = 0.05
    weight_decay: float = 0.01
    speeds: tuple[float, ...] = (0.88, 1.0, 1.13)
    variations: int = 31
    validate: int = 100
    loss: LossSettings = field(default_factory=LossSettings)
    model: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = {f.name for f in dataclasses.fields(ModelSettings)} - {"feature_layers", "feature_channels", "speakers"}
        if unknown := set(self.model) - known:
            raise ValueError(f"model has no setting {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")
        for name, least in {"steps": 1, "batch": 1, "window": 2, "variations": 0, "validate": 1}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, but is {getattr(self, name)}")
        if not self.speeds or not all(0.5 <= speed <= 2 for speed in self.speeds):
            raise ValueError(f"speeds must be numbers from 0.5 to 2, at least one, but are {self.speeds}")
        for name in ("learning_rate", "encoder_learning_rate"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be finite and above 0, but is {getattr(self, name)}")
        if self.frozen_layers is not None and self.frozen_layers < 0:
            raise ValueError(f"frozen_layers must be at least 0, but is {self.frozen_layers}")
        if self.frozen_layers is not None and self.encoder == PROSODY:
            raise ValueError(f"frozen_layers is for an encoder with layers, which {PROSODY!r} has not; choose a HuBERT or "
                             "leave it out")


def model_settings(settings: TrainSettings, source: FeatureSource, speakers: Iterable[str] = ()) -> ModelSettings:
    """Return the sizes of the model that a training with these settings, features and speakers makes."""
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.model.items()}  # JSON
    if values.get("style", "template") != "template":
        values["speakers"] = tuple(sorted(speakers))
    if source.name == PROSODY:  # a channel or two of three is no other voice's sentence, it is none
        values = {"lost": 0.0, "shift": 0.0, **values}
    return ModelSettings(source.layers, source.channels, **values)


def learning_rate(step: int, settings: TrainSettings, peak: float | None = None) -> float:
    """Return the rate of a step: a linear rise to ``peak`` (by default the model's), then half a cosine down to zero.

    transformers' get_cosine_schedule_with_warmup is another curve: its first step has a rate of zero.
    """
    peak = settings.learning_rate if peak is None else peak
    rise = max(1, round(settings.warm_up * settings.steps))
    if step < rise:
        return peak * (step + 1) / rise
    progress = torch.tensor((step - rise) / max(1, settings.steps - rise), dtype=torch.float64)
    return peak * float(0.5 * (1 + torch.cos(torch.pi * progress)))


def settings_from(values: Any) -> TrainSettings:
    """Return settings from what JSON holds: an object of those that differ from the defaults.

    Raises:
        InputError: an unknown name or an impossible value.
    """
    try:
        _check_kinds(values, TrainSettings(), "training settings")
        loss = values.get("loss", {})
        _check_kinds(loss, LossSettings(), "loss")
        speeds = tuple(values.get("speeds", TrainSettings().speeds))  # JSON has lists only
        return TrainSettings(**{**values, "loss": LossSettings(**loss), "speeds": speeds})
    except ValueError as error:
        raise InputError(f"training settings: {error}") from error


def _check_kinds(values: Any, defaults: TrainSettings | LossSettings, what: str) -> None:
    """Refuse a name that the defaults do not have, or a value of another kind."""
    if not isinstance(values, dict):
        raise ValueError(f"{what} must be an object of names and values, but is {values!r}")
    known = {f.name: getattr(defaults, f.name) for f in dataclasses.fields(defaults)}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"there is no setting {name!r}; there are {', '.join(known)}")
        if known[name] is None and value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise ValueError(f"{name} must be a whole number or null, but is {value!r}")
        for kind, wanted in ((tuple, "a list"), (str, "text"), (int, "a whole number"), (float, "a number"),
                             (dict, "an object")):
            accepted = {float: (int, float), tuple: (tuple, list)}.get(kind, kind)
            fits = isinstance(value, accepted) and not isinstance(value, bool)
            if type(known[name]) is kind and not fits:
                raise ValueError(f"{name} must be {wanted}, but is {value!r}")
