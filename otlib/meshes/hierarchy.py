"""Mesh resolutions for graph networks: coarse graphs of any triangle mesh, and the matrices that connect them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import csr_array, sparray
from torch import Tensor

from otlib.meshes.coarsening import counted_distance, farthest_points, interpolation, uneven_distance, voronoi_cells
from otlib.meshes.geometry import check_mesh, face_areas
from otlib.meshes.graph import graph_edges, scaled_laplacian
from otlib.meshes.sparse import sparse_matrix, sparse_product


@dataclass(frozen=True, eq=False)
class MeshHierarchy:
    """Graphs of decreasing size on one mesh. Level 0 is the mesh; each level's vertices are a subset of the finer one's.

    Attributes:
        chosen: for each level, the (M,) int64 mesh indices of its vertices.
        positions: for each level, the (M, 3) template positions of its vertices, metres.
        laplacians: for each level, the (M, M) scaled Laplacian with lambda_max = 2, sparse COO.
        up: matrix l, (M_l, M_{l+1}), interpolates values of level l + 1 smoothly on level l; rows sum to one.
        down: matrix l, (M_{l+1}, M_l), averages level l over the cells of level l + 1, weighted by area; rows sum to one.
    """

    chosen: tuple[Tensor, ...]
    positions: tuple[Tensor, ...]
    laplacians: tuple[Tensor, ...]
    up: tuple[Tensor, ...]
    down: tuple[Tensor, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of vertices of each level, the whole mesh first."""
        return tuple(len(chosen) for chosen in self.chosen)

    def upsample(self, signal: Float[Tensor, "*batch M C"], level: int) -> Float[Tensor, "*batch N C"]:
        """Interpolate a signal from ``level`` (1 or more) to the next finer one, ``level - 1``.

        Raises:
            ValueError: no such level, or a signal of another size.
        """
        self._check_level(level, 1, len(self.chosen) - 1)
        return sparse_product(self.up[level - 1], signal)

    def downsample(self, signal: Float[Tensor, "*batch N C"], level: int) -> Float[Tensor, "*batch M C"]:
        """Average a signal from ``level`` over the cells of the next coarser one, ``level + 1``.

        Raises:
            ValueError: no such level, or a signal of another size.
        """
        self._check_level(level, 0, len(self.chosen) - 2)
        return sparse_product(self.down[level], signal)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "MeshHierarchy":
        """Return the hierarchy on a device and in a floating-point type; indices stay int64."""
        def moved(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return tuple(tensor.to(device=device, dtype=dtype) for tensor in tensors)

        chosen = tuple(indices.to(device=device) for indices in self.chosen)
        return replace(self, chosen=chosen, positions=moved(self.positions), laplacians=moved(self.laplacians),
                       up=moved(self.up), down=moved(self.down))

    def _check_level(self, level: int, first: int, last: int) -> None:
        if not first <= level <= last:
            raise ValueError(f"level must be {first} to {last} here, not {level}")


def build_hierarchy(template_vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], sizes: Sequence[int],
                    dense_region: Int[Tensor, " n"] | Sequence[int] | None = None,
                    density: float = 10.0, variation: int | None = None) -> MeshHierarchy:
    """Choose coarse vertices of a mesh and make the graphs and matrices between its resolutions.

    Coarse vertices are farthest points of the edge graph (see ``otlib.meshes.coarsening``); two of them are neighbours if an
    edge joins their Voronoi cells. Distances run along the mesh, so values of one lip do not reach the other except near
    the corners, and separate parts (eyeballs, teeth) do not mix if they contain a coarse vertex. A part too small for one
    follows the nearest vertex of a part that has one. All our choice: the paper names no pooling. The result is
    deterministic, and no learned parameter depends on V.

    Args:
        template_vertices: metres; the result has its device and dtype.
        faces: vertex indices.
        sizes: number of vertices of each coarse level, decreasing, each at most V, for instance (1300, 320, 80).
        dense_region: indices of a region, such as the lips, that gets more coarse vertices.
        density: how many times as many coarse vertices the region gets, at least 1.
        variation: seed that imitates the hierarchy of a mesh of the same shape but other faces: coarse vertices lie denser
            in some places and sparser in others, and the region is mostly less dense, down to 0.4 times as dense as the
            rest. A model trained on a single hierarchy works only for heads with those faces (our finding). None gives
            the hierarchy of the mesh itself.

    Raises:
        ValueError: a bad mesh, sizes that do not decrease or exceed V, a region out of range, or a density below 1.
    """
    check_mesh(template_vertices, faces)
    count = len(template_vertices)
    sizes = _checked_sizes(sizes, count)
    region = _checked_region(dense_region, count)
    if not (np.isfinite(density) and density >= 1):
        raise ValueError(f"density must be at least 1, not {density}")
    vertices = template_vertices.detach().cpu().double().numpy()
    edges = graph_edges(faces.cpu()).numpy()
    if variation is not None:
        generator = np.random.default_rng(variation)
        density **= generator.uniform(-0.4, 1.0)
    graph = counted_distance(vertices, edges, region, density)
    if variation is not None:
        graph = uneven_distance(graph, vertices, generator)
    order = farthest_points(vertices, graph, tuple(reversed(sizes)))

    def tensor(matrix: sparray) -> Tensor:
        entries = matrix.tocoo()
        return sparse_matrix(entries.row, entries.col, entries.data, matrix.shape, dtype=template_vertices.dtype,
                             device=template_vertices.device)

    levels = [np.arange(count), *(order[:size] for size in sizes)]
    laplacians, up, down = [_laplacian(edges, count, template_vertices)], [], []
    mass = vertex_masses(template_vertices, faces)
    for finer, coarse in pairwise(levels):
        cells, radius = voronoi_cells(vertices, graph, coarse)
        laplacians.append(_laplacian(cells[edges], len(coarse), template_vertices))
        up.append(tensor(interpolation(vertices, graph, coarse, radius)[finer]))
        average, mass = cell_average(cells[finer], mass, len(coarse))
        down.append(tensor(average))
    indices = tuple(torch.as_tensor(level, device=template_vertices.device) for level in levels)
    positions = tuple(template_vertices.detach()[level] for level in indices)
    return MeshHierarchy(indices, positions, tuple(laplacians), tuple(up), tuple(down))


