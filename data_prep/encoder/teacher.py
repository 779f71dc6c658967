"""A model that has heard people, as a teacher while an encoder is made: what it hears, and how it names the sounds.

The teacher is the trunk of hama 1.3.13 (PyPI, Apache-2.0), a recogniser of phonemes. Only who makes an encoder needs it
(`pip install hama==1.3.13 onnx onnxruntime`); nothing of it is kept in the encoder but what the encoder has learnt.
"""

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from tqdm import tqdm

from data_prep.corpus.augmentation import augment
from data_prep.encoder.frame_labels import LABELS, UNKNOWN, frame_labels
from data_prep.encoder.linear_probe import Fit, fit_probe, scores, with_context
from data_prep.encoder.made_up_speech import Utterance
from data_prep.encoder.objective import frame_count
from otlib.errors import InputError
from otlib.phonemes.frame_classifier import FrameClassifier
from otlib.speech.small_hubert import SAMPLE_RATE

CHANNELS = 256
LATE = 2  # frames that the trunk lags behind the sound, by a probe for flite's phones at 0 to 5
NAMES_LATE = 5  # frames that its names lag: 80 ms, and half a frame between its middles and ours
_NAMES, _SOUNDS = "log_probs", 189  # (B, T, 191): sounds, then a word's end and the blank of CTC
_NEAR = 10  # frames, 0.2 s: no sound of fluent speech is further from the next spike
_TRUNK = "/acoustic_model/Transpose_1_output_0"  # (B, T, 256) float16, 50 frames a second
_REACH, _CERTAIN = 2, 0.5  # frames of context to each side; a sound of less probability is left unnamed
_MOST = 80_000  # frames that the naming is fitted on


@dataclass(frozen=True)
class Teacher:
    """A session of onnxruntime."""

    session: Any

    @classmethod
    def load(cls, threads: int = 1) -> "Teacher":
        """Load the trunk of the recogniser.

        Raises:
            InputError: its package, onnx or onnxruntime is not installed.
        """
        try:
            import onnx
            import onnxruntime
        except ImportError as error:
            raise InputError("the teacher: needs onnx and onnxruntime; `pip install hama==1.3.13 onnx onnxruntime`, or make "
                             "the encoder without --teacher") from error
        package = importlib.util.find_spec("hama")
        if package is None or package.origin is None:
            raise InputError("the teacher: hama is not installed; `pip install hama==1.3.13`, or make the encoder "
                             "without --teacher")
        graph = onnx.load(Path(package.origin).parent / "assets" / "asr_waveform_fp16.onnx")
        graph.graph.output.append(onnx.helper.make_tensor_value_info(_TRUNK, onnx.TensorProto.FLOAT16, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        return cls(onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"]))

    def features(self, samples: Float[np.ndarray, " S"]) -> Float[np.ndarray, "T 256"]:
        """Return the trunk's features, float16, one for each frame of the encoder, its lag taken out."""
        return self._run(_TRUNK, samples, LATE)

    def speech(self, samples: Float[np.ndarray, " S"]) -> Bool[np.ndarray, " T"]:
        """Return whether the recogniser names a sound within a fifth of a second of each frame: elsewhere is a pause."""
        spikes = self._run(_NAMES, samples, NAMES_LATE).argmax(1) < _SOUNDS
        return np.convolve(spikes, np.ones(2 * _NEAR + 1), "full")[_NEAR:len(spikes) + _NEAR] > 0

    def _run(self, output: str, samples: np.ndarray, late: int) -> np.ndarray:
        heard, = self.session.run([output], {"waveform": samples[None], "waveform_lengths": np.array([len(samples)])})
        return heard[0][(np.arange(frame_count(len(samples))) + late).clip(0, heard.shape[1] - 1)]


def lessons(teacher: Teacher, pool: Iterable[Utterance]) -> list[Float[np.ndarray, "T 256"]]:
    """Return the teacher's features of some utterances."""
    return [teacher.features(one.samples.astype(np.float32) / 32768) for one in tqdm(pool, desc="teacher", unit="clip")]


def naming(teacher: Teacher, pool: Iterable[Utterance], seed: int = 0) -> FrameClassifier:
    """Fit a linear layer that names the sounds of frames by the teacher's features, on speech whose phones are known.

    Each utterance is heard twice, as it is and as if recorded (:mod:`data_prep.corpus.augmentation`): pauses of synthetic
    speech are silent, and who knows no others takes the noise around people's words for s and p.
    """
    rows, labels, generator = [], [], torch.Generator().manual_seed(seed)
    for utterance in tqdm(pool, desc="naming", unit="clip"):
        clean = torch.from_numpy(utterance.samples.astype(np.float32) / 32768)
        for sound in (clean, augment(clean[None], SAMPLE_RATE, generator)[0].clamp(-1, 1)):
            heard = teacher.features(sound.numpy())
            numbers = frame_labels(utterance.phonemes, len(heard))
            rows.append(_amid(heard)[numbers != UNKNOWN])
            labels.append(torch.from_numpy(numbers[numbers != UNKNOWN]))
        if sum(map(len, labels)) >= _MOST:
            break
    return fit_probe(torch.cat(rows), torch.cat(labels), len(LABELS), Fit(passes=6))


def named(classifier: FrameClassifier, heard: Float[np.ndarray, "T 256"],
          speech: Bool[np.ndarray, " T"]) -> Int[np.ndarray, " T"]:
    """Return the sound of each frame as the teacher names it, UNKNOWN where it is not certain.

    Args:
        classifier: from :func:`naming`.
        heard: features.
        speech: which frames are no pause.
    """
    certainty, label = scores(classifier, _amid(heard)).softmax(1).max(1)
    return np.where(speech, torch.where(certainty > _CERTAIN, label, UNKNOWN).numpy(), LABELS.index(""))


def _amid(heard: np.ndarray) -> torch.Tensor:
    return with_context(torch.from_numpy(heard)[:, None], _REACH)
