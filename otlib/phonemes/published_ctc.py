"""The back end "transformers": a CTC model of the transformers format, from a folder, the local cache or the hub.

Its vocabulary must be phonemes in IPA, like that of facebook/wav2vec2-lv-60-espeak-cv-ft (Xu et al. 2021; espeak-ng's own
symbols): a model of letters cannot time phonemes.
"""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import AutoConfig, AutoModelForCTC, PreTrainedModel

from otlib.errors import InputError
from otlib.files import read_object
from otlib.phonemes.ctc import FrameClock, ctc_phonemes
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.phonemes.words import PAUSE, Transcript
from otlib.speech.encoder import pretrained, silently
from otlib.speech.hub import local_model
from otlib.speech.overlapping_windows import Windows
from otlib.speech.small_hubert import SAMPLE_RATE

PUBLISHED = "facebook/wav2vec2-lv-60-espeak-cv-ft"
_CORE, _MARGIN = 20.0, 1.0  # seconds: how a long recording is cut into windows
_RECEPTIVE_FIELD = 400  # samples that the extractor of wav2vec 2.0 and its kin sees for one frame
_ONLY_IPA = frozenset("ɪəɛɹʃŋæʌɔ")  # a vocabulary without any of these is one of letters


@dataclass(frozen=True)
class PublishedAligner:
    """A CTC model with its vocabulary and the scaling of its input.

    Attributes:
        model: frozen.
        labels: IPA by index; "" for the blank and other marks that are not sounds.
        blank: index of the blank.
        standardised: whether recordings are scaled to zero mean and unit variance.
    """

    model: PreTrainedModel
    labels: tuple[str, ...]
    blank: int
    standardised: bool

    @cached_property
    def fingerprint(self) -> str:
        """See :class:`otlib.phonemes.aligner.Aligner`."""
        digest = hashlib.sha256(f"{self.labels} {self.blank} {self.standardised}".encode())
        for tensor in self.model.state_dict().values():
            digest.update(tensor.contiguous().numpy().tobytes())
        return f"transformers {digest.hexdigest()}"

    def phonemes(self, samples: Float[Tensor, " S"], transcript: Transcript | None = None, *,
                 name: str = "the recording") -> tuple[Phoneme, ...]:
        """See :class:`otlib.phonemes.aligner.Aligner`."""
        hop = self.model.config.inputs_to_logits_ratio
        clock = FrameClock(hop / SAMPLE_RATE, (_RECEPTIVE_FIELD - hop) / 2 / SAMPLE_RATE, len(samples) / SAMPLE_RATE)
        logarithms = self._log_probabilities(samples, hop)
        return ctc_phonemes(logarithms, self.labels, self.blank, transcript, clock, name)

    @torch.no_grad()
    def _log_probabilities(self, samples: Float[Tensor, " S"], hop: int) -> Float[Tensor, "T L"]:
        if self.standardised:
            samples = (samples - samples.mean()) / (samples.var(correction=0) + 1e-7).sqrt()
        samples = torch.nn.functional.pad(samples, (0, max(0, _RECEPTIVE_FIELD - len(samples))))
        total = (len(samples) - _RECEPTIVE_FIELD) // hop + 1
        windows = Windows(*(round(seconds * SAMPLE_RATE / hop) for seconds in (_CORE, _MARGIN)))
        stretches = windows.over(total, lambda first, last: self.model(
            samples[None, first * hop: (last - 1) * hop + _RECEPTIVE_FIELD]).logits[0])
        return torch.cat([logits.log_softmax(-1) for logits in stretches])


def load_published(name: str) -> PublishedAligner:
    """Load a CTC model that names phonemes.

    Args:
        name: a folder in transformers' format, or a name on the hub with its revision, see
            :func:`otlib.speech.hub.local_model`; the model's own code is never run.

    Raises:
        InputError: no such model, weights that are damaged or incomplete, or a vocabulary that is not one of phonemes.
    """
    def refusal(reason: str) -> InputError:
        return InputError(f"{name or 'no name'}: {reason}; give the folder of a CTC model of phonemes in transformers' "
                          "format, or use the aligner 'frames', which comes with the project")

    folder = local_model(name, "no CTC model by that name, neither as a folder, nor in the local cache, nor on the hub",
                         refusal)
    try:
        vocabulary = read_object(folder / "vocab.json")
        preprocessor = folder / "preprocessor_config.json"
        # not every model has this file; wav2vec 2.0 was trained on zero mean and unit variance
        standardised = read_object(preprocessor).get("do_normalize", True) if os.path.lexists(preprocessor) else True
    except InputError as error:
        raise refusal(str(error).removeprefix(f"{folder}{os.sep}")) from error
    with silently():
        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # whatever transformers raises over a bad file
            raise refusal("its config.json is damaged, or of a kind of model that transformers does not know") from error
        labels = _labels(vocabulary, getattr(config, "vocab_size", 0))
        if not _ONLY_IPA & set("".join(labels)):
            raise refusal("its vocabulary is not one of phonemes in IPA")
        if type(config.pad_token_id) is not int or not 0 <= config.pad_token_id < len(labels):
            raise refusal("its config.json names no blank (pad_token_id)")
        model = pretrained(AutoModelForCTC, "CTC model", folder, refusal, config=config, trust_remote_code=False)
    return PublishedAligner(model, labels, config.pad_token_id, bool(standardised))


def _labels(vocabulary: dict[str, Any], size: int) -> tuple[str, ...]:
    """Return the symbol of each index; marks such as "<pad>" and the mark between words are not sounds."""
    labels = [PAUSE] * size
    for symbol, index in vocabulary.items():
        if isinstance(index, int) and 0 <= index < size and symbol != "|" and not symbol.startswith(("<", "[")):
            labels[index] = symbol
    return tuple(labels)
