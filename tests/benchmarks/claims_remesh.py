"""The error on a head with another topology beside that on the corpus's own, at the same points."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from matplotlib.figure import Figure

from otlib.data.dataset import Sequence
from otlib.files import atomic_write
from otlib.metrics.vertices import lip_error_mm, mean_vertex_error
from otlib.models.ottalk import prepare_geometry
from otlib.predict import Predictor, animate
from otlib.topology import Topology
from otlib.train.tuned_encoder import FrozenEncoder
from otlib.viz.can_render import ensure_rendering
from otlib.viz.head_figures import put_picture
from otlib.viz.heads import place_camera
from tests.benchmarks.claims_common import Setting, goal

WANTED_RATIO = 1.3
KINDS = {"coarser": 0.6, "finer": 1.5}  # faces of the remesh, in shares of the native mesh's
PIXELS = (520, 520)
SKIN, EDGES = "#D8B8A4", "#303030"


@dataclass(frozen=True)
class Carrier:
    """Carries what is known at the vertices of a mesh to points on it, linearly within each face.

    Attributes:
        corners: (N, 3) vertices of the face that each point lies on.
        weights: (N, 3) of those corners; they sum to one.
    """

    corners: np.ndarray
    weights: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return (..., N, C) at the points from (..., V, C) at the vertices, float32."""
        return np.einsum("...ncx,nc->...nx", values[..., self.corners, :], self.weights).astype(np.float32)

    def region(self, vertices: np.ndarray) -> np.ndarray:
        """Return the points at least half of whose weight is on a region's vertices."""
        return np.flatnonzero((np.isin(self.corners, vertices) * self.weights).sum(1) >= 0.5)


def carrier(vertices: np.ndarray, faces: np.ndarray, points: np.ndarray) -> Carrier:
    """Return what carries values from a mesh to the points on it that are closest to some points (N, 3), metres."""
    import pyvista  # only where it is needed: a machine that cannot draw is told so first

    mesh = pyvista.PolyData.from_regular_faces(np.asarray(vertices, float), np.asarray(faces))
    cells, closest = mesh.find_closest_cell(np.asarray(points, float), return_closest_point=True)
    corners = np.asarray(faces)[cells]
    weights = trimesh.triangles.points_to_barycentric(mesh.points[corners], closest, method="cross")
    weights = np.clip(weights, 0, None)  # rounding, at edges
    return Carrier(corners, weights / weights.sum(1, keepdims=True))


@dataclass(frozen=True)
class Remesh:
    """A head with another topology: its points are points of the native surface.

    Attributes:
        template: (N, 3) float32 metres.
        faces: (G, 3).
        lips: the native mesh's region, carried over.
        carry: from the native mesh to these points.
    """

    template: np.ndarray
    faces: np.ndarray
    lips: np.ndarray
    carry: Carrier


def remesh(template: np.ndarray, opened: np.ndarray, faces: np.ndarray, lips: np.ndarray, share: float) -> Remesh:
    """Return a head with so large a share of its faces: subdivided (Loop), then decimated by quadric error.

    Args:
        template: (V, 3) the head at rest.
        opened: (V, 3) the same head with an open mouth, where the new mesh is made and its points are looked for on the
            old one: at rest the lips touch, and a point of one would be taken for one of the other.
        faces, lips: of the head.
        share: of the native number of faces.
    """
    import pyvista

    native = pyvista.PolyData.from_regular_faces(np.asarray(opened, float), np.asarray(faces))
    fine = native.subdivide(1, "loop")
    reduced = fine.decimate(1 - share * len(faces) / fine.n_cells)
    carry = carrier(opened, faces, reduced.points)
    return Remesh(carry(np.asarray(template)), reduced.regular_faces.astype(np.int32), carry.region(lips), carry)


