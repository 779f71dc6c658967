"""Distances between surfaces, whose meshes may have different topologies."""

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from scipy.spatial import cKDTree

from otlib.measures.measure import barycentres, varifold
from otlib.measures.sliced import sliced_wasserstein


def mesh_sliced_wasserstein(truth: Float[ndarray, "T V 3"], truth_faces: Integer[ndarray, "F 3"],
                            prediction: Float[ndarray, "T W 3"], prediction_faces: Integer[ndarray, "G 3"],
                            directions: Float[ndarray, "L 6"]) -> Float[ndarray, " T"]:
    """Return the sliced Wasserstein distance SW_2 of the two surfaces in each frame, metres, **with** the root.

    Both meshes become oriented varifolds, probability measures of area (see :func:`otlib.measures.measure.varifold`), so
    the distance needs no correspondence; it measures the whole surface, without a mask. Float32 in, float32 out.

    Args:
        truth, prediction: metres; the same number of frames.
        truth_faces, prediction_faces: faces of the two meshes.
        directions: unit vectors, the same for all frames, from :func:`otlib.measures.directions.draw_directions`; use equal
            directions to compare two models.

    Raises:
        ValueError: bad meshes or directions.
    """
    one, other = (varifold(torch.tensor(vertices), torch.tensor(faces))
                  for vertices, faces in ((truth, truth_faces), (prediction, prediction_faces)))
    return sliced_wasserstein(one, other, torch.tensor(directions), root=True).numpy()


def chamfer_distance(truth: Float[ndarray, "V 3"], truth_faces: Integer[ndarray, "F 3"],
                     prediction: Float[ndarray, "W 3"], prediction_faces: Integer[ndarray, "G 3"]) -> float:
    """Return the chamfer distance of two surfaces, metres, **not squared**, half the sum of the two directions.

    Each face is a point at its barycentre with the mass of its area; the distance from one mesh to the other is the
    mass-weighted mean distance of its points to the nearest vertex or barycentre of the other. Zero for equal meshes, at
    most about half an edge for two meshings of one surface; it ignores how area is distributed.

    Args:
        truth, prediction: metres.
        truth_faces, prediction_faces: faces of the two meshes.

    Raises:
        ValueError: a bad mesh.

    Source: our choice of points, because vertices alone weigh a finely meshed eye above a cheek.
    """
    first, second = _points(truth, truth_faces), _points(prediction, prediction_faces)
    return (_one_way(*first, second[0]) + _one_way(*second, first[0])) / 2.0


def _points(vertices: ndarray, faces: ndarray) -> tuple[ndarray, ndarray]:
    """Return the barycentres followed by the vertices, and the masses of the barycentres."""
    measure = barycentres(torch.tensor(vertices, dtype=torch.float64), torch.tensor(faces))
    return np.concatenate([measure.points.numpy(), vertices]), measure.weights.numpy()


def _one_way(points: ndarray, masses: ndarray, others: ndarray) -> float:
    return float(masses @ cKDTree(others).query(points[:len(masses)])[0])
