"""A head that has spoken a recording: all that a file of it holds."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from otlib.export.blendshapes import Blendshapes
from otlib.speech.recording import Recording
from otlib.topology import Topology


@dataclass(frozen=True, eq=False)
class ShapeWeights:
    """What a head says by weights of named shapes, as engines and animators' tools want it.

    Attributes:
        shapes: the head's shapes with ARKit's names, K of them.
        weights: (T, K), 0 to 1.
        lost: in words, what of the motion these weights do not hold.
    """

    shapes: Blendshapes
    weights: Float[np.ndarray, "T K"]
    lost: str


@dataclass(frozen=True, eq=False)
class TalkingHead:
    """The motion of a head, with its sound.

    Attributes:
        name: what to call it, such as the recording's name.
        motion: (T, V, 3) float32 metres, which may lie on disk; frame t is at t / frame_rate seconds.
        template: (V, 3) float32 metres, the head at rest.
        topology: of the template.
        frame_rate: frames a second.
        recording: what it says.
        metres_per_unit: the unit of the head's own file, for formats that have no unit of their own.
        rotation: (3, 3) of the head's own file: ``metres_per_unit * own @ rotation.T`` is in metres, y up, z forward; None
            if its axes are those.
        own_faces: (F, 3) triangles as the head's own file turns them; None if as in the topology.
        shape_weights: the motion by weights of named shapes; None if nobody solved for them.

    Raises:
        ValueError: no frames, shapes that do not fit, or a frame rate or a unit that is not positive.
    """

    name: str
    motion: np.ndarray
    template: np.ndarray
    topology: Topology
    frame_rate: float
    recording: Recording
    metres_per_unit: float = 1.0
    rotation: np.ndarray | None = None
    own_faces: np.ndarray | None = None
    shape_weights: ShapeWeights | None = None

    def __post_init__(self) -> None:
        if not (self.frame_rate > 0 and self.metres_per_unit > 0):
            raise ValueError(f"frame_rate {self.frame_rate} or metres_per_unit {self.metres_per_unit} is not positive")
        if self.motion.ndim != 3 or not len(self.motion) or self.motion.shape[1:] != self.template.shape:
            raise ValueError(f"motion: shape {self.motion.shape} does not fit a template of shape {self.template.shape}")
        self.topology.check("template", self.template.shape)
        if (solved := self.shape_weights) is not None and len(solved.weights) != len(self.motion):
            raise ValueError(f"shape_weights: {len(solved.weights)} frames, expected {len(self.motion)} as the motion")

    def in_own_unit(self) -> Iterator[np.ndarray]:
        """Yield each frame (V, 3), float32, in the unit and the axes of the head's own file."""
        for pose in self.motion:
            if self.rotation is not None:
                pose = (pose @ self.rotation).astype(np.float32)
            yield (pose / np.float32(self.metres_per_unit)).astype(np.float32, copy=False)
