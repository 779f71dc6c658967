"""The Chebyshev decoder: one vector a frame and the shape of a template in, the motion of every vertex out."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from otlib.meshes.chebyshev import ChebyshevConvolution
from otlib.meshes.hierarchy import MeshHierarchy

DISPLACEMENT_UNIT = 0.01  # metres: the last layer works in centimetres, the size of a mouth's motion


class MotionDecoder(nn.Module):
    """Graph convolutions from coarse to fine, which a frame's vector scales and shifts channel by channel (our choice).

    No parameter depends on the number of vertices. The last layer starts at zero, so that an untrained decoder moves
    nothing, as in the peers' systems.

    Args:
        width: channels of a frame's vector.
        channels: channels of the graph convolutions.
        terms: Chebyshev terms K.
        levels: number of coarse graphs.
    """

    def __init__(self, width: int, channels: int, terms: int, levels: int) -> None:
        super().__init__()
        self.gains = nn.ModuleList(nn.Linear(width, channels) for _ in range(levels))
        self.shifts = nn.ModuleList(nn.Linear(width, channels) for _ in range(levels))
        self.convolutions = nn.ModuleList(ChebyshevConvolution(channels, channels, terms) for _ in range(levels))
        self.out = nn.Linear(channels, 3)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, latent: Float[Tensor, "B T W"], shapes: Sequence[Float[Tensor, "B _ C"]],
                hierarchy: MeshHierarchy) -> Float[Tensor, "B T V 3"]:
        """Return every vertex's displacement in metres.

        Args:
            latent: one vector a frame.
            shapes: features of the templates on every coarse level, finest first.
            hierarchy: mesh hierarchy of the templates.
        """
        return hierarchy.upsample(self.on_coarse_graph(latent, shapes, hierarchy), 1)

    def on_coarse_graph(self, latent: Float[Tensor, "B T W"], shapes: Sequence[Float[Tensor, "B _ C"]],
                        hierarchy: MeshHierarchy) -> Float[Tensor, "B T M 3"]:
        """Return the displacements of the finest coarse graph's vertices, from which all others are interpolated."""
        signal = None
        for level in reversed(range(len(shapes))):  # coarse to fine
            shape = shapes[level][:, None]  # B 1 M C
            local = shape * self.gains[level](latent)[:, :, None] + self.shifts[level](latent)[:, :, None]  # B T M C
            signal = local if signal is None else local + hierarchy.upsample(signal, level + 2)
            signal = signal + self.convolutions[level](nn.functional.gelu(signal), hierarchy.laplacians[level + 1])
        return self.out(signal) * DISPLACEMENT_UNIT
