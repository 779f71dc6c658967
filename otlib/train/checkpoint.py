"""A training's state on disk, without pickle: tensors in safetensors, everything else in JSON, whole or absent."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from otlib.errors import InputError
from otlib.files import atomic_write, read_json, write_json
from otlib.models.ottalk import ModelSettings, OTTalk

WEIGHTS, SETTINGS, STATE = "model.safetensors", "model.json", "state.safetensors"


def save_model(model: OTTalk, folder: Path) -> None:
    """Write weights and settings; settings first, so that weights are never without them."""
    write_json(folder / SETTINGS, dataclasses.asdict(model.settings))
    write_tensors(folder / WEIGHTS, model.state_dict())


def load_model(folder: Path) -> OTTalk:
    """Read what :func:`save_model` wrote.

    Raises:
        InputError: something is missing, or weights and settings do not belong together.
    """
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"{folder}: no trained model there ({WEIGHTS} is missing); run notebook 08_training or "
                         "`make demo`")
    settings = read_json(folder / SETTINGS)
    try:
        # JSON has no tuples
        lists = {name: tuple(value) for name, value in dict(settings).items() if isinstance(value, list)}
        model = OTTalk(ModelSettings(**{**settings, **lists}))
        model.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS))
    except (TypeError, KeyError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise InputError(f"{folder}: {WEIGHTS} and {SETTINGS} do not make a model ({str(error).splitlines()[0]}); "
                         "train again") from error
    return model.eval()


def save_state(file: Path, model: nn.Module, best: dict[str, torch.Tensor], optimiser: torch.optim.Optimizer,
               facts: dict[str, Any]) -> None:
    """Write all that a training needs to go on: weights, best weights so far, optimiser, and ``facts`` (JSON)."""
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
    tensors |= {f"best.{key}": value for key, value in best.items()}
    for index, values in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{key}": value for key, value in values.items()}
    write_tensors(file, tensors, {"facts": json.dumps(facts)})


def read_facts(file: Path) -> dict[str, Any]:
    """Return the facts of a saved state.

    Raises:
        InputError: the file is damaged.
    """
    with _usable(file), safetensors.safe_open(file, "pt") as stored:
        return json.loads((stored.metadata() or {})["facts"])


def load_state(file: Path, model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Put a saved state into ``model`` and ``optimiser``; return the best weights so far.

    Raises:
        InputError: the file is damaged or of another model.
    """
    with _usable(file):
        tensors = safetensors.torch.load_file(file)
        model.load_state_dict(_under("model.", tensors))
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in _under("optimiser.", tensors).items():
            index, name = key.split(".")
            state.setdefault(int(index), {})[name] = value
        if len(state) != sum(parameter.requires_grad for parameter in model.parameters()):
            raise ValueError(f"it holds the optimiser's view of {len(state)} parameters")
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return _under("best.", tensors)


@contextlib.contextmanager
def _usable(file: Path) -> Iterator[None]:
    try:
        yield
    except (safetensors.SafetensorError, RuntimeError, KeyError, ValueError) as error:
        raise InputError(f"{file}: cannot be resumed from ({str(error).splitlines()[0]}); delete it to train from the "
                         "beginning") from error


def write_tensors(file: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors; by way of bytes, since safetensors' own writer tells of a full disk in an error of its own kind."""
    content = safetensors.torch.save({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, metadata)
    with atomic_write(file) as temporary:
        temporary.write_bytes(content)


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key[len(prefix):]: value for key, value in tensors.items() if key.startswith(prefix)}
