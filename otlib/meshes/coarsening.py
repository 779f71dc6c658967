"""Coarse vertices of a mesh and smooth interpolation between them, by distance along the mesh's edges.

Distance here counts edges, lengthened in a dense region, not metres. So the coarse vertices follow the density that the
mesh's designer chose (eyes and lips are finer than the scalp), and the two lips of a closed mouth are far apart although
they touch. On a real face model of 26,719 vertices, 1,300 of them coarse, counting edges lowers the largest error on the
lips from 0.97 mm (metres, as many lip vertices) to 0.36 mm, for 9.4 mm of motion.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

NEIGHBOURS = 8
"""Number of coarse vertices from which each vertex is interpolated (our choice).

On the face model above, the largest error on the lips is 0.64 mm with 4, 0.39 mm with 6, and 0.36 mm with 8 or 10.
"""

RIDGE = 0.01
"""Regularisation of the affine fit, relative to the squared distance of the neighbours (our choice, same measurement).

Without it, nearly collinear neighbours would get huge weights of opposite sign.
"""

SUPPORT = 1.25
"""Distance at which a weight reaches zero, relative to the nearest coarse vertex that is not a neighbour (our choice).

With 1 the weights would be continuous, but edge counts tie often, so most neighbours would have no weight: on an uneven
sphere the largest error of a linear function is then four times as large as with 1.25.
"""

UNEVENNESS, UNEVEN_WAVES = 0.7, 12
"""Standard deviation of the log edge lengths of an uneven graph, and the number of waves in it (our choice).

With 0.4 the error on remeshed heads is 1.2 to 1.4 times the error on the head's own mesh; with 0.7 it is 1.1 times.
"""

LENGTH_STEP = 2.0 ** -20
"""Edge lengths are multiples of this step (our choice), so that their sums, and hence ties, are exact.

Farthest points, cells and neighbours depend on ties between many equal paths: with rounded sums, another processor would
choose other coarse vertices.
"""

OUTWARD_DIGITS = 6
"""Decimals, relative to the largest, for comparing distances from a part's centre: mirrored vertices then tie."""

REACH = 3.0
"""Search radius in covering radii. Each vertex has a coarse vertex within one covering radius, and the neighbours of that
coarse vertex lie within two more."""

SOURCES_AT_ONCE = 128
"""Number of searches that share one dense block of distances: 25 MB at 23,370 vertices."""


def edge_graph(edges: Int[np.ndarray, "E 2"], lengths: Float[np.ndarray, " E"], count: int) -> csr_array:
    """Return the symmetric (V, V) matrix of edge lengths."""
    first, second = edges.T
    both = np.concatenate([first, second]), np.concatenate([second, first])
    return csr_array((np.concatenate([lengths, lengths]), both), shape=(count, count))


def _stepped(lengths: np.ndarray) -> np.ndarray:
    return np.maximum(np.round(lengths / LENGTH_STEP), 1.0) * LENGTH_STEP


def counted_distance(vertices: Float[np.ndarray, "V 3"], edges: Int[np.ndarray, "E 2"],
                     region: Int[np.ndarray, " n"] | None, density: float) -> csr_array:
    """Return the graph whose edges have length sqrt(density) in the region and 1 far from it.

    The number of farthest points on a patch grows with the squared edge length, so the region gets ``density`` times as
    many. Away from the region the length falls back to 1 as a Gaussian of the distance along the mesh in metres, with the
    region's root-mean-square radius as its width, so the spacing changes gradually.
    """
    scale = np.ones(len(vertices))
    if region is not None:
        metres = edge_graph(edges, np.linalg.norm(np.subtract(*vertices[edges.T]), axis=1), len(vertices))
        away = dijkstra(metres, indices=region, min_only=True)
        radius = np.sqrt(np.square(vertices[region] - vertices[region].mean(axis=0)).sum(axis=1).mean())
        if radius > 0:
            away = away / radius
        scale += (np.sqrt(density) - 1.0) * np.exp(-np.square(away))
    return edge_graph(edges, _stepped(scale[edges].mean(axis=1)), len(vertices))


