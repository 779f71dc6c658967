"""Sentences that we wrote: a small grammar over a vocabulary, part of which occurs in test sentences only.

Two thirds of each word class are for training and validation, the rest for test sentences only; function words are shared.
Test sentences mix both, so some of their words are unseen. We chose words for sounds that are visible on the mouth: p, b
and m (lips closed), f and v (lip under teeth), rounded and spread vowels.
"""

from collections.abc import Iterator

import numpy as np

_SUBJECTS = """the baker|my brother|a pilot|the painter|our neighbour|the farmer|a young poet|the old captain|her mother|
the big puppy|a famous singer|the village doctor|my favourite uncle|the green parrot|a patient teacher|the fox|
your father|the football team|a warm breeze|the mayor|some people|the robot|a bumble bee|the queen|the blue whale|
a wooden boat|the evening train|our small family|the river|a happy child|the museum guide|my best friend|
the beaver|a plumber|the violin player|every voter|a moonlit balloon|the umbrella maker|her nephew|the panther|
a shy physician|the movie director|four buffaloes|the weaver|a bishop|our goalkeeper|the wolf|some vampires"""
_VERBS = """bought|found|painted|moved|forgot|loved|watched|carried|opened|saved|mixed|packed|borrowed|followed|
promised|imagined|heard|built|gave away|showed|moved over|played with|dropped|wrapped|measured|picked up|
polished|believed|swam past|boiled|voted for|whispered about|improved|pushed|photographed|repaired|approved of"""
_OBJECTS = """a purple map|the apple pie|five brown boxes|the morning paper|a piece of music|two cups of coffee|
the broken window|a bowl of soup|many yellow flowers|the heavy piano|a beautiful poem|my blue bicycle|
the summer house|a bag of plums|some fresh bread|the movie about pigs|a photograph of the moon|eleven spoons|
the paper boat|every answer|a very small lamp|the whole room|a pair of gloves|our favourite game|the pepper|
a marble bathtub|the velvet robe|some wise opinions|a mushroom omelette|the beaver dam|four warm muffins|
the golden trophy|an empty envelope|the bumpy pavement|a bamboo flute|some vivid memories|a hoof print"""
_PLACES = """before breakfast|in the park|near the old bridge|at home|by the sea|after the meeting|on the roof|
from the shop|in February|without a problem|for the first time|above the clouds|at half past five|under the table|
on a rainy Monday|behind the moving van|during the storm|with both hands|every evening|in the big room|
beside the waterfall|at the pub|among wolves|over the phone|in the middle of November|between two pillows|
from bottom to top|with remarkable effort|beneath a full moon|on the ferry boat"""
_OPENERS = """now|maybe|of course|yesterday|every Friday|this morning|by the way|well|after all|sometimes"""
_QUESTIONS = """why do you move so fast|where is my umbrella|may we have some more|who put the milk back|
how much for both of them|what about a bigger room|would you open the window|did you see the moon above the farm|
can a baby bear climb up a palm tree|whose voice was that"""
_TEST_QUESTIONS = """would you prefer beef or vegetable pie|why should poor people pay more|
how far above the valley do vultures fly|may the bride wear a purple veil|whose pyjamas shrank before the wedding|
could a mammoth swim to the other beach"""

# a sentence absent from training, with many closures, for the demo and the first screen
DEMO_SENTENCE = "Maybe my baby brother will move the piano above the bamboo table before we open the purple umbrella."


def _split(words: str) -> tuple[list[str], list[str]]:
    items = [item.strip() for item in words.replace("\n", "").split("|")]
    cut = len(items) * 2 // 3
    return items[:cut], items[cut:]


_VOCABULARY = {name: _split(words) for name, words in
               (("subject", _SUBJECTS), ("verb", _VERBS), ("object", _OBJECTS), ("place", _PLACES))}
_TRAIN_QUESTIONS, _TEST_ONLY = sum(_split(_QUESTIONS), []), sum(_split(_TEST_QUESTIONS), [])
_ALL_OPENERS = sum(_split(_OPENERS), [])


def sentences(generator: np.random.Generator, *, test: bool = False) -> Iterator[str]:
    """Yield an endless stream of different sentences.

    Args:
        generator: source of randomness.
        test: draw from the test vocabulary: at least two of the four parts of each sentence are words that no training or
            validation sentence contains.
    """
    earlier: set[str] = set()
    while True:
        text = _sentence(generator, test)
        if text not in earlier:
            earlier.add(text)
            yield text


def training_phrases() -> tuple[str, ...]:
    """Return every phrase from which training and validation sentences are assembled."""
    return (*(phrase for phrases, _ in _VOCABULARY.values() for phrase in phrases), *_TRAIN_QUESTIONS, *_ALL_OPENERS)


def kept_phrases() -> tuple[str, ...]:
    """Return every phrase that occurs in test sentences only."""
    return (*(phrase for _, test_phrases in _VOCABULARY.values() for phrase in test_phrases), *_TEST_ONLY, DEMO_SENTENCE)


def _sentence(generator: np.random.Generator, test: bool) -> str:
    questions = _TEST_ONLY if test else _TRAIN_QUESTIONS
    if generator.random() < 0.08:
        return _choose(generator, questions).capitalize() + "?"
    unseen = dict.fromkeys(_VOCABULARY, False)
    if test:
        for name in generator.permutation(list(_VOCABULARY))[: generator.integers(2, 5)]:
            unseen[str(name)] = True
    parts = [_choose(generator, _VOCABULARY[name][unseen[name]]) for name in _VOCABULARY]
    if generator.random() < 0.25:
        parts.insert(0, _choose(generator, _ALL_OPENERS) + ",")
    text = " ".join(parts)
    return text[0].upper() + text[1:] + "."


def _choose(generator: np.random.Generator, items: list[str]) -> str:
    return items[int(generator.integers(len(items)))]


def corpus_sentences(seed: int, train: int, validation: int, test: int) -> dict[str, list[str]]:
    """Return different sentences for each split; no validation or test sentence occurs in another split.

    Args:
        seed: the same seed gives the same sentences.
        train, validation, test: number of sentences in each split.

    Returns:
        {"train": [...], "val": [...], "test": [...]}; the first test sentence is :data:`DEMO_SENTENCE`.
    """
    training = sentences(np.random.default_rng([seed, 0]))
    testing = sentences(np.random.default_rng([seed, 1]), test=True)
    return {"train": [next(training) for _ in range(train)], "val": [next(training) for _ in range(validation)],
            "test": ([DEMO_SENTENCE] + [next(testing) for _ in range(test - 1)])[:test]}
