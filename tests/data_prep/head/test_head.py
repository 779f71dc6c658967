"""The built-in head: topology, one shape at three resolutions, the contract of its controls, and its identities."""

import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from data_prep.head import CONTROLS, IDENTITY_DIRECTIONS, RESOLUTIONS, Head, faces_checksum, make_head, pose, skin_fill
from data_prep.head import mesh as head_mesh
from data_prep.head import parts as head_parts
from data_prep.head.mesh import sphere_triangulation

FACES = {"low": 2_000, "medium": 9_976, "high": 46_068}  # of the second and third: FLAME's and BIWI's counts
FACES_CHECKSUMS = {
    "low": "a8428cb791f6f8553ee977b5e505d1e230194c4e34b6c90bdeee04b9c622bd58",
    "medium": "0eb6ef541ad7554f9d6414783f8167c582cfcb11fc9ddd3861fe45fdc20853b9",
    "high": "0fc6bc17f675183b3f98b983e687ce7a1e8781620fd17cb7db9d2bff0dccde94",
}
ROOT = Path(__file__).resolve().parents[3]
PARTS = [head_parts.brows, head_parts.ears, head_parts.teeth]
SAME_PLACE = 1e-7  # metres between two processors' vertices: float32, as the corpus stores them, keeps them to 7e-9
SPHERE_RADIUS = 0.1  # metres on the head for a unit on the sphere of parameters
QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95]
SAME_SPACING = 0.07  # of a quantile: two processors' points differ by 0.04, those of sizes to the power 1.1 by 0.11
MM = 1e-3
ROUNDING = 2e-7  # metres: float32 keeps 0.1 m to 7e-9, and a frame is a sum of 15 terms
SEAL = 0.3 * MM  # a closed mouth, as the corpus defines it
INTERPENETRATION = 0.1 * MM
SMALLEST_AREA = 0.05  # of a face, relative to the neutral face: below it a triangle is close to turning over
LARGEST_DISTANCE = (
    1.5 * MM
)  # of a coarse vertex from the finest surface: the chord error of ear and brow, which are coarse


def optional_cpu_features() -> list[str]:
    """What NumPy found on this processor beyond the least it needs."""
    config = np.show_config(mode="dicts")
    return list(config["SIMD Extensions"].get("found", []))


@lru_cache
def head(resolution: str) -> Head:
    return make_head(resolution=resolution)


def controls(**values: float) -> np.ndarray:
    """One frame of controls, (1, A)."""
    frame = np.zeros((1, len(CONTROLS)))
    for name, value in values.items():
        frame[0, CONTROLS.index(name)] = value
    return frame


def plausible_controls(count: int, seed: int) -> np.ndarray:
    """Random frames within speech: lips part as the jaw allows; rounded excludes spread, tucked excludes open."""
    generator = np.random.default_rng(seed)
    frames = generator.uniform(0, 1, (count, len(CONTROLS)))
    column = {name: index for index, name in enumerate(CONTROLS)}
    for name in ("brow", "smirk"):
        frames[:, column[name]] = 2 * frames[:, column[name]] - 1
    frames[:, column["aperture"]] *= np.minimum(1, 0.25 + frames[:, column["jaw"]])
    rounded = generator.random(count) < 0.5
    frames[rounded, column["spread"]] = 0
    frames[~rounded, column["round"]] = 0
    frames[~rounded, column["protrude"]] *= 0.4
    tucked = generator.random(count) < 0.3
    frames[tucked, column["press"]] = 0
    frames[tucked, column["aperture"]] *= 0.2
    frames[~tucked, column["tuck"]] = 0
    return frames


