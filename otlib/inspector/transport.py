"""Compute what the inspector shows for one state of its controls: measures, matching, costs and estimates."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otlib.losses import transport_faces
from otlib.measures.directions import design_sizes, draw_directions
from otlib.measures.matching import (
    EXACT_ATOMS,
    AtomTransport,
    SlicedMatching,
    atom_transport,
    exact_plan,
    sliced_bound,
    sliced_matching,
)
from otlib.measures.measure import Measure, barycentres
from otlib.measures.sliced import check_exponent, sliced_wasserstein
from otlib.meshes.geometry import check_mesh
from otlib.topology import Topology

REGIONS = ("lips", "mouth", "face")
"""Faces that touch the lips, faces within two edges of them (as in the loss), all faces."""

DRAWS = 20
"""Independent draws of the directions that measure the spread of an estimate; 20 give it to 16 %."""


@dataclass(frozen=True, eq=False)
class MovingMesh:
    """A mesh over time.

    Attributes:
        vertices: metres, one still mesh (V, 3) or its frames (T, V, 3).
        topology: the mesh; if it names no lips, the whole face is the only region.

    Raises:
        ValueError: a bad mesh (see :func:`otlib.meshes.geometry.check_mesh`), or lips that are in no face.
    """

    vertices: Float[np.ndarray, "T V 3"] | Float[np.ndarray, "V 3"]
    topology: Topology

    def __post_init__(self) -> None:
        check_mesh(torch.from_numpy(np.array(self.vertices)), torch.from_numpy(self.topology.faces))
        if self.has_lips and not np.isin(self.topology.lips, self.topology.faces).all():
            raise ValueError("lips: must name vertices of the mesh's faces")

    @property
    def has_lips(self) -> bool:
        """Whether the topology names lips."""
        return "lips" in self.topology.regions

    @property
    def frames(self) -> int:
        """Number of frames; one for a still mesh."""
        return len(self.vertices) if self.vertices.ndim == 3 else 1

    def measure(self, frame: int, region: str) -> Measure:
        """Return the barycentres of a region's faces as a measure, float64; a still mesh is the same in every frame."""
        vertices = self.vertices[frame if self.frames > 1 else 0] if self.vertices.ndim == 3 else self.vertices
        if region == "lips":
            faces = self.topology.faces[np.isin(self.topology.faces, self.topology.lips).any(1)]
        else:
            faces = transport_faces(self.topology, region)
        return barycentres(torch.from_numpy(np.array(vertices, np.float64)), torch.from_numpy(faces))


@dataclass(frozen=True)
class Controls:
    """One state of the inspector.

    Attributes:
        frame: number of the frame, in both meshes.
        region: one of :data:`REGIONS`.
        azimuth: degrees from the front (z) towards the head's left (x) of the direction to project on.
        elevation: degrees from the horizontal upwards (y) of the same direction.
        count: number of directions L of the sliced distance.
        p: exponent of all distances.
    """

    frame: int = 0
    region: str = "mouth"
    azimuth: float = 0.0
    elevation: float = 90.0
    count: int = 100
    p: float = 2.0

    @property
    def direction(self) -> Float[Tensor, "3"]:
        """The unit vector, float64."""
        azimuth, elevation = math.radians(self.azimuth), math.radians(self.elevation)
        level = math.cos(elevation)
        return torch.tensor([level * math.sin(azimuth), math.sin(elevation), level * math.cos(azimuth)], dtype=torch.float64)


@dataclass(frozen=True)
class Alignment:
    """Two measures and the transport between them; lengths in metres.

    Attributes:
        controls: the state that it belongs to.
        true, predicted: the measures, in R^3.
        matching: that of both along the direction of the controls.
        from_true, from_predicted: each atom's displacements and cost.
        distance: SW_p, from the directions drawn.
    """

    controls: Controls
    true: Measure
    predicted: Measure
    matching: SlicedMatching
    from_true: AtomTransport
    from_predicted: AtomTransport
    distance: float

    @property
    def gaps(self) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " M"]]:
        """How far a unit of each atom's mass goes in a projection: (its cost / its mass)^(1/p), mean over directions."""
        def mean_gaps(measure: Measure, moved: AtomTransport) -> Float[np.ndarray, " _"]:
            massive = measure.weights > 0
            costs = torch.where(massive, moved.cost / torch.where(massive, measure.weights, 1), 0)
            return (costs ** (1 / self.controls.p)).numpy()

        return mean_gaps(self.true, self.from_true), mean_gaps(self.predicted, self.from_predicted)


