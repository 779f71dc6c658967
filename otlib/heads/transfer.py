"""Shapes carried from one head to another: where one skin lies on the other is found by optimal transport.

Both skins around the mouth are measures of points with normals, as in :mod:`otlib.measures`. Transport between them, of
which a part may stay out (one head has ears where another ends), tells where each point of one belongs on the other; a
thin-plate spline follows it, more closely each round. Upper and lower lip touch but look in opposite directions, so neither
is taken for the other. A vertex then moves as the place does where it lies on the other skin. The combination is ours; its
parts are transport for registration (Shen et al. 2021) and, for mass that stays out, one more atom on each side (Caffarelli
and McCann 2010).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import ot
from jaxtyping import Float
from scipy.interpolate import RBFInterpolator
from scipy.ndimage import minimum
from scipy.sparse import coo_array, csr_array
from scipy.spatial import cKDTree
from trimesh import Trimesh
from trimesh.triangles import cross

from otlib.heads import OwnHead
from otlib.heads.surface import edges_of, undirected

_POINTS, _ROUNDS, _AFFINE = 2000, 10, 3  # of each skin; of transport and spline; of these, those that are affine
_BLUR = (0.010, 0.0012)  # metres: of the plan, in the first and in the last round
_STEPS = 60  # of Sinkhorn's algorithm in a round
_BEYOND, _SPARE = 3.0, 0.5  # distance in blurs beyond which mass stays out, and the share of all mass that may
_SMOOTH = (1.0, 0.03)  # of the spline, in the first and in the last round
_SPLINE = 0.05  # metres; the spline's unit
_OPPOSITE = 0.024  # metres by which opposite normals set two points apart
_FACE = np.array([[-0.12, -0.07, -0.075], [0.12, 0.13, 0.06]])  # metres from the mouth: the face that shapes move
_BAG = np.array([0.035, 0.030, -0.014])  # the same: half the width and height, and the front of the inside of a mouth,
_BAG_SLOPE = 0.25  # which lies deeper beside the middle
_NEAR, _DENSER = 0.04, 8.0  # metres from the mouth within which points are so many times denser
_SAMPLES, _NEIGHBOURS, _BLEND = 60_000, 8, 0.001  # of the skin that gives its motion; of them for a vertex; metres
_TORN, _MENDS = 1.5, 3  # least strain of the edges at a vertex that was laid elsewhere than all its neighbours; rounds
_SEED = 0


@dataclass(frozen=True, eq=False)
class _Skin:
    vertices: np.ndarray  # (N, 3) metres from the middle of the lips
    faces: np.ndarray
    normals: np.ndarray


def carry_shapes(displacements: Float[np.ndarray, "K V 3"], source: OwnHead,
                 target: OwnHead) -> Float[np.ndarray, "K W 3"]:
    """Return the shapes of one head as those of another, whose parts follow its skin as in any motion.

    What moves only eyes, teeth or the tongue of the source moves nothing: it is known where skin lies on skin.

    Args:
        displacements: of the source's vertices, in the order of its file, metres in its canonical axes.
        source: the head that has the shapes, V vertices.
        target: the head that gets them, W vertices.

    Returns:
        float32 metres in the target's canonical axes.

    Raises:
        ValueError: the displacements are not of the source's vertices.
    """
    if displacements.ndim != 3 or displacements.shape[1:] != source.template.shape:
        raise ValueError(f"displacements: shape {displacements.shape}, expected (K, {len(source.template)}, 3) as the "
                         "source")
    (seen, _), (_, given) = target.skin, source.skin
    one, other = _skin(target), _skin(source)
    weights = _weights(_registered(one, other)(one.vertices), one.normals, other)
    rest = target.seen[0]
    carried = []
    for moved in _mended(one, np.array([weights @ displacement[given] for displacement in displacements])):
        frame = rest.copy()
        frame[seen] += moved.astype(np.float32)
        carried.append(next(target.carried([frame[None]]))[0] - target.template)
    return np.array(carried, dtype=np.float32).reshape(-1, *target.template.shape)


def _skin(head: OwnHead) -> _Skin:
    """Return the skin that the model sees of a head."""
    number, _ = head.skin
    template, topology, _ = head.seen
    here = np.full(len(template), -1)
    here[number] = np.arange(len(number))
    faces = here[topology.faces]
    faces = faces[(faces >= 0).all(1)]
    vertices = template[number].astype(float) - head.lips.middle
    return _Skin(vertices, faces, np.array(Trimesh(vertices, faces, process=False).vertex_normals))


def _drawn(skin: _Skin, faces: np.ndarray, count: int, denser: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points of some triangles as three vertices (N, 3) and their shares (N, 3), and the points' normals (N, 3)."""
    generator = np.random.default_rng(_SEED)
    corners = skin.vertices[faces]
    density = np.linalg.norm(cross(corners), axis=1)
    density[np.linalg.norm(corners.mean(1), axis=1) < _NEAR] *= denser
    face = faces[generator.choice(len(faces), count, p=density / density.sum())]
    share = generator.dirichlet([1, 1, 1], count)
    normals = np.einsum("nkc,nk->nc", skin.normals[face], share)
    return face, share, normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _face(skin: _Skin) -> tuple[np.ndarray, np.ndarray]:
    """Return points (N, 3) of the face without the inside of its mouth, and their normals."""
    place = skin.vertices[skin.faces].mean(1)
    inside = (np.abs(place[:, :2]) < _BAG[:2]).all(1) & (place[:, 2] < _BAG[2] - _BAG_SLOPE * np.abs(place[:, 0]))
    kept = ((place > _FACE[0]) & (place < _FACE[1])).all(1) & ~inside
    face, share, normals = _drawn(skin, skin.faces[kept], _POINTS, _DENSER)
    return np.einsum("nkc,nk->nc", skin.vertices[face], share), normals


