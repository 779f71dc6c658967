"""Exercises of the notebooks, each with a hint and a check that says what differs; solutions/ has the answers.

There is one module per notebook, with an :class:`~notebooks.exercises.exercise.Exercise` for each function to write. The
solutions are functions with the same names in lower case; a test runs each against its check.
"""
