"""Phonemes and their times, and the aligners that find them in a recording; each is imported when first used."""

import importlib
from typing import Any

_HOMES = {
    "Phoneme": "otlib.phonemes.timed_phoneme",
    "Transcript": "otlib.phonemes.words",
    "Word": "otlib.phonemes.words",
    "Aligner": "otlib.phonemes.aligner",
    "BACK_ENDS": "otlib.phonemes.aligner",
    "load_aligner": "otlib.phonemes.aligner",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
