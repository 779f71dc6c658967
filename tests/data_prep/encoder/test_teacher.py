"""The teacher: its lag is taken out, its frames are the encoder's, and who lacks it is told what to install."""

import builtins

import numpy as np
import pytest
import torch

from data_prep.encoder.frame_labels import LABELS, UNKNOWN
from data_prep.encoder.made_up_speech import Utterance
from data_prep.encoder.objective import frame_count
from data_prep.encoder.teacher import CHANNELS, LATE, NAMES_LATE, Teacher, lessons, named, naming
from otlib.errors import InputError
from otlib.phonemes import Phoneme
from otlib.speech.small_hubert import HOP, SAMPLE_RATE


class Session:
    """Hears the number of each frame, in frames of 20 ms around their middles, one more than whole ones.

    It names a sound at the frames in ``spikes``, a word's end or nothing elsewhere.
    """

    def __init__(self, spikes=()):
        self.spikes = spikes

    def run(self, names, inputs):
        length = inputs["waveform"].shape[1]
        assert inputs["waveform"].dtype == np.float32 and inputs["waveform_lengths"].tolist() == [length]
        frames = length // HOP + 1
        if names == ["log_probs"]:
            scores = np.zeros((1, frames, 191), np.float32)
            scores[0, np.arange(frames), 189 + np.arange(frames) % 2] = 1.0
            scores[0, list(self.spikes), 7] = 2.0
            return [scores]
        return [np.repeat(np.arange(frames, dtype=np.float16)[None, :, None], CHANNELS, 2)]


@pytest.mark.parametrize("samples", [400, 1000, 16000, 16319])
def test_one_lesson_for_each_frame_its_lag_taken_out(samples):
    heard = Teacher(Session()).features(np.zeros(samples, np.float32))
    frames = frame_count(samples)
    assert heard.shape == (frames, CHANNELS)
    assert heard[:, 0].tolist() == [min(frame + LATE, samples // HOP) for frame in range(frames)]


def test_speech_is_near_a_sound_that_is_named_and_the_rest_is_a_pause():
    first, second, reach = 40, 100, 10
    speech = Teacher(Session([first, second])).speech(np.zeros(4 * SAMPLE_RATE, np.float32))
    expected = [abs(frame + NAMES_LATE - first) <= reach or abs(frame + NAMES_LATE - second) <= reach
                for frame in range(frame_count(4 * SAMPLE_RATE))]
    assert speech.tolist() == expected
    assert not Teacher(Session()).speech(np.zeros(4 * SAMPLE_RATE, np.float32)).any()


def test_samples_are_heard_as_numbers_below_one():
    peaks = []

    class Listening(Session):
        def run(self, names, inputs):
            peaks.append(float(inputs["waveform"].max()))
            return super().run(names, inputs)

    lessons(Teacher(Listening()), [Utterance(np.full(1000, 16384, np.int16), ())])
    assert peaks == [0.5]


def utterance_and_lesson(seed):
    """Sounds s and m in turn, whose lessons are two directions amid noise."""
    generator = np.random.default_rng(seed)
    phonemes = tuple(Phoneme("sm"[number % 2], number / 10, (number + 1) / 10) for number in range(100))
    frames = frame_count(10 * SAMPLE_RATE)
    lesson = generator.normal(0, 0.3, (frames, CHANNELS))
    middle = (np.arange(frames) * HOP + 200) / SAMPLE_RATE
    lesson[np.arange(frames)[:, None], np.arange(0, CHANNELS, 2) + (middle * 10).astype(int)[:, None] % 2] += 4
    return Utterance(np.zeros(10 * SAMPLE_RATE, np.int16), phonemes), lesson.astype(np.float16)


def test_sounds_are_named_where_the_teacher_is_certain(monkeypatch):
    pairs = [utterance_and_lesson(seed) for seed in range(6)]
    told = iter([lesson for _, lesson in pairs for _ in ("as it is", "as if recorded")])
    teacher = Teacher(Session())
    monkeypatch.setattr(Teacher, "features", lambda self, samples: next(told))
    classifier = naming(teacher, [utterance for utterance, _ in pairs])
    assert next(told, None) is None
    (_, lesson) = utterance_and_lesson(99)
    speech = np.arange(len(lesson)) >= 100
    labels = named(classifier, lesson, speech)
    assert (labels[:100] == LABELS.index("")).all()
    labels = named(classifier, lesson, speech | True)
    assert {LABELS[number] for number in labels if number != UNKNOWN} == {"s", "m"}
    middle = (np.arange(len(labels)) * HOP + 200) / SAMPLE_RATE
    expected = np.array([LABELS.index("sm"[int(moment * 10) % 2]) for moment in middle])
    assert (labels == expected).mean() > 0.95
    torch.nn.init.zeros_(classifier.convolution.weight)
    torch.nn.init.zeros_(classifier.convolution.bias)
    assert (named(classifier, lesson, speech)[100:] == UNKNOWN).all()


@pytest.mark.parametrize("missing", ["onnx", "hama"])
def test_a_missing_package_is_named_in_one_sentence(missing, monkeypatch):
    load, find = builtins.__import__, __import__("importlib.util").util.find_spec

    def without(name, *arguments, **named_arguments):
        if missing == "onnx" and name.startswith("onnx"):
            raise ImportError(name)
        return type(builtins)(name) if name.startswith("onnx") else load(name, *arguments, **named_arguments)

    monkeypatch.setattr("builtins.__import__", without)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "hama" else find(name))
    with pytest.raises(InputError, match=f"the teacher: .*{missing}.*pip install hama==1.3.13"):
        Teacher.load()
