"""A family of faces that speaks: what a corpus on a face needs, kept in a file that every worker process reads."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from data_prep.blendshape_face.family import FaceFamily
from data_prep.blendshape_face.rig import Rig
from data_prep.head import CONTROLS
from otlib.topology import Topology


@dataclass(frozen=True)
class BlendshapeFace:
    """The faces of a family; see :class:`data_prep.corpus.corpus_on_a_face.Face`.

    Attributes:
        file: the file that :meth:`write` made.
        identity_directions: number of coefficients that define a person.
    """

    file: str
    identity_directions: int

    @classmethod
    def write(cls, file: Path, family: FaceFamily) -> "BlendshapeFace":
        """Store a family in a file, .npz, that must exist as long as the face is used.

        Raises:
            InputError: a shape of the family does not do what its name says.
        """
        Rig(family)
        topology = family.topology
        lists = {f"{kind} {name}": indices for kind, named in (("region", topology.regions), ("part", topology.parts))
                 for name, indices in named.items()}
        np.savez(file, neutral=family.neutral, names=family.names, expressions=family.expressions,
                 identities=family.identities, chin=family.chin, faces=topology.faces, **lists)
        return cls(str(file), len(family.identities))

    @property
    def topology(self) -> Topology:
        """The topology of every face."""
        return _stored(self.file)[0].topology

    def template(self, identity: tuple[float, ...]) -> np.ndarray:
        """Return a person at rest, lips shut, (V, 3), metres."""
        return self.move(identity, np.zeros((1, len(CONTROLS))))[0]

    def move(self, identity: tuple[float, ...], controls: np.ndarray) -> np.ndarray:
        """Return the frames (T, V, 3) float32, metres, for controls (T, A)."""
        family, rig = _stored(self.file)
        person = family.person(identity)
        weights = rig.weights(controls, person).astype(np.float32)
        frames = weights @ family.expressions.reshape(len(family.names), -1)
        frames += person.reshape(1, -1)
        return frames.reshape(len(controls), -1, 3)


@lru_cache(maxsize=1)
def _stored(file: str) -> tuple[FaceFamily, Rig]:
    with np.load(file, allow_pickle=False) as arrays:
        fields = dict(arrays)
    regions, parts = ({name.removeprefix(kind): indices for name, indices in fields.items() if name.startswith(kind)}
                      for kind in ("region ", "part "))
    neutral = fields["neutral"]
    family = FaceFamily(neutral, tuple(fields["names"].tolist()), fields["expressions"], fields["identities"],
                        Topology(fields["faces"], regions, parts, len(neutral)), int(fields["chin"]))
    return family, Rig(family)
