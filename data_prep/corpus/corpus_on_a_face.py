"""A corpus of synthetic speech on any face that the articulator controls can move: speakers, sentences, files.

Each file depends only on the seed and on its own speaker and sentence, so the same seed gives the same bytes with any
number of processes.
"""

import argparse
import contextlib
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from data_prep.corpus import flite
from data_prep.corpus.articulation import Style, articulate, frame_count
from data_prep.corpus.sentences import corpus_sentences
from data_prep.corpus.sound_variations import SEMITONES, SPEEDS, draw_variation
from data_prep.corpus.speakers import ENGINES, Speaker, draw_speakers, named_generator, speak
from data_prep.writer import DatasetWriter, FileTable, NewSequence, write_sequence
from otlib.commands import Workers
from otlib.data.manifest import SPLITS
from otlib.settings import COPIES, HOURS, SEEDS, THREADS, number_of
from otlib.topology import Topology

FRAME_RATE = 30.0
_SENTENCE_SECONDS = 3.45  # mean length of a sentence (measured on the profile fast), converts hours to sentences
_BATCH = 8  # sentences that a process takes at once


@dataclass(frozen=True)
class Profile:
    """The size of a corpus.

    Attributes:
        speakers: number of speakers in each split.
        sentences: number of sentences for each speaker of a split.
        resolution: the head's resolution.
        engines: the programs of :data:`data_prep.corpus.speakers.ENGINES` that speak for the training speakers, in turn.
    """

    speakers: dict[str, int]
    sentences: dict[str, int]
    resolution: str
    engines: tuple[str, ...] = ENGINES[:1]

    @property
    def parameters(self) -> dict[str, Any]:
        """What a data set tells of its size; the engines where they are not the usual one."""
        told = asdict(self)
        if self.engines == ENGINES[:1]:
            del told["engines"]
        return told

    @property
    def licence(self) -> str:
        """Under which licences the sentences and voices stand."""
        return ("sentences MIT as the code; voices synthesised by eSpeak NG, which is GPL-3.0-or-later"
                + (", and by flite, whose licence is BSD-like" if "flite" in self.engines else ""))


class Face(Protocol):
    """A family of faces with one topology; worker processes receive it by pickling.

    Attributes:
        identity_directions: number of coefficients that define a person.
        topology: the topology that all faces share.
    """

    identity_directions: int
    topology: Topology

    def template(self, identity: tuple[float, ...]) -> np.ndarray:
        """Return a person's face at rest, (V, 3), metres."""

    def move(self, identity: tuple[float, ...], controls: np.ndarray) -> np.ndarray:
        """Return the frames (T, V, 3), metres, for controls (T, A) of :data:`data_prep.head.CONTROLS`."""


@dataclass(frozen=True)
class _Utterance:
    """A sentence by one speaker: its name and wording; ``copy`` numbers augmented copies from 1, 0 is the original."""

    speaker: Speaker
    sentence: str
    text: str
    copy: int = 0

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"{self.speaker.id}_{self.sentence}" + (f"_copy{self.copy}" if self.copy else "")


_Job = list[_Utterance]
_Written = list[tuple[dict[str, Any], FileTable]]


def build_corpus(out: Path | str, face: Face, profile: Profile, *, name: str, provenance: Mapping[str, Any], seed: int = 0,
                 workers: int | None = None, copies: int = 0) -> None:
    """Make a corpus in the folder ``out``, replacing an earlier data set there.

    Eight arguments: the options of a command, and the face, name and provenance that distinguish corpora.

    Args:
        out: the folder.
        face: the family of faces that speaks.
        profile: the corpus's size.
        name, provenance: the data set's name and provenance.
        seed: the same seed gives the same bytes on one machine with one set of package versions.
        workers: number of processes; all cores by default.
        copies: number of augmented copies to add for each training recording (:mod:`data_prep.corpus.sound_variations`);
            they do not change the originals.

    Raises:
        InputError: the folder cannot be written, or espeak-ng or flite is not installed.
    """
    if "flite" in profile.engines:
        flite.program()  # is missed before any work is done
    speakers = draw_speakers(seed, profile.speakers, face.identity_directions, profile.engines)
    utterances = _utterances(seed, profile, speakers)
    utterances += [replace(utterance, copy=copy) for utterance in utterances if utterance.speaker.split == "train"
                   for copy in range(1, copies + 1)]
    jobs = [utterances[start:start + _BATCH] for start in range(0, len(utterances), _BATCH)]
    with DatasetWriter(out, name=name, frame_rate=FRAME_RATE, provenance=provenance) as writer:
        for speaker in speakers:
            entry = asdict(speaker)
            writer.add_subject(entry.pop("id"), face.template(speaker.identity), **entry)
        writer.set_topology(face.topology)
        with (tqdm(total=len(utterances), desc=name, unit="sentence") as progress,
              contextlib.closing(_run(writer.folder, face, seed, jobs, workers or os.cpu_count() or 1)) as done):
            for written in done:
                for entry, files in written:
                    writer.add_sequence(entry, files)
                progress.update(len(written))


