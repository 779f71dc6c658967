"""The back end "pocketsphinx": hidden Markov models of English phones, trained on people, by the CMU Sphinx group.

Nothing in it knows this project's encoder or synthetic speech, so it can check both. Its phone alignment is the second of
two passes over the recording (the first finds the words), without best-path search. If the search loses the text, it is
tried again with beams so wide that nothing is dropped. Without a text, the package's language model finds the words. A
little noise, the same each time, is added, since its features are logarithms and digital silence would make them -inf.
"""

from dataclasses import dataclass
from importlib.metadata import version
from types import ModuleType

from jaxtyping import Float
from torch import Tensor

from otlib.errors import InputError
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.phonemes.words import PAUSE, Transcript, Word, split_symbol
from otlib.speech.small_hubert import SAMPLE_RATE

_FRAME_RATE = 100
_BETWEEN = (410 - 160) / 2 / SAMPLE_RATE  # its frames are 410 samples long, 160 apart; see otlib.phonemes.frame_aligner
_WIDE = 1e-120
_NOISE = {"dither": True, "seed": 1}
_BEAMS = ({}, {"beam": _WIDE, "wbeam": _WIDE, "pbeam": _WIDE})
_ALONE = frozenset("^$<>()[]{}|\\/*+=~`@#&%_")  # characters that are in no word of its dictionary
# its phones (ARPAbet) and their IPA
IPA = {"AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AY": "aɪ", "B": "b", "CH": "tʃ", "D": "d", "DH": "ð",
       "EH": "ɛ", "ER": "ɚ", "EY": "eɪ", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "dʒ", "K": "k",
       "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "oʊ", "OY": "ɔɪ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ",
       "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ"}
# the nearest phones of the other sounds in espeak-ng's English
_NEAREST = {"a": "AE", "ɐ": "AH", "ə": "AH", "ɜ": "ER", "e": "EH", "o": "OW", "ɒ": "AA", "ᵻ": "IH", "əʊ": "OW", "ʉ": "UW",
            "ɾ": "D", "r": "R", "x": "K", "ʔ": "T", "ɬ": "L", "ʍ": "W", "ʲ": "Y"}
_PHONES = {**{ipa: phone for phone, ipa in IPA.items()}, **_NEAREST}


@dataclass(frozen=True)
class SphinxAligner:
    """The loaded package."""

    package: ModuleType

    @classmethod
    def load(cls) -> "SphinxAligner":
        """Load the package.

        Raises:
            InputError: it is not installed.
        """
        try:
            import pocketsphinx
        except ImportError as error:
            raise InputError("pocketsphinx: is not installed; `pip install otlib[aligners]` brings it, or use the aligner "
                             "'frames'") from error
        return cls(pocketsphinx)

    @property
    def fingerprint(self) -> str:
        """See :class:`otlib.phonemes.aligner.Aligner`."""
        return f"pocketsphinx {version('pocketsphinx')}"

    def phonemes(self, samples: Float[Tensor, " S"], transcript: Transcript | None = None, *,
                 name: str = "the recording") -> tuple[Phoneme, ...]:
        """See :class:`otlib.phonemes.aligner.Aligner`; a word in its own dictionary gets the phonemes given there."""
        sound = (samples.clamp(-1, 1) * 32767).round().numpy().astype("<i2").tobytes()
        seconds = len(samples) / SAMPLE_RATE
        words = self._recognise(sound) if transcript is None else transcript.words
        if not words:
            return (Phoneme(PAUSE, 0.0, seconds),)
        for beams in _BEAMS:
            entries = self._align(sound, words, beams)
            if entries:
                return _spans(entries, seconds)
        raise InputError(f"{name}: pocketsphinx cannot align it with its text; check that the text is what is said, or use "
                         "the aligner 'frames'")

    def _recognise(self, sound: bytes) -> tuple[Word, ...]:
        decoder = self.package.Decoder(loglevel="FATAL", **_NOISE)
        _hear(decoder, sound)
        return tuple(Word(word, ()) for word in _words(decoder))

    def _align(self, sound: bytes, words: tuple[Word, ...], beams: dict[str, float]) -> list[tuple[str, int, int]]:
        """Return (phone, first frame, number of frames) of each phone; none if the search loses the text."""
        decoder = self.package.Decoder(loglevel="FATAL", lm=None, bestpath=False, **_NOISE, **beams)
        text = " ".join(_known(decoder, word) for word in words)
        decoder.set_align_text(text)
        _hear(decoder, sound)
        if _words(decoder) != text.split():
            return []
        try:
            decoder.set_alignment()
            _hear(decoder, sound)  # nothing else: asking for words during this pass would crash the process
            return [(phone.name, phone.start, phone.duration) for word in decoder.get_alignment() for phone in word]
        except RuntimeError:  # the second pass, state by state, did not reach the end
            return []


def _hear(decoder, sound: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(sound, full_utt=True)
    decoder.end_utt()


def _words(decoder) -> list[str]:
    hypothesis = decoder.hyp()
    return hypothesis.hypstr.split() if hypothesis else []


def _known(decoder, word: Word) -> str:
    """Return a word as entries of the decoder's dictionary; an unknown word is added by its phonemes.

    Raises:
        InputError: the word is neither in the dictionary nor spelt in phonemes of English.
    """
    plain = [part.lower().strip(".,;:!?\"“”‘’…-").replace("’", "'") for part in word.text.split()]
    if all(part and not set(part) & _ALONE and decoder.lookup_word(part) is not None for part in plain) and plain:
        return " ".join(plain)
    parts = [_PHONES[part] for symbol in word.phonemes for part in split_symbol(symbol, _PHONES)]
    if not parts:
        raise InputError(f"the word {word.text!r} is not in pocketsphinx's dictionary; give its phonemes")
    name = "spelt-" + "-".join(parts).lower()
    if decoder.lookup_word(name) is None:
        decoder.add_word(name, " ".join(parts), True)
    return name


def _spans(entries: list[tuple[str, int, int]], seconds: float) -> tuple[Phoneme, ...]:
    """Turn phones into spans that tile the recording; noises are pauses, and pauses in a row are one."""
    symbols = [IPA.get(phone, PAUSE) for phone, _, _ in entries]
    starts = [0.0] + [min(first / _FRAME_RATE + _BETWEEN, seconds) for _, first, _ in entries[1:]]
    kept = [index for index in range(len(symbols)) if index == 0 or symbols[index] or symbols[index - 1]]
    ends = [starts[index] for index in kept[1:]] + [seconds]
    return tuple(Phoneme(symbols[index], starts[index], end) for index, end in zip(kept, ends, strict=True)
                 if end > starts[index])
