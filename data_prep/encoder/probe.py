"""What an encoder's features know of phonemes, beside MFCC and beside the same network with random weights.

A linear probe (:mod:`data_prep.encoder.linear_probe`) is fitted on what training speakers of the corpus say, its settings
are chosen on validation speakers, and what is reported is its accuracy on speakers with voices that nothing here was trained
on, in words that the probe, the encoder and the models of this project never heard. Pauses are left out: there is nothing
to know about them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm
from transformers import HubertModel

from data_prep.corpus.labelled_speech import LabelledSpeech, corpus_speech, unseen_word_frames, vocabulary
from data_prep.corpus.sentences import training_phrases
from data_prep.encoder.frame_labels import LABELS, UNKNOWN, frame_labels
from data_prep.encoder.linear_probe import accuracy, fit_probe, with_context
from data_prep.encoder.objective import mfcc
from otlib.speech.encoder import Encoder, encode
from otlib.speech.small_hubert import HOP, SAMPLE_RATE, WINDOW

REACHES = (0, 2, 4, 6, 8)  # frames of context to each side that MFCC are tried with: up to 0.17 s
Features = Callable[[Tensor], Float[Tensor, "T layers C"]]


@dataclass(frozen=True)
class Amount:
    """How much speech: speakers and sentences of each, to fit on, to choose on and to judge by."""

    train: tuple[int, int] = (40, 10)
    val: tuple[int, int] = (6, 10)
    test: tuple[int, int] = (16, 10)


@dataclass(frozen=True)
class Speeches:
    """Speech of the three splits, and every word that anything is trained on."""

    train: list[LabelledSpeech]
    val: list[LabelledSpeech]
    test: list[LabelledSpeech]
    seen: frozenset[str]


@dataclass(frozen=True)
class Frames:
    """Features (N, T, layers, C) of frames, each amid T frames of context, and their labels (N,)."""

    features: Tensor
    labels: Int[Tensor, " N"]


def speeches_of(amount: Amount) -> Speeches:
    """Return what the corpus's speakers of each split say.

    Raises:
        InputError: espeak-ng is not installed.
    """
    splits = {name: corpus_speech(name, *getattr(amount, name)) for name in ("train", "val", "test")}
    return Speeches(**splits, seen=vocabulary(training_phrases()))


def frames_of(features: Features, speeches: list[LabelledSpeech], reach: int = 0,
              seen: frozenset[str] | None = None) -> Frames:
    """Return the frames of some speech that are sounds; with ``seen``, only those in other words than these."""
    rows, labels = [], []
    for speech in tqdm(speeches, desc="encoding", unit="sentence"):
        heard = features(torch.from_numpy(speech.samples))
        numbers = torch.from_numpy(frame_labels(speech.phonemes, len(heard)))
        chosen = (numbers != UNKNOWN) & (numbers != LABELS.index(""))
        if seen is not None:
            times = ((torch.arange(len(heard)) * HOP + WINDOW / 2) / SAMPLE_RATE).numpy()
            chosen &= torch.from_numpy(unseen_word_frames(speech, seen, times))
        rows.append(with_context(heard.half(), reach)[chosen])
        labels.append(numbers[chosen])
    return Frames(torch.cat(rows), torch.cat(labels))


def encoder_features(encoder: Encoder) -> Features:
    """Return what makes an encoder's features from samples at 16 kHz."""
    return lambda samples: encode(encoder, samples)


def random_twin(encoder: Encoder, seed: int = 0) -> Encoder:
    """Return the same network with the weights that its pre-training would begin with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = HubertModel(encoder.model.config).eval().requires_grad_(False)
    return Encoder("random weights", model, "", encoder.local)


def layer_accuracies(features: Features, speeches: Speeches) -> dict[str, Any]:
    """Return a probe's accuracy on each layer alone and on all layers weighed, on unseen speakers and words.

    Returns:
        "layers": (layers,) shares; "weighed": the share with layers weighed by the probe.
    """
    train = frames_of(features, speeches.train)
    test = frames_of(features, speeches.test, seen=speeches.seen)

    def share(chosen: slice) -> float:
        probe = fit_probe(train.features[:, :, chosen], train.labels, len(LABELS))
        return round(accuracy(probe, test.features[:, :, chosen], test.labels), 4)

    layers = [share(slice(layer, layer + 1)) for layer in range(train.features.shape[2])]
    return {"layers": layers, "weighed": share(slice(None)), "train_frames": len(train.labels),
            "test_frames": len(test.labels)}


def mfcc_accuracy(speeches: Speeches) -> dict[str, Any]:
    """Return a probe's accuracy on MFCC with the context that serves best on validation speakers."""
    def features(samples: Tensor) -> Tensor:
        return mfcc(samples[None])[0, :, None]

    by_reach = {}
    for reach in REACHES:
        train = frames_of(features, speeches.train, reach)
        probe = fit_probe(train.features, train.labels, len(LABELS))
        val = frames_of(features, speeches.val, reach)
        by_reach[reach] = (accuracy(probe, val.features, val.labels), probe)
    reach, (_, probe) = max(by_reach.items(), key=lambda item: item[1][0])
    test = frames_of(features, speeches.test, reach, speeches.seen)
    return {"accuracy": round(accuracy(probe, test.features, test.labels), 4), "context_frames": reach}


def measure_probe(encoder: Encoder, speeches: Speeches) -> dict[str, Any]:
    """Return what a linear probe reads off the encoder, off its random twin and off MFCC; shares of frames named right."""
    trained = layer_accuracies(encoder_features(encoder), speeches)
    twin = layer_accuracies(encoder_features(random_twin(encoder)), speeches)
    words = {word for speech in speeches.test for word in vocabulary([speech.text])} - speeches.seen
    return {"encoder": trained["weighed"], "encoder_layers": trained["layers"], "random": twin["weighed"],
            "random_layers": twin["layers"], "mfcc": mfcc_accuracy(speeches), "sounds": len(LABELS) - 1,
            "train_frames": trained["train_frames"], "test_frames": trained["test_frames"], "unseen_words": len(words),
            "unseen_speakers": len({speech.speaker.id for speech in speeches.test})}
