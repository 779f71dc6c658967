"""What is said in a recording, as a person writes it: the text itself, or @FILE for the text in a file."""

from pathlib import Path

from otlib.errors import InputError
from otlib.files import read_text
from otlib.phonemes.words import Transcript

TEXT_HELP = "what is said: the text, or @FILE for the text in a file"
_FILE = "@"  # no sentence begins with it; as curl and gcc have it


def file_of(text: str | None) -> Path | None:
    """Return the file that a text names, None where it is the text itself, or there is none."""
    return Path(text[len(_FILE):]) if text is not None and text.startswith(_FILE) and text != _FILE else None


def said(text: str) -> str:
    """Return the text itself, read from the file that it names if it does.

    Raises:
        InputError: the file cannot be read, nothing stands in it, or no name follows the "@".
    """
    if text == _FILE:
        raise InputError(f"the text {text!r} names no file; write the file's name behind it, or the text itself")
    file = file_of(text)
    if file is None:
        return text
    content = read_text(file).strip()
    if not content:
        raise InputError(f"{file}: holds no text; write into it what is said")
    return content


def transcript_of(text: str | None, voice: str = "en-us") -> Transcript | None:
    """Return the words of what is said with their phonemes, as espeak-ng says them; None without a text.

    Args:
        text: the text itself, or @FILE.
        voice: accent or language, as espeak-ng names it.

    Raises:
        InputError: as :func:`said`; espeak-ng is not installed, or the text gives no sound.
    """
    if text is None:
        return None
    from data_prep.corpus.labelled_speech import text_to_phonemes  # this takes seconds, which only a text is worth

    return text_to_phonemes(said(text), voice)
