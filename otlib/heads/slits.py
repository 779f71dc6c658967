"""Slits of a surface: places near in space and far along the surface that look at each other, as lips and lids do."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree
from trimesh.triangles import cross

from otlib.heads.surface import border_edges, edges_of, finer, undirected

REACH = 0.0045  # metres between lips or lids at most; what is further apart at rest is no slit (our choice)
_STEPS = (0.016, 0.008, 0.004)  # metres; near slits, the surface is sampled at least as densely as the last
_FAR = 0.012  # metres along the surface that make two near places two sides of a slit
_LINKED = 0.006  # metres; points of a slit that lie as near as this are one slit
_FACING, _FACING_COARSELY = 0.25, 0.5  # cosines between ways out; neighbours on one side of a slit look further alike
_BLOCK = 0.020  # metres; pairs are followed along the surface in blocks of this size


@dataclass(frozen=True, eq=False)
class Slit:
    """The middle of a slit.

    Attributes:
        points: (N, 3) places between its two sides.
        sides: (N, 2) the vertices of the finer surface on the two sides of each place.
        apart: (N,) how far its two sides are apart there.
    """

    points: np.ndarray
    sides: np.ndarray
    apart: np.ndarray


@dataclass(frozen=True, eq=False)
class Sampled:
    """A surface with small triangles: ``vertices`` (M, 3), ``faces`` (G, 3), and ``outward`` (M, 3), unit vectors."""

    vertices: np.ndarray
    faces: np.ndarray
    outward: np.ndarray


def sampled(vertices: Float[np.ndarray, "N 3"], faces: Integer[np.ndarray, "F 3"]) -> Sampled:
    """Return a surface, metres, with small triangles and the way out at each vertex.

    At the border of an opening the way out lies in the surface, across the border: lips without an inner mouth face each
    other as lips with one do.
    """
    for step in _STEPS:
        if np.linalg.norm(np.subtract(*vertices[edges_of(faces).T]), axis=1).max() <= step:
            continue
        outward = _outward(vertices, faces)
        near = np.zeros(len(vertices), dtype=bool)
        near[_facing(vertices, outward, REACH + step, _FACING_COARSELY)] = True
        vertices, faces = finer(vertices, faces, step, near)
    return Sampled(vertices, faces, _outward(vertices, faces))


def _outward(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    outward = np.zeros_like(vertices)
    np.add.at(outward, faces.ravel(), np.repeat(cross(vertices[faces]), 3, 0))
    edges = border_edges(faces)
    if len(edges):
        across = np.zeros_like(vertices)
        side = np.cross(vertices[edges[:, 1]] - vertices[edges[:, 0]], outward[edges].sum(1))
        np.add.at(across, edges.ravel(), np.repeat(side / np.maximum(_length(side), 1e-30), 2, 0))
        outward[np.unique(edges)] = across[np.unique(edges)]
    return outward / np.maximum(_length(outward), 1e-30)


def _facing(vertices: np.ndarray, outward: np.ndarray, reach: float, cosine: float) -> np.ndarray:
    """Return the pairs of vertices within reach that look at each other, (N, 2)."""
    pairs = cKDTree(vertices).query_pairs(reach, output_type="ndarray")
    pairs = pairs[(outward[pairs[:, 0]] * outward[pairs[:, 1]]).sum(1) < cosine]
    apart = vertices[pairs[:, 1]] - vertices[pairs[:, 0]]
    return pairs[(apart * (outward[pairs[:, 0]] - outward[pairs[:, 1]])).sum(1) > 0]


def find_slits(surface: Sampled) -> list[Slit]:
    """Return the slits of a surface, those with most places first."""
    vertices, outward = surface.vertices, surface.outward
    pairs = _facing(vertices, outward, REACH, _FACING)
    pairs = pairs[_far_along(surface, pairs)]
    if not len(pairs):
        return []
    points = vertices[pairs].mean(1)
    near = cKDTree(points).query_pairs(_LINKED, output_type="ndarray")
    count, group = connected_components(coo_array((np.ones(len(near)), near.T), (len(points),) * 2), directed=False)
    order = np.argsort(-np.bincount(group, minlength=count), kind="stable")
    apart = _length(np.subtract(*vertices[pairs.T]))[:, 0]
    return [Slit(points[group == number], pairs[group == number], apart[group == number]) for number in order]


def _far_along(surface: Sampled, pairs: np.ndarray) -> np.ndarray:
    """Return which pairs lie over _FAR apart along the surface."""
    far = np.zeros(len(pairs), dtype=bool)
    if not len(pairs):
        return far
    edges = undirected(edges_of(surface.faces))
    length = np.maximum(np.linalg.norm(np.subtract(*surface.vertices[edges.T]), axis=1), 1e-9)
    graph = csr_array(coo_array((length, edges.T), (len(surface.vertices),) * 2))
    tree, source = cKDTree(surface.vertices), surface.vertices[pairs[:, 0]]
    _, block = np.unique(np.floor(source / _BLOCK).astype(int), axis=0, return_inverse=True)
    for number in range(block.max() + 1):
        own = np.flatnonzero(block.ravel() == number)
        middle = source[own].mean(0)
        around = np.sort(tree.query_ball_point(middle, _length(source[own] - middle).max() + _FAR))
        starts, which = np.unique(pairs[own, 0], return_inverse=True)
        distance = dijkstra(graph[around][:, around], directed=False, indices=np.searchsorted(around, starts), limit=_FAR)
        far[own] = np.isinf(distance[which, np.searchsorted(around, pairs[own, 1])])
    return far


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1, keepdims=True)
