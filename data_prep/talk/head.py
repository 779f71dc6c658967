"""The head that is to talk: the built-in one, or a mesh of a person's own."""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data_prep.head import RESOLUTIONS, make_head
from data_prep.raw.mesh_files import read_meshes
from data_prep.raw.region_files import add_lips_arguments, read_indices
from data_prep.raw.units import add_frame_arguments
from otlib.heads import Known, OwnHead, understand_head
from otlib.topology import Topology


@dataclass(frozen=True, eq=False)
class HeadAtRest:
    """A head: ``template`` (V, 3) float32 metres, its topology; of a person's own, all that is known, and what to say."""

    template: np.ndarray
    topology: Topology
    own: OwnHead | None = None
    said: str = ""


def built_in_head(resolution: str = "low") -> HeadAtRest:
    """Return the mean built-in head; "low" is the resolution that models are trained on."""
    head = make_head(resolution=resolution)
    return HeadAtRest(head.vertices.astype(np.float32), head.topology)


def is_built_in(name: str) -> bool:
    """Whether a name is a resolution of the built-in head."""
    return name in RESOLUTIONS


def read_head(path: Path, known: Known, lips: Path | None = None, first: int = 0) -> HeadAtRest:
    """Read a head of a person's own, in any unit and axes, with or without neck, eyes, teeth and hair.

    Args:
        path: OBJ, PLY, GLB or glTF; several meshes are the parts of one head.
        known: what is known of its unit and axes.
        lips: a list of the lips' vertices; None to find them.
        first: number of the first vertex in that list.

    Raises:
        InputError: a file cannot be read, or :func:`otlib.heads.understand_head` refuses the head.
    """
    mesh = read_meshes(path)
    if lips is not None:
        known = replace(known, lips=read_indices(lips, len(mesh.vertices), first))
    own = understand_head(str(path), mesh.vertices, mesh.faces, known)
    meshes = f"{len(mesh.names)} meshes as one head ({', '.join(mesh.names)})" if mesh.names else ""
    return HeadAtRest(own.template, own.topology, own, "; ".join(filter(None, [meshes, own.said])))


def add_head_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say what is known of a head of a person's own."""
    add_frame_arguments(parser)
    add_lips_arguments(parser, "found: a slit across the middle of the face")


def own_head(path: Path, options: argparse.Namespace) -> HeadAtRest:
    """Read the head of a person's own of which the options say what is known.

    Raises:
        InputError: as :func:`read_head`.
    """
    return read_head(path, Known(options.unit, options.up, options.forward), options.lips, options.counted_from)
