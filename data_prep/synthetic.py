"""The built-in corpus: espeak-ng's speech, and a head built by code that its phonemes move.

Every file depends on the seed and on its own speaker and sentence alone, so that the same seed gives the same bytes
whatever the number of processes.
"""

import argparse
import importlib.metadata
import math
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data_prep.articulation import Style, articulate, frame_count
from data_prep.espeak import synthesise
from data_prep.head import IDENTITY_DIRECTIONS, RESOLUTIONS, Head, make_head, pose
from data_prep.sentences import corpus_sentences
from data_prep.speakers import Speaker, draw_speakers, named_generator
from data_prep.variations import SEMITONES, SPEEDS, draw_variation
from data_prep.writer import DatasetWriter, FileTable, write_sequence
from otlib.dataset_manifest import SPLITS
from otlib.errors import InputError

HELP = "the built-in corpus: synthetic speech and a head made by code; needs no data and no network"
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


PROFILES = {
    "fast": Profile({"train": 40, "val": 4, "test": 6}, {"train": 9, "val": 5, "test": 5}, "low"),
    "full": Profile({"train": 40, "val": 4, "test": 12}, {"train": 20, "val": 20, "test": 20}, "medium"),
}


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


_Job = tuple[str, int, list[_Utterance]]  # resolution, seed, utterances
_Written = list[tuple[dict[str, Any], FileTable]]


def build(out: Path | str, profile: Profile, *, seed: int = 0, workers: int | None = None, copies: int = 0) -> None:
    """Make the corpus in the folder ``out``, where an earlier data set is replaced.

    Args:
        out: the folder.
        profile: the corpus's size, of :data:`PROFILES` or another.
        seed: the same seed gives the same bytes on one machine with one set of package versions.
        workers: processes; all cores by default.
        copies: how many augmented copies of each training recording to add (:mod:`data_prep.variations`); the originals
            are the same with and without them.

    Raises:
        InputError: the folder cannot be written, or espeak-ng is not installed.
    """
    speakers = draw_speakers(seed, profile.speakers, len(IDENTITY_DIRECTIONS))
    utterances = _utterances(seed, profile, speakers)
    utterances += [replace(utterance, copy=copy) for utterance in utterances if utterance.speaker.split == "train"
                   for copy in range(1, copies + 1)]
    jobs = [(profile.resolution, seed, utterances[start:start + _BATCH]) for start in range(0, len(utterances), _BATCH)]
    with DatasetWriter(out, name="built-in corpus", frame_rate=FRAME_RATE,
                       provenance=_provenance(profile, seed, copies)) as writer:
        for speaker in speakers:
            head = _head(speaker.identity, profile.resolution)
            writer.add_subject(speaker.id, head.vertices, **_described(speaker))
        writer.set_mesh(head.faces, head.regions, head.face_parts)
        with tqdm(total=len(utterances), desc="built-in corpus", unit="sentence") as progress:
            for written in _run(writer.folder, jobs, workers or os.cpu_count() or 1):
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


def _run(folder: Path, jobs: list[_Job], workers: int) -> Iterator[_Written]:
    """Write the jobs' sequences, in this process or in several; the order of the results is that of the jobs."""
    if workers == 1:
        yield from (_write_job(folder, job) for job in jobs)
        return
    # fresh processes: a fork of one that has run threads (a notebook, torch) may hang
    with ProcessPoolExecutor(min(workers, len(jobs)), get_context("spawn"), _ignore_interrupts) as executor:
        try:
            yield from executor.map(partial(_write_job, folder), jobs)
        except BaseException:
            executor.shutdown(wait=True, cancel_futures=True)
            raise


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent alone answers it


def _write_job(folder: Path, job: _Job) -> _Written:
    resolution, seed, utterances = job
    return [_write_utterance(folder, utterance, resolution, seed) for utterance in utterances]


def _write_utterance(folder: Path, utterance: _Utterance, resolution: str,
                     seed: int) -> tuple[dict[str, Any], FileTable]:
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
        return pose(_head(speaker.identity, resolution), articulate(phonemes, frames, FRAME_RATE, style, generator))

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


@lru_cache(maxsize=2)  # sentences come speaker by speaker
def _head(identity: tuple[float, ...], resolution: str) -> Head:
    return make_head(np.array(identity), resolution)


def _described(speaker: Speaker) -> dict[str, Any]:
    described = asdict(speaker)
    del described["id"]
    return described


def _provenance(profile: Profile, seed: int, copies: int) -> dict[str, Any]:
    packages = ("otlib", "numpy", "scipy", "soundfile", "espeakng-loader", *(("torch",) if copies else ()))
    return {"tool": "data_prep synthetic", "seed": seed,
            "parameters": asdict(profile) | ({"augmented_copies": copies} if copies else {}),
            "versions": {name: importlib.metadata.version(name) for name in packages},
            "licence": "heads and sentences MIT as the code; voices synthesised by eSpeak NG, which is GPL-3.0-or-later"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m data_prep synthetic`."""
    parser.add_argument("--profile", choices=PROFILES, default="fast",
                        help="; ".join(f"{name}: {_in_words(profile)}" for name, profile in PROFILES.items())
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
    parser.add_argument("--resolution", choices=RESOLUTIONS,
                        help="faces of the head: low 2,000, medium 9,976, high 46,068 (default: the profile's)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one for each core)")


def _in_words(profile: Profile) -> str:
    minutes = profile.speakers["train"] * profile.sentences["train"] * _SENTENCE_SECONDS / 60
    speakers, sentences = (", ".join(str(numbers[split]) for split in SPLITS)
                           for numbers in (profile.speakers, profile.sentences))
    return (f"{speakers} speakers to train, validate and test, {sentences} sentences each, about {minutes:.0f} minutes to "
            f"train on, {profile.resolution} resolution")


def run(arguments: argparse.Namespace) -> None:
    """Build the corpus that the options ask for.

    Raises:
        InputError: an option is out of range, or the corpus cannot be built.
    """
    for name in ("hours", "workers"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"--{name} is {value:g}, it must be above 0")
    for name in ("seed", "augment"):
        if getattr(arguments, name) < 0:
            raise InputError(f"--{name} is {getattr(arguments, name)}, it must not be negative")
    profile = PROFILES[arguments.profile]
    if arguments.resolution is not None:
        profile = replace(profile, resolution=arguments.resolution)
    if arguments.hours is not None:
        each = math.ceil(arguments.hours * 3600 / (profile.speakers["train"] * _SENTENCE_SECONDS))
        profile = replace(profile, sentences=profile.sentences | {"train": each})
    build(arguments.out, profile, seed=arguments.seed, workers=arguments.workers, copies=arguments.augment)
