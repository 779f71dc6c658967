"""Heads of a person's own: where the mouth is, which way they look and in what unit, what the model sees, what moves how.

Nothing is known of the file: not its unit, its axes, which way its triangles turn, what is skin and what an eye. All follows
from the shape: a mouth is a slit across the plane of symmetry. Where that is not sure, the head is refused with the option
that says it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Integer

from otlib.errors import InputError
from otlib.heads.frame import AXES, Frame, find_frame
from otlib.heads.lips import Lips, lips_around, lips_named
from otlib.heads.parts import PartMotion, Parts, find_parts
from otlib.heads.seen import Seen, seen_of
from otlib.heads.surface import Surface, joined_surface
from otlib.topology import Topology

__all__ = ["AXES", "Known", "OwnHead", "understand_head"]

_SHUT = 0.001  # metres between lips that one would call shut
_LARGEST = 1e9  # units: a kilometre in micrometres
_PARTS = {"eyes": ("eye",), "teeth": ("upper teeth", "lower teeth"), "tongue": ("tongue",)}  # of a topology, by kinds


@dataclass(frozen=True, eq=False)
class Known:
    """What a person says of a head: ``unit`` in metres, ``up`` and ``forward`` as in :data:`AXES`, ``lips`` (N,) vertices.

    The unit is taken as it is, and so are two axes; of one axis the other is found.
    """

    unit: float | None = None
    up: str | None = None
    forward: str | None = None
    lips: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class OwnHead:
    """A head of a person's own, understood.

    Attributes:
        template: (V, 3) float32 metres, y up, z forward: all vertices in the file's order.
        topology: its triangles turned outwards, with lips, lip_gap where it is known, and the parts lips, eyes, teeth and
            tongue.
        faces: (F, 3) its triangles as the file turns them.
        frame: the file's frame of reference.
        lips: metres, y up, z forward; vertices of the joined surface.
        said: what a person should read of it, one line.
    """

    template: np.ndarray
    topology: Topology
    faces: np.ndarray
    frame: Frame
    lips: Lips
    said: str
    _surface: Surface
    _vertices: np.ndarray
    _parts: Parts
    _seen: Seen

    @cached_property
    def seen(self) -> tuple[np.ndarray, Topology, np.ndarray | None]:
        """What the model sees: template (M, 3) float32 metres, its topology, and the middle, see :class:`Seen`."""
        number = np.full(len(self._vertices), -1)
        number[self._seen.vertices] = np.arange(len(self._seen.vertices))
        lips = number[self.lips.vertices]
        topology = Topology(self._seen.faces, {"lips": lips[lips >= 0]}, vertex_count=len(self._seen.vertices))
        return self._vertices[self._seen.vertices].astype(np.float32), topology, self._seen.middle

    @cached_property
    def skin(self) -> tuple[Integer[np.ndarray, " N"], Integer[np.ndarray, " N"]]:
        """The skin that the model sees: numbers of its vertices in ``seen``, and in the file, the first of each."""
        skin = np.intersect1d(self._seen.vertices, self._parts.of("skin"))
        first = np.unique(self._surface.places, return_index=True)[1]
        return np.searchsorted(self._seen.vertices, skin), first[skin]

    def carried(self, stretches: Iterable[Float[np.ndarray, "T M 3"]]) -> Iterator[Float[np.ndarray, "T V 3"]]:
        """Yield the motion of the whole head, float32 metres, from that of what the model sees, stretch by stretch.

        Skin above the neck moves as the model says, to the last bit; see :mod:`otlib.heads.parts` for the other pieces and
        :mod:`otlib.heads.seen` for where motion ends.
        """
        seen, follow = self._seen, PartMotion(self._vertices, self._parts, self.lips.middle)
        template, share = self.seen[0], seen.share.astype(np.float32)[seen.vertices, None]
        whole = np.zeros(len(self._vertices), dtype=bool)
        whole[self._parts.of("skin")] = True
        whole[np.setdiff1d(np.arange(len(whole)), seen.vertices)] = False
        whole &= seen.share == 1
        number = np.full(len(whole), -1)
        number[seen.vertices] = np.arange(len(seen.vertices))
        given = np.flatnonzero(whole[self._surface.places])
        for stretch in stretches:
            moved = np.zeros((len(stretch), *self._vertices.shape), dtype=np.float32)
            moved[:, seen.vertices] = share * (stretch - template)
            follow(moved)
            frames = self.template + moved[:, self._surface.places]
            frames[:, given] = stretch[:, number[self._surface.places[given]]]
            yield frames


def understand_head(name: str, vertices: Float[np.ndarray, "V 3"], faces: Integer[np.ndarray, "F 3"],
                    known: Known = Known()) -> OwnHead:
    """Find out what a head is.

    Args:
        name: its file, for messages.
        vertices: in any unit and axes.
        faces: vertex indices.
        known: what a person says of it.

    Raises:
        InputError: no mouth is found, or its unit or axes are not sure.
    """
    with np.errstate(over="ignore"):
        size = np.ptp(vertices, axis=0).max()
    if not 0 < size < _LARGEST:
        raise InputError(f"{name}: its vertices span {size:g} units, which is no head")
    surface = joined_surface(vertices, faces)
    named = None if known.lips is None else np.unique(surface.places[known.lips])
    frame = find_frame(name, surface, unit=known.unit, up=known.up, forward=known.forward, lips=named)
    whole = frame.canonical(surface.vertices)
    skin = np.flatnonzero(surface.pieces == frame.piece)
    if frame.slit is None:
        lips = lips_named(whole, named)
    else:
        points = frame.slit.points if frame.upright else frame.slit.points @ frame.rotation.T
        lips = lips_around(whole, skin, replace(frame.slit, points=points), named)
    parts = find_parts(whole, surface.pieces, frame.piece, lips.middle)
    seen = seen_of(whole, surface.faces, surface.pieces, parts, lips.middle)
    template = frame.canonical(np.asarray(vertices, float)).astype(np.float32)
    topology = _topology(surface, lips, parts, len(vertices), _turned(surface, faces))
    said = "; ".join(filter(None, [frame.said(surface.turned, len(faces)), parts.said, _apart(whole, lips)]))
    return OwnHead(template, topology, np.asarray(faces), frame, lips, said, surface, whole, parts, seen)


def _apart(vertices: np.ndarray, lips: Lips) -> str:
    """Say how far the lips are apart at rest, if they are: the model moves them from there."""
    apart = 0.0 if lips.gap is None else float(np.linalg.norm(np.subtract(*vertices[lips.gap])))
    return f"lips {1000 * apart:.1f} mm apart at rest, so they will not quite shut" if apart > _SHUT else ""


def _turned(surface: Surface, faces: np.ndarray) -> np.ndarray:
    """Return the triangles of the file, turned outwards."""
    same = (surface.places[faces] == surface.faces).all(1)
    return np.where(same[:, None], faces, faces[:, ::-1])


def _topology(surface: Surface, lips: Lips, parts: Parts, count: int, faces: np.ndarray) -> Topology:
    first = np.unique(surface.places, return_index=True)[1]
    regions = {"lips": np.flatnonzero(np.isin(surface.places, lips.vertices))}
    if lips.gap is not None:
        regions["lip_gap"] = first[lips.gap]
    own = {"lips": regions["lips"]} | {part: np.flatnonzero(np.isin(surface.places, parts.of(*kinds)))
                                       for part, kinds in _PARTS.items()}
    split = {part: np.flatnonzero(np.isin(faces, vertices).all(1)) for part, vertices in own.items()}
    return Topology(faces, regions, {part: index for part, index in split.items() if len(index)}, count)
