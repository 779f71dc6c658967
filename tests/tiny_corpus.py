"""A data set small enough to train on in a second: balls whose mouths open as loud as their noise is."""

from pathlib import Path

import numpy as np

from data_prep.writer import DatasetWriter, write_sequence
from tests.talking_ball import FRAME_RATE, MOUTH, RADIUS, ball, talk

RATE = 16_000
SPEAKERS = {"a": ("train", 1.0), "b": ("train", 1.1), "c": ("val", 0.95), "d": ("test", 1.05)}  # split, width
FRAMES = (36, 30)  # of the two sentences


def write_corpus(path: Path, *, seed: int = 0, splits: tuple[str, ...] = ("train", "val", "test"), late: int = 0) -> Path:
    """Write two training speakers, one for validation and one for test, two sentences each.

    Args:
        path: folder to make.
        seed: of the noise.
        splits: those to write.
        late: frames of motion that go on after the sound has ended.
    """
    vertices, faces, _ = ball(1)
    near = np.argsort(np.linalg.norm(vertices / RADIUS - MOUTH, axis=1))
    regions = {"lips": near[:6], "upper_face": near[-6:], "lip_gap": near[[0, 5]]}
    generator = np.random.default_rng(seed)
    provenance = {"tool": "tests", "seed": seed}
    with DatasetWriter(path, name="talking balls", frame_rate=FRAME_RATE, provenance=provenance) as writer:
        writer.set_mesh(faces, regions)
        for speaker, (split, width) in SPEAKERS.items():
            if split not in splits:
                continue
            template = vertices * np.array([width, 1.0, 1.0], np.float32)
            writer.add_subject(speaker, template)
            for sentence, frames in enumerate(FRAMES):
                seconds = np.arange(int(frames / FRAME_RATE * RATE)) / RATE
                loudness = 0.5 - 0.5 * np.cos(2 * np.pi * 1.5 * seconds)  # as talking_ball.talk opens the mouth
                noise = 8000 * loudness * generator.uniform(-1, 1, len(seconds))
                spans = [("", 0.0, 0.5), ("m", 0.5, 0.8), ("a", 0.8, frames / FRAME_RATE)]
                motion = talk(template, frames + late)
                writer.add_sequence(*write_sequence(
                    writer.folder, sequence=f"{speaker}{sentence}", subject=speaker, sentence=str(sentence), split=split,
                    vertices=motion, samples=noise.astype(np.int16), sample_rate=RATE, phonemes=spans,
                    mean_style=None if split == "train" else motion))
    return path
