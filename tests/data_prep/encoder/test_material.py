"""Crops of several kinds of speech: sound, unit and lesson stay together at any speed, and shares are kept."""

import numpy as np
import pytest
import torch

from data_prep.encoder.frame_labels import LABELS, UNKNOWN, frame_labels
from data_prep.encoder.made_up_speech import Utterance
from data_prep.encoder.material import Crops, Material, draw_batch, kept_pool, kept_rows
from data_prep.encoder.objective import frame_count
from otlib.phonemes import Phoneme
from otlib.speech.small_hubert import HOP, SAMPLE_RATE, WINDOW

CROPS = Crops(16, 49, (0.7, 1.4))


def loud_or_soft(seed=0):
    """An utterance whose loudness tells its label."""
    generator = np.random.default_rng(seed)
    spans = np.cumsum(generator.integers(3, 9, 60)) * HOP
    samples, phonemes, start = np.zeros(spans[-1], np.int16), [], 0
    for end, loud in zip(spans, generator.random(len(spans)) < 0.5, strict=True):
        samples[start:end] = 10000 if loud else 100
        phonemes.append(Phoneme("s" if loud else "", start / SAMPLE_RATE, end / SAMPLE_RATE))
        start = end
    return Utterance(samples, tuple(phonemes))


def flat(level, seconds=5):
    return Utterance(np.full(seconds * SAMPLE_RATE, level, np.int16), ())


def flat_material(level, **more):
    return Material([flat(level)], [np.full(frame_count(5 * SAMPLE_RATE), level)], **more)


def test_crops_at_any_speed_keep_sound_label_and_lesson_together():
    utterance = loud_or_soft()
    labels = frame_labels(utterance.phonemes, frame_count(len(utterance.samples)))
    heard = (labels == LABELS.index("s")).astype(np.float16)[:, None] * [1.0, 2.0]
    batch = draw_batch([Material([utterance], [labels], lessons=[heard])], CROPS, np.random.default_rng(0))
    middle = torch.arange(CROPS.frames) * HOP + WINDOW // 2
    loud = batch.samples[:, middle] > 0.1
    for said in (batch.units == LABELS.index("s"), batch.lessons[..., 0] == 1, batch.lessons[..., 1] == 2):
        agree = (loud == said).float().mean()
        assert agree > 0.9  # a label lies up to half a frame from the crop's own; spans are 3 to 8 frames long
        assert agree > (loud[:, 3:] == said[:, :-3]).float().mean() + 0.1


def test_each_kind_has_its_share_of_the_crops():
    materials = [flat_material(1, share=0.2), flat_material(2, share=0.0), flat_material(3, share=0.6)]
    units = draw_batch(materials, Crops(2000, 3, (1.0, 1.0)), np.random.default_rng(1)).units[:, 0]
    assert set(units.tolist()) == {1, 3}
    assert (units == 3).float().mean() == pytest.approx(0.75, abs=0.04)  # 4 standard errors


def test_who_has_no_teacher_has_no_lesson():
    taught = flat_material(1, lessons=[np.ones((frame_count(5 * SAMPLE_RATE), 4), np.float16)])
    batch = draw_batch([taught, flat_material(2)], Crops(50, 3, (1.0, 1.0)), np.random.default_rng(0))
    assert torch.equal(batch.lessons.isnan().all(-1), batch.units == 2) and (batch.units == 1).any()
    assert draw_batch([flat_material(2)], CROPS, np.random.default_rng(0)).lessons is None


def test_speech_shorter_than_every_crop_is_refused():
    with pytest.raises(ValueError, match="^pool: no utterance"):
        draw_batch([Material([flat(1, 1)], [np.zeros(49, int)])], Crops(1, 199, (1.0, 1.0)), np.random.default_rng(0))


def test_the_slowest_and_the_fastest_crop():
    assert Crops(1, 3, (0.5, 2.0)).samples == (521, 2081)  # of 2 * 320 + 400 samples, and one more to read between


def test_speech_is_made_once_and_kept(tmp_path):
    pool = [loud_or_soft(1), loud_or_soft(2), flat(5)]
    made = []
    for _ in range(2):
        kept = kept_pool(tmp_path / "pool.npz", lambda: made.append(1) or pool)
        assert [one.phonemes for one in kept] == [one.phonemes for one in pool]
        assert all(np.array_equal(one.samples, other.samples) for one, other in zip(kept, pool, strict=True))
    assert len(made) == 1


def test_rows_are_made_once_and_kept(tmp_path):
    rows, made = [np.arange(3), np.full(2, UNKNOWN)], []
    for _ in range(2):
        kept = kept_rows(tmp_path / "rows.npz", lambda: made.append(1) or rows)
        assert [one.tolist() for one in kept] == [[0, 1, 2], [UNKNOWN, UNKNOWN]]
    assert len(made) == 1
