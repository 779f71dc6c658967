"""otlib: models, losses and measures of OT-Talk, a 3-D head that talks from audio, learned with optimal transport.

This package offers the names of FACE, and imports the module of each when the name is first used. Two functions are not
among them, because they have the names of modules: :func:`otlib.losses.losses` and :func:`otlib.train.loop.train`.
"""

import importlib
from typing import Any

from otlib.speech import torchaudio_guard as _torchaudio_guard

_torchaudio_guard.install()  # before anything imports torchaudio or transformers

__version__ = "0.1.0"

FACE = {
    "Dataset": "otlib.data.dataset",
    "Topology": "otlib.topology",
    "varifold": "otlib.measures.measure",
    "barycentres": "otlib.measures.measure",
    "draw_directions": "otlib.measures.directions",
    "sliced_wasserstein": "otlib.measures.sliced",
    "OTTalk": "otlib.models.ottalk",
    "ModelSettings": "otlib.models.ottalk",
    "LossSettings": "otlib.losses",
    "TrainSettings": "otlib.train.settings",
    "load_trained": "otlib.predict",
    "talk": "otlib.predict",
}
"""Each name and its module."""


def __getattr__(name: str) -> Any:
    if name not in FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(FACE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *FACE})
