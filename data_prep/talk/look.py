"""Look at a head of your own before it talks: what is found of it, in words and in a picture to confirm.

    otlib head face.obj                               a picture, face_head.png, here
    otlib head face.glb --out looked_at.png
    otlib head face.obj --unit cm --up z --forward=-y --lips lips.txt

(`python -m otlib head` is the same.) The picture shows the head from the front and from its left, and its mouth: lips, eyes,
teeth and tongue have colours of their own. What is wrong there can be said by the options, which `otlib talk` has, too.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from data_prep.talk.head import HeadAtRest, add_head_arguments, own_head
from otlib.commands import Parser, command
from otlib.data.whole_folder import refuse_overlap
from otlib.errors import shown
from otlib.files import atomic_write
from otlib.own_files import check_replaceable, check_writable

_SIDE = 480  # pixels of each of the three pictures
_PNG = b"\x89PNG"
_AROUND = 0.035  # metres around the middle of the lips in the picture of the mouth


def picture_of(head: HeadAtRest) -> np.ndarray:
    """Return the head from the front and from its left, and its mouth, (H, 3 H, 3) uint8.

    Raises:
        RenderingUnavailable: no GL on this machine.
    """
    from otlib.viz.heads import HeadRenderer

    mouth = np.linalg.norm(head.template - head.own.lips.middle, axis=1) < _AROUND
    views = [{"camera": "front"}, {"camera": "profile"}, {"camera": "front", "focus": np.flatnonzero(mouth)}]
    pictures = []
    for view in views:
        with HeadRenderer(head.template, head.topology, size=(_SIDE, _SIDE), **view) as renderer:
            pictures.append(renderer.image(head.template))
    return np.concatenate(pictures, axis=1)


def _facts(head: HeadAtRest) -> str:
    """Return what was found, a line each."""
    low, high = head.template.min(0), head.template.max(0)
    width, height, depth = 1000 * (high - low)
    corners = 1000 * np.ptp(head.own.lips.line[:, 0])
    lines = [head.said or "in metres, y up, facing z",
             f"{len(head.template):,} vertices, {len(head.topology.faces):,} triangles, "
             f"{width:.0f} x {height:.0f} x {depth:.0f} mm",
             f"lips: {len(head.topology.lips)} vertices, the line between them is {corners:.0f} mm wide"]
    return "\n".join(f"  {line}" for line in lines)


def _parser() -> Parser:
    parser = Parser(prog="otlib head", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("head", type=Path, metavar="MESH", help="OBJ, PLY, GLB or glTF, its mouth shut")
    add_head_arguments(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="the picture (default: MESH_head.png, here)")
    return parser


@command
def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    out = options.out or Path(f"{options.head.stem}_head.png")
    refuse_overlap(out, [options.head, *([options.lips] if options.lips else [])])
    check_replaceable(out, _PNG)
    check_writable(out)
    head = own_head(options.head, options)
    print(f"{shown(options.head)}:\n{_facts(head)}")
    picture = picture_of(head)
    with atomic_write(out) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
    print(f"{shown(out)}: front, left and mouth; if lips or sides are wrong there, say which with --lips, --up or --forward")
    return 0
