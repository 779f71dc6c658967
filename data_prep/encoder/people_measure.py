"""What features know of people's speech: p, b and m found, and sounds named, by what was fitted on voices made from people.

    python -m data_prep.encoder.people_measure --people FOLDER --texts TEXTS.json --encoder bundled OTHER --teacher

Detector and probe are linear and fitted on flite's voices, whose phone times are exact. They are tried on recordings of
people whom nothing here was trained on (:mod:`data_prep.encoder.people`); what is said in them is in TEXTS.json (names of
files and texts), and when, pocketsphinx says, which knows neither the encoders nor the teacher. Beside each figure stands
what guessing gives, and its interval when voices are drawn anew.
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.metrics import roc_auc_score
from torch import Tensor
from tqdm import tqdm

from data_prep.corpus.flite import VOICES
from data_prep.corpus.labelled_speech import text_to_phonemes
from data_prep.encoder.flite_speech import draw_utterance
from data_prep.encoder.frame_labels import LABELS, UNKNOWN, frame_labels
from data_prep.encoder.linear_probe import Fit, fit_probe, scores
from data_prep.encoder.made_up_speech import speech_pool
from data_prep.encoder.objective import frame_count, mfcc
from data_prep.encoder.people import recordings
from data_prep.encoder.probe import Features, encoder_features
from data_prep.encoder.teacher import Teacher
from otlib.commands import Parser, command
from otlib.errors import InputError
from otlib.files import read_object, write_json
from otlib.phonemes import load_aligner
from otlib.phonemes.timed_phoneme import BILABIALS
from otlib.settings import Range, number_of
from otlib.speech.encoder import BUNDLED, load_encoder
from otlib.speech.recording import read_recording, resampled

# letters that recognisers of English do not tell apart, and the one that stands for both
FOLDED = {"ɾ": "d", "r": "ɹ", "ɬ": "l", "x": "k", "ʔ": "t", "ʍ": "w", "ʲ": "j", "ᵻ": "ɪ", "ɐ": "ʌ", "ə": "ʌ", "ɜ": "ɚ",
          "ʉ": "u", "a": "ɑ", "ɒ": "ɑ", "e": "ɛ", "o": "ɔ"}
SOUNDS = tuple(letter for letter in LABELS if letter and letter not in FOLDED)  # 34
_NUMBER = np.array([-1 if not letter else SOUNDS.index(FOLDED.get(letter, letter)) for letter in LABELS] + [-1])
_SHUT = torch.tensor([letter in BILABIALS for letter in SOUNDS])
_FIT_SEED, _HELD_OUT = 7_001, 0.25  # no utterance of a pre-training; the share that layers are chosen on
_DRAWS = 1000
SECONDS = Range(60, 36_000)  # of speech to fit on


@dataclass(frozen=True)
class Speech:
    """Samples (S,) float32 at 16 kHz, the folded sound of each frame (-1: a pause or unknown), and whose voice it is."""

    samples: Tensor
    sounds: Int[Tensor, " T"]
    voice: int


def folded(labels: Int[np.ndarray, " T"]) -> Int[Tensor, " T"]:
    """Return the number of each label's sound among the 34; -1 for pauses and UNKNOWN."""
    return torch.from_numpy(_NUMBER[np.where(labels == UNKNOWN, len(LABELS), labels)])


def flite_speech(seconds: float, processes: int = 1) -> list[Speech]:
    """Return labelled speech of flite's voices to fit on."""
    return [Speech(torch.from_numpy(one.samples.astype(np.float32) / 32768),
                   folded(frame_labels(one.phonemes, frame_count(len(one.samples)))), 0)
            for one in speech_pool(_FIT_SEED, seconds / 3600, processes, draw_utterance)]


def people_speech(folder: Path, texts: dict[str, str], split: str = "test") -> list[Speech]:
    """Return recordings of people of a split with pocketsphinx's times; what it cannot align is left out.

    Raises:
        InputError: no recording of that split, pocketsphinx is not installed, or no recording can be aligned.
    """
    aligner, speeches = load_aligner("pocketsphinx"), []
    for file, voice in tqdm(recordings(folder, split), desc="aligning", unit="recording"):
        samples = resampled(read_recording(file))
        try:
            phonemes = aligner.phonemes(samples, text_to_phonemes(texts[file.name]), name=str(file))
        except (KeyError, InputError):  # no text, or the search loses it
            continue
        sounds = folded(frame_labels(phonemes, frame_count(len(samples))))
        speeches.append(Speech(samples, sounds, -1 if voice is None else voice))
    if not speeches:
        raise InputError(f"{folder}: no recording for {split} could be aligned with its text; see --texts")
    return speeches


@dataclass(frozen=True)
class Frames:
    """Features (N, layers, C), sounds and voices (N,) of the frames that are sounds."""

    features: Tensor
    sounds: Tensor
    voices: Tensor

    @classmethod
    def of(cls, features: Features, speeches: Sequence[Speech]) -> "Frames":
        """Encode some speech and keep the frames that are sounds."""
        rows = []
        for one in tqdm(speeches, desc="encoding", unit="recording"):
            kept = one.sounds >= 0
            rows.append((features(one.samples).half()[kept], one.sounds[kept], torch.full((int(kept.sum()),), one.voice)))
        return cls(*(torch.cat(part) for part in zip(*rows, strict=True)))


