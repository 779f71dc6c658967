"""The error for bad input: the user can fix it, without touching code."""


class InputError(ValueError):
    """A file or setting from the user cannot be used.

    The message is one sentence: which file, what is wrong with it, what to do. Command lines print it and exit with
    status 2; nothing is written.
    """
