"""A stand-in for a checkout of ICT-FaceKit, made from the built-in head, to try the importer without the kit.

It has the kit's file names, numbering and units but none of its content: the head's 1,000 or so vertices come first, two
balls take the places of the kit's eyes, and the vertices in between lie unused behind the head.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import trimesh

from data_prep.head import CONTROLS, IDENTITY_DIRECTIONS, Head, make_head, pose
from otlib.errors import InputError

_VERTICES, _EYES = 26_719, (21_451, 23_021)
_CENTIMETRES = 100.0
_SHAPES: Mapping[str, Mapping[str, float]] = {  # by controls of the built-in head; jawOpen parts the lips, as the kit's does
    "jawOpen": {"jaw": 1.0, "aperture": 1.0}, "mouthPucker": {"round": 1.0, "protrude": 1.0},
    "mouthFunnel": {"round": 0.5, "protrude": 0.7, "aperture": 0.6},
    "mouthRollLower": {"tuck": 1.0}, "mouthRollUpper": {"press": 0.5},
}
_SIDED: Mapping[str, Mapping[str, float]] = {  # two files each, _L and _R, that move one half of the face
    "mouthLowerDown": {"aperture": 0.3}, "mouthUpperUp": {"aperture": 0.3}, "mouthPress": {"press": 1.0},
    "mouthStretch": {"spread": 1.0}, "mouthSmile": {"spread": 0.8}, "browInnerUp": {"brow": 1.0},
    "browDown": {"brow": -1.0}, "eyeBlink": {"blink": 1.0},
}


def write_kit(folder: Path, identities: int = 3, resolution: str = "low") -> Path:
    """Write the neutral mesh, the expressions that the importer uses, some identities and vertex_indices.json.

    Args:
        folder: the folder to make.
        identities: number of the built-in head's identity directions to write.
        resolution: the built-in head's resolution; at most "medium" fits before the eyes.

    Raises:
        InputError: the folder cannot be written.
    """
    head = make_head(resolution=resolution)
    eyes = [trimesh.creation.icosphere(1, 0.015).apply_translation([x, 0.0, 0.05]) for x in (0.031, -0.031)]
    shapes = {"generic_neutral_mesh": head.vertices, "mouthClose": head.vertices - _difference(head, {"aperture": 1.0})}
    shapes |= {name: head.vertices + _difference(head, controls) for name, controls in _SHAPES.items()}
    for name, controls in _SIDED.items():
        left = np.clip(0.5 + head.vertices[:, :1] / 0.02, 0, 1)  # (V, 1), 1 on the head's left; a ramp of 20 mm between
        shapes[f"{name}_L"] = head.vertices + left * _difference(head, controls)
        shapes[f"{name}_R"] = head.vertices + (1 - left) * _difference(head, controls)
    for number, direction in enumerate(np.eye(len(IDENTITY_DIRECTIONS))[:identities]):
        shapes[f"identity{number:03d}"] = make_head(direction, resolution).vertices
    faces = np.concatenate([head.topology.faces] + [eye.faces + start for eye, start in zip(eyes, _EYES, strict=True)]) + 1
    last = "".join("f {} {} {}\n".format(*face) for face in faces).encode()
    indices = {"expressions": sorted(set(shapes) - {"generic_neutral_mesh"}), "idx_to_landmark_verts": _landmarks(head)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, vertices in shapes.items():
            (folder / f"{name}.obj").write_bytes(_positions(vertices, eyes) + last)
        (folder / "vertex_indices.json").write_text(json.dumps(indices), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from error
    return folder


def _difference(head: Head, controls: Mapping[str, float]) -> np.ndarray:
    """Return what controls add to the head, (V, 3); each is applied alone, since some act on closed lips only."""
    values = np.array([[value if name == own else 0.0 for name in CONTROLS] for own, value in controls.items()])
    return (pose(head, values) - head.vertices).sum(0)


def _positions(vertices: np.ndarray, eyes: list[trimesh.Trimesh]) -> bytes:
    rows, unused = [_rows(vertices)], b"v 0 -15 -10\n"  # behind the neck
    written = len(vertices)
    for eye, start in zip(eyes, _EYES, strict=True):
        rows += [unused * (start - written), _rows(eye.vertices)]
        written = start + len(eye.vertices)
    return b"".join([*rows, unused * (_VERTICES - written)])


def _rows(vertices: np.ndarray) -> bytes:
    return "".join("v {:.6f} {:.6f} {:.6f}\n".format(*vertex) for vertex in _CENTIMETRES * vertices).encode()


def _landmarks(head: Head) -> list[int]:
    """Return 68 vertices in the order of Multi-PIE: those that the importer reads, and vertex 0 for the others."""
    upper, lower = (int(index) for index in head.topology.lip_gap)
    left, right = (int(index) for index in head.topology.regions["mouth_corners"])
    half = int(np.flatnonzero(head.topology.lips == right)[0])  # of a ring, from the left corner over the upper lip
    border = head.topology.lips[-2 * half:]
    over, under = (border[np.linspace(start, stop, 7).round().astype(int) % (2 * half)]
                   for start, stop in ((half, 0), (2 * half, half)))
    ring = {48 + place: int(index) for place, index in enumerate([*over[:-1], *under[:-1]])}
    landmarks = ring | {8: _nearest(head, (0.0, -0.105, 0.09)), 0: _nearest(head, (-0.07, -0.01, 0.0)),
                        28: _nearest(head, (0.0, -0.01, 0.1)), 48: right, 54: left, 62: upper, 66: lower}
    return [landmarks.get(number, 0) for number in range(68)]


def _nearest(head: Head, point: tuple[float, float, float]) -> int:
    return int(np.linalg.norm(head.vertices - np.array(point), axis=1).argmin())
