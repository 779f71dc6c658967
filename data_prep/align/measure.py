"""How well an aligner finds phonemes: boundaries against espeak-ng's own, and closures of the lips against another aligner.

Synthetic speech comes with its true times; of real speech nobody knows them, so two aligners that know nothing of each
other are compared there, on the sounds that a mouth shows most: p, b and m.
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

    A boundary is the start of a phoneme, or its end where a pause follows in the truth; pauses that only one of the two
    has shift nothing.

    Args:
        found, true: phonemes with their times; the same ones in the same order but for pauses ("").

    Raises:
        ValueError: they are not the same phonemes.
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
    """Return how near an aligner comes to the true boundaries of speech whose text it is given."""
    errors = []
    for speech in speeches:
        found = aligner.phonemes(torch.from_numpy(speech.samples), speech.transcript, name=speech.speaker.id)
        errors.append(boundary_errors(found, speech.phonemes))
    distances = np.abs(np.concatenate(errors))
    return {"boundaries": len(distances), "within_40_ms": round(float((distances <= WITHIN).mean()), 4),
            "median_ms": round(1000 * float(np.median(distances)), 1)}


def closures(phonemes: Iterable[Phoneme]) -> Float[np.ndarray, " N"]:
    """Return the middles, in seconds, of p, b and m."""
    return np.array([phoneme.middle for phoneme in phonemes if phoneme.is_bilabial], float)


def matched(wanted: Float[np.ndarray, " N"], found: Float[np.ndarray, " M"], within: float = CLOSURE_WITHIN) -> int:
    """Return how many of the wanted moments have a found one near them; none is used twice, both are in order of time."""
    count, next_one = 0, 0
    for moment in wanted:
        while next_one < len(found) and found[next_one] < moment - within:
            next_one += 1
        if next_one < len(found) and found[next_one] <= moment + within:
            count += 1
            next_one += 1
    return count


def measure_true_closures(aligner: Aligner, speeches: Iterable[LabelledSpeech]) -> dict[str, Any]:
    """Return the share of the true closures of speech that an aligner finds within 50 ms, given the text.

    Sentences that it refuses are counted, and none of their closures is found.
    """
    counts = {"sentences": 0, "refused": 0, "closures": 0}
    found = 0
    for speech in speeches:
        wanted = closures(speech.phonemes)
        counts["sentences"] += 1
        counts["closures"] += len(wanted)
        try:
            spans = aligner.phonemes(torch.from_numpy(speech.samples), speech.transcript, name=speech.speaker.id)
        except InputError:
            counts["refused"] += 1
        else:
            found += matched(wanted, closures(spans))
    return {**counts, "within_50_ms": round(found / counts["closures"], 4)}


def measure_closures(aligner: Aligner, reference: Aligner, recordings: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return how many of the closures that one aligner finds in recordings another one finds within 50 ms.

    Args:
        aligner: is given the text, and once more is not.
        reference: is given the text.
        recordings: paths and texts.

    Raises:
        InputError: a recording cannot be read or aligned, or espeak-ng is not installed.
    """
    counts = {"recordings": 0, "closures": 0, "found_with_text": 0, "found_without_text": 0}
    for path, text in recordings:
        samples, transcript = resampled(read_recording(path)), text_to_phonemes(text)
        wanted = closures(reference.phonemes(samples, transcript, name=path))
        counts["recordings"] += 1
        counts["closures"] += len(wanted)
        for key, given in (("found_with_text", transcript), ("found_without_text", None)):
            counts[key] += matched(wanted, closures(aligner.phonemes(samples, given, name=path)))
    return counts
