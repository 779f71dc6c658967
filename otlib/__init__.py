"""otlib: models, losses and measures of OT-Talk, a 3-D head that talks from audio, learned with optimal transport."""

from otlib.speech import torchaudio_guard as _torchaudio_guard

_torchaudio_guard.install()  # before anything imports torchaudio or transformers

__version__ = "0.1.0"
