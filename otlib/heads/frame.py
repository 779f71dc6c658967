"""The frame of reference of a face: its unit, which way is up and which way it looks, found at the mouth and the nose."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Float, Integer
from trimesh.triangles import cross

from otlib.errors import InputError
from otlib.heads.mouth import WIDTHS, Mouth, mouth_at
from otlib.heads.slits import Slit, find_slits, sampled
from otlib.heads.surface import Surface

UNITS = {"metres": 1.0, "decimetres": 0.1, "centimetres": 0.01, "millimetres": 0.001, "inches": 0.0254}
AXES = {f"{sign}{name}": (1 if not sign else -1) * np.eye(3)[axis] for axis, name in enumerate("xyz") for sign in ("", "-")}
"""Directions of a file by name: x, -x, y, -y, z, -z."""
_SIZES = (0.08, 2.3)  # metres; the largest extent of what a mouth is in, from an open face to a body
_HEAD = 0.25  # metres; the extent that is tried where no unit gives a mouth
_PIECES, _LEAST_FACES = 4, 100  # how many pieces may be the skin, those of most triangles, and how many those have
_SLITS = 8  # how many slits of a piece may be the mouth
_TILT = np.radians(22)  # by which the skin around a mouth looks down, since the chin does: 14 to 30 degrees on four heads
_UPRIGHT = 0.06  # cosine; the axes of a file are a face's if the mirror plane is this near to one that holds an axis
_ALONG = 0.98  # cosine of the same plane's normal with an axis of the file, to be along it
_SURE = 0.08  # by which the best axes fit better than the second best
_MIDLINE, _NOSE, _STANDS_OUT = 0.012, (0.012, 0.065), 0.004  # metres beside the plane, from the mouth, and over the chin
_EVEN = 0.001  # metres; people's faces are not more alike to their mirror image
_LARGE, _ALIKE, _USUAL = 0.3, 0.002, (0.030, 0.070)  # share of surface, metres, metres: a mouth like this settles the unit
_DOUBT = 0.5  # share of the best unit's likelihood that makes another one possible
_NOSE_COUNTS = 0.3  # beside the cosine of the way out


@dataclass(frozen=True, eq=False)
class Frame:
    """The frame of reference of a file.

    Attributes:
        metres_per_unit: the file's unit.
        rotation: (3, 3), so that metres with y up and z forward are ``metres_per_unit * vertices @ rotation.T``.
        mouth: in metres, in the file's axes.
        slit: the slit of the mouth, whose sides are numbers of the surface's vertices, or -1 between them; None if the lips
            were named and no slit is there.
        piece: the number of the piece of surface that has the mouth.
    """

    metres_per_unit: float
    rotation: np.ndarray
    mouth: Mouth
    slit: Slit | None
    piece: int

    def canonical(self, vertices: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
        """Return places of the file in metres, y up and z forward."""
        return self.metres_per_unit * vertices if self.upright else self.metres_per_unit * vertices @ self.rotation.T

    @property
    def upright(self) -> bool:
        """Whether the file has y up and z forward."""
        return bool((self.rotation == np.eye(3)).all())

    def said(self, turned: int, faces: int) -> str:
        """Return what differs from metres, y up, z forward and triangles turned outwards; empty if nothing does."""
        words = []
        if self.metres_per_unit != 1:
            unit = next((name for name, metres in UNITS.items() if metres == self.metres_per_unit), None)
            words.append(f"in {unit}" if unit else f"in units of {self.metres_per_unit:g} m")
        if not self.upright:
            words.append(f"{_named(self.rotation[1])} up, facing {_named(self.rotation[2])}")
        if turned:
            words.append("turned outwards" if turned == faces else f"{turned} of {faces} triangles turned outwards")
        return ", ".join(words)


def find_frame(name: str, surface: Surface, *, unit: float | None = None, up: str | None = None,
               forward: str | None = None, lips: Integer[np.ndarray, " N"] | None = None) -> Frame:
    """Find the frame of reference of a face, or check what is known of it.

    Args:
        name: the file, for messages.
        surface: in the file's unit and axes.
        unit: metres in a unit, if known.
        up, forward: names of :data:`AXES`, if known.
        lips: vertices of the surface that are lips, if known.

    Raises:
        InputError: no mouth is found, or its unit or axes are not sure; the sentence says which option helps.
    """
    doubled = np.linalg.norm(cross(surface.vertices[surface.faces]), axis=1)
    area = np.bincount(surface.pieces[surface.faces[:, 0]], doubled)
    found = []
    for metres in [unit] if unit else UNITS.values():
        here = [(mouth.width / (_EVEN + mouth.unlike) * area[piece] / area.max(), metres, mouth, slit, piece)
                for mouth, slit, piece in _mouths(surface, metres, lips)]
        found += here
        sure = [one for one in here if area[one[-1]] > _LARGE * area.max() and one[2].unlike < _ALIKE
                and _USUAL[0] < one[2].width < _USUAL[1]]
        if sure:
            found = here
            break
    found.sort(key=lambda one: -one[0])  # of two symmetric slits, the wider one in the larger piece is the mouth
    if not found:
        raise InputError(_nothing(name, surface, unit, lips))
    likely, metres, mouth, slit, piece = found[0]
    others = [one[1] for one in found if one[1] != metres and one[0] > _DOUBT * likely]
    if others:
        units = " or ".join(next(unit for unit, value in UNITS.items() if value == one) for one in (metres, others[0]))
        raise InputError(f"{name}: may be in {units}; say which with --unit")
    rotation = _axes(name, metres * surface.vertices[surface.pieces == piece], mouth, up, forward)
    return Frame(metres, rotation, mouth, slit, piece)


def _nothing(name: str, surface: Surface, unit: float | None, lips: np.ndarray | None) -> str:
    if lips is not None:
        known = "" if unit else " or the unit with --unit"
        return (f"{name}: the lips named are not {1000 * WIDTHS[0]:.0f} to {1000 * WIDTHS[1]:.0f} mm wide across the middle "
                f"of a face; name others with --lips{known}")
    if not unit:
        size = float(np.ptp(surface.vertices[surface.pieces == np.bincount(surface.pieces).argmax()], axis=0).max())
        guess = float(f"{_HEAD / size:.2g}") if size else 1.0
        if list(_mouths(surface, guess, None)):
            return (f"{name}: has a mouth, but in no usual unit is it as wide as an adult's; say how many metres a unit is "
                    f"with --unit, such as --unit {guess:g} if it is a head of {_HEAD:g} m")
    return (f"{name}: no mouth is found, a slit across the middle of the face whose lips lie at most 4 mm apart; see that "
            "it has one and is shut, or name the lips' vertices with --lips" + ("" if unit else ", or the unit with --unit"))


def _mouths(surface: Surface, metres: float, lips: np.ndarray | None) -> Iterator[tuple[Mouth, Slit | None, int]]:
    """Yield what may be the mouth if a unit has so many metres, with its slit and its piece."""
    owner = surface.pieces[surface.faces[:, 0]]
    counts = np.bincount(owner, minlength=surface.pieces.max() + 1)
    largest = np.argsort(-counts, kind="stable")[:_PIECES]
    for piece in largest if lips is None else [np.bincount(surface.pieces[lips]).argmax()]:
        own = surface.faces[owner == piece]
        used = np.unique(own)
        vertices = metres * surface.vertices[used]
        if lips is None and len(own) < _LEAST_FACES or not _SIZES[0] < np.ptp(vertices, axis=0).max() < _SIZES[1]:
            continue
        fine = sampled(vertices, np.searchsorted(used, own))
        number = np.concatenate([used, np.full(len(fine.vertices) - len(used), -1)])
        slits = [replace(slit, sides=number[slit.sides]) for slit in find_slits(fine)[:_SLITS]]
        if lips is None:
            yield from ((mouth, slit, int(piece)) for slit in slits if (mouth := mouth_at(fine, slit.points)) is not None)
        elif (mouth := mouth_at(fine, metres * surface.vertices[lips])) is not None:
            within = [slit for slit in slits if np.linalg.norm(slit.points - mouth.middle, axis=1).min() < mouth.width / 4]
            yield mouth, within[0] if within else None, int(piece)


def _axes(name: str, skin: np.ndarray, mouth: Mouth, up: str | None, forward: str | None) -> np.ndarray:
    """Return the rotation to y up and z forward."""
    known: Mapping[str, np.ndarray] = AXES
    if up and forward:
        rows = np.stack([np.cross(known[up], known[forward]), known[up], known[forward]])
        if not rows[0].any():
            raise InputError(f"{name}: --up {up} and --forward {forward} are one axis; give two")
        return rows
    scores = []
    for one in _upright_axes(mouth.across):
        if (up and one[1] @ known[up] < _ALONG) or (forward and one[2] @ known[forward] < _ALONG):
            continue
        expected = np.cos(_TILT) * one[2] - np.sin(_TILT) * one[1]
        scores.append((float(mouth.outward @ expected) + _NOSE_COUNTS * _nose(skin, mouth, one), len(scores), one))
    scores.sort(reverse=True)
    if not scores or (len(scores) > 1 and scores[0][0] - scores[1][0] < _SURE):
        raise InputError(f"{name}: its mouth is found, but not for sure which way is up and which way it looks; say so with "
                         "--up and --forward, such as --up y --forward z, or turn it upright")
    return scores[0][2]


def _upright_axes(across: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rotations (3, 3), rows across, up and forward, in which up is an axis of the file."""
    along = int(np.abs(across).argmax())
    if abs(across[along]) > _ALONG:  # then all three are
        across = np.eye(3)[along] * np.sign(across[along])
    for axis, sign in product(np.eye(3), (1, -1)):
        if abs(axis @ across) < _UPRIGHT:
            side = across - axis * (axis @ across)
            side /= np.linalg.norm(side)
            for turned in (side, -side):
                yield np.stack([turned, sign * axis, np.cross(turned, sign * axis)])


def _nose(skin: np.ndarray, mouth: Mouth, axes: np.ndarray) -> int:
    """Return 1 if the face stands out above the mouth, the nose, -1 if it does below, and 0 if neither or none is there."""
    place = (skin - mouth.middle) @ axes.T
    heights = []
    for sign in (1, -1):
        there = (np.abs(place[:, 0]) < _MIDLINE) & (sign * place[:, 1] > _NOSE[0]) & (sign * place[:, 1] < _NOSE[1])
        heights.append(place[there, 2].max() if there.any() else -1.0)
    return int(np.sign(heights[0] - heights[1])) if abs(heights[0] - heights[1]) > _STANDS_OUT else 0


def _named(direction: np.ndarray) -> str:
    axis = int(np.abs(direction).argmax())
    sign = "-" if direction[axis] < 0 else ""
    degrees = np.degrees(np.arccos(min(1.0, abs(direction[axis]))))
    return f"{sign}{'xyz'[axis]}" + (f" turned by {degrees:.0f} degrees" if degrees > 0.5 else "")
