"""Speech from text by espeak-ng, with the times of its phonemes.

espeak-ng is GPL-3.0-or-later; the optional package ``espeakng-loader`` carries the library, which is loaded at run
time, here and nowhere else. Its samples and events differ by a few samples from call to call in one process, so the
library is opened afresh for every utterance, and its noise (breathy voices) is seeded: espeak-ng takes the clock, its
Klatt voices the C library's ``rand``. Then the same text and voice give the same bytes.
"""

import ctypes
import os
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from otlib.errors import InputError
from otlib.files import is_unicode
from otlib.phonemes.timed_phoneme import Phoneme

_SYNCHRONOUS = 2
_PHONEME_EVENTS, _PHONEME_IPA, _DONT_EXIT = 0x1, 0x2, 0x8000
_UTF8, _PHONEME_NAMES, _END_PAUSE = 0x1, 0x100, 0x1000
_BY_CHARACTER = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_RATES = range(80, 450)  # at 450 espeak-ng begins to squeeze its sound, and its events no longer fit
_PERCENT = range(101)
_LONGEST = 100_000  # letters of a text: an hour and a half of speech, and half a minute of work
_EVENT_END, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7
_STOPS = ("p", "b", "t", "d", "k", "ɡ", "c", "ɟ", "q", "ʈ", "ɖ")
_SILENCE = 64  # of 32768; espeak-ng's closures are zeros and the decay of the sound before


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
                ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
                ("user_data", ctypes.c_void_p), ("id", _EventId)]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class Speech:
    """One utterance.

    Attributes:
        samples: (S,) int16.
        sample_rate: Hz.
        phonemes: they tile the utterance; their symbols are espeak-ng's, stress marks kept.
        word_numbers: for each phoneme the index of its word in ``words``, -1 if it belongs to none.
        words: texts of the words, with their starts in seconds.
    """

    samples: np.ndarray
    sample_rate: int
    phonemes: tuple[Phoneme, ...]
    word_numbers: tuple[int, ...]
    words: tuple[tuple[str, float], ...]


def as_16_bits(samples: Float[np.ndarray, " S"]) -> Int[np.ndarray, " S"]:
    """Return samples of full scale 1 as :class:`Speech` has them; what is louder is cut."""
    return (np.clip(samples, -1, 1) * 32767).round().astype(np.int16)


def _files() -> tuple[str, bytes]:
    """Return the paths of the library and of its data."""
    try:
        import espeakng_loader
    except ModuleNotFoundError as error:
        raise InputError("espeak-ng is not installed: `pip install otlib[corpus]` brings it (GPL-3.0-or-later)") from error
    return espeakng_loader.get_library_path(), espeakng_loader.get_data_path().encode()


def _close(library: ctypes.CDLL) -> None:
    library.espeak_Terminate()
    try:
        from _ctypes import dlclose
    except ImportError:  # not a POSIX system: the library stays open, and bytes may differ from call to call
        return
    dlclose(library._handle)


def _seed_c_library() -> None:
    if os.name == "posix":  # elsewhere there is no one C library to name, and Klatt voices stay as they come
        ctypes.CDLL(None).srand(1)


def _check_voice(data: bytes, voice: str) -> None:
    """Refuse a voice that espeak-ng would silently replace by its default, or that would end the process."""
    base, plus, variant = voice.partition("+")
    if "!" in base:
        raise InputError(f"espeak-ng has no voice {voice!r}: a variant stands after a voice and \"+\"")
    variants = os.listdir(os.path.join(data.decode(), "voices", "!v"))
    if plus and variant not in variants:
        raise InputError(f"espeak-ng has no voice variant {variant!r}; it has {', '.join(sorted(variants))}")


def synthesise(text: str, voice: str = "en-us", rate: int = 175, pitch: int = 50, pitch_range: int = 50, *,
               phoneme_names: bool = False) -> Speech:
    """Speak ``text`` and return the samples with phoneme and word times.

    Args:
        text: any text, UTF-8.
        voice: an espeak-ng voice, with a variant after "+", such as "en-us+f3".
        rate: words a minute, 80 to 449.
        pitch: base pitch, 0 to 100.
        pitch_range: liveliness of the melody, 0 (flat) to 100.
        phoneme_names: whether text between "[[" and "]]" consists of espeak-ng's names of phonemes.

    Raises:
        InputError: espeak-ng is not installed, the voice or its variant is unknown, or the text is too long, is not
            Unicode or gives no sound.
        ValueError: rate, pitch or range out of its bounds.
    """
    for name, value, bounds in (("rate", rate, _RATES), ("pitch", pitch, _PERCENT), ("pitch_range", pitch_range, _PERCENT)):
        if value not in bounds:
            raise ValueError(f"{name}: expected a whole number from {bounds[0]} to {bounds[-1]}, got {value}")
    if len(text) > _LONGEST:
        raise InputError(f"the text {text[:20]!r}... has {len(text):,} letters; give at most {_LONGEST:,}")
    for what, value in (("text", text), ("voice", voice)):
        if not is_unicode(value):
            raise InputError(f"the {what} {value[:20]!r} holds bytes that are no letters; write it in UTF-8")
    file, data = _files()
    _check_voice(data, voice)  # before the library is opened: one that stays open would change all later speech
    library = ctypes.CDLL(file)
    try:
        return _synthesise(library, data, text, voice, rate, pitch, pitch_range, phoneme_names)
    finally:
        _close(library)


