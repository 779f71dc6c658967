"""Phonemes and their times in a recording, from the command line."""