@dataclass(frozen=True, eq=False)
class Estimate:
    """How well few directions estimate the sliced distance of a region, beside the exact distance; lengths in metres.

    Attributes:
        region: one of :data:`REGIONS`.
        atoms: numbers of atoms of the true and of the predicted measure.
        p: exponent.
        counts: numbers of directions.
        values: SW_p for each count and each of :data:`DRAWS` independent draws.
        exact: W_p from an optimal plan; None if a measure has more than ``EXACT_ATOMS`` atoms.
    """

    region: str
    atoms: tuple[int, int]
    p: float
    counts: tuple[int, ...]
    values: Float[np.ndarray, "counts draws"]
    exact: float | None

    @property
    def bound(self) -> float | None:
        """c^(1/p) W_p, which no sliced distance exceeds (see :func:`otlib.measures.matching.sliced_bound`)."""
        return None if self.exact is None else sliced_bound(3, self.p) ** (1 / self.p) * self.exact

    @property
    def middle(self) -> Float[np.ndarray, " counts"]:
        """Mean over the draws."""
        return self.values.mean(1)

    @property
    def deviation(self) -> Float[np.ndarray, " counts"]:
        """Standard deviation of one draw: the error of an estimate that is made once."""
        return self.values.std(1, ddof=1)


class Comparison:
    """A true and a predicted sequence, of one topology or of two, at any state of the controls.

    Args:
        true: the mesh to compare with.
        predicted: the mesh compared, with as many frames as ``true``; or one of the two has one frame.
        seed: draws the directions, the same in every frame.

    Raises:
        ValueError: numbers of frames that do not fit.
    """

    def __init__(self, true: MovingMesh, predicted: MovingMesh, seed: int = 0) -> None:
        if true.frames != predicted.frames and 1 not in (true.frames, predicted.frames):
            raise ValueError(f"true has {true.frames} frames, predicted {predicted.frames}: they must have as many, or "
                             "one of them one")
        self.true, self.predicted, self.seed = true, predicted, seed

    @property
    def frames(self) -> int:
        """Number of frames to show."""
        return max(self.true.frames, self.predicted.frames)

    @property
    def regions(self) -> tuple[str, ...]:
        """Regions that both meshes have."""
        return REGIONS if self.true.has_lips and self.predicted.has_lips else ("face",)

    @property
    def counts(self) -> tuple[int, ...]:
        """Numbers of directions to choose from, each of which is a stored design."""
        return design_sizes(3)

    def align(self, controls: Controls) -> Alignment:
        """Return the transport between both meshes for a state of the controls.

        Raises:
            ValueError: a frame, region, count or p that does not exist.
        """
        true, predicted = self._measures(controls)
        directions = self._directions(controls.count)
        from_true = atom_transport(true, predicted, directions, controls.p)
        return Alignment(controls, true, predicted, sliced_matching(true, predicted, controls.direction, controls.p),
                         from_true, atom_transport(predicted, true, directions, controls.p),
                         float(from_true.cost.sum()) ** (1 / controls.p))

    def estimate(self, frame: int, region: str, p: float, counts: tuple[int, ...]) -> Estimate:
        """Return estimates of a region's distance, to show their spread, and its exact distance if the atoms are few enough.

        Args:
            frame: number of the frame, in both meshes.
            region: one of :attr:`regions`.
            p: exponent.
            counts: numbers of directions.

        Raises:
            ValueError: as for :meth:`align`.
        """
        pair = self._measures(Controls(frame, region, p=p))
        generator = torch.Generator().manual_seed(self.seed)
        copies = [Measure(measure.points.expand(DRAWS, -1, -1), measure.weights.expand(DRAWS, -1)) for measure in pair]
        values = [sliced_wasserstein(*copies, draw_directions(count, 3, generator=generator, batch=DRAWS,
                                                              dtype=torch.float64), p=p, root=True).numpy()
                  for count in counts]
        atoms = len(pair[0].weights), len(pair[1].weights)
        exact = exact_plan(*pair, p=p).cost ** (1 / p) if max(atoms) <= EXACT_ATOMS else None
        return Estimate(region, atoms, p, counts, np.stack(values), exact)

    def costliest(self, controls: Controls) -> tuple[float, float]:
        """Return azimuth and elevation, whole degrees, of the direction drawn whose one-dimensional cost is highest.

        Of a direction and its opposite, which cost the same, it is the upper one.
        """
        true, predicted = self._measures(controls)
        directions = self._directions(controls.count)
        costs = torch.stack([sliced_wasserstein(true, predicted, direction[None], p=controls.p) for direction in directions])
        x, y, z = directions[int(costs.argmax())].tolist()
        sign = 1 if y >= 0 else -1
        return float(round(math.degrees(math.atan2(sign * x, sign * z)))), float(round(math.degrees(math.asin(sign * y))))

    def check(self, controls: Controls) -> None:
        """Raise ValueError if the controls name a frame, region, count or p that does not exist."""
        if not 0 <= controls.frame < self.frames:
            raise ValueError(f"frame must be 0 to {self.frames - 1}, got {controls.frame}")
        if controls.region not in self.regions:
            raise ValueError(f"region must be one of {', '.join(self.regions)}, got {controls.region!r}")
        if controls.count < 1:
            raise ValueError(f"count must be at least 1, got {controls.count}")
        check_exponent(controls.p)

    def _measures(self, controls: Controls) -> tuple[Measure, Measure]:
        self.check(controls)
        return (self.true.measure(controls.frame, controls.region), self.predicted.measure(controls.frame, controls.region))

    def _directions(self, count: int) -> Float[Tensor, "L 3"]:
        return draw_directions(count, 3, generator=torch.Generator().manual_seed(self.seed), dtype=torch.float64)
