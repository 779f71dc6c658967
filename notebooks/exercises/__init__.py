"""Exercises of the notebooks: each has a check that says what differs, and a hint; solutions/ has an answer to each.

One module a notebook, with an :class:`~notebooks.exercises.exercise.Exercise` for each function that is asked for. The
solutions are functions of the same names in lower case; a test runs every one against its check.
"""
