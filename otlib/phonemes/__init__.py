"""Phonemes and their times, and the aligners that find them in a recording; each is imported when it is asked for."""

import importlib
from typing import Any

_HOMES = {
    "Phoneme": "otlib.phonemes.phoneme",
    "Transcript": "otlib.phonemes.transcript",
    "Word": "otlib.phonemes.transcript",
    "Aligner": "otlib.phonemes.alignment",
    "BACK_ENDS": "otlib.phonemes.alignment",
    "load_aligner": "otlib.phonemes.alignment",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
