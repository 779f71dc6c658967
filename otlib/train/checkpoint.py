"""A training's state on disk, without pickle: tensors in safetensors, everything else in JSON, whole or absent."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from otlib.errors import InputError
from otlib.files import parsed_json, read_object, read_tensors, write_json, write_tensors
from otlib.phonemes.key_frames import KeySettings
from otlib.settings import FRAME_RATES, bounded, check, made, one_of
from otlib.train.methods import METHODS, Model

WEIGHTS, SETTINGS, STATE = "model.safetensors", "model.json", "state.safetensors"
_EARLIER = ("gains.", "shifts.", "convolutions.", "out.")  # parts of OT-Talk that have been its decoder's since release 0.1
ENCODER = "encoder"  # folder, in that of the run, of an encoder that was trained with the model


@dataclasses.dataclass(frozen=True)
class ModelFacts:
    """What a user of a model must know beyond its settings.

    Attributes:
        frame_rate: frame rate of its data, Hz.
        encoder: name of the encoder that it was trained on.
        fingerprint: fingerprint of that encoder.
        method: one of :data:`otlib.train.methods.METHODS`.
        keys: where its key frames come from, for "kmtalk".
    """

    frame_rate: float = bounded(dataclasses.MISSING, FRAME_RATES.low, FRAME_RATES.high)
    encoder: str
    fingerprint: str
    method: str = one_of("ottalk", tuple(METHODS))
    keys: KeySettings = dataclasses.field(default_factory=KeySettings)

    def __post_init__(self) -> None:
        check(self)


def save_model(model: Model, folder: Path, facts: ModelFacts) -> None:
    """Write the settings with the facts, then the weights, so that weights are never without settings.

    Args:
        model: the trained model.
        folder: folder of the run.
        facts: what its user must know.
    """
    write_json(folder / SETTINGS, dataclasses.asdict(facts) | {"model": dataclasses.asdict(model.settings)})
    write_tensors(folder / WEIGHTS, model.state_dict())


def load_model(folder: Path) -> tuple[Model, ModelFacts]:
    """Read the model and the facts that :func:`save_model` wrote; an encoder in the same folder is named by its path.

    Raises:
        InputError: something is missing, weights and settings do not match, or an earlier version wrote them.
    """
    if not os.path.lexists(folder / WEIGHTS):
        raise InputError(f"{folder}: no trained model there ({WEIGHTS} is missing); run notebook 08_training or "
                         "`make demo`")
    stored = read_object(folder / SETTINGS)
    if "width" in stored:
        raise InputError(f"{folder}: trained by an earlier version, whose {SETTINGS} does not say at which frame rate; "
                         "train again with `make demo` or python -m otlib.train")
    sizes = stored.pop("model", None)
    facts = made(ModelFacts, stored, folder / SETTINGS)
    kind, kind_of_settings = METHODS[facts.method]
    settings = made(kind_of_settings, sizes, f"{folder / SETTINGS}: model")
    tensors, _ = read_tensors(folder / WEIGHTS)
    try:
        with torch.device("meta"):  # no memory for sizes that the settings state but the weights lack
            model = kind(settings)
        model.load_state_dict({f"decoder.{name}" if name.startswith(_EARLIER) else name: tensor.float()
                               for name, tensor in tensors.items()}, assign=True)
        if damaged := [name for name, tensor in model.state_dict().items() if not tensor.isfinite().all()]:
            raise ValueError(f"{damaged[0]} holds a value that is not finite")
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{folder}: {WEIGHTS} and {SETTINGS} do not make a model ({' '.join(str(error).split())}); "
                         "train again") from error
    if facts.encoder == ENCODER:
        facts = dataclasses.replace(facts, encoder=str(folder / ENCODER))
        if not os.path.isfile(folder / ENCODER / WEIGHTS):
            raise InputError(f"{folder}: the encoder that was trained with the model is not there ({ENCODER}/{WEIGHTS} is "
                             "missing); delete the folder and train again")
    return model.eval(), facts


def save_state(file: Path, model: nn.Module, best: dict[str, torch.Tensor], optimiser: torch.optim.Optimizer,
               facts: dict[str, Any]) -> None:
    """Write all that a training needs to continue: weights, best weights so far, optimiser, and ``facts`` (JSON)."""
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
    with _usable(file):
        facts = parsed_json(read_tensors(file)[1]["facts"], file)
        if type(facts["step"]) is not int or facts["step"] < 1 or not isinstance(facts["facts"], dict) or not all(
                type(value) in (int, float) for row in facts["rows"] for value in row.values()):
            raise ValueError("its facts are not those of a training")
    return facts


def load_state(file: Path, model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Load a saved state into ``model`` and ``optimiser``; return the best weights so far.

    Raises:
        InputError: the file is damaged or of another model.
    """
    with _usable(file):
        tensors, _ = read_tensors(file)
        model.load_state_dict(_under("model.", tensors))
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in _under("optimiser.", tensors).items():
            index, name = key.split(".")
            state.setdefault(int(index), {})[name] = value
        if len(state) != sum(parameter.requires_grad for parameter in model.parameters()):
            raise ValueError(f"it holds the optimiser's state of {len(state)} parameters")
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
        best = _under("best.", tensors)
        if best and _shapes(best) != _shapes(model.state_dict()):
            raise ValueError("its best weights are of another model")
    return best


@contextlib.contextmanager
def _usable(file: Path) -> Iterator[None]:
    try:
        yield
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{file}: cannot be resumed from ({' '.join(str(error).split())}); delete it to train from the "
                         "beginning") from error


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _shapes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in tensors.items()}
