"""The peers' way of following time, built from OT-Talk's parts: each frame follows from the frames predicted before it.

    audio, style --------------------+
                                     +--- transformer over the past --- Chebyshev decoder --- motion of this frame
    motion of the frames before -----+                                                             |
              ^------------------------------------------------------------------------------------+

FaceFormer (arXiv 2112.05329) works like this, and CodeTalker and many others after it. Theirs: a decoder that attends to its
own past and, by its alignment mask, to the audio of the present frame alone. What attention gives that may look at one frame
is a linear function of that frame, so here the audio is added. It is trained as it is used, on its own past and not on the
true one. Ours: the transformer's local attention, the mesh side of OT-Talk, and the vector that a motion is read as.

It stands here to be measured against, and to be completed by KMTalk, as in that paper.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otlib.meshes.hierarchy import MeshHierarchy
from otlib.models.motion_encoder import MotionEncoder
from otlib.models.ottalk import ModelSettings, OTTalk


class Autoregressive(OTTalk):
    """OT-Talk whose transformer sees the frames predicted so far in place of the frames to both sides."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        self.past = MotionEncoder(settings.width, settings.channels)

    def follow(self, audio: Float[Tensor, "B T W"], generators: Sequence[torch.Generator] | None = None,
               ) -> Float[Tensor, "B T W"]:
        """Return the audio as it is: what precedes a frame is known when that frame's turn comes, in :meth:`move`."""
        return audio

    def move(self, latent: Float[Tensor, "B T W"], levels: list[Tensor], hierarchy: MeshHierarchy,
             generators: Sequence[torch.Generator] | None = None) -> Float[Tensor, "B T V 3"]:
        """Return every vertex's displacement in metres, frame after frame, from rest.

        A frame depends on all before it. A long recording is cut into windows that begin at rest, :attr:`reach` frames
        early; what they show differs from one pass by what the past beyond that would have changed.

        Args:
            latent, levels, hierarchy: as for :meth:`OTTalk.move`.
            generators: for dropout, one for each clip, in training; None drops nothing.
        """
        motion = latent.new_zeros(len(latent), 1, levels[0].shape[1], 3)
        read, shown = [], []
        for frame in range(latent.shape[1]):
            read = [*read, latent[:, frame, None] + self.past(motion, levels[0])][-1 - self.temporal.reach:]
            state = self.temporal(torch.cat(read, 1), generators)[:, -1:]
            motion = self.decoder.on_coarse_graph(state, levels, hierarchy)
            shown.append(motion)
        return hierarchy.upsample(torch.cat(shown, 1), 1)

    def at_frames(self, index: Int[Tensor, "B K"], latent: Float[Tensor, "B T W"], levels: list[Tensor],
                  hierarchy: MeshHierarchy,
                  generators: Sequence[torch.Generator] | None = None) -> Float[Tensor, "B K V 3"]:
        """Return the motion of some frames, as :meth:`OTTalk.at_frames`; all have to be predicted for it."""
        batch = torch.arange(len(latent), device=latent.device)[:, None]
        return self.move(latent, levels, hierarchy, generators)[batch, index]
