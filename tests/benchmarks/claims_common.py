"""What the parts of bench_claims.py share: the model and corpus that ``make demo`` leaves, goals, and how they are told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from notebooks.experiments.folders import Folders
from otlib.data.dataset import Dataset
from otlib.errors import InputError
from otlib.files import sha256
from otlib.predict import Trained, load_trained, talk
from otlib.speech.recording import Recording
from otlib.train.checkpoint import WEIGHTS


@dataclass(frozen=True)
class Setting:
    """A corpus, a model trained on it, the hash of its weights, and the folders of both."""

    corpus: Dataset
    trained: Trained
    weights: str
    folders: Folders

    def gap_mm(self, recording: Recording, template: np.ndarray) -> np.ndarray:
        """Return by how much more than at rest the lips of a head that says a recording are apart, (T,) mm."""
        topology = self.corpus.topology
        stretches = talk(self.trained, recording, template, topology)
        return np.concatenate([topology.gap_mm(stretch) for stretch in stretches]) - topology.gap_mm(template)


def open_setting(folders: Folders, model: str = "ot_talk") -> Setting:
    """Open the corpus and a model that ``make demo`` leaves.

    Raises:
        InputError: it is not there.
    """
    run = folders.models / model
    for needed in (folders.corpus / "manifest.json", run / WEIGHTS):
        if not needed.is_file():
            raise InputError(f"{needed}: is not there; run `make demo` first, which makes the corpus and trains the models")
    return Setting(Dataset.open(folders.corpus), load_trained(run), sha256(run / WEIGHTS), folders)


def goal(claim: str, measured: float, wanted: float, *, least: bool = False) -> dict[str, Any]:
    """Return a goal and whether it was reached: at most ``wanted``, or at ``least`` that."""
    reached = measured >= wanted if least else measured <= wanted
    return {"claim": claim, "measured": round(float(measured), 4), "wanted": f"at {'least' if least else 'most'} {wanted:g}",
            "reached": bool(reached)}


def report(goals: Sequence[dict[str, Any]]) -> str:
    """Return one line a goal: reached or not, what was measured, what was wanted."""
    return "\n".join(f"{'reached' if one['reached'] else 'NOT REACHED':11}  {one['claim']}: {one['measured']:g} "
                     f"({one['wanted']})" for one in goals)