def uneven_distance(graph: csr_array, vertices: Float[np.ndarray, "V 3"], generator: np.random.Generator) -> csr_array:
    """Return the graph with some edges lengthened and others shortened, as if another designer had drawn the mesh.

    The logarithm of the factor is a sum of plane waves in random directions, two to six across the mesh.

    Args:
        graph: edge lengths.
        vertices: metres.
        generator: draws the waves.
    """
    waves = generator.normal(size=(UNEVEN_WAVES, 3))
    waves *= generator.uniform(2, 6, (UNEVEN_WAVES, 1)) / np.linalg.norm(waves, axis=1, keepdims=True)
    phases = generator.uniform(0, 2 * np.pi, UNEVEN_WAVES)
    across = vertices / np.ptp(vertices, axis=0).max()
    field = UNEVENNESS * np.sqrt(2 / UNEVEN_WAVES) * np.cos(2 * np.pi * across @ waves.T + phases).sum(axis=1)
    edges = graph.tocoo()
    lengths = _stepped(edges.data * np.exp((field[edges.row] + field[edges.col]) / 2))
    return csr_array((lengths, (edges.row, edges.col)), shape=graph.shape)


def farthest_points(vertices: Float[np.ndarray, "V 3"], graph: csr_array, sizes: tuple[int, ...],
                    ) -> Int[np.ndarray, " M"]:
    """Order vertices so that, for each size, the first so many cover the mesh evenly.

    Each next vertex is the one farthest from all earlier ones. A connected part of the mesh starts with the vertex
    farthest from its centre, at the first size at which its share, by number of vertices, is at least one. Parts too small
    for any size (and vertices without a face) get none until all others are used up. Ties go to the lower index.

    Args:
        vertices: metres, for the centres of the parts.
        graph: edge lengths.
        sizes: ascending, at most V.

    Returns:
        As many indices as the largest size.
    """
    count = len(vertices)
    _, part = connected_components(graph, directed=False)
    part_size = np.bincount(part)
    waiting = list(np.argsort(-part_size, kind="stable"))  # largest part first
    distance = np.full(count, -1.0)  # to the nearest vertex in order; -1 where the part has none
    order: list[int] = []
    for size in sizes:
        while len(order) < size:
            largest = distance.max()
            if waiting and (largest <= 0 or part_size[waiting[0]] * size >= count):
                members = np.flatnonzero(part == waiting.pop(0))
                outward = np.square(vertices[members] - vertices[members].mean(axis=0)).sum(axis=1)
                outward = np.round(outward / (outward.max() or 1.0), OUTWARD_DIGITS)
                order.append(int(members[np.argmax(outward)]))
                distance[members] = dijkstra(graph, indices=order[-1])[members]
            else:
                order.append(int(np.argmax(distance)))
                distance = np.minimum(distance, dijkstra(graph, indices=order[-1], limit=largest))
    return np.array(order)


def nearest_covered(vertices: Float[np.ndarray, "V 3"], covered: np.ndarray) -> Int[np.ndarray, " V"]:
    """Return, for each vertex, itself if ``covered``, otherwise the covered vertex nearest in space.

    This ties parts without a coarse vertex to parts that have one.
    """
    stand_in = np.arange(len(vertices))
    if not covered.all():
        known = np.flatnonzero(covered)
        stand_in[~covered] = known[cKDTree(vertices[known]).query(vertices[~covered])[1]]
    return stand_in


def voronoi_cells(vertices: Float[np.ndarray, "V 3"], graph: csr_array, coarse: Int[np.ndarray, " M"],
                  ) -> tuple[Int[np.ndarray, " V"], float]:
    """Assign each vertex to its nearest coarse vertex.

    Returns:
        Each vertex's position in ``coarse``, and the covering radius: the largest distance to a coarse vertex.
    """
    distance, _, source = dijkstra(graph, indices=coarse, min_only=True, return_predecessors=True)
    covered = np.isfinite(distance)
    position = np.full(len(vertices), -1)
    position[coarse] = np.arange(len(coarse))
    return position[source[nearest_covered(vertices, covered)]], float(distance[covered].max())


