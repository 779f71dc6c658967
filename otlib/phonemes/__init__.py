"""Phonemes and their times, and the aligners that find them in a recording."""
