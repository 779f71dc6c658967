"""A ball that opens its mouth: a moving mesh small enough for every test, with parts and a motion that turns."""

import numpy as np
import trimesh

RADIUS = 0.1  # metres
FRAME_RATE = 30.0
MOUTH = np.array([0.0, -0.35, 0.94])  # direction of the mouth from the centre


def ball(subdivisions: int = 3) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return vertices (V, 3) float32 metres, faces (F, 3) and the face indices of the parts "lips" and "eyes"."""
    sphere = trimesh.creation.icosphere(subdivisions=subdivisions, radius=RADIUS)
    faces = np.asarray(sphere.faces)
    centres = sphere.vertices[faces].mean(1) / RADIUS
    eyes = (np.abs(np.abs(centres[:, 0]) - 0.35) < 0.13) & (np.abs(centres[:, 1] - 0.3) < 0.13) & (centres[:, 2] > 0)
    lips = np.linalg.norm(centres - MOUTH, axis=1) < 0.28
    parts = {"lips": np.flatnonzero(lips), "eyes": np.flatnonzero(eyes)}
    return sphere.vertices.astype(np.float32), faces, parts


def talk(vertices: np.ndarray, frames: int = 30) -> np.ndarray:
    """Return (T, V, 3) float32: the mouth swings about the x axis, as a jaw does, and bulges; frame 0 is at rest."""
    times = np.arange(frames) / FRAME_RATE
    near_mouth = np.exp(-((np.linalg.norm(vertices / RADIUS - MOUTH, axis=1) / 0.3) ** 2))  # (V,)
    opening = 0.5 - 0.5 * np.cos(2 * np.pi * 1.5 * times)  # (T,) 0 to 1
    angle = 0.25 * opening[:, None] * near_mouth  # (T, V) radians
    x, y, z = vertices.T
    turned = np.stack(
        [
            np.broadcast_to(x, angle.shape),
            y * np.cos(angle) - z * np.sin(angle),
            y * np.sin(angle) + z * np.cos(angle),
        ],
        axis=-1,
    )
    bulge = 0.05 * np.sin(2 * np.pi * 3.0 * times)[:, None, None] * near_mouth[:, None] * vertices
    return (turned + bulge).astype(np.float32)
