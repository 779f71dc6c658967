"""A corpus of synthetic speech on any face that the articulator controls can move: speakers, sentences, files.

Every file depends on the seed and on its own speaker and sentence alone, so that the same seed gives the same bytes
whatever the number of processes.
"""

import argparse
import math
import os
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from data_prep.corpus.articulation import Style, articulate, frame_count
from data_prep.corpus.espeak import synthesise
from data_prep.corpus.sentences import corpus_sentences
from data_prep.corpus.speakers import Speaker, draw_speakers, named_generator
from data_prep.corpus.variations import SEMITONES, SPEEDS, draw_variation
from data_prep.writer import DatasetWriter, FileTable, write_sequence
from otlib.data.manifest import SPLITS
from otlib.errors import InputError

FRAME_RATE = 30.0
_LEAD_IN = 0.3  # seconds of silence before the first word, in which the mouth starts from rest
_SENTENCE_SECONDS = 3.45  # mean length of a sentence (measured on fast), to turn hours into a number of sentences
_BATCH = 8  # sentences that a process takes at a time


@dataclass(frozen=True)
class Profile:
    """The size of a corpus.

    Attributes:
        speakers: number of speakers of each split.
        sentences: number of sentences that each speaker of a split says.
        resolution: of the head.
    """

    speakers: dict[str, int]
    sentences: dict[str, int]
    resolution: str


class Face(Protocol):
    """A family of faces of one topology, which worker processes receive by pickling.

    Attributes:
        identity_directions: how many coefficients tell one person from another.
        surface: faces (F, 3), regions and face parts, as :meth:`DatasetWriter.set_mesh` takes them.
    """

    identity_directions: int
    surface: tuple[np.ndarray, Mapping[str, np.ndarray], Mapping[str, np.ndarray]]

    def template(self, identity: tuple[float, ...]) -> np.ndarray:
        """Return a person at rest, (V, 3), metres."""

    def move(self, identity: tuple[float, ...], controls: np.ndarray) -> np.ndarray:
        """Return the frames (T, V, 3), metres, for controls (T, A) of :data:`data_prep.head.CONTROLS`."""


@dataclass(frozen=True)
class _Utterance:
    """What one speaker says: the sentence's name and wording; ``copy`` counts augmented copies from 1, 0 is the original."""

    speaker: Speaker
    sentence: str
    text: str
    copy: int = 0

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.speaker.id}_{self.sentence}" + (f"_copy{self.copy}" if self.copy else "")


_Job = list[_Utterance]
_Written = list[tuple[dict[str, Any], FileTable]]


def build_corpus(out: Path | str, face: Face, profile: Profile, *, name: str, provenance: Mapping[str, Any], seed: int = 0,
                 workers: int | None = None, copies: int = 0) -> None:
    """Make a corpus in the folder ``out``, where an earlier data set is replaced.

    Args:
        out: the folder.
        face: who is seen to speak.
        profile: the corpus's size.
        name, provenance: of the data set.
        seed: the same seed gives the same bytes on one machine with one set of package versions.
        workers: processes; all cores by default.
        copies: how many augmented copies of each training recording to add (:mod:`data_prep.corpus.variations`); the
            originals are the same with and without them.

    Raises:
        InputError: the folder cannot be written, or espeak-ng is not installed.
    """
    speakers = draw_speakers(seed, profile.speakers, face.identity_directions)
    utterances = _utterances(seed, profile, speakers)
    utterances += [replace(utterance, copy=copy) for utterance in utterances if utterance.speaker.split == "train"
                   for copy in range(1, copies + 1)]
    jobs = [utterances[start:start + _BATCH] for start in range(0, len(utterances), _BATCH)]
    with DatasetWriter(out, name=name, frame_rate=FRAME_RATE, provenance=provenance) as writer:
        for speaker in speakers:
            writer.add_subject(speaker.id, face.template(speaker.identity), **_described(speaker))
        writer.set_mesh(*face.surface)
        with tqdm(total=len(utterances), desc=name, unit="sentence") as progress:
            for written in _run(writer.folder, face, seed, jobs, workers or os.cpu_count() or 1):
                for entry, files in written:
                    writer.add_sequence(entry, files)
                progress.update(len(written))


def _utterances(seed: int, profile: Profile, speakers: list[Speaker]) -> list[_Utterance]:
    """Give each speaker their sentences: the first of a split is said by all its speakers, the others by one each."""
    needed = {split: 1 + profile.speakers[split] * (profile.sentences[split] - 1) for split in SPLITS}
    texts = corpus_sentences(seed, needed["train"], needed["val"], needed["test"])
    said = []
    for split in SPLITS:
        own = iter(range(1, needed[split]))
        for speaker in (speaker for speaker in speakers if speaker.split == split):
            numbers = [0, *(next(own) for _ in range(profile.sentences[split] - 1))]
            said += [_Utterance(speaker, f"{split}{number:04d}", texts[split][number]) for number in numbers]
    return said