def interpolation(vertices: Float[np.ndarray, "V 3"], graph: csr_array, coarse: Int[np.ndarray, " M"],
                  radius: float) -> csr_array:
    """Return the (V, M) matrix that spreads values at coarse vertices smoothly over the mesh.

    The rows sum to one. A coarse vertex keeps its value. Elsewhere the weights are those of modified Shepard
    interpolation, (1/d - 1/R)^2, where d are the distances to the ``NEIGHBOURS`` nearest coarse vertices and R is the
    distance to the next one times ``SUPPORT``. They are multiplied by an affine function of position so that affine
    displacements (a turning jaw) are reproduced nearly exactly: a moving-least-squares fit with a small ridge. Some
    weights are negative.

    Args:
        vertices: metres.
        graph: edge lengths.
        coarse: indices of the coarse vertices.
        radius: the covering radius.
    """
    count = len(vertices)
    neighbour, distance = _nearest_sources(graph, coarse, REACH * max(radius, 1.0), NEIGHBOURS + 1)
    stand_in = nearest_covered(vertices, np.isfinite(distance[:, 0]))
    neighbour, distance = neighbour[stand_in], distance[stand_in]
    smooth = _shepard(distance)
    neighbour = neighbour[:, :-1]
    weights = smooth * _affine_factor(vertices[coarse][neighbour] - vertices[stand_in][:, None], smooth)
    weights = np.where(distance[:, :1] == 0.0, distance[:, :-1] == 0.0, weights)  # a coarse vertex keeps its value
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(count), NEIGHBOURS)
    keep = weights.ravel() != 0.0
    return csr_array((weights.ravel()[keep], (rows[keep], neighbour.ravel()[keep])), shape=(count, len(coarse)))


def _nearest_sources(graph: csr_array, coarse: np.ndarray, limit: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """For each vertex, the ``count`` nearest coarse ones within ``limit``, as positions in ``coarse``, and distances.

    Missing ones have position 0 and an infinite distance.
    """
    blocks = []
    for start in range(0, len(coarse), SOURCES_AT_ONCE):
        block = dijkstra(graph, indices=coarse[start:start + SOURCES_AT_ONCE], limit=limit)
        source, vertex = np.nonzero(np.isfinite(block))
        blocks.append((vertex, source + start, block[source, vertex]))
    vertex, source, length = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    order = np.lexsort((source, length, vertex))
    vertex, source, length = vertex[order], source[order], length[order]
    rank = np.arange(len(vertex)) - np.searchsorted(vertex, vertex)
    near = rank < count
    neighbour = np.zeros((graph.shape[0], count), dtype=np.int64)
    distance = np.full((graph.shape[0], count), np.inf)
    neighbour[vertex[near], rank[near]] = source[near]
    distance[vertex[near], rank[near]] = length[near]
    return neighbour, distance


def _shepard(distance: np.ndarray) -> np.ndarray:
    """Weights (1/d - 1/R)^2, scaled to sum to one, for all columns but the last, which only sets R.

    If there are too few coarse vertices, R is ``SUPPORT`` times the distance to the last one.
    """
    near = distance[:, :-1]
    reach = SUPPORT * np.where(np.isfinite(distance), distance, 0.0).max(axis=1, keepdims=True)
    reach = np.where(reach > 0, reach, 1.0)
    weights = np.where(np.isfinite(near), np.square(1.0 / np.maximum(near / reach, 1e-6) - 1.0), 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def _affine_factor(offset: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    """The affine function a + b . offset at each neighbour for which the weighted offsets (nearly) sum to zero."""
    used = smooth > 0
    spread = np.where(used, np.linalg.norm(offset, axis=-1), 0.0).sum(axis=1) / used.sum(axis=1)
    offset = offset / np.where(spread > 0, spread, 1.0)[:, None, None]
    basis = np.concatenate([np.ones_like(offset[..., :1]), offset], axis=-1)  # V n 4
    moments = np.einsum("vn,vni,vnj->vij", smooth, basis, basis)
    moments[:, 1:, 1:] += RIDGE * np.eye(3)
    target = np.broadcast_to(np.eye(4)[:, :1], (len(offset), 4, 1))
    return np.einsum("vni,vi->vn", basis, np.linalg.solve(moments, target)[..., 0])
