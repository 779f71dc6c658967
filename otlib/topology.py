"""What all frames of a head share: its triangles, named regions of its vertices, and named parts of its surface."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

MILLIMETRES = 1000.0  # in a metre


@dataclass(frozen=True, eq=False)
class Topology:
    """Faces, regions and parts of a mesh, checked once; lists of indices, as they come from files, become int64 arrays.

    Attributes:
        faces: (F, 3) integers, vertex indices, counter-clockwise seen from outside.
        regions: names to vertex indices (N,): "lips", "upper_face", the pair "lip_gap" [upper, lower vertex on the midline]
            and any others.
        parts: names to face indices (N,): "skin", "lips", "eyes", ...; a face is in at most one, and skin if in none.
        vertex_count: V; None means the smallest number that faces and regions need.

    Raises:
        ValueError: no face, an index out of range, an empty list, a face in two parts, or a "lip_gap" that is no pair.
    """

    faces: np.ndarray
    regions: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Any] = field(default_factory=dict)
    vertex_count: int | None = None

    def __post_init__(self) -> None:
        faces = np.asarray(self.faces)
        if faces.ndim != 2 or faces.shape[1] != 3 or not len(faces) or not np.issubdtype(faces.dtype, np.integer):
            raise ValueError(f"faces must be integers of shape (F, 3), F at least 1, not {faces.dtype} {faces.shape}")
        _check_range("a face", "vertex", faces, self.vertex_count)
        regions = {name: _indices(name, "vertex", list_, self.vertex_count) for name, list_ in self.regions.items()}
        parts = {name: _indices(name, "face", list_, len(faces)) for name, list_ in self.parts.items()}
        count = self.vertex_count or 1 + int(max([faces.max(), *(region.max() for region in regions.values())]))
        for name, value in (("faces", faces), ("regions", regions), ("parts", parts), ("vertex_count", count)):
            object.__setattr__(self, name, value)
        if "lip_gap" in self.regions and len(self.lip_gap) != 2:
            raise ValueError(f"lip_gap must name an upper and a lower vertex, not {len(self.lip_gap)}")
        owners = np.bincount(np.concatenate([np.unique(part) for part in self.parts.values()] or [[]]).astype(np.int64))
        if (owners > 1).any():
            raise ValueError(f"face {owners.argmax()} is in {owners.max()} parts")

    @property
    def lips(self) -> Integer[np.ndarray, " N"]:
        """Vertices of the lips; ValueError if there is no such region."""
        return self.region("lips")

    @property
    def lip_gap(self) -> Integer[np.ndarray, " N"]:
        """The upper and the lower vertex between which the mouth opens; ValueError if there is no such region."""
        return self.region("lip_gap")

    def region(self, name: str) -> Integer[np.ndarray, " N"]:
        """Return the vertices of a region.

        Raises:
            ValueError: there is no such region.
        """
        if name not in self.regions:
            raise ValueError(f"the topology has no region {name!r}; it has {', '.join(self.regions) or 'none'}")
        return self.regions[name]

    def check(self, name: str, shape: Sequence[int]) -> None:
        """Raise ValueError unless the shape of the vertices ``name`` is (..., V, 3) with all vertices of this topology."""
        if len(shape) < 2 or shape[-1] != 3 or shape[-2] < self.vertex_count:
            raise ValueError(f"{name}: shape {tuple(shape)}, expected (..., {self.vertex_count}, 3) as the topology")

    def gap_mm(self, vertices: Float[np.ndarray, "*batch V 3"]) -> Float[np.ndarray, "*batch"]:
        """Return how far the mouth is open, millimetres, float64.

        Args:
            vertices: metres.

        Raises:
            ValueError: no region "lip_gap", or too few vertices.
        """
        self.check("vertices", vertices.shape)
        upper, lower = (vertices[..., vertex, :].astype(float) for vertex in self.lip_gap)
        return np.asarray(MILLIMETRES * np.linalg.norm(upper - lower, axis=-1))


def _indices(name: str, what: str, indices: Any, count: int | None) -> np.ndarray:
    try:
        array = np.asarray(indices)
    except ValueError:  # lists of different lengths in a list
        array = np.empty(0)
    if array.ndim != 1 or not len(array) or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} is not a list of one or more whole numbers")
    _check_range(name, what, array, count)
    return array.astype(np.int64)


def _check_range(name: str, what: str, indices: np.ndarray, count: int | None) -> None:
    low, high = indices.min(), indices.max()
    if low < 0 or (count is not None and high >= count):
        known = "" if count is None else f", there are {count} of them"
        raise ValueError(f"{name} names {what} {low if low < 0 else high}{known}")
