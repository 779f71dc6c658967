"""BIWI in small: its own files and the processed layout, of the built-in head, whose lower lip opens."""

import struct
from pathlib import Path

import numpy as np
import soundfile

from data_prep.head import IDENTITY_DIRECTIONS, make_head
from tests.processed_folder import sound, write_faces, write_processed

RATE = 44_100
HEAD = make_head(np.zeros(len(IDENTITY_DIRECTIONS)), "low")  # y up, metres
NEUTRAL, FACES = HEAD.vertices.astype(np.float64), HEAD.faces
VERTICES = len(NEUTRAL)
TURN = np.array([1.0, -1.0, -1.0])
WIDTHS = {"F2": 1.0, "M5": 1.1, "F1": 0.9, "M6": 1.05}  # subjects
LIPS, LIP_GAP = HEAD.regions["lips"], HEAD.regions["lip_gap"]

# frames; some clips lack sound or motion
FRAMES = {"F2_e01": 12, "F2_e32": 6, "M5_e33": 5, "M5_e40": 7, "F1_e37": 6, "M6_e40": 5,
          "F1_e01": 5, "F2_01": 6, "F2_e02": 5, "F2_e03": 5}
NO_SOUND, NO_MOTION = "F2_e02", "F2_e03"
CONVERTED = {"F2_e01": "train", "F2_e32": "train", "M5_e33": "val", "M5_e40": "Test-A",
             "F1_e37": "Test-B", "M6_e40": "Test-B"}
OFFSET = np.array([30.0, -20.0, 800.0])  # of BIWI's own frames, in their unit, so that the mean does matter


def template(subject: str) -> np.ndarray:
    """A person at rest in BIWI's own frame: millimetres, y down, z into the face."""
    return (NEUTRAL * np.array([WIDTHS[subject], 1.0, 1.0]) * 1000) * TURN + OFFSET


def motion(name: str) -> np.ndarray:
    """Frames in BIWI's own frame, float32: the lips' lower half opens."""
    subject, frames = name.split("_")[0], FRAMES[name]
    generator = np.random.default_rng(sum(name.encode()))
    moved = np.tile(template(subject), (frames, 1, 1)) + generator.normal(scale=0.001, size=(frames, VERTICES, 3))
    lower = LIPS[NEUTRAL[LIPS, 1] <= NEUTRAL[LIP_GAP[1], 1]]
    moved[:, lower, 1] += 10 * np.sin(np.linspace(0, np.pi, frames))[:, None]  # y points down
    return moved.astype(np.float32)


def write_vl(path: Path, vertices: np.ndarray) -> None:
    """Write one frame."""
    path.write_bytes(struct.pack("<I", len(vertices)) + np.asarray(vertices).astype("<f4").tobytes())


def write_raw(folder: Path) -> Path:
    """Write BIWI's own files: frames whose names do not sort by number, sounds under both of their names."""
    for subject in WIDTHS:
        write_faces(folder / f"rigid_scans/{subject}.obj", template(subject), FACES)
    (folder / "audio").mkdir()
    for name, frames in FRAMES.items():
        subject, sentence = name.split("_")
        if name != NO_MOTION:
            (folder / "faces" / subject / sentence).mkdir(parents=True)
            for number, vertices in enumerate(motion(name)):  # frame_9, frame_10: not the order of the alphabet
                write_vl(folder / "faces" / subject / sentence / f"frame_{number + 1}.vl", vertices)
        if name != NO_SOUND:
            samples = np.random.default_rng(frames).integers(-999, 999, round(frames / 25 * RATE)).astype(np.int16)
            soundfile.write(folder / f"audio/{name}{'_cut' if 'e0' in name else ''}.wav", samples, RATE, subtype="PCM_16")
    (folder / "regions").mkdir()
    (folder / "regions/lve.txt").write_text(", ".join(map(str, LIPS)))
    (folder / "regions/fdd.txt").write_text(", ".join(map(str, np.argsort(-NEUTRAL[:, 1])[:5])))
    return folder


def per_frame(frames: np.ndarray) -> np.ndarray:
    """The published normalisation, frame by frame."""
    result = []
    for frame in frames.astype(np.float64):
        frame = frame * TURN
        frame = frame - frame.mean(0)
        first, second, third = (frame[corner] for corner in FACES.T)
        result.append(frame / np.sqrt(0.5 * np.linalg.norm(np.cross(second - first, third - first), axis=1).sum()))
    return np.stack(result)


def write_layout(folder: Path, kind: str = "f8") -> Path:
    """Write the processed layout: each frame of area 1, as the peers' scripts leave it."""
    names = [name for name in FRAMES if name not in (NO_SOUND, NO_MOTION)]
    templates = {subject: per_frame(template(subject)[None])[0] for subject in WIDTHS}
    write_processed(folder, templates, {name: per_frame(motion(name)).astype(kind) for name in names}, 25.0, FACES)
    soundfile.write(folder / f"wav/{NO_MOTION}.wav", sound(0.2), 22_000)
    for name in ("lve.txt", "fdd.txt"):
        (folder / name).write_text("\n".join(map(str, LIPS)))
    return folder
