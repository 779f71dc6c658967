"""Data sets of others, read into the project's format, and written for the peers' code."""
