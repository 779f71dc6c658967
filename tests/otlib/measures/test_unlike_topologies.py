"""Transport as the only spatial supervision: a model learns from meshes whose vertices have nothing to do with its own."""

import numpy as np
import pytest
import torch

from otlib.losses import LossSettings, transport
from otlib.models.ottalk import ModelSettings, OTTalk, prepare_geometry
from otlib.topology import Topology

pytestmark = pytest.mark.slow

FRAMES, STEPS = 30, 250
STILL = 0.7  # of the error of a face that never moves: transport sees surfaces, along which vertices are free to slide
MODEL = ModelSettings(feature_layers=1, feature_channels=3, width=16, layers=1, heads=2, radius=3, dropout=0.0, channels=8,
                      terms=3, levels=(80, 20))
PULL = np.array([0.0, -0.006, 0.004])  # metres, of the middle at its widest


def sheet(columns, rows, mirrored=False):
    """A bent rectangle of 8 by 8 cm: vertices (V, 3) and faces, whose diagonals run the other way if mirrored."""
    x, y = np.meshgrid(np.linspace(-0.04, 0.04, columns), np.linspace(-0.04, 0.04, rows))
    vertices = np.stack([x, y, -5 * (x**2 + y**2)], -1).reshape(-1, 3)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    a, b, c, d = corner, corner + 1, corner + columns, corner + columns + 1
    faces = [[a, b, c], [b, d, c]] if not mirrored else [[a, b, d], [a, d, c]]
    return vertices, np.concatenate([np.stack(face, 1) for face in faces])


def speaking(vertices, time):
    """The sheet's middle swings as a lower lip does, (T, V, 3) float32 metres."""
    weight = np.exp(-(vertices[:, :2] ** 2).sum(1) / 0.015**2)
    opening = 0.5 - 0.5 * np.cos(3 * np.pi * time)
    return torch.from_numpy((vertices + opening[:, None, None] * weight[:, None] * PULL).astype(np.float32))


@pytest.mark.parametrize("measure", ["varifold", "barycentres"])
def test_a_model_learns_from_another_topology_by_transport_alone(measure):
    """The model moves 576 vertices, the truth has 780; the error is taken at the model's own, which training never sees."""
    time = np.arange(FRAMES) / 30.0
    (vertices, faces), (others, other_faces) = sheet(24, 24), sheet(26, 30, mirrored=True)
    target, target_faces = speaking(others, time), torch.from_numpy(other_faces)
    truth = speaking(vertices, time)
    middle = torch.from_numpy(np.linalg.norm(vertices[:, :2], axis=1) < 0.015)
    vertices, faces = torch.from_numpy(vertices.astype(np.float32)), torch.from_numpy(faces)
    swing = [np.cos(3 * np.pi * time), np.sin(3 * np.pi * time), np.ones(FRAMES)]
    features = torch.from_numpy(np.stack(swing, 1).astype(np.float32))[None, :, None]  # 1 T 1 3
    geometry = prepare_geometry(vertices, Topology(faces.numpy()), MODEL)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = OTTalk(MODEL)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    settings = LossSettings(measure=measure, frames=6)
    for step in range(STEPS):
        motion = vertices + model(features, geometry)
        loss = transport(motion, target[None], faces, settings, [torch.Generator().manual_seed(step)], target_faces)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        moved = vertices + model(features, geometry)[0]
    error, still = ((motion - truth)[:, middle].norm(dim=-1).mean() for motion in (moved, vertices))
    assert error < STILL * still, (error, still)
