"""flite's speech to pre-train an encoder on: the same texts as espeak-ng's, with its own times."""

import numpy as np

from data_prep.corpus.flite import VOICES, synthesise
from data_prep.corpus.sentences import sentences
from data_prep.encoder.made_up_speech import Utterance, spelt_words

# vocal tracts shorter or longer than the voice's own, as for espeak-ng
_TRACT_LENGTHS = (0.88, 0.94, 1.0, 1.0, 1.06, 1.14)


def draw_utterance(seed: int, index: int) -> Utterance:
    """Return the ``index``-th utterance of the pool that ``seed`` names: text, voice, tempo and vocal tract."""
    generator = np.random.default_rng([seed, index])
    text = next(sentences(generator)) if generator.random() < 0.4 else spelt_words(generator)
    said = synthesise(text, str(generator.choice(VOICES)), float(generator.uniform(0.8, 1.3)),
                      float(generator.choice(_TRACT_LENGTHS)))
    return Utterance(said.samples, said.phonemes)
