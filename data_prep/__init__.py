"""Data sources, each written to the same on-disk format; the only place that loads espeak-ng."""

import otlib as _otlib  # noqa: F401  (first of all: its import guard lets torchaudio load beside any build of torch)