def _run(folder: Path, face: Face, seed: int, jobs: list[_Job], workers: int) -> Iterator[_Written]:
    """Write the jobs' sequences, in this process or in several; the order of the results is that of the jobs."""
    write = partial(_write_job, folder, face, seed)
    if workers == 1:
        yield from map(write, jobs)
        return
    # fresh processes: a fork of one that has run threads (a notebook, torch) may hang
    with ProcessPoolExecutor(min(workers, len(jobs)), get_context("spawn"), _ignore_interrupts) as executor:
        try:
            yield from executor.map(write, jobs)
        except BaseException:
            executor.shutdown(wait=True, cancel_futures=True)
            raise


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent alone answers it


def _write_job(folder: Path, face: Face, seed: int, job: _Job) -> _Written:
    with threadpool_limits(1):  # a product of matrices shared out among threads is rounded otherwise
        return [_write_utterance(folder, face, seed, utterance) for utterance in job]


def _write_utterance(folder: Path, face: Face, seed: int, utterance: _Utterance) -> tuple[dict[str, Any], FileTable]:
    speaker, name = utterance.speaker, utterance.name
    if utterance.copy:
        variation = draw_variation(named_generator(seed, "variation", name))
        slower_or_faster = replace(speaker, rate=variation.words_a_minute(speaker.rate))
        samples, sample_rate, phonemes = variation.record(*speak(slower_or_faster, utterance.text))
    else:
        samples, sample_rate, phonemes = speak(speaker, utterance.text)
    frames = frame_count(len(samples), sample_rate, FRAME_RATE)

    def move(style: Style) -> np.ndarray:
        generator = named_generator(seed, "articulation", name)
        return face.move(speaker.identity, articulate(phonemes, frames, FRAME_RATE, style, generator))

    entry, files = write_sequence(
        folder, sequence=name, subject=speaker.id, sentence=utterance.sentence, split=speaker.split,
        vertices=move(speaker.style), samples=samples, sample_rate=sample_rate, phonemes=phonemes,
        mean_style=None if speaker.split == "train" else move(Style()), text=utterance.text)
    if utterance.copy:
        entry["variation"] = asdict(variation)
    return entry, files


def speak(speaker: Speaker, text: str) -> tuple[np.ndarray, int, list[tuple[str, float, float]]]:
    """Return samples (S,) int16, their rate in Hz, and the phonemes (symbol, start, end) in seconds.

    A short silence comes before espeak-ng's speech, which starts at once, so that the mouth can start from rest.
    """
    speech = synthesise(text, speaker.voice, speaker.rate, speaker.pitch, speaker.pitch_range)
    silence = round(_LEAD_IN * speech.sample_rate)
    lead_in = silence / speech.sample_rate
    phonemes = [("", 0.0, round(lead_in, 6))]
    phonemes += [(phoneme.symbol, round(phoneme.start + lead_in, 6), round(phoneme.end + lead_in, 6))
                 for phoneme in speech.phonemes]
    return np.concatenate([np.zeros(silence, np.int16), speech.samples]), speech.sample_rate, phonemes


def _described(speaker: Speaker) -> dict[str, Any]:
    described = asdict(speaker)
    del described["id"]
    return described


def add_size_arguments(parser: argparse.ArgumentParser, profiles: Mapping[str, Profile]) -> None:
    """Declare the options that every corpus of synthetic speech has."""
    parser.add_argument("--profile", choices=profiles, default="fast",
                        help="; ".join(f"{name}: {_in_words(profile)}" for name, profile in profiles.items())
                             + " (default: %(default)s)")
    parser.add_argument("--hours", type=float, metavar="N",
                        help="about N hours of training speech, by more or fewer sentences for each training speaker of "
                             "the profile")
    parser.add_argument("--augment", type=int, default=0, metavar="N",
                        help="add N copies of each training recording, each at another speed ({:g} to {:g}) and pitch "
                             "({:g} to {:+g} semitones), in another room, by another microphone, with noise and at another "
                             "level; the motion stays in step, and the originals are the same as without (default: 0)"
                             .format(*SPEEDS, *SEMITONES))
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed gives the same bytes (default: 0)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one for each core)")


def _in_words(profile: Profile) -> str:
    minutes = profile.speakers["train"] * profile.sentences["train"] * _SENTENCE_SECONDS / 60
    speakers, sentences = (", ".join(str(numbers[split]) for split in SPLITS)
                           for numbers in (profile.speakers, profile.sentences))
    return (f"{speakers} speakers to train, validate and test, {sentences} sentences each, about {minutes:.0f} minutes to "
            f"train on, {profile.resolution} resolution")


def chosen_profile(arguments: argparse.Namespace, profiles: Mapping[str, Profile]) -> Profile:
    """Return the profile that the options ask for, ``--resolution`` among them where a source has it.

    Raises:
        InputError: an option is out of range.
    """
    for name in ("hours", "workers"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"--{name} is {value:g}, it must be above 0")
    for name in ("seed", "augment"):
        if getattr(arguments, name) < 0:
            raise InputError(f"--{name} is {getattr(arguments, name)}, it must not be negative")
    profile = profiles[arguments.profile]
    if arguments.resolution is not None:
        profile = replace(profile, resolution=arguments.resolution)
    if arguments.hours is not None:
        each = math.ceil(arguments.hours * 3600 / (profile.speakers["train"] * _SENTENCE_SECONDS))
        profile = replace(profile, sentences=profile.sentences | {"train": each})
    return profile
