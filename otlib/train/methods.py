"""The methods that can be trained, by name: each has a model and its settings."""

from torch import nn

from otlib.models.autoregressive import Autoregressive
from otlib.models.kmtalk import KMTalk, KMTalkSettings
from otlib.models.ottalk import ModelSettings, OTTalk

METHODS: dict[str, tuple[type[nn.Module], type[ModelSettings]]] = {"ottalk": (OTTalk, ModelSettings),
                                                                  "autoregressive": (Autoregressive, ModelSettings),
                                                                  "kmtalk": (KMTalk, KMTalkSettings)}
Model = OTTalk | KMTalk
