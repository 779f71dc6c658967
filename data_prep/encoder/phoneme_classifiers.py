"""Train what names sounds on top of an encoder: a frame classifier and a CTC head.

    python -m data_prep.encoder.phoneme_classifiers

Both are one linear layer over weighed layers of the frozen encoder, trained on the speech of the corpus's training
speakers and on the speech that encoders are pre-trained on (made-up words, more vocal tracts), half of it as if recorded
in rooms with noise. The classifier learns the sound of each frame, pauses included; the CTC head hears only which sounds
come in which order (Graves et al. 2006). Seconds of training; speaking and encoding take the rest of a few minutes.
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from data_prep.corpus.augmentation import augment
from data_prep.corpus.labelled_speech import corpus_speech
from data_prep.encoder.frame_labels import LABELS, frame_labels
from data_prep.encoder.made_up_speech import speech_pool
from otlib.commands import Parser, command
from otlib.errors import InputError
from otlib.own_files import check_replaceable, check_writable
from otlib.phonemes.frame_classifier import FILE, FrameClassifier, PhonemeHeads, weights_digest
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.settings import HOURS, SEEDS, SENTENCES, number_of
from otlib.speech.encoder import BUNDLED, Encoder, encode, encoder_folder, load_encoder
from otlib.speech.small_hubert import SAMPLE_RATE

_CLASSIFIER_PASSES, _CTC_PASSES, _BATCH = 8, 12, 8  # passes over the speech; utterances a step
_RATE = 4e-3
_SMOOTHING = 0.5  # added to every count, so that what was never heard stays possible


@dataclass(frozen=True)
class Recipe:
    """What the heads hear.

    Attributes:
        speakers, sentences: training speakers of the corpus, and sentences of each.
        hours: of pre-training speech besides.
        augmented: share of utterances that sound like recordings.
        reach: frames to each side of a frame that the heads see.
        seed: of speech, augmentation and order.
    """

    speakers: int = 40
    sentences: int = 12
    hours: float = 0.5
    augmented: float = 0.6
    reach: int = 1
    seed: int = 1


@dataclass(frozen=True)
class _Heard:
    """Features (T, layers, C) in half precision, the sound (T,) of each frame, and the sounds in their order."""

    features: Tensor
    labels: Tensor
    order: Tensor


def train_heads(encoder: Encoder, recipe: Recipe) -> PhonemeHeads:
    """Return both heads, trained.

    Raises:
        InputError: espeak-ng is not installed.
    """
    heard = _hear(encoder, recipe)
    frames = torch.cat([one.features for one in heard])
    mean, deviation = frames.float().mean(0), frames.float().std(0)

    def new() -> FrameClassifier:
        head = FrameClassifier(encoder.layers, encoder.channels, len(LABELS), recipe.reach)
        head.standardise(mean, deviation)
        return head

    classifier = _train(new(), heard, _frame_loss, _CLASSIFIER_PASSES, recipe.seed)
    ctc = _train(new(), heard, _ctc_loss, _CTC_PASSES, recipe.seed)
    prior, transitions = _counts([one.labels for one in heard])
    return PhonemeHeads(LABELS, classifier, ctc, prior, transitions, weights_digest(encoder))


def _hear(encoder: Encoder, recipe: Recipe) -> list[_Heard]:
    spoken: list[tuple[np.ndarray, Sequence[Phoneme]]] = [
        (speech.samples, speech.phonemes) for speech in corpus_speech("train", recipe.speakers, recipe.sentences)]
    if recipe.hours:
        spoken += [(speech.samples.astype(np.float32) / 32768, speech.phonemes)
                   for speech in speech_pool(recipe.seed, recipe.hours)]
    generator = torch.Generator().manual_seed(recipe.seed)
    heard = []
    for samples, phonemes in tqdm(spoken, desc="encoding", unit="utterance"):
        sound = torch.from_numpy(samples)
        if torch.rand((), generator=generator) < recipe.augmented:
            sound = augment(sound[None], SAMPLE_RATE, generator)[0]
        features = encode(encoder, sound).half()
        labels = frame_labels(phonemes, len(features))
        sounds = labels[labels > 0]
        order = sounds[np.flatnonzero(np.diff(sounds, prepend=-1))]
        if len(order) and (labels >= 0).mean() > 0.95:  # the rest is of languages with other sounds
            heard.append(_Heard(features, torch.from_numpy(labels), torch.from_numpy(order)))
    return heard


def _frame_loss(scores: Tensor, lengths: Tensor, batch: list[_Heard]) -> Tensor:
    labels = nn.utils.rnn.pad_sequence([one.labels for one in batch], batch_first=True, padding_value=-100)
    return nn.functional.cross_entropy(scores.flatten(0, 1), labels.flatten())


def _ctc_loss(scores: Tensor, lengths: Tensor, batch: list[_Heard]) -> Tensor:
    targets = torch.cat([one.order for one in batch])
    sizes = torch.tensor([len(one.order) for one in batch])
    return nn.functional.ctc_loss(scores.log_softmax(-1).transpose(0, 1), targets, lengths, sizes, zero_infinity=True)


def _train(head: FrameClassifier, heard: list[_Heard], loss, passes: int, seed: int) -> FrameClassifier:
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(head.parameters(), lr=_RATE, weight_decay=1e-3)
    steps = passes * -(-len(heard) // _BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / steps)
    for _ in tqdm(range(passes), desc=loss.__name__.strip("_").replace("_", " "), unit="pass"):
        for chosen in torch.randperm(len(heard), generator=generator).split(_BATCH):
            batch = [heard[index] for index in chosen.tolist()]
            lengths = torch.tensor([len(one.features) for one in batch])
            scores = head(nn.utils.rnn.pad_sequence([one.features for one in batch], batch_first=True))
            optimiser.zero_grad()
            loss(scores, lengths, batch).backward()
            optimiser.step()
            schedule.step()
    return head.eval().requires_grad_(False)


def _counts(labels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the logarithms of each label's frequency and of the frequency of each pair from frame to frame."""
    single = torch.full((len(LABELS),), _SMOOTHING)
    pairs = torch.full((len(LABELS), len(LABELS)), _SMOOTHING)
    for row in labels:
        single += torch.bincount(row[row >= 0], minlength=len(LABELS))
        known = (row[1:] >= 0) & (row[:-1] >= 0)
        flat = row[:-1][known] * len(LABELS) + row[1:][known]
        pairs += torch.bincount(flat, minlength=len(LABELS) ** 2).reshape(pairs.shape)
    return (single / single.sum()).log(), (pairs / pairs.sum(1, keepdim=True)).log()


@command
def main(arguments: list[str] | None = None) -> int:
    """Train the heads of an encoder and write them beside it."""
    default = Recipe()
    parser = Parser(prog="python -m data_prep.encoder.phoneme_classifiers", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default=BUNDLED, metavar="NAME", help="folder of a HuBERT, or a name (%(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"where to write; by default {FILE} beside the encoder")
    parser.add_argument("--hours", type=number_of(float, HOURS), default=default.hours,
                        help="of pre-training speech (%(default)s)")
    parser.add_argument("--sentences", type=number_of(int, SENTENCES), default=default.sentences,
                        help="of each speaker (%(default)s)")
    parser.add_argument("--seed", type=number_of(int, SEEDS), default=default.seed, help="(%(default)s)")
    options = parser.parse_args(arguments)
    encoder = load_encoder(options.encoder)
    folder = encoder_folder(encoder.name)
    if options.out is None and not folder.is_dir():
        raise InputError(f"{encoder.name}: is not a folder that heads could lie in; say where with --out")
    out = options.out or folder / FILE
    check_replaceable(out, b"safetensors")
    check_writable(out)
    heads = train_heads(encoder, Recipe(sentences=options.sentences, hours=options.hours, seed=options.seed))
    heads.save(out)
    return 0
