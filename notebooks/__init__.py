"""The walk through the project, in order, and what runs it."""