def vertex_masses(vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"]) -> Float[np.ndarray, " V"]:
    """Return a third of the area of each vertex's faces, square metres; a vertex without area gets a tiny mass.

    The tiny mass, far below any area, matters only where a whole cell has no area.
    """
    areas = face_areas(vertices.detach().cpu().double(), faces.cpu()).numpy()
    masses = np.bincount(faces.cpu().numpy().ravel(), np.repeat(areas / 3.0, 3), minlength=len(vertices))
    total = masses.sum()
    return np.maximum(masses, 1e-12 * total if total > 0 else 1.0)


def cell_average(cells: Int[np.ndarray, " N"], mass: Float[np.ndarray, " N"], count: int,
                 ) -> tuple[csr_array, Float[np.ndarray, " M"]]:
    """Return the (M, N) matrix of mass-weighted means over cells, and each cell's mass."""
    total = np.bincount(cells, mass, minlength=count)
    return csr_array((mass / total[cells], (cells, np.arange(len(cells)))), shape=(count, len(cells))), total


def _laplacian(edges: np.ndarray, count: int, like: Tensor) -> Tensor:
    edges = edges[edges[:, 0] != edges[:, 1]]  # an edge within a cell joins nothing
    return scaled_laplacian(torch.as_tensor(edges, device=like.device), count, dtype=like.dtype)


def _checked_sizes(sizes: Sequence[int], count: int) -> tuple[int, ...]:
    falling = all(finer > coarser for finer, coarser in pairwise(sizes))
    if not sizes or not falling or sizes[-1] < 1 or sizes[0] > count:
        raise ValueError(f"sizes must be positive, fall and begin with at most {count}, the vertices of the mesh, "
                         f"not {tuple(sizes)}")
    return tuple(sizes)


def _checked_region(region: Tensor | Sequence[int] | None, count: int) -> np.ndarray | None:
    if region is None:
        return None
    indices = torch.as_tensor(region).cpu().numpy()
    if indices.ndim != 1 or len(indices) == 0 or not np.issubdtype(indices.dtype, np.integer):
        raise ValueError(f"dense_region must be a list of vertex indices, not {indices.dtype} of shape {indices.shape}")
    if indices.min() < 0 or indices.max() >= count:
        raise ValueError(f"dense_region names vertices {indices.min()} to {indices.max()}, but there are {count}")
    return indices
