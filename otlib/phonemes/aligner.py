"""Phonemes and their times in a recording, with its text or without: one interface, four back ends by name.

- "frames", the default here: a classifier of single frames on the bundled encoder, put in order by Viterbi;
- "ctc": a head trained by CTC on the same encoder, which says when each sound is most certain;
- "pocketsphinx": hidden Markov models trained on recordings of English speakers, independent of everything here; better
  on people, and the default of ``python -m data_prep.align`` if it is installed and the text is English;
- "transformers": any CTC model of phonemes in transformers' format, such as the published
  facebook/wav2vec2-lv-60-espeak-cv-ft, from a copy or from the hub.

``data_prep.corpus.labelled_speech.text_to_phonemes`` makes a :class:`Transcript` of a text by espeak-ng; nothing here needs
espeak-ng. Each back end imports what it needs when it is loaded.
"""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from otlib.errors import InputError
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.phonemes.words import Transcript

BACK_ENDS = ("frames", "ctc", "pocketsphinx", "transformers")


@runtime_checkable
class Aligner(Protocol):
    """What every back end does."""

    @property
    def fingerprint(self) -> str:
        """Digest or version of everything that shapes its answers."""

    def phonemes(self, samples: Float[Tensor, " S"], transcript: Transcript | None = None, *,
                 name: str = "the recording") -> tuple[Phoneme, ...]:
        """Return phonemes with their times; they tile the recording, and "" is a pause.

        Args:
            samples: at 16 kHz, in [-1, 1].
            transcript: what is said; None to recognise the sounds.
            name: the recording's name in messages.

        Raises:
            InputError: the recording cannot be aligned with its text, or the text has sounds that the back end lacks.
        """


def load_aligner(back_end: str = "frames", model: str | None = None) -> Aligner:
    """Return an aligner by name.

    Args:
        back_end: one of ``BACK_ENDS``.
        model: for "frames" and "ctc" an encoder with phoneme heads beside it, by default the bundled one; for
            "transformers" a folder or a name on the hub; "pocketsphinx" has a model of its own.

    Raises:
        InputError: no such back end, or something that it needs is missing.
    """
    if back_end not in BACK_ENDS:
        raise InputError(f"{back_end}: no such aligner; there are {', '.join(BACK_ENDS)}")
    if back_end == "pocketsphinx":
        if model is not None:
            raise InputError(f"{model}: pocketsphinx has a model of its own; leave the model out")
        from otlib.phonemes.sphinx import SphinxAligner

        return SphinxAligner.load()
    if back_end == "transformers":
        from otlib.phonemes.published_ctc import PUBLISHED, load_published

        return load_published(PUBLISHED if model is None else model)
    from otlib.phonemes.ctc import CtcAligner
    from otlib.phonemes.frame_aligner import FrameAligner
    from otlib.phonemes.frame_classifier import load_heads
    from otlib.speech.encoder import BUNDLED, load_encoder

    encoder = load_encoder(BUNDLED if model is None else model)
    heads = load_heads(encoder)
    return (FrameAligner if back_end == "frames" else CtcAligner)(encoder, heads)
