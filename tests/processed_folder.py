"""A folder of the processed layout as the peers' scripts leave it, small, with any vertices."""

import pickle
from pathlib import Path

import numpy as np
import soundfile
import trimesh

RATE = 22_000


def strip(vertex_count: int) -> np.ndarray:
    """Return faces (V - 2, 3) of a band of triangles over all vertices."""
    return np.arange(vertex_count - 2)[:, None] + np.arange(3)


def write_faces(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Write a binary .ply, an .obj or another mesh file, by its suffix, vertices in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    trimesh.Trimesh(vertices, faces, process=False).export(path)


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    """Return noise (S,) int16 at 22 kHz."""
    return np.random.default_rng(seed).integers(-3000, 3000, round(seconds * RATE)).astype(np.int16)


def write_processed(folder: Path, templates: dict[str, np.ndarray], clips: dict[str, np.ndarray], frame_rate: float,
                    faces: np.ndarray | None = None) -> Path:
    """Write the folder.

    Args:
        folder: to make.
        templates: subject to (V, 3).
        clips: name to motion (T, V, 3), stored as (T, 3V) in its own number type.
        frame_rate: to make the sound as long.
        faces: a band of triangles by default.
    """
    for part in ("vertices_npy", "wav"):
        (folder / part).mkdir(parents=True)
    template = next(iter(templates.values()))
    write_faces(folder / "topology.ply", template, strip(len(template)) if faces is None else faces)
    (folder / "templates.pkl").write_bytes(pickle.dumps(templates))
    for number, (name, motion) in enumerate(clips.items()):
        np.save(folder / f"vertices_npy/{name}.npy", motion.reshape(len(motion), -1))
        soundfile.write(folder / f"wav/{name}.wav", sound(len(motion) / frame_rate, number), RATE, subtype="PCM_16")
    return folder