def _registered(one: _Skin, other: _Skin) -> Callable[[np.ndarray], np.ndarray]:
    """Return the map that lays one skin on the other; lips' middles lie on each other."""
    (x, x_normals), (y, y_normals) = _face(one), _face(other)
    goal = np.concatenate([y, np.zeros((1, 3))])
    start = np.concatenate([x, np.zeros((1, 3))])
    warp: Callable[[np.ndarray], np.ndarray] = np.asarray
    for step in range(_ROUNDS):
        blur, smooth = (first * (last / first) ** (step / (_ROUNDS - 1)) for first, last in (_BLUR, _SMOOTH))
        plan = _plan(_oriented(warp(x), x_normals), _oriented(y, y_normals), blur)
        mass = plan.sum(1)
        goal = np.concatenate([plan @ y / np.maximum(mass, 1e-300)[:, None], np.zeros((1, 3))])
        trust = np.append(np.maximum(mass * len(x), 0.02), 20.0)  # the middle of the lips counts as twenty points
        if step < _AFFINE:
            warp = _affine(start, goal, trust)
        else:
            warp = _spline(start, goal, smooth / trust)
    return warp


def _oriented(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    return np.concatenate([points, _OPPOSITE / 2 * normals], 1)


def _plan(x: np.ndarray, y: np.ndarray, blur: float) -> np.ndarray:
    """Return how much mass goes from each point to each other one, where all points have the same and some stays out."""
    cost = np.zeros((len(x) + 1, len(y) + 1))
    cost[:-1, :-1] = ot.dist(x, y) / blur**2
    cost[-1, :-1] = cost[:-1, -1] = _BEYOND**2
    rows, columns = (np.append(np.full(len(points), 1 / len(points)), _SPARE) for points in (x, y))
    return ot.sinkhorn(rows, columns, cost, reg=1.0, numItermax=_STEPS, warn=False)[:-1, :-1]


def _affine(start: np.ndarray, goal: np.ndarray, trust: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    weight = np.sqrt(trust)[:, None]
    matrix = np.linalg.lstsq(np.pad(start, ((0, 0), (0, 1)), constant_values=1) * weight, goal * weight, rcond=None)[0]
    return lambda points: points @ matrix[:3] + matrix[3]


def _spline(start: np.ndarray, goal: np.ndarray, smooth: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    spline = RBFInterpolator(start / _SPLINE, goal, kernel="thin_plate_spline", smoothing=smooth)
    return lambda points: spline(points / _SPLINE)


def _weights(places: np.ndarray, normals: np.ndarray, skin: _Skin) -> csr_array:
    """Return the share (N, M) that each vertex of a skin has in the motion at places (N, 3) on it."""
    face, share, own = _drawn(skin, skin.faces, _SAMPLES, _DENSER)
    points = np.einsum("nkc,nk->nc", skin.vertices[face], share)
    away, near = cKDTree(_oriented(points, own)).query(_oriented(places, normals), k=_NEIGHBOURS)
    blend = np.exp(-np.square(away / np.maximum(away[:, :1], _BLEND)))
    blend /= blend.sum(1, keepdims=True)
    values = blend[..., None] * share[near]  # N k 3
    rows = np.repeat(np.arange(len(places)), values[0].size)
    return coo_array((values.ravel(), (rows, face[near].ravel())), (len(places), len(skin.vertices))).tocsr()


def _mended(skin: _Skin, moved: np.ndarray) -> np.ndarray:
    """Return displacements (K, N, 3) in which vertices that tear off from all of their neighbours move as those do."""
    edges = undirected(edges_of(skin.faces))
    ends = np.concatenate([edges, edges[:, ::-1]]).T
    length = np.linalg.norm(skin.vertices[ends[0]] - skin.vertices[ends[1]], axis=1)
    for _ in range(_MENDS if len(moved) else 0):
        strain = np.linalg.norm(moved[:, ends[0]] - moved[:, ends[1]], axis=2).max(0) / np.maximum(length, 1e-9)
        torn = minimum(strain, ends[0], np.arange(len(skin.vertices))) > _TORN
        whole = torn[ends[0]] & ~torn[ends[1]]
        mean = coo_array((np.ones(whole.sum()), ends[:, whole]), (len(torn),) * 2).tocsr()
        count = mean.sum(1)
        mend = np.flatnonzero(count)
        moved[:, mend] = [mean[mend] @ one / count[mend, None] for one in moved]
    return moved
