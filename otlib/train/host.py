"""A trained model that KMTalk is plugged into: its motion at the key frames is completed, and it learns nothing more."""

from pathlib import Path

from otlib.errors import InputError
from otlib.models.kmtalk import HOSTS
from otlib.models.ottalk import OTTalk
from otlib.train.checkpoint import load_model


def read_host(run: str, fingerprint: str, frame_rate: float) -> OTTalk | None:
    """Return the host of a training, or None where it has none.

    Args:
        run: folder of a finished run; empty for no host.
        fingerprint: of the encoder whose features the training uses.
        frame_rate: of its data, Hz.

    Raises:
        InputError: there is no model, or one that cannot be completed or knows other features or another frame rate.
    """
    if not run:
        return None
    model, facts = load_model(Path(run))
    if facts.method not in HOSTS:
        raise InputError(f"{run}: is of the method {facts.method}, which cannot be completed; choose a run of "
                         f"{' or '.join(HOSTS)} as host")
    if facts.fingerprint != fingerprint:
        raise InputError(f"{run}: heard by another encoder ({facts.encoder}); train with the host's encoder")
    if facts.frame_rate != frame_rate:
        raise InputError(f"{run}: was trained at {facts.frame_rate:g} frames a second, but the data have {frame_rate:g}; "
                         "choose a host or data of the same rate")
    return model
