"""How well an aligner finds phonemes: boundaries against espeak-ng's own, and closures of the lips against another aligner.

Synthetic speech comes with its true times. For real speech nobody knows them, so there two independent aligners are
compared, on the sounds that a mouth shows most: p, b and m.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from data_prep.corpus.labelled_speech import LabelledSpeech, text_to_phonemes
from otlib.errors import InputError
from otlib.phonemes import Aligner, Phoneme
from otlib.speech.recording import read_recording, resampled

WITHIN, CLOSURE_WITHIN = 0.040, 0.050  # seconds


def boundary_errors(found: Sequence[Phoneme], true: Sequence[Phoneme]) -> Float[np.ndarray, " N"]:
    """Return how far, in seconds, each true boundary is from the same boundary of another alignment.

    A boundary is the start of a phoneme, or its end if a pause follows in the truth; pauses that only one of the two has
    do not matter.

    Args:
        found, true: phonemes with their times; the same ones in the same order, apart from pauses ("").

    Raises:
        ValueError: the phonemes differ.
    """
    ours, theirs = ([span for span in spans if span.symbol] for spans in (found, true))
    if [span.symbol for span in ours] != [span.symbol for span in theirs]:
        raise ValueError("found: other phonemes than the true ones")
    errors = [one.start - other.start for one, other in zip(ours, theirs, strict=True)]
    before_pause = {span.end for span, following in zip(true, [*true[1:], None], strict=True)
                    if span.symbol and (following is None or not following.symbol)}
    errors += [one.end - other.end for one, other in zip(ours, theirs, strict=True) if other.end in before_pause]
    return np.array(errors)


def measure_boundaries(aligner: Aligner, speeches: Iterable[LabelledSpeech]) -> dict[str, Any]:
    """Return how near an aligner comes to the true boundaries of speech, given the text."""
    distances = np.abs(np.concatenate([boundary_errors(_aligned(aligner, speech), speech.phonemes) for speech in speeches]))
    return {"boundaries": len(distances), "within_40_ms": round(float((distances <= WITHIN).mean()), 4),
            "median_ms": round(1000 * float(np.median(distances)), 1)}


def _aligned(aligner: Aligner, speech: LabelledSpeech) -> Sequence[Phoneme]:
    return aligner.phonemes(torch.from_numpy(speech.samples), speech.transcript, name=speech.speaker.id)


def closures(phonemes: Iterable[Phoneme]) -> Float[np.ndarray, " N"]:
    """Return the middles, in seconds, of p, b and m."""
    return np.array([phoneme.middle for phoneme in phonemes if phoneme.is_bilabial], float)


def matched(expected: Float[np.ndarray, " N"], found: Float[np.ndarray, " M"], within: float = CLOSURE_WITHIN) -> int:
    """Return how many expected moments have a found one near them; none is used twice; both are in order of time."""
    count, candidate = 0, 0
    for moment in expected:
        while candidate < len(found) and found[candidate] < moment - within:
            candidate += 1
        if candidate < len(found) and found[candidate] <= moment + within:
            count += 1
            candidate += 1
    return count


def measure_true_closures(aligner: Aligner, speeches: Iterable[LabelledSpeech]) -> dict[str, Any]:
    """Return the share of the true closures of speech that an aligner finds within 50 ms, given the text.

    Sentences that it refuses count, as if it had found none of their closures.
    """
    counts = {"sentences": 0, "refused": 0, "closures": 0}
    found = 0
    for speech in speeches:
        true = closures(speech.phonemes)
        counts["sentences"] += 1
        counts["closures"] += len(true)
        try:
            found += matched(true, closures(_aligned(aligner, speech)))
        except InputError:
            counts["refused"] += 1
    return {**counts, "within_50_ms": round(found / counts["closures"], 4)}


def measure_closures(aligner: Aligner, reference: Aligner, recordings: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return how many of the reference's closures in recordings an aligner finds within 50 ms.

    Args:
        aligner: the aligner to measure, once with and once without the text.
        reference: the aligner to compare with, given the text.
        recordings: paths and texts.

    Raises:
        InputError: a recording cannot be read or aligned, or espeak-ng is not installed.
    """
    counts = {"recordings": 0, "closures": 0, "found_with_text": 0, "found_without_text": 0}
    for path, text in recordings:
        samples, transcript = resampled(read_recording(path)), text_to_phonemes(text)
        expected = closures(reference.phonemes(samples, transcript, name=path))
        counts["recordings"] += 1
        counts["closures"] += len(expected)
        for key, words in (("found_with_text", transcript), ("found_without_text", None)):
            counts[key] += matched(expected, closures(aligner.phonemes(samples, words, name=path)))
    return counts