def crosses(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Normals of the faces, twice their area long, (..., F, 3)."""
    a, b, c = (vertices[..., faces[:, k], :].astype(float) for k in range(3))
    return np.cross(b - a, c - a)


def pieces_of(own: Head) -> list[np.ndarray]:
    """Faces of each connected piece."""
    count = len(own.vertices)
    edges = own.topology.faces[:, [0, 1, 1, 2]].reshape(-1, 2)
    graph = coo_array((np.ones(len(edges)), edges.T), shape=(count, count))
    number, label = connected_components(graph, directed=False)
    return [own.topology.faces[label[own.topology.faces[:, 0]] == piece] for piece in range(number)]


def mesh_volume(own: Head, faces: np.ndarray) -> float:
    return np.einsum("fi,fi->", crosses(own.vertices, faces), own.vertices[faces[:, 0]]) / 6


def lip_columns(own: Head, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower lip points that face each other, (T, rings, columns, 3), ring 0 where the lips touch."""
    lips = own.topology.lips
    rings = np.flatnonzero(np.isin(lips, own.topology.regions["mouth_corners"])).tolist()
    count = 2 * (rings[1] - rings[0])  # points of a ring: its corners stand half a turn apart
    grid = frames[:, lips].reshape(len(frames), -1, count, 3).astype(float)
    half = count // 2
    return grid[:, :, 1:half], grid[:, :, :half:-1]


def gap(own: Head, frames: np.ndarray) -> np.ndarray:
    upper, lower = own.topology.lip_gap
    return np.linalg.norm(frames[:, upper].astype(float) - frames[:, lower], axis=1)


def distance_to_surface(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Distance of points (N, 3) from a mesh, through the nearest vertex and the 40 faces whose centres are nearest."""
    corners = vertices[faces]
    _, nearest = cKDTree(corners.mean(axis=1)).query(points, k=40)
    to_vertex, _ = cKDTree(vertices).query(points)
    a, b, c = (corners[nearest, k] for k in range(3))
    p = points[:, None]
    edges = []
    for start, stop in ((a, b), (b, c), (c, a)):
        along = stop - start
        share = np.clip(((p - start) * along).sum(-1) / (along**2).sum(-1), 0, 1)
        edges.append(np.linalg.norm(p - start - share[..., None] * along, axis=-1))
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    inside = np.ones(nearest.shape, dtype=bool)
    for start, stop in ((a, b), (b, c), (c, a)):
        inside &= (np.cross(stop - start, p - start) * normal).sum(-1) >= 0
    height = np.abs(((p - a) * normal).sum(-1))
    return np.minimum(to_vertex, np.where(inside, height, np.minimum.reduce(edges)).min(axis=1))


@pytest.mark.slow
@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_counts_types_and_parts(resolution):
    own = head(resolution)
    assert len(own.topology.faces) == FACES[resolution]
    assert own.vertices.dtype == np.float64 and own.topology.faces.dtype == np.int32
    assert set(np.unique(own.topology.faces)) == set(range(len(own.vertices)))
    covered = np.concatenate(list(own.topology.parts.values()))
    assert np.array_equal(np.sort(covered), np.arange(len(own.topology.faces)))


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_every_piece_is_closed_and_outward(resolution):
    """Each directed edge occurs once and its reverse once; volumes are positive, of every piece."""
    own = head(resolution)
    edges = own.topology.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)
    code = edges @ [len(own.vertices), 1]
    assert len(np.unique(code)) == len(code)
    assert np.array_equal(np.sort(code), np.sort(edges[:, ::-1] @ [len(own.vertices), 1]))
    pieces = pieces_of(own)
    volumes = [mesh_volume(own, faces) for faces in pieces]
    assert len(pieces) == 7  # head, two brows, two ears, two rows of teeth
    assert 3e-3 < max(volumes) < 7e-3  # litres: a head and its neck
    assert min(volumes) > 0


def test_real_size():
    own = head("medium")
    width = np.ptp(own.vertices[:, 0])
    parts = own.topology.parts
    skin = own.vertices[np.unique(own.topology.faces[np.concatenate([parts["skin"], parts["hair"]])])]
    front = skin[(np.abs(skin[:, 0]) < 5 * MM) & (skin[:, 2] > 60 * MM)]
    assert 0.14 < width < 0.18  # with ears
    assert abs(skin[:, 1].max() - front[:, 1].min() - 0.235) < 0.012  # crown, with hair, to chin
    left, right = own.vertices[own.topology.regions["mouth_corners"]]
    assert abs(left[0] - right[0] - 0.050) < 0.001
    pupils = own.vertices[np.unique(own.topology.faces[own.topology.parts["pupils"]])]
    assert abs(2 * np.abs(pupils[:, 0]).mean() - 0.063) < 0.001


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_mean_head_is_symmetric(resolution):
    vertices = head(resolution).vertices
    distance, partner = cKDTree(vertices).query(vertices * [-1, 1, 1])
    assert distance.max() < 1e-9
    assert len(np.unique(partner)) == len(vertices)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_faces_are_the_same_on_every_machine(resolution):
    assert faces_checksum(head(resolution).topology.faces) == FACES_CHECKSUMS[resolution]


@pytest.mark.slow
def test_another_processors_rounding_gives_the_same_faces_and_places():
    """The oldest kernels of OpenBLAS, NumPy and PyTorch, in a process of their own."""
    program = ("import sys, numpy as np; from data_prep.head import make_head; h = make_head(resolution='medium'); "
               "sys.stdout.buffer.write(h.topology.faces.tobytes() + h.vertices.tobytes())")
    plain = {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Nehalem",
             "NPY_DISABLE_CPU_FEATURES": " ".join(optional_cpu_features())}
    output = subprocess.run([sys.executable, "-c", program], env={**os.environ, **plain}, cwd=ROOT, check=True,
                            capture_output=True).stdout
    faces, vertices = head("medium").topology.faces, head("medium").vertices
    assert output[:faces.nbytes] == faces.tobytes()
    other = np.frombuffer(output[faces.nbytes:]).reshape(vertices.shape)
    assert np.abs(other - vertices).max() < SAME_PLACE


@pytest.mark.slow
@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_faces_do_not_hang_on_the_last_digits(resolution, monkeypatch):
    """All points that are triangulated are moved by up to 1e-12 m, some hundred times what rounding does."""
    generator = np.random.default_rng(0)

    def disturbed(unit: np.ndarray) -> np.ndarray:
        return sphere_triangulation(unit + generator.uniform(-1, 1, unit.shape) * 1e-12 / SPHERE_RADIUS)

    monkeypatch.setattr(head_mesh, "sphere_triangulation", disturbed)
    for _ in range(3):
        faces = head_mesh.build(head_mesh.DETAILS[resolution], PARTS).faces
        assert faces_checksum(faces.astype(np.int32)) == FACES_CHECKSUMS[resolution]


@pytest.mark.slow
def test_stored_points_are_spaced_as_the_code_spaces_them():
    """Point by point no two processors agree; the spacing they agree on."""
    def spacing(fill) -> np.ndarray:
        position = head_mesh.build(head_mesh.DETAILS["low"], PARTS, fill).points.position
        return np.sort(cKDTree(position).query(position, k=2)[0][:, 1])

    stored, made = spacing(None), spacing(skin_fill.fill)
    assert np.abs(np.quantile(made, QUANTILES) / np.quantile(stored, QUANTILES) - 1).max() < SAME_SPACING


def test_points_that_were_not_stored_are_named():
    with pytest.raises(RuntimeError, match=r"data_prep\.head\.make_skin_fill"):
        skin_fill.stored_fill(7)


def test_same_arguments_give_the_same_bytes():
    identity = np.linspace(-1, 1, len(IDENTITY_DIRECTIONS))
    one, two = make_head(identity), make_head(identity.copy())
    assert one.vertices.tobytes() == two.vertices.tobytes()
    assert one.motion.tobytes() == two.motion.tobytes()
    frames = plausible_controls(5, seed=0)
    assert pose(one, frames).tobytes() == pose(two, frames).tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("resolution", ["low", "medium"])
def test_resolutions_show_one_shape(resolution, moved):
    """Vertices of a coarser head lie on the finest one, at rest, on another person and in motion."""
    identity = np.random.default_rng(3).standard_normal(len(IDENTITY_DIRECTIONS)) if moved else None
    frame = controls(jaw=0.6, aperture=0.4, round=0.5) if moved else controls()
    coarse, fine = make_head(identity, resolution), make_head(identity, "high")
    points, surface = (pose(one, frame)[0].astype(float) for one in (coarse, fine))
    distance = distance_to_surface(points, surface, fine.topology.faces)
    assert distance.max() < LARGEST_DISTANCE
    assert np.quantile(distance, 0.95) < 0.2 * MM


def test_neutral_frame_is_the_template():
    own = head("low")
    assert np.abs(pose(own, controls())[0] - own.vertices).max() < ROUNDING


@pytest.mark.parametrize("resolution", ["low", "medium"])
def test_lips_stay_sealed_over_an_open_jaw(resolution):
    own = head(resolution)
    frames = np.concatenate([controls(jaw=jaw, press=press) for jaw in np.linspace(0, 0.6, 7) for press in (0, 1)])
    posed = pose(own, frames)
    assert gap(own, posed).max() <= SEAL
    upper, lower = lip_columns(own, posed)
    assert np.linalg.norm(upper[:, 0] - lower[:, 0], axis=-1).max() <= SEAL  # all along the lips


def test_gap_grows_linearly_with_aperture():
    own = head("low")
    apertures = np.linspace(0, 1, 21)
    for jaw in (0.0, 0.5):
        gaps = gap(own, pose(own, np.concatenate([controls(jaw=jaw, aperture=a) for a in apertures])))
        assert (np.diff(gaps) > 0).all()
        assert abs(gaps[-1] - 22 * MM) < 1 * MM
        assert np.abs(gaps - (gaps[0] + apertures * (gaps[-1] - gaps[0]))).max() < 0.2 * MM


@pytest.mark.parametrize("resolution", ["low", "medium"])
@pytest.mark.parametrize("person", [None, 1, 2])
def test_lips_never_cross(resolution, person):
    identity = None if person is None else np.random.default_rng(person).standard_normal(len(IDENTITY_DIRECTIONS))
    own = make_head(identity, resolution)
    for seed in (4, 5):
        upper, lower = lip_columns(own, pose(own, plausible_controls(1_000, seed)))
        assert (upper - lower)[..., 1].min() > -INTERPENETRATION


@pytest.mark.parametrize("resolution", ["low", "medium"])
def test_thin_pressed_lips_do_not_cross(resolution):
    """The worst case: the thinnest lips, pressed as hard as can be, with and without what turns lips outward."""
    identity = np.zeros(len(IDENTITY_DIRECTIONS))
    identity[IDENTITY_DIRECTIONS.index("lip_fullness")] = -2.5
    own = make_head(identity, resolution)
    frames = [controls(press=1, jaw=jaw, spread=spread) for jaw in (0, 0.6) for spread in (0, 1)]
    upper, lower = lip_columns(own, pose(own, np.concatenate(frames)))
    assert (upper - lower)[..., 1].min() > -INTERPENETRATION


def test_pressed_lips_are_thinner():
    own = head("medium")
    upper, lower = lip_columns(own, pose(own, np.concatenate([controls(), controls(press=1)])))
    middle = upper.shape[2] // 2
    height = (upper[:, -1, middle] - lower[:, -1, middle])[:, 1]
    assert height[1] < 0.75 * height[0]


def test_lower_lip_tucks_behind_the_upper_one():
    own = head("medium")
    upper, lower = own.topology.lip_gap
    tucked = pose(own, controls(tuck=1))[0]
    assert tucked[upper, 2] - tucked[lower, 2] > 4 * MM
    teeth = np.unique(own.topology.faces[own.topology.parts["teeth"]])
    incisors = tucked[teeth][np.abs(tucked[teeth, 0]) < 4 * MM]
    edge = incisors[incisors[:, 2] > incisors[:, 2].max() - 3 * MM]
    edge = edge[edge[:, 1] > own.vertices[lower, 1]][:, 1].min()  # of the upper row
    assert tucked[lower, 1] < edge + 0.5 * MM


@pytest.mark.parametrize("person", [None, 7])
def test_mouth_width(person):
    identity = None if person is None else np.random.default_rng(person).standard_normal(len(IDENTITY_DIRECTIONS))
    own = make_head(identity)
    frames = [controls(), controls(round=1), controls(spread=1), controls(round=0.3), controls(spread=0.3)]
    posed = pose(own, np.concatenate(frames))
    left, right = own.topology.regions["mouth_corners"]
    neutral, rounded, spread, mild_round, mild_spread = np.linalg.norm(posed[:, left] - posed[:, right], axis=1)
    assert abs(rounded - neutral + 14 * MM) < 1 * MM
    assert abs(spread - neutral - 8 * MM) < 1 * MM
    assert mild_spread - mild_round > 5 * MM


def test_protruded_lips_stand_forward():
    own = head("low")
    upper, lower = own.topology.lip_gap
    forward = (pose(own, controls(protrude=1))[0] - own.vertices)[[upper, lower], 2]
    assert np.abs(forward - 7 * MM).max() < 0.5 * MM


def test_jaw_drops_the_chin_and_leaves_the_upper_face():
    own = head("medium")
    shift = pose(own, controls(jaw=1))[0] - own.vertices
    assert -20 * MM < shift[own.topology.regions["jaw"], 1].min() < -16 * MM
    for name in ("jaw", "aperture", "round", "spread", "protrude", "press", "tuck"):
        shift = pose(own, controls(**{name: 1}))[0] - own.vertices
        forehead = own.topology.regions["upper_face"][own.vertices[own.topology.regions["upper_face"], 1] > 0]
        assert np.linalg.norm(shift[forehead], axis=1).max() < 0.05 * MM


def test_brows_lids_and_smirk():
    own = head("medium")
    brows = np.unique(own.topology.faces[own.topology.parts["brows"]])
    brows = brows[own.vertices[brows, 1] > 12 * MM]  # without the lashes
    up, down = (pose(own, controls(brow=b))[0][brows, 1] - own.vertices[brows, 1] for b in (1, -1))
    assert 4 * MM < up.mean() < 7 * MM and down.mean() < -1.5 * MM
    left, right = own.topology.regions["mouth_corners"]
    for value, raised, still in ((1, left, right), (-1, right, left)):
        shift = pose(own, controls(smirk=value))[0] - own.vertices
        assert shift[raised, 1] > 4 * MM and np.abs(shift[still]).max() < 0.1 * MM
    closed = pose(own, controls(blink=1))[0]
    visible = np.unique(own.topology.faces[np.concatenate([own.topology.parts["iris"], own.topology.parts["pupils"]])])
    eye = closed[visible][closed[visible, 0] > 0]
    skin = np.unique(own.topology.faces[own.topology.parts["skin"]])
    lids = closed[skin]
    _, near = cKDTree(lids[:, :2]).query(eye[:, :2])
    assert (lids[near, 2] > eye[:, 2]).all()


@pytest.mark.slow
@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_no_face_collapses_in_motion(resolution):
    own = head(resolution)
    count = {"low": 1_000, "medium": 300, "high": 40}[resolution]
    neutral = crosses(own.vertices, own.topology.faces)
    area = np.linalg.norm(neutral, axis=1)
    outside = np.concatenate([own.topology.parts["skin"], own.topology.parts["hair"], own.topology.parts["eyes"]])
    for frame in pose(own, plausible_controls(count, seed=5)):
        normals = crosses(frame, own.topology.faces)
        assert (np.linalg.norm(normals, axis=1) / area).min() > SMALLEST_AREA
        turned = (normals * neutral).sum(-1)[outside] / (np.linalg.norm(normals, axis=1) * area)[outside]
        assert turned.min() > -0.3  # no face turns over; a lid or lip that rolls may turn by a right angle


def test_teeth_stay_behind_the_lips():
    own = head("medium")
    teeth = np.unique(own.topology.faces[own.topology.parts["teeth"]])
    middle = own.vertices[own.topology.lip_gap, 1].mean()
    x = own.vertices[teeth, 0]
    rows = {"upper": own.vertices[teeth, 1] > middle, "lower": own.vertices[teeth, 1] <= middle}
    frames = pose(own, plausible_controls(1_000, seed=6)).astype(float)
    upper, lower = lip_columns(own, frames)
    for name, lip in (("upper", upper), ("lower", lower)):
        front = teeth[rows[name] & (np.abs(x) < 14 * MM)]
        for frame, edge in zip(frames, lip[:, 0], strict=True):
            order = np.argsort(edge[:, 0])
            height = np.interp(frame[front, 0], edge[order, 0], edge[order, 2])
            assert (height - frame[front, 2]).min() > 0


def test_posing_is_fast_enough_to_be_vectorised():
    """One product of matrices: a frame alone and among others is the same to rounding."""
    own = head("low")
    frames = plausible_controls(300, seed=8)
    together = pose(own, frames)
    assert together.shape == (300, len(own.vertices), 3) and together.dtype == np.float32
    assert np.abs(together[17] - pose(own, frames[17:18])[0]).max() < ROUNDING


def test_people_differ_and_keep_their_faces():
    generator = np.random.default_rng(9)
    people = [make_head(generator.standard_normal(len(IDENTITY_DIRECTIONS))) for _ in range(8)]
    for index, one in enumerate(people):
        for two in people[:index]:
            difference = np.linalg.norm(one.vertices - two.vertices, axis=1)
            assert np.sqrt((difference**2).mean()) > 1.5 * MM
    assert len(IDENTITY_DIRECTIONS) >= 10


@pytest.mark.parametrize("name", IDENTITY_DIRECTIONS)
def test_each_direction_changes_the_head(name):
    identity = np.zeros(len(IDENTITY_DIRECTIONS))
    identity[IDENTITY_DIRECTIONS.index(name)] = 1
    shift = np.linalg.norm(make_head(identity).vertices - head("low").vertices, axis=1)
    assert 0.5 * MM < shift.max() < 10 * MM


@pytest.mark.slow
@pytest.mark.parametrize("resolution", ["low", "medium"])
def test_extreme_people_do_not_fold(resolution):
    """At corners of the cube of +-2.5 deviations no face turns over or vanishes, and the lips stay sealed."""
    mean = head(resolution)
    before = crosses(mean.vertices, mean.topology.faces)
    generator = np.random.default_rng(10)
    for _ in range(40):
        own = make_head(generator.choice([-2.5, 2.5], len(IDENTITY_DIRECTIONS)), resolution)
        after = crosses(own.vertices, own.topology.faces)
        cosine = (before * after).sum(-1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
        assert cosine.min() > 0
        assert (np.linalg.norm(after, axis=1) / np.linalg.norm(before, axis=1)).min() > 0.1
        assert gap(own, pose(own, controls(jaw=0.5))).max() <= SEAL


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="resolution"):
        make_head(resolution="huge")
    with pytest.raises(ValueError, match="identity"):
        make_head(np.zeros(3))
    with pytest.raises(ValueError, match="finite"):
        make_head(np.full(len(IDENTITY_DIRECTIONS), np.nan))
    with pytest.raises(ValueError, match="shape"):
        pose(head("low"), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="finite"):
        pose(head("low"), np.full((1, len(CONTROLS)), np.inf))
    with pytest.raises(ValueError, match="aperture"):
        pose(head("low"), controls(aperture=1.5))