def interval(value: Callable[[np.ndarray], float], voices: Int[np.ndarray, " N"], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of a figure of frames when voices are drawn with replacement.

    Args:
        value: of the frames with these indices.
        voices: of each frame.
        seed: of the draws.
    """
    generator, names = np.random.default_rng(seed), np.unique(voices)
    frames = {name: np.flatnonzero(voices == name) for name in names}
    values = [value(np.concatenate([frames[name] for name in generator.choice(names, len(names))])) for _ in range(_DRAWS)]
    return tuple(round(float(edge), 4) for edge in np.quantile(values, (0.025, 0.975)))


def detection(fit: Frames, people: Frames) -> dict[str, Any]:
    """Return how well p, b and m are told from other sounds: AUC (guessing: 0.5), by the layer that is best on flite."""
    last = int(len(fit.sounds) * (1 - _HELD_OUT))

    def scored(layer: int) -> Callable[[Tensor], np.ndarray]:
        probe = fit_probe(fit.features[:last, None, layer:layer + 1], _SHUT[fit.sounds[:last]].long(), 2, Fit(passes=8))
        return lambda features: torch.cat([scores(probe, part[:, None, layer:layer + 1]).diff(dim=1)[:, 0]
                                           for part in features.split(8192)]).numpy()

    layers = [scored(layer) for layer in range(fit.features.shape[1])]
    held = [roc_auc_score(_SHUT[fit.sounds[last:]], score(fit.features[last:])) for score in layers]
    best = int(np.argmax(held))
    shut, scores_of_people = _SHUT[people.sounds].numpy(), layers[best](people.features)
    threshold = np.quantile(scores_of_people[~shut], 0.95)
    return {"layer": best, "auc_flite": round(held[best], 4), "auc": round(roc_auc_score(shut, scores_of_people), 4),
            "interval": interval(lambda rows: roc_auc_score(shut[rows], scores_of_people[rows]), people.voices.numpy()),
            "found_at_5_percent_false": round(float((scores_of_people[shut] > threshold).mean()), 4),
            "by_layer": [round(roc_auc_score(shut, score(people.features)), 4) for score in layers]}


def naming(fit: Frames, people: Frames) -> dict[str, Any]:
    """Return the share of frames whose sound a probe on all layers names right, beside that of the commonest sound."""
    probe = fit_probe(fit.features[:, None], fit.sounds, len(SOUNDS))
    right = torch.cat([scores(probe, part[:, None]).argmax(1) for part in people.features.split(8192)]) == people.sounds
    right = right.numpy()
    return {"share": round(float(right.mean()), 4), "guessing": round(_commonest(people), 4),
            "interval": interval(lambda rows: right[rows].mean(), people.voices.numpy())}


def _commonest(people: Frames) -> float:
    return float(people.sounds.bincount().max() / len(people.sounds))


def measure(features: Features, fit: Sequence[Speech], people: Sequence[Speech]) -> dict[str, Any]:
    """Return what some features know of people."""
    fitted, tried = Frames.of(features, fit), Frames.of(features, people)
    return {"closures": detection(fitted, tried), "sounds": naming(fitted, tried), "frames": len(tried.sounds),
            "voices": len(tried.voices.unique()), "fitted_on": len(fitted.sounds)}


def mfcc_features(samples: Float[Tensor, " S"]) -> Float[Tensor, "T 1 39"]:
    """Return MFCC with differences as one layer."""
    return mfcc(samples[None])[0, :, None]


def teacher_features(samples: Float[Tensor, " S"], teacher: Teacher) -> Float[Tensor, "T 1 256"]:
    """Return the teacher's trunk as one layer."""
    return torch.from_numpy(teacher.features(samples.numpy()))[:, None]


@command
def main(arguments: list[str] | None = None) -> int:
    """Measure and write JSON; return the exit status."""
    parser = Parser(prog="python -m data_prep.encoder.people_measure", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=Path, required=True, metavar="DIR", help="recordings; a split is used")
    parser.add_argument("--texts", type=Path, required=True, metavar="FILE", help="JSON: names of files and what is said")
    parser.add_argument("--encoder", nargs="*", default=[BUNDLED], metavar="NAME", help="folders or names (%(default)s)")
    parser.add_argument("--teacher", action="store_true", help="measure the teacher, too")
    parser.add_argument("--seconds", type=number_of(float, SECONDS), default=480.0,
                        help=f"of flite's {', '.join(VOICES)} (%(default)s)")
    parser.add_argument("--split", default="test", choices=("test", "validation"), help="(%(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to write the figures")
    options = parser.parse_args(arguments)
    sources = {name: encoder_features(load_encoder(name)) for name in options.encoder} | {"MFCC": mfcc_features}
    if options.teacher:
        teacher = Teacher.load()
        sources["teacher"] = lambda samples: teacher_features(samples, teacher)
    people = people_speech(options.people, read_object(options.texts), options.split)
    fit = flite_speech(options.seconds)
    write_json(options.out, {name: measure(features, fit, people) for name, features in sources.items()})
    return 0
