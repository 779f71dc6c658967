"""A mesh as a surface: seams joined, triangles turned one way, pieces that hang together, and triangles made small."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from trimesh.triangles import cross

_SAME = 1e-6  # of the largest extent: vertices of a seam lie as near as this, which is the last digit of an OBJ in metres
_LARGE = 0.2  # of the largest piece's triangles: a smaller open piece may look inwards for a reason


@dataclass(frozen=True, eq=False)
class Surface:
    """A mesh whose seams are joined and whose triangles are turned outwards.

    Attributes:
        vertices: (N, 3) float64.
        faces: (F, 3) int64, one for each triangle given, counter-clockwise seen from outside.
        places: (V,) the vertex here that each given vertex became.
        pieces: (N,) the number of the piece that each vertex belongs to; what no edge joins is apart.
        turned: how many triangles were given the other way round.
    """

    vertices: np.ndarray
    faces: np.ndarray
    places: np.ndarray
    pieces: np.ndarray
    turned: int


def joined_surface(vertices: Float[np.ndarray, "V 3"], faces: Integer[np.ndarray, "F 3"]) -> Surface:
    """Return a mesh as one surface.

    Only vertices on open borders are joined, those of seams in texture coordinates and of unjoined triangles: lips that
    touch at rest lie together too, and stay two lips. A piece is outside where it looks away from its middle (our choice,
    which also holds for a face without a back); small open pieces, such as an inner mouth, stay as they are.

    Args:
        vertices: in any unit.
        faces: vertex indices.
    """
    border = np.unique(border_edges(faces))
    near = cKDTree(vertices[border]).query_pairs(_SAME * float(np.ptp(vertices, axis=0).max()), output_type="ndarray")
    pairs = border[near]
    _, places = connected_components(coo_array((np.ones(len(pairs)), pairs.T), (len(vertices),) * 2), directed=False)
    kept = np.unique(places, return_index=True)[1]
    joined, moved = vertices[kept].astype(float), places[faces].astype(np.int64)
    pieces = pieces_of(moved, len(joined))
    outward = _outward(joined, moved, pieces)
    return Surface(joined, np.where(outward[:, None], moved, moved[:, ::-1]), places.astype(np.int64), pieces,
                   int((~outward).sum()))


def edges_of(faces: Integer[np.ndarray, "F 3"]) -> Integer[np.ndarray, "E 2"]:
    """Return the three directed edges of each triangle: those that begin at its first corners, at its second, its third."""
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def border_edges(faces: Integer[np.ndarray, "F 3"]) -> Integer[np.ndarray, "B 2"]:
    """Return the directed edges that belong to one triangle alone; the surface lies to their left."""
    edges = edges_of(faces)
    _, which, counts = np.unique(_keys(edges), return_inverse=True, return_counts=True)
    return edges[counts[which] == 1]


def undirected(edges: Integer[np.ndarray, "E 2"]) -> Integer[np.ndarray, "U 2"]:
    """Return each edge once, the smaller number first."""
    return np.stack(divmod(np.unique(_keys(edges)), 1 << 31), 1)


def pieces_of(faces: Integer[np.ndarray, "F 3"], count: int) -> Integer[np.ndarray, " N"]:
    """Return the number of each vertex's piece."""
    edges = edges_of(faces)
    return connected_components(coo_array((np.ones(len(edges)), edges.T), (count, count)), directed=False)[1]


def _outward(vertices: np.ndarray, faces: np.ndarray, pieces: np.ndarray) -> Bool[np.ndarray, " F"]:
    """Return which triangles look outwards.

    Each triangle stands for two nodes, as it is and turned; where two share an edge, nodes that agree are joined. A surface
    that no turning makes agree with itself keeps its triangles.
    """
    count, edges = len(faces), edges_of(faces)
    key = _keys(edges)
    order = np.argsort(key, kind="stable")
    same = key[order][1:] == key[order][:-1]
    alone = np.concatenate([[True], ~same])[:-1] & np.concatenate([~same, [True]])[1:]  # edges of two triangles only
    first, second = order[:-1][same & alone], order[1:][same & alone]
    crossed = edges[first, 0] == edges[second, 0]  # neighbours turned one way run along their edge in opposite directions
    one, other = first % count, second % count
    links = np.concatenate([np.stack([one, other + count * crossed]), np.stack([one + count, other + count * ~crossed])], 1)
    _, group = connected_components(coo_array((np.ones(links.shape[1]), links), (2 * count,) * 2), directed=False)
    corners = vertices[faces]
    normal = cross(corners)
    low, high = (np.full((pieces.max() + 1, 3), value) for value in (np.inf, -np.inf))
    np.minimum.at(low, pieces, vertices)
    np.maximum.at(high, pieces, vertices)
    looking = ((corners.mean(1) - ((low + high) / 2)[pieces[faces[:, 0]]]) * normal).sum(1)
    towards = np.bincount(group, np.concatenate([looking, -looking]), minlength=group.max() + 1)
    owner = pieces[faces[:, 0]]
    open_ = np.isin(np.arange(pieces.max() + 1), pieces[border_edges(faces)])
    size = np.bincount(owner, minlength=len(open_))
    stays = (open_ & (size < _LARGE * size.max()))[owner]
    return (towards[group[:count]] >= 0) | (group[:count] == group[count:]) | stays


def finer(vertices: Float[np.ndarray, "N 3"], faces: Integer[np.ndarray, "F 3"], longest: float,
          where: Bool[np.ndarray, " N"]) -> tuple[Float[np.ndarray, "M 3"], Integer[np.ndarray, "G 3"]]:
    """Return the same surface with no edge longer than ``longest`` at the vertices ``where``, which keep their numbers."""
    while True:
        edges = edges_of(faces)
        long = where[edges].any(1)
        long[long] = np.linalg.norm(np.subtract(*vertices[edges[long].T]), axis=1) > longest
        if not long.any():
            return vertices, faces
        split, which = np.unique(_keys(edges[long]), return_inverse=True)  # both triangles at an edge find it long
        middle = np.full(len(edges), -1)
        middle[long] = len(vertices) + which
        ends = np.stack(divmod(split, 1 << 31), 1)
        vertices, where = np.concatenate([vertices, vertices[ends].mean(1)]), np.concatenate([where, where[ends].all(1)])
        faces = _split(faces, middle.reshape(3, -1).T)


def _keys(edges: np.ndarray) -> np.ndarray:
    """Return one number for each edge, the same in both directions."""
    return (edges.min(1).astype(np.int64) << 31) + edges.max(1)


def _split(faces: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Return triangles (F, 3) split at the middles of their sides (F, 3), -1 where a side stays whole."""
    count = (middle >= 0).sum(1)
    turn = np.where(count == 1, (middle >= 0).argmax(1), np.where(count == 2, (middle < 0).argmax(1), 0))
    columns = (turn[:, None] + np.arange(3)) % 3
    (a, b, c), (ab, bc, ca) = (np.take_along_axis(each, columns, 1).T for each in (faces, middle))
    cases = {0: [(a, b, c)], 1: [(a, ab, c), (ab, b, c)], 2: [(a, b, bc), (a, bc, ca), (ca, bc, c)],
             3: [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]}
    return np.concatenate([np.stack(corners, 1)[count == number] for number, case in cases.items() for corners in case])