def _utterances(seed: int, profile: Profile, speakers: list[Speaker]) -> list[_Utterance]:
    """Assign sentences: all speakers of a split share its first sentence, every other one has a single speaker."""
    needed = {split: 1 + profile.speakers[split] * (profile.sentences[split] - 1) for split in SPLITS}
    texts = corpus_sentences(seed, needed["train"], needed["val"], needed["test"])
    utterances = []
    for split in SPLITS:
        own = iter(range(1, needed[split]))
        for speaker in (speaker for speaker in speakers if speaker.split == split):
            numbers = [0, *(next(own) for _ in range(profile.sentences[split] - 1))]
            utterances += [_Utterance(speaker, f"{split}{number:04d}", texts[split][number]) for number in numbers]
    return utterances


def _run(folder: Path, face: Face, seed: int, jobs: list[_Job], workers: int) -> Iterator[_Written]:
    """Write the jobs' sequences in one or several processes; results come in the order of the jobs."""
    write = partial(_write_job, folder, face, seed)
    if workers == 1:
        yield from map(write, jobs)
        return
    with Workers(min(workers, len(jobs))) as pool:
        yield from pool.map(write, jobs)


def _write_job(folder: Path, face: Face, seed: int, job: _Job) -> _Written:
    with threadpool_limits(1):  # the number of threads changes the rounding of matrix products
        return [_write_utterance(folder, face, seed, utterance) for utterance in job]


def _write_utterance(folder: Path, face: Face, seed: int, utterance: _Utterance) -> tuple[dict[str, Any], FileTable]:
    speaker, name = utterance.speaker, utterance.name
    if utterance.copy:
        variation = draw_variation(named_generator(seed, "variation", name))
        slower_or_faster = replace(speaker, rate=variation.words_a_minute(speaker.rate))
        speech = variation.record(speak(slower_or_faster, utterance.text))
    else:
        speech = speak(speaker, utterance.text)
    frames = frame_count(len(speech.samples), speech.sample_rate, FRAME_RATE)

    def move(style: Style) -> np.ndarray:
        generator = named_generator(seed, "articulation", name)
        return face.move(speaker.identity, articulate(speech.phonemes, frames, FRAME_RATE, style, generator))

    entry, files = write_sequence(folder, NewSequence(
        name, speaker.id, utterance.sentence, speaker.split, move(speaker.style), speech.samples, speech.sample_rate,
        speech.phonemes, None if speaker.split == "train" else move(Style()), utterance.text))
    if utterance.copy:
        entry["variation"] = asdict(variation)
    return entry, files


def add_size_arguments(parser: argparse.ArgumentParser, profiles: Mapping[str, Profile]) -> None:
    """Declare the options common to all corpora of synthetic speech."""
    parser.add_argument("--profile", choices=profiles, default="fast",
                        help="; ".join(f"{name}: {_in_words(profile)}" for name, profile in profiles.items())
                             + " (default: %(default)s)")
    parser.add_argument("--hours", type=number_of(float, HOURS), metavar="N",
                        help="about N hours of training speech, with more or fewer sentences for each training speaker of "
                             "the profile")
    parser.add_argument("--voices", nargs="+", choices=ENGINES, metavar="ENGINE", default=ENGINES[:1],
                        help="programs whose voices the training speakers have in turn: espeak, and flite, whose voices are "
                             "made from recordings of people (your system's package of that name); speakers to validate and "
                             "test have espeak's (default: espeak)")
    parser.add_argument("--augment", type=number_of(int, COPIES), default=0, metavar="N",
                        help="add N copies of each training recording, each at another speed ({:g} to {:g}) and pitch "
                             "({:g} to {:+g} semitones), in another room, by another microphone, with noise and at another "
                             "level; the motion stays in step, and the originals do not change (default: 0)"
                             .format(*SPEEDS, *SEMITONES))
    parser.add_argument("--seed", type=number_of(int, SEEDS), default=0, metavar="N",
                        help="the same seed gives the same bytes (default: 0)")
    parser.add_argument("--workers", type=number_of(int, THREADS), metavar="N",
                        help="number of processes (default: one for each core)")


def _in_words(profile: Profile) -> str:
    minutes = profile.speakers["train"] * profile.sentences["train"] * _SENTENCE_SECONDS / 60
    speakers, sentences = (", ".join(str(numbers[split]) for split in SPLITS)
                           for numbers in (profile.speakers, profile.sentences))
    return (f"{speakers} speakers to train, validate and test, {sentences} sentences each, about {minutes:.0f} minutes to "
            f"train on, {profile.resolution} resolution")


def chosen_profile(arguments: argparse.Namespace, profiles: Mapping[str, Profile]) -> Profile:
    """Return the profile that the options select; ``--resolution`` may be among them."""
    profile = profiles[arguments.profile]
    if arguments.resolution is not None:
        profile = replace(profile, resolution=arguments.resolution)
    if arguments.hours is not None:
        each = math.ceil(arguments.hours * 3600 / (profile.speakers["train"] * _SENTENCE_SECONDS))
        profile = replace(profile, sentences=profile.sentences | {"train": each})
    return replace(profile, engines=tuple(arguments.voices))
