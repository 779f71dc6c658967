"""A family of faces: a mean face, what each ARKit shape adds to it, and what each identity adds."""

from dataclasses import dataclass

import numpy as np

from otlib.errors import InputError
from otlib.export.blendshapes import Blendshapes
from otlib.topology import Topology


@dataclass(frozen=True, eq=False)
class FaceFamily:
    """Faces of one topology; a face is neutral + sum of identity weights and shape weights times displacements; metres.

    Attributes:
        neutral: (V, 3) float32, the mean face.
        names: (K,) ARKit's names of the expressions; a name that comes twice is the sum of both (a model may have halves).
        expressions: (K, V, 3) float32, what each expression adds at a weight of 1.
        identities: (I, V, 3) float32, what each identity adds; weights are drawn from N(0, 1).
        topology: faces, and the regions lips, lip_gap and mouth_corners [left, right] at least.
        chin: the vertex of the chin that jawOpen lowers.
    """

    neutral: np.ndarray
    names: tuple[str, ...]
    expressions: np.ndarray
    identities: np.ndarray
    topology: Topology
    chin: int

    def person(self, identity: tuple[float, ...]) -> np.ndarray:
        """Return a person's face, (V, 3) float32, with all expressions at 0."""
        return self.neutral + np.tensordot(np.array(identity, np.float32), self.identities, 1)

    def blendshapes(self, person: np.ndarray) -> Blendshapes:
        """Return the shapes of a person's face (V, 3), each name once."""
        names = tuple(dict.fromkeys(self.names))
        of_name = np.array(self.names)
        return Blendshapes(person, names, np.stack([self.expressions[of_name == name].sum(0) for name in names]))


def check_jaw_open(displacement: np.ndarray, chin: int) -> None:
    """Check that the shape jawOpen, displacements (V, 3), lowers the chin, a vertex: regions and rigs rest on it.

    Raises:
        InputError: it does not.
    """
    if not displacement[chin, 1] < 0:
        raise InputError("jawOpen does not lower the chin, so it is not the shape of that name")
