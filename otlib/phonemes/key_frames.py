"""Key frames of a motion: the middles of phonemes, or where they start and end, from whichever source knows the times.

KMTalk takes an automatic transcript and a forced aligner. Here the sources have names:

- one of :data:`otlib.phonemes.aligner.BACK_ENDS`: an aligner, which needs no text (the default is "frames") and takes a
  text where there is one;
- "true": the times that the data set knows. The built-in corpus is articulated from these very times, so they tell more
  than any recording can: an upper bound, of no use for new recordings;
- "even": frames at equal distances (the paper's row "uniform sampling"), a control: places without knowledge;
- "every": all frames, which leaves nothing to complete: a control with the same network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from otlib.errors import InputError
from otlib.files import kept_array, read_array, sha256
from otlib.phonemes.aligner import BACK_ENDS, Aligner, load_aligner
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.phonemes.words import Transcript
from otlib.settings import bounded, check, one_of
from otlib.speech.recording import resampled

EVEN, EVERY, TRUE = "even", "every", "true"
SOURCES = (*BACK_ENDS, TRUE, EVEN, EVERY)
OF_RECORDINGS = (*BACK_ENDS, EVEN, EVERY)  # those that a recording needs no data set for
PLACES = ("middles", "boundaries")
_FURTHEST = 8  # frames between two keys: a pause gets keys too, so that every frame lies near one (our choice)
_CACHE = 1  # goes up when the same sound and settings give other key frames


@dataclass(frozen=True)
class KeySettings:
    """How key frames are found.

    Attributes:
        source: one of :data:`SOURCES`.
        at: "middles", where a sound has reached its goal, or "boundaries", where phonemes start and end, as the paper has:
            a straight line from boundary to boundary cuts off the peak of an open vowel (our choice, made on validation
            speakers; notebook 14 sets both side by side).
        share: share of key frames of the source "even" (the paper: a third).
        error: frames by which each boundary is moved, to a side drawn by chance: an aligner's error (the paper tries one
            frame).
    """

    source: str = one_of("frames", SOURCES)
    at: str = one_of("middles", PLACES)
    share: float = bounded(1 / 3, 0, 1, above=True)
    error: int = bounded(0, 0, 100)

    def __post_init__(self) -> None:
        check(self)


def boundaries(phonemes: Sequence[Phoneme]) -> Float[np.ndarray, " n"]:
    """Return the times, seconds, at which phonemes start and end, each once."""
    return np.unique([time for phoneme in phonemes for time in (phoneme.start, phoneme.end)])


def middles(times: Float[np.ndarray, " n"]) -> Float[np.ndarray, " m"]:
    """Return the middles between neighbouring boundaries: of phonemes, and of the pauses between them."""
    return (times[:-1] + times[1:]) / 2


def frames_at(times: Float[np.ndarray, " n"], frames: int, frame_rate: float,
                    error: int = 0) -> Bool[np.ndarray, " T"]:
    """Return which frames are key: those nearest to given times, the first and the last, and some in long pauses.

    Args:
        times: seconds, from :func:`boundaries` or :func:`middles`.
        frames: number of frames T, at least 1.
        frame_rate: Hz.
        error: frames by which each time is moved, up or down by chance; the same times give the same key frames.
    """
    places = np.rint(times * frame_rate).astype(np.int64)
    places += error * np.random.default_rng(len(places)).choice((-1, 1), len(places))
    places = np.unique(np.clip(np.concatenate([[0], places, [frames - 1]]), 0, frames - 1))
    keys = np.zeros(frames, bool)
    keys[places] = True
    for left, right in zip(places[:-1], places[1:], strict=True):
        steps = -(-(right - left) // _FURTHEST)
        keys[np.rint(np.linspace(left, right, steps + 1)).astype(np.int64)] = True
    return keys


def even_frames(frames: int, share: float) -> Bool[np.ndarray, " T"]:
    """Return key frames at equal distances: the first, and a ``share`` of all."""
    count = np.floor(np.arange(frames) * share + 1e-9)
    return np.diff(count, prepend=-1.0) > 0


class KeyFinder:
    """Finds the key frames of recordings; an aligner is loaded at its first use.

    Args:
        settings: the source and its options.
        cache: folder of the boundaries that an aligner has found, as of audio features; None keeps none.
    """

    def __init__(self, settings: KeySettings, cache: Path | None = None) -> None:
        self.settings, self.cache = settings, cache

    @cached_property
    def aligner(self) -> Aligner:
        """The aligner that the settings name."""
        return load_aligner(self.settings.source)

    def of_clip(self, path: Path, frames: int, frame_rate: float, true: Sequence[Phoneme] | None = None,
                speed: float = 1.0) -> Bool[np.ndarray, " T"]:
        """Return which frames of a data set's clip are key; no text is used.

        Args:
            path: the sound file.
            frames: number of frames T of the clip as it is played.
            frame_rate: Hz.
            true: the phonemes with their times, if the data set knows them.
            speed: factor by which the sound is played faster, see :func:`otlib.speech.features.cached_features`.

        Raises:
            InputError: the source is "true" and the times are not known, or the aligner refuses the recording.
        """
        if self.settings.source in BACK_ENDS:
            times = self._found(path, frame_rate, speed)
        elif self.settings.source == TRUE:
            if true is None:
                raise InputError(f"{path}: the times of its phonemes are not known, which key frames of the source 'true' "
                                 f"need; choose another source: {', '.join(BACK_ENDS)}")
            times = boundaries(true) / speed
        else:
            times = np.empty(0)
        return self._frames(times, frames, frame_rate)

    def of_recording(self, samples: Float[Tensor, " S"], frames: int, frame_rate: float,
                     transcript: Transcript | None = None, name: str = "the recording") -> Bool[np.ndarray, " T"]:
        """Return which frames of a new recording are key.

        Args:
            samples: the sound at 16 kHz.
            frames: number of frames T.
            frame_rate: Hz.
            transcript: what is said, for an aligner; None to recognise the sounds.
            name: the recording's name in messages.

        Raises:
            InputError: the aligner refuses the recording, or the source is "true", which knows no new recordings.
        """
        source = self.settings.source
        if source == TRUE:
            raise InputError(f"{name}: key frames of the source 'true' need a data set that knows its phonemes; choose "
                             f"another source: {', '.join(BACK_ENDS)}")
        times = boundaries(self.aligner.phonemes(samples, transcript, name=name)) if source in BACK_ENDS else np.empty(0)
        return self._frames(times, frames, frame_rate)

    def _frames(self, times: Float[np.ndarray, " n"], frames: int, frame_rate: float) -> Bool[np.ndarray, " T"]:
        if self.settings.source == EVERY:
            return np.ones(frames, bool)
        if self.settings.source == EVEN:
            return even_frames(frames, self.settings.share)
        return frames_at(middles(times) if self.settings.at == "middles" else times, frames, frame_rate, self.settings.error)

    def _found(self, path: Path, frame_rate: float, speed: float) -> Float[np.ndarray, " n"]:
        """Return the boundaries that the aligner finds, from the cache if it heard the same sound before."""
        from otlib.speech.features import played_recording  # it takes seconds, and command lines need the names above alone

        def make() -> np.ndarray:
            samples = resampled(played_recording(path, frame_rate, speed))
            return boundaries(self.aligner.phonemes(samples, name=str(path)))

        if self.cache is None:
            return make()
        key = f"times {_CACHE} {sha256(path)} {self.aligner.fingerprint} {speed}"
        return kept_array(self.cache, key, _whole_times, make, "its key frames")


@dataclass(frozen=True, eq=False)
class KeyFrames:
    """The key frames of a recording, and where they come from; its text is a sentence that says so.

    Attributes:
        mask: (T,) which frames are key.
        source: one of :data:`OF_RECORDINGS`.
        with_text: whether the source had the text of what is said.
        refused: why the sources that were to be preferred gave none, a sentence each, in their order.
        usual: the source of the model's training, where it is known.
    """

    mask: np.ndarray
    source: str
    with_text: bool = False
    refused: tuple[str, ...] = ()
    usual: str = ""

    def __str__(self) -> str:
        text = " and the text" if self.with_text else ""
        other = f", those of the model's training from {self.usual!r}" if self.usual not in ("", self.source) else ""
        return f"{self.mask.sum()} of {len(self.mask)} frames are key; they come from {self.source!r}{text}{other}"


def first_found(finders: Sequence[KeyFinder], samples: Float[Tensor, " S"], frames: int, frame_rate: float,
                transcript: Transcript | None = None, name: str = "the recording") -> KeyFrames:
    """Return the key frames of a new recording from the first source that gives any.

    Args:
        finders: of the sources, in order of preference; one after the first is asked only if those before refuse.
        samples, frames, frame_rate, transcript, name: as for :meth:`KeyFinder.of_recording`.

    Raises:
        InputError: every source refuses, and the message says why each does; or there is a text, but no aligner.
    """
    sources = [finder.settings.source for finder in finders]
    if transcript is not None and not set(sources) & set(BACK_ENDS):
        raise InputError(f"{name}: a text is for an aligner ({', '.join(BACK_ENDS)}), which {', '.join(map(repr, sources))} "
                         "is not; leave the text out, or name an aligner")
    refused: list[str] = []
    for source, finder in zip(sources, finders, strict=True):
        try:
            mask = finder.of_recording(samples, frames, frame_rate, transcript, name)
        except InputError as error:
            refused.append(f"no key frames from {source!r}: {error}")
        else:
            return KeyFrames(mask, source, transcript is not None and source in BACK_ENDS, tuple(refused))
    raise InputError("; ".join(refused))


def _whole_times(file: Path) -> Float[np.ndarray, " n"]:
    times = read_array(file)
    if times.dtype != np.float64 or times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise InputError(f"{file}: does not hold times of phonemes")
    return times
