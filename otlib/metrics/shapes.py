"""Distances between surfaces, also where the two meshes have different topologies."""

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial import cKDTree
from torch import Tensor

from otlib.measures.measure import NORMAL_WEIGHT, barycentres, varifold
from otlib.measures.sliced import sliced_wasserstein


def mesh_sliced_wasserstein(truth: Float[Tensor, "T V 3"], truth_faces: Int[Tensor, "F 3"],
                            prediction: Float[Tensor, "T W 3"], prediction_faces: Int[Tensor, "G 3"],
                            directions: Float[Tensor, "L 6"], *, normal_weight: float = NORMAL_WEIGHT,
                            ) -> Float[Tensor, " T"]:
    """Return the sliced Wasserstein distance SW_2 of the two surfaces in each frame, metres, **with** the root.

    Both meshes become oriented varifolds, probability measures of area (see :func:`otlib.measures.measure.varifold`), so it
    needs no correspondence, and it sees all of the surface, no mask. Float32 in, float32 out.

    Args:
        truth, prediction: metres; the same number of frames.
        truth_faces, prediction_faces: of either mesh.
        directions: unit vectors, the same for all frames, from :func:`otlib.measures.directions.draw_directions`: with equal
            directions the numbers of two models can be compared.
        normal_weight: metres that a unit of normal counts for.

    Raises:
        ValueError: bad meshes or directions.
    """
    return sliced_wasserstein(varifold(truth, truth_faces, normal_weight),
                              varifold(prediction, prediction_faces, normal_weight), directions, root=True)


def chamfer_distance(truth: Float[Tensor, "V 3"], truth_faces: Int[Tensor, "F 3"],
                     prediction: Float[Tensor, "W 3"], prediction_faces: Int[Tensor, "G 3"]) -> float:
    """Return the chamfer distance of two surfaces, metres, **not squared**, half the sum of the two directions.

    Each face is a point at its barycentre with the mass of its area; the distance from a mesh to the other is the
    mass-weighted mean distance of its points to the nearest of the other's vertices and barycentres. Zero for equal
    meshes, at most about half an edge for two meshings of one surface; it is blind to how much area lies where.

    Args:
        truth, prediction: metres; moved to the CPU.
        truth_faces, prediction_faces: of either mesh.

    Raises:
        ValueError: a bad mesh.

    Source: our choice of points, because vertices alone weigh a finely meshed eye above a cheek.
    """
    first, second = _points(truth, truth_faces), _points(prediction, prediction_faces)
    return (_one_way(*first, second[0]) + _one_way(*second, first[0])) / 2.0


def _points(vertices: Tensor, faces: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Barycentres then vertices, and the masses of the barycentres."""
    measure = barycentres(vertices.detach().cpu().double(), faces.cpu())
    return torch.cat([measure.points, vertices.detach().cpu().double()]).numpy(), measure.weights.numpy()


def _one_way(points: np.ndarray, masses: np.ndarray, others: np.ndarray) -> float:
    return float(masses @ cKDTree(others).query(points[:len(masses)])[0])