def measure_remesh(setting: Setting, picture: Path, *, clips: int, speakers: int | None = None) -> dict[str, Any]:
    """Return errors on native mesh and remeshes for some clips of each test speaker, and leave a picture.

    Args:
        setting: model and corpus.
        picture: to write: native and other topologies with their edges, lips closed and open.
        clips: of each speaker.
        speakers: how many; None all.

    Raises:
        RenderingUnavailable: no GL on this machine.
    """
    ensure_rendering()
    corpus = setting.corpus
    predict = Predictor(setting.trained, corpus, setting.folders.features)
    names = sorted({clip.subject for clip in corpus.select("test")})[:speakers]
    rows = []
    for name in names:
        chosen = corpus.select("test", name)[:clips]
        widest = max(chosen, key=lambda clip: float(corpus.topology.gap_mm(clip.vertices).max()))
        truth = np.array(widest.vertices)
        opened = truth[int(corpus.topology.gap_mm(truth).argmax())]
        meshes = {kind: remesh(chosen[0].template, opened, corpus.topology.faces, corpus.topology.lips, share)
                  for kind, share in KINDS.items()}
        for clip in chosen:
            native = predict(clip)
            moved = {kind: animated(setting, clip, mesh) for kind, mesh in meshes.items()}
            rows += [row(clip, kind, mesh, native, moved[kind]) for kind, mesh in meshes.items()]
            if len(rows) == len(KINDS):
                draw(picture, setting, native, {kind: (moved[kind], mesh.faces) for kind, mesh in meshes.items()})
        print(f"  {name}: " + ", ".join(f"{kind} {ratio(rows, 'lip_max_mm', kind, name):.2f}" for kind in KINDS), flush=True)
    ratios = {kind: {metric: round(ratio(rows, metric, kind), 4) for metric in ("lip_max_mm", "mve_mm")} for kind in KINDS}
    return {"rows": rows, "ratios": ratios, "speakers": len(names), "clips": len(rows) // len(KINDS),
            "remesh": "Loop subdivision, then quadric decimation to a share of the native faces, on an open mouth",
            "shares": KINDS,
            "goals": [goal(f"largest lip distance on a {kind} remesh over that on the native mesh, {len(names)} speakers",
                           ratios[kind]["lip_max_mm"], WANTED_RATIO) for kind in KINDS]}


def animated(setting: Setting, clip: Sequence, mesh: Remesh) -> np.ndarray:
    """Return the motion (T, N, 3) of a head with another topology that says a clip."""
    template, model = torch.from_numpy(mesh.template), setting.trained.model
    geometry = prepare_geometry(template, Topology(mesh.faces, {"lips": mesh.lips}), model.settings)
    features = FrozenEncoder(setting.trained.source, setting.folders.features).read(clip)
    return animate(model, features, template, geometry, speaker=clip.subject).numpy()


def row(clip: Sequence, kind: str, mesh: Remesh, native: np.ndarray, moved: np.ndarray) -> dict[str, Any]:
    """Return the errors of one clip, mean over its frames, all at the remesh's points."""
    truth = mesh.carry(np.array(clip.vertices))
    found: dict[str, Any] = {"clip": clip.id, "speaker": clip.subject, "mesh": kind, "faces": len(mesh.faces),
                             "vertices": len(mesh.template), "lip_vertices": len(mesh.lips)}
    for name, motion in (("native", mesh.carry(native)), ("remesh", moved)):
        found[name] = {"lip_max_mm": round(lip_error_mm(truth, motion, mesh.lips), 4),
                       "mve_mm": round(1000 * float(mean_vertex_error(truth, motion).mean()), 4)}
    return found


def ratio(rows: list[dict[str, Any]], metric: str, kind: str, speaker: str | None = None) -> float:
    """Return the mean error on a kind of remesh over that on the native mesh (each speaker has as many clips)."""
    chosen = [one for one in rows if one["mesh"] == kind and speaker in (None, one["speaker"])]
    return float(np.mean([one["remesh"][metric] for one in chosen]) / np.mean([one["native"][metric] for one in chosen]))


def draw(file: Path, setting: Setting, native: np.ndarray, others: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Write a picture: native mesh and remeshes with their edges, where the native prediction's lips are closed and open."""
    gap = setting.corpus.topology.gap_mm(native)
    columns = {"native": (native, setting.corpus.topology.faces), **others}
    figure = Figure(figsize=(4 * len(columns), 8.4), layout="constrained")
    panels = figure.subplots(2, len(columns))
    for line, (mouth, frame) in zip(panels, (("closed", int(gap.argmin())), ("open", int(gap.argmax()))), strict=True):
        for panel, (name, (motion, faces)) in zip(line, columns.items(), strict=True):
            put_picture(panel, wireframe(motion[frame], faces, native[0]))
            panel.set_xlabel(f"{name}, {len(faces):,} faces, lips {mouth}", fontsize=11)
    with atomic_write(file) as temporary:
        figure.savefig(temporary, dpi=100, metadata={"Software": None})


def wireframe(vertices: np.ndarray, faces: np.ndarray, focus: np.ndarray) -> np.ndarray:
    """Draw a mesh with its edges, (height, width, 3) uint8; the camera is fitted to other points (N, 3)."""
    import pyvista

    plotter = pyvista.Plotter(off_screen=True, window_size=list(PIXELS))
    plotter.set_background("white")
    plotter.add_mesh(pyvista.PolyData.from_regular_faces(vertices, faces), color=SKIN, show_edges=True, edge_color=EDGES,
                     line_width=1, reset_camera=False)
    place_camera(plotter, focus, PIXELS, "front")
    picture = plotter.screenshot(None, return_img=True)
    plotter.close()
    return picture
