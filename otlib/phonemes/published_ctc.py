"""The back end "transformers": a CTC model of the transformers format, from a folder, the local cache or the hub.

Its vocabulary must be phonemes in IPA, as that of facebook/wav2vec2-lv-60-espeak-cv-ft (Xu et al. 2021; espeak-ng's own
symbols); a model that names letters cannot say when a phoneme is.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import AutoConfig, AutoModelForCTC, PreTrainedModel
from transformers.utils import cached_file

from otlib.errors import InputError
from otlib.phonemes.ctc import FrameClock, ctc_phonemes
from otlib.phonemes.timed_phoneme import Phoneme
from otlib.phonemes.words import PAUSE, Transcript
from otlib.speech.encoder import local_first, silently
from otlib.speech.small_hubert import SAMPLE_RATE

PUBLISHED = "facebook/wav2vec2-lv-60-espeak-cv-ft"
_CORE, _MARGIN = 20.0, 1.0  # seconds: a long recording is cut, each window overlaps its neighbours by the margin
_RECEPTIVE_FIELD = 400  # samples, of the extractors of wav2vec 2.0 and its kin
_ONLY_IPA = frozenset("ɪəɛɹʃŋæʌɔ")  # a vocabulary without any of these is one of letters


@dataclass(frozen=True)
class PublishedAligner:
    """A CTC model with its vocabulary and the way it wants its input.

    Attributes:
        model: frozen.
        labels: IPA by index; "" for the blank and other marks that are no sound.
        blank: index of the blank.
        standardised: whether the model hears recordings of zero mean and unit variance.
    """

    model: PreTrainedModel
    labels: tuple[str, ...]
    blank: int
    standardised: bool

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
        core, margin = (round(seconds * SAMPLE_RATE / hop) for seconds in (_CORE, _MARGIN))
        parts = []
        for first in range(0, total, core):
            last = min(first + core, total)
            start, end = max(0, first - margin), min(total, last + margin)
            logits = self.model(samples[None, start * hop: (end - 1) * hop + _RECEPTIVE_FIELD]).logits[0]
            parts.append(logits[first - start: last - start].log_softmax(-1))
        return torch.cat(parts)


def load_published(name: str) -> PublishedAligner:
    """Load a CTC model that names phonemes.

    Args:
        name: a folder in transformers' format, or a name on the hub, which is asked only for what the local cache lacks.

    Raises:
        InputError: no such model, weights that are damaged or not whole, or a vocabulary that is not one of phonemes.
    """
    def refusal(reason: str) -> InputError:
        return InputError(f"{name}: {reason}; give the folder of a CTC model of phonemes in transformers' format, or use "
                          "the aligner 'frames', which comes with the project")

    with silently():
        try:
            config = local_first(AutoConfig.from_pretrained, name)
            vocabulary = _read(name, "vocab.json")
        except Exception as error:  # whatever transformers, json and the hub raise over a file that is not as it should be
            raise refusal("no CTC model by that name, neither as a folder, nor in the local cache, nor on the hub"
                          ) from error
        labels = _labels(vocabulary, config.vocab_size)
        if not _ONLY_IPA & set("".join(labels)):
            raise refusal("its vocabulary is not one of phonemes in IPA")
        try:
            model, report = local_first(AutoModelForCTC.from_pretrained, name, dtype=torch.float32,
                                        output_loading_info=True)
        except Exception as error:  # likewise, of safetensors and pickle
            raise refusal("its weights are missing, damaged or do not fit its config.json") from error
        if missing := set(report["missing_keys"]) - {f"{model.base_model_prefix}.masked_spec_embed"}:
            raise refusal(f"its weights are not a whole CTC model's (missing: {', '.join(sorted(missing)[:3])})")
        try:
            standardised = bool(_read(name, "preprocessor_config.json").get("do_normalize", True))
        except Exception:  # not every model brings one; zero mean and unit variance is what wav2vec 2.0 was trained on
            standardised = True
    return PublishedAligner(model.eval().requires_grad_(False), labels, config.pad_token_id, standardised)


def _read(name: str, file: str) -> dict[str, Any]:
    path = local_first(cached_file, name, filename=file)
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{file} is not a table")
    return content


def _labels(vocabulary: dict[str, Any], size: int) -> tuple[str, ...]:
    """Return the symbol of each index; marks such as "<pad>" and the mark between words are no sounds."""
    labels = [PAUSE] * size
    for symbol, index in vocabulary.items():
        if isinstance(index, int) and 0 <= index < size and symbol != "|" and not symbol.startswith(("<", "[")):
            labels[index] = symbol
    return tuple(labels)