def _synthesise(library: ctypes.CDLL, data: bytes, text: str, voice: str, rate: int, pitch: int,
                pitch_range: int, phoneme_names: bool) -> Speech:
    library.espeak_Synth.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint,
                                     ctypes.c_uint, ctypes.POINTER(ctypes.c_uint), ctypes.c_void_p]
    sample_rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS | _PHONEME_IPA | _DONT_EXIT)
    if sample_rate <= 0:
        raise InputError("espeak-ng does not start: its data files are not found; reinstall espeakng-loader")
    library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    library.espeak_ng_SetRandSeed(1)
    _seed_c_library()
    chunks, phoneme_events, word_events = [], [], []

    def collect(samples, count, events) -> int:
        if samples and count > 0:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _EVENT_END:
            event = events[index]
            if event.type == _EVENT_PHONEME:
                phoneme_events.append((event.sample, event.id.string.decode("utf-8", "ignore"), len(word_events) - 1))
            elif event.type == _EVENT_WORD:
                word_events.append((event.sample, event.text_position - 1, event.length))
            index += 1
        return 0

    callback = _Callback(collect)  # kept alive until the synthesis is over
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise InputError(f"espeak-ng has no voice {voice!r}: `espeak-ng --voices` lists them")
    for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_RANGE, pitch_range)):
        library.espeak_SetParameter(parameter, value, 0)
    encoded = text.encode()
    flags = _UTF8 | _END_PAUSE | (_PHONEME_NAMES if phoneme_names else 0)
    status = library.espeak_Synth(encoded, len(encoded) + 1, 0, _BY_CHARACTER, 0, flags, None, None)
    library.espeak_Synchronize()
    samples = np.concatenate(chunks) if chunks else np.zeros(0, np.int16)
    if status != 0 or not samples.any():
        raise InputError(f"espeak-ng says nothing for the text {text[:20]!r}: give words")
    return Speech(samples, sample_rate, *_phonemes(phoneme_events, samples, sample_rate),
                  tuple((text[start:start + length], sample / sample_rate) for sample, start, length in word_events))


def _phonemes(events: list[tuple[int, str, int]], samples: np.ndarray, sample_rate: int,
              ) -> tuple[tuple[Phoneme, ...], tuple[int, ...]]:
    """Turn events at sample positions into phonemes that tile the utterance, and the numbers of their words.

    Language switches such as "(en)" drop out.

    espeak-ng puts the event of a stop at its release and counts the silent closure before it as part of the preceding
    sound. The articulators are closed during that silence, so here it belongs to the stop.
    """
    named = [event for event in events if not event[1].startswith("(")]
    starts = [sample for sample, _, _ in named]
    for index in range(1, len(named)):
        if named[index][1].lstrip("ˈˌ").startswith(_STOPS) and named[index - 1][1]:
            starts[index] = _closure_start(samples, starts[index - 1], starts[index], sample_rate)
    ends = starts[1:] + [len(samples)]
    numbered = [(Phoneme(symbol, start / sample_rate, end / sample_rate), word if symbol else -1)
                for (_, symbol, word), start, end in zip(named, starts, ends, strict=True) if end > start]
    if numbered and numbered[0][0].start > 0:
        numbered.insert(0, (Phoneme("", 0.0, numbered[0][0].start), -1))
    return tuple(phoneme for phoneme, _ in numbered), tuple(word for _, word in numbered)


def _closure_start(samples: np.ndarray, previous: int, release: int, sample_rate: int) -> int:
    """Return the first sample of the silence that ends at ``release``; the sound before it keeps at least 20 ms."""
    earliest = min(release, previous + int(0.020 * sample_rate))
    loud = np.flatnonzero(np.abs(samples[earliest:release].astype(np.int32)) > _SILENCE)
    return earliest + int(loud[-1]) + 1 if len(loud) else earliest
