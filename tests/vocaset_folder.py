"""VOCASET in small: its raw release as it is, and the processed layout, both of the same made-up speech."""

from pathlib import Path

import numpy as np
import soundfile

from data_prep.vocaset import SUBJECTS
from tests import python2_pickle
from tests.processed_folder import RATE, sound, strip, write_faces, write_processed

VERTICES = 5023
GENERATOR = np.random.default_rng(0)
NEUTRAL = GENERATOR.normal(scale=0.05, size=(VERTICES, 3))
SUBJECT_NAMES = [subject for subjects in SUBJECTS.values() for subject in subjects]
TEMPLATES = {subject: NEUTRAL + 0.001 * number for number, subject in enumerate(SUBJECT_NAMES)}
LIPS, FOREHEAD, EYES = [3531, 3504, 3531, 12, 7, 12], [4, 2], [2, 9]
TRAIN, VAL, TEST = SUBJECTS["train"], SUBJECTS["val"], SUBJECTS["test"]

# frames of motion at 60 a second; seconds of sound follow. Some clips have one of the two, one has neither.
FRAMES = {(TRAIN[0], "sentence01"): 9, (TRAIN[0], "sentence40"): 10, (TRAIN[3], "sentence02"): 12,
          (VAL[0], "sentence21"): 11, (VAL[0], "sentence20"): 8, (TEST[1], "sentence40"): 7,
          (TEST[1], "sentence39"): 8, (TRAIN[4], "sentence24"): 8}
NO_MOTION, NO_SOUND = (TRAIN[4], "sentence24"), (TEST[1], "sentence39")
CONVERTED = {(TRAIN[0], "sentence01"): "train", (TRAIN[0], "sentence40"): "train", (TRAIN[3], "sentence02"): "train",
             (VAL[0], "sentence21"): "val", (TEST[1], "sentence40"): "test"}


def motion(frames: int, seed: int) -> np.ndarray:
    """Return frames (T, V, 3) float64 that differ from each other in every number."""
    return NEUTRAL + np.random.default_rng(seed).normal(scale=0.003, size=(frames, VERTICES, 3))


MOTION = {clip: motion(frames, seed) for seed, (clip, frames) in enumerate(FRAMES.items())}
SOUND = {clip: sound(frames / 60, seed) for seed, (clip, frames) in enumerate(FRAMES.items())}


def write_raw(folder: Path, dumps=python2_pickle.dumps) -> Path:
    """Write the raw release as it is: rows in disorder, frames out of order, Python 2's pickles."""
    folder.mkdir(parents=True)
    frames = [(clip, frame) for clip, count in FRAMES.items() if clip != NO_MOTION for frame in range(count)]
    rows = np.random.default_rng(1).permutation(len(frames))
    table = np.empty((len(frames), VERTICES, 3))
    index: dict = {}
    for (clip, frame), row in sorted(zip(frames, rows, strict=True), key=lambda entry: entry[1]):  # no clip's own order
        table[row] = MOTION[clip][frame]
        index.setdefault(clip[0], {}).setdefault(clip[1], {})[frame + 3] = int(row)
    np.save(folder / "data_verts.npy", table)
    (folder / "subj_seq_to_idx.pkl").write_bytes(dumps(index))
    sounds: dict = {}
    for (subject, sentence), samples in SOUND.items():
        if (subject, sentence) != NO_SOUND:
            sounds.setdefault(subject, {})[sentence] = {"audio": samples, "sample_rate": RATE}
    (folder / "raw_audio_fixed.pkl").write_bytes(dumps(sounds))
    (folder / "templates.pkl").write_bytes(dumps(TEMPLATES))
    masks = {"lips": np.array(LIPS), "forehead": np.array(FOREHEAD), "eye_region": np.array(EYES), "neck": np.array([1])}
    (folder / "FLAME_masks.pkl").write_bytes(dumps(masks))
    write_faces(folder / "templates/FLAME_sample.ply", NEUTRAL, strip(VERTICES))
    return folder


def write_layout(folder: Path) -> Path:
    """Write the processed layout, 60 frames a second, as the peers' scripts leave it; one clip lacks sound, one motion."""
    clips = {"_".join(clip): frames for clip, frames in MOTION.items() if clip not in (NO_MOTION, NO_SOUND)}
    write_processed(folder, TEMPLATES, clips, 60)
    for clip in FRAMES:
        if clip != NO_SOUND:
            soundfile.write(folder / f"wav/{'_'.join(clip)}.wav", SOUND[clip], RATE, subtype="PCM_16")
    np.save(folder / f"vertices_npy/{'_'.join(NO_SOUND)}.npy", MOTION[NO_SOUND].reshape(FRAMES[NO_SOUND], -1))
    return folder
