"""The one error that a person, not a programmer, can mend."""


class InputError(ValueError):
    """A file or setting handed in by the user cannot be used.

    The message is one sentence: which file, what is wrong with it, what to do. Command lines print it and exit with
    status 2; nothing is written.
    """
