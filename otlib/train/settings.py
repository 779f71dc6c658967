"""Everything that determines a training besides the data."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from otlib.losses import LossSettings
from otlib.models.kmtalk import HOSTS, KMTalkSettings
from otlib.models.ottalk import ModelSettings, OTTalk
from otlib.phonemes.key_frames import KeySettings
from otlib.settings import SEEDS, STEPS, bounded, check, made, one_of
from otlib.speech.features import PROSODY, FeatureSource
from otlib.train.methods import METHODS

_SET_BY_DATA = {"feature_layers", "feature_channels", "speakers"}
_MOST_SPEEDS = 16


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a training; the values are our choice.

    Attributes:
        encoder: one of those in otlib/speech/encoders, a HuBERT by folder or hub name, or "prosody" (loudness and pitch
            alone, the control).
        method: "ottalk", "autoregressive" (the peers' way, to be measured against) or "kmtalk".
        seed: seed of weights, batches, dropout and directions.
        steps: optimiser steps, fixed, so that results don't depend on the machine's speed.
        batch: windows a step, shared out among the processes.
        window: frames a window, 1.5 s at 30 frames a second; at most the shortest clip.
        learning_rate: peak rate of AdamW, reached after ``warm_up`` of all steps; then it falls to zero as a cosine.
        frozen_layers: None freezes the whole encoder, and its features are cached; a number freezes the extractor, the
            projection and that many of the first layers, and the others are trained with the model. FaceXHuBERT and
            FaceDiffuser freeze 2; see :mod:`otlib.train.tuned_encoder`.
        encoder_learning_rate: the same for the trained layers of the encoder; theirs for everything.
        weight_decay: weight decay of AdamW.
        speeds: training clips are played at each of these speeds, with their motion, as voices with longer and shorter
            vocal tracts: from a handful of voices a model cannot tell a sound from a speaker.
        variations: number of mesh hierarchies besides the data's own, see :func:`otlib.meshes.hierarchy.build_hierarchy`.
            Without them the model fails on a head with other faces; 7 help on some heads, 31 on all (our finding).
        validate: steps between two validations; the model with the lowest lip error on the validation clips is kept.
        keys: where the key frames come from, for "kmtalk".
        true_keys: share of the steps over which completion goes from true key motions to predicted ones, for "kmtalk": the
            probability of the true ones falls from 1 to 0 as a straight line.
        host: folder of a finished run of another method, whose model makes the key motions and is not trained any further,
            for "kmtalk"; empty trains a host together with its completion.
        loss: weights of the loss.
        model: fields of the model's settings that differ from the defaults; encoder and data determine the first two and the
            speakers.
    """

    encoder: str = "hubert-people"
    method: str = one_of("ottalk", tuple(METHODS))
    seed: int = bounded(0, SEEDS.low, SEEDS.high)
    steps: int = bounded(900, STEPS.low, STEPS.high)
    batch: int = bounded(4, 1, 1024)
    window: int = bounded(45, 2, 10_000)
    learning_rate: float = bounded(2e-3, 0, 1000, above=True)
    frozen_layers: int | None = bounded(None, 0, 256)
    encoder_learning_rate: float = bounded(1e-4, 0, 1000, above=True)
    warm_up: float = bounded(0.05, 0, 1)
    weight_decay: float = bounded(0.01, 0, 100)
    speeds: tuple[float, ...] = bounded((0.88, 1.0, 1.13), 0.5, 2)
    variations: int = bounded(31, 0, 1000)
    validate: int = bounded(100, STEPS.low, STEPS.high)
    keys: KeySettings = field(default_factory=KeySettings)
    true_keys: float = bounded(0.5, 0, 1)
    host: str = ""
    loss: LossSettings = field(default_factory=LossSettings)
    model: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)
        if own := _SET_BY_DATA & self.model.keys():
            raise ValueError(f"model: {', '.join(sorted(own))} cannot be set, since encoder and data determine it")
        if self.host and self.method != "kmtalk":
            raise ValueError(f"host is for the method 'kmtalk', not for {self.method!r}")
        if self.host and (own := {"host", *(entry.name for entry in fields(ModelSettings))} & self.model.keys()):
            raise ValueError(f"model: {', '.join(sorted(own))} cannot be set beside a host, which determines it")
        made(METHODS[self.method][1], {"feature_layers": 1, "feature_channels": 1} | self.model, "model")
        if not 1 <= len(self.speeds) <= _MOST_SPEEDS:
            raise ValueError(f"speeds must be 1 to {_MOST_SPEEDS} numbers, but are {self.speeds}")
        if self.frozen_layers is not None and self.encoder == PROSODY:
            raise ValueError(f"frozen_layers is for an encoder with layers, and {PROSODY!r} has none; choose a HuBERT or "
                             "leave it out")


def model_settings(settings: TrainSettings, source: FeatureSource, speakers: Iterable[str] = (),
                   host: OTTalk | None = None) -> ModelSettings:
    """Return the settings of the model that a training with these settings, features, speakers and host makes."""
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.model.items()}  # JSON
    if host is not None:
        kind = next(name for name, model in HOSTS.items() if type(host) is model)
        return KMTalkSettings(**asdict(host.settings), **values, host=kind)
    if values.get("style", "template") != "template":
        values["speakers"] = tuple(sorted(speakers))
    if source.name == PROSODY:  # one or two of its three channels are no sentence in another voice, but none
        values = {"lost": 0.0, "shift": 0.0, **values}
    return METHODS[settings.method][1](source.layers, source.channels, **values)


def trust(step: int, settings: TrainSettings) -> float:
    """Return the probability of true key motions at a step."""
    return max(0.0, 1 - step / (settings.true_keys * settings.steps)) if settings.true_keys > 0 else 0.0


def learning_rate(step: int, settings: TrainSettings, peak: float) -> float:
    """Return the rate of a step: a linear rise to ``peak``, then half a cosine down to zero.

    transformers' get_cosine_schedule_with_warmup is another curve: its first step has a rate of zero.
    """
    rise = max(1, round(settings.warm_up * settings.steps))
    if step < rise:
        return peak * (step + 1) / rise
    progress = torch.tensor((step - rise) / max(1, settings.steps - rise), dtype=torch.float64)
    return peak * float(0.5 * (1 + torch.cos(torch.pi * progress)))


def settings_from(values: Any, source: Path | None = None) -> TrainSettings:
    """Return settings from what JSON holds: an object of those that differ from the defaults.

    Args:
        values: the settings by name.
        source: the file that holds them, for messages.

    Raises:
        InputError: an unknown name or an impossible value.
    """
    return made(TrainSettings, values, f"{source}: training settings" if source else "training settings")
