"""The head that is to talk: the built-in one, or a mesh of a person's own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.head import RESOLUTIONS, make_head
from data_prep.raw.mesh_files import read_mesh
from data_prep.raw.region_files import read_indices
from data_prep.raw.units import check_size
from data_prep.sources.conversion import with_lips
from otlib.topology import Topology


@dataclass(frozen=True, eq=False)
class HeadAtRest:
    """A head: ``template`` (V, 3) float32 metres, its topology, and the unit of its file in metres."""

    template: np.ndarray
    topology: Topology
    metres_per_unit: float = 1.0


def built_in_head(resolution: str = "low") -> HeadAtRest:
    """Return the mean built-in head; "low" is the resolution that models are trained on."""
    head = make_head(resolution=resolution)
    return HeadAtRest(head.vertices.astype(np.float32), head.topology)


def is_built_in(name: str) -> bool:
    """Whether a name is a resolution of the built-in head."""
    return name in RESOLUTIONS


def read_head(path: Path, metres: float = 1.0, lips: Path | None = None, first: int = 0) -> HeadAtRest:
    """Read a head of a person's own: one mesh, mouth shut, y up, z out of the face.

    Args:
        path: OBJ, PLY, GLB or glTF.
        metres: metres in one unit of the file.
        lips: a list of the lips' vertices; the model has denser graphs there.
        first: number of the first vertex in that list.

    Raises:
        InputError: a file cannot be read, or the head is too small or too large for one.
    """
    mesh = read_mesh(path)
    with np.errstate(over="ignore"):  # too large ones are refused next
        template = (metres * mesh.vertices).astype(np.float32)
    check_size(template, f"{path}: the head")
    if lips is None:
        topology = Topology(mesh.faces, vertex_count=len(template))
    else:
        topology = with_lips(mesh.faces, {"lips": read_indices(lips, len(template), first)})
    return HeadAtRest(template, topology, metres)
