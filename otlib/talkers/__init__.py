"""Trained models that come with the package, each in a folder of its own beside this file."""

import importlib.resources
import os
from pathlib import Path

from otlib.errors import InputError

DEFAULT = "ot-talk"


def shipped_talker(name: str = DEFAULT) -> Path:
    """Return the folder of a trained model that comes with the package, for :func:`otlib.predict.load_trained`.

    Args:
        name: the folder's name.

    Raises:
        InputError: it is not there.
    """
    folder = Path(str(importlib.resources.files("otlib.talkers"))) / name
    if not os.path.isfile(folder / "model.safetensors"):
        raise InputError(f"{folder}: no trained talker comes with this copy of otlib; name one with --model: `make demo` in "
                         "a checkout leaves one in results/runs/fast/models/ot_talk")
    return folder
