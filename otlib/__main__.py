"""The commands of the project; each has its own --help. Installed, `otlib` is the same as `python -m otlib`.

    python -m otlib talk speech.wav
    python -m otlib head face.obj
    python -m otlib prepare synthetic --out data/corpus
    python -m otlib train --data data/corpus --out results/runs/first
    python -m otlib align speech.wav --text "What is said in it."
    python -m otlib sliced one.obj other.ply --unit mm
"""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from otlib.commands import Parser, command
from otlib.errors import InputError
from otlib.settings import SEEDS, Range, number_of

_DIRECTIONS = Range(1, 100_000)  # the error falls with their square root or faster, and 100,000 take 5 MB

DELEGATED = {
    "talk": ("data_prep.talk.__main__", "Let a head speak a recording: a page, a film, or a file for Blender and engines."),
    "head": ("data_prep.talk.look", "Look at a head of your own before it talks: what is found of it, and a picture."),
    "prepare": ("data_prep.__main__", "Prepare a data set, or check one."),
    "train": ("otlib.train.__main__", "Train OT-Talk or KMTalk on a prepared data set."),
    "align": ("data_prep.align.__main__", "Find the times of the phonemes in a recording."),
}
"""Commands with a module of their own, imported when it is needed, and the help of each."""


def _add_sliced(commands: Any) -> None:
    from data_prep.raw.units import UNITS

    parser = commands.add_parser(
        "sliced", help="Measure how far two meshes of any topology lie apart, in mm.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Sliced Wasserstein distance SW_p of two meshes, in mm; they need not share vertices or faces.\n\n"
                    "    python -m otlib sliced one.obj other.ply --unit mm")
    parser.add_argument("meshes", type=Path, nargs=2, metavar="MESH", help="OBJ, PLY, GLB or glTF")
    parser.add_argument("--unit", choices=UNITS, default="m", help="unit of the files (%(default)s)")
    parser.add_argument("--measure", choices=("varifold", "barycentres"), default="varifold",
                        help="points and normals of the faces, a normal worth 10 mm, or points alone (%(default)s)")
    parser.add_argument("--directions", type=number_of(int, _DIRECTIONS), default=500, metavar="L",
                        help="lines to project on (%(default)s)")
    parser.add_argument("--p", type=float, default=2.0, help="exponent of the cost, at least 1 (%(default)g)")
    parser.add_argument("--seed", type=number_of(int, SEEDS), default=0, help="seed of the directions (%(default)s)")


def _distance_mm(options: argparse.Namespace) -> float:
    import torch

    from data_prep.raw.mesh_files import read_mesh
    from data_prep.raw.units import UNITS
    from otlib.measures import measure
    from otlib.measures.directions import draw_directions
    from otlib.measures.sliced import sliced_wasserstein

    measures = []
    for path in options.meshes:
        mesh = read_mesh(path)
        vertices = torch.from_numpy(mesh.vertices * UNITS[options.unit])
        try:
            measures.append(getattr(measure, options.measure)(vertices, torch.from_numpy(mesh.faces)))
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error
    directions = draw_directions(options.directions, measures[0].points.shape[-1], dtype=torch.float64,
                                 generator=torch.Generator().manual_seed(options.seed))
    try:
        return 1e3 * float(sliced_wasserstein(*measures, directions, p=options.p, root=True))
    except ValueError as error:
        raise InputError(str(error)) from error


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status: 0, 2 for bad input, 130 when interrupted."""
    parser = Parser(prog="python -m otlib", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (_, purpose) in DELEGATED.items():
        commands.add_parser(name, help=purpose)
    _add_sliced(commands)
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments and arguments[0] in DELEGATED:
        return importlib.import_module(DELEGATED[arguments[0]][0]).main(arguments[1:])
    print(f"{_distance_mm(parser.parse_args(arguments)):.6g} mm")
    return 0
