"""The error for bad input: the user can fix it, without touching code."""

LONGEST_LINE = 1_000  # characters of a line of a message; a longer one keeps its beginning and end, which say what and why


class InputError(ValueError):
    """A file or setting from the user cannot be used.

    The message is one sentence: which file, what is wrong with it, what to do. Command lines print it and exit with
    status 2; nothing is written.

    Args:
        lines: one sentence each; characters that a terminal would not print are escaped (:func:`shown`).
    """

    def __init__(self, *lines: str) -> None:
        super().__init__(*map(shown, lines))

    def __str__(self) -> str:
        return "\n".join(self.args)


def shown(text: object) -> str:
    """Return a text, such as a file's name, as one line that any terminal prints.

    Newlines, escapes and stray bytes are escaped, and the middle of a long text is left out. A second call changes nothing.
    """
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text))
    half = LONGEST_LINE // 2 - 1
    return text if len(text) <= LONGEST_LINE else f"{text[:half]}…{text[-half:]}"
