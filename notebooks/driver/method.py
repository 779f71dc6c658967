"""The method that makes the talking head, and where its key frames come from, as a person asks for them."""

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.align.said import TEXT_HELP, said
from notebooks.experiments.folders import DEFAULT_METHOD, MODELS
from otlib.commands import Parser
from otlib.errors import InputError
from otlib.files import is_unicode
from otlib.phonemes.key_frames import OF_RECORDINGS, KeyFinder, KeySettings, first_found
from otlib.speech.recording import SAMPLE_RATE, heard, read_recording


@dataclass(frozen=True)
class Method:
    """What makes the talking head.

    Attributes:
        name: one of :data:`notebooks.experiments.folders.MODELS`.
        keys: sources of the recording's key frames, in order of preference; none: that of the training.
        text: what is said in the recording; empty: an aligner recognises the sounds.
    """

    name: str = DEFAULT_METHOD
    keys: tuple[str, ...] = ()
    text: str = ""

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the notebooks that say so; none for the default."""
        return {} if self == USUAL else {"METHOD": self.name, "KEYS": list(self.keys), "TEXT": self.text}


USUAL = Method()


def add_method_arguments(parser: Parser) -> None:
    """Add the options that :func:`method_of` reads."""
    parser.add_argument("--method", choices=MODELS, default=DEFAULT_METHOD,
                        help="of the talking head; another than the default is trained beside it (%(default)s)")
    parser.add_argument("--keys", nargs="+", metavar="SOURCE",
                        help=f"for kmtalk: where the recording's key frames come from, of {', '.join(OF_RECORDINGS)}; of "
                             "several, each is asked only if those before it refuse (that of the training)")
    parser.add_argument("--text", help=f"for kmtalk, with --audio: {TEXT_HELP} (an aligner recognises the sounds)")


def method_of(options: Namespace) -> Method:
    """Return the method that the options name, once its key frames are known to be found: training takes minutes.

    Raises:
        InputError: an option is not of this method, no source has that name, or none finds key frames in the recording.
    """
    keys = tuple(dict.fromkeys(word for words in options.keys or () for word in words.split()))  # make gives one text
    if options.method == DEFAULT_METHOD and not (options.keys is options.text is None):
        raise InputError(f"--keys and --text are for a method with key frames, which {DEFAULT_METHOD} has not; add --method "
                         "kmtalk, or leave them out")
    if unknown := [name for name in keys if name not in OF_RECORDINGS]:
        raise InputError(f"--keys: there is no source of key frames {unknown[0]!r}; there are {', '.join(OF_RECORDINGS)}")
    if options.keys and not keys:
        raise InputError(f"--keys: names no source of key frames; there are {', '.join(OF_RECORDINGS)}")
    if options.text is not None and options.audio is None:
        raise InputError("--text is what a recording of yours says; name the recording by --audio")
    text = "" if options.text is None else said(options.text)
    if not is_unicode(text):
        raise InputError("--text: is not Unicode text; write it as UTF-8")
    if keys or options.text is not None:
        _check_found(keys, text if options.text is not None else None, options.audio)
    return Method(options.method, keys, text)


def _check_found(keys: tuple[str, ...], text: str | None, audio: Path | None) -> None:
    """Refuse sources that give no key frames of a recording; where there is none, of a second of silence."""
    import torch

    from data_prep.corpus.labelled_speech import text_to_phonemes

    samples = heard(read_recording(audio)) if audio else torch.zeros(SAMPLE_RATE)
    finders = [KeyFinder(KeySettings(source)) for source in keys or [KeySettings().source]]
    first_found(finders, samples, 1, 1.0, None if text is None else text_to_phonemes(text), str(audio))
