"""OT-Talk: audio features and a template in, a talking mesh out.

    audio features --- weighted layers --- transformer over time ---+
                                                                    x --- Chebyshev convolutions, coarse to fine --- motion
    template ------ Chebyshev convolutions (geometry) --------------+

Stated by the abstract of OT-Talk: a pre-trained HuBERT, a transformer over time, Chebyshev graph convolution that reads
the geometry of the mesh. How they meet is our choice: the geometry of the template enters every graph convolution of
the decoder, and audio scales it channel by channel, so that no parameter depends on the number of vertices and any
template can be animated. Convolutions run on the coarse levels of a mesh hierarchy; a fixed sparse matrix carries the
displacements to all vertices.
"""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from otlib.meshes.chebyshev import ChebyshevConvolution
from otlib.meshes.geometry import face_vectors, unit_vectors
from otlib.meshes.hierarchy import MeshHierarchy, build_hierarchy
from otlib.models.decoder import MotionDecoder
from otlib.models.dropout import forget, perturb
from otlib.models.style import STYLES, SpeakerStyle
from otlib.models.temporal import TemporalTransformer
from otlib.settings import bounded, check, one_of
from otlib.topology import Topology

POSITION_UNIT = 0.1  # metres: half a head, so that positions are about 1
_FREQUENCIES = (1.0, 2.0, 4.0)  # of the position encoding, in half periods per POSITION_UNIT
GEOMETRY_CHANNELS = 3 + 3 + 6 * len(_FREQUENCIES)
_MOST_LEVELS = 16


@dataclass(frozen=True)
class ModelSettings:
    """Sizes and switches of the model; every value is our choice, the paper states none.

    Attributes:
        feature_layers, feature_channels: size of the audio features (1 + layers of the encoder, its width).
        width: channels of the transformer over time.
        layers, heads: layers and attention heads of the transformer.
        radius: frames to each side that attention reaches in one layer (0.4 s at 30 frames a second).
        dropout: share of numbers dropped in the transformer.
        lost, shift: change of the audio features in training, see :func:`otlib.models.dropout.perturb`.
        forgotten: style dropout: share of the training clips whose style is set to zero, so that the model copes with heads
            unlike those it knows.
        channels: channels of the graph convolutions.
        terms: Chebyshev terms K, orders 0 to K - 1 (CoMA, the best-known Chebyshev model of faces, has 6); 1 turns the
            graph off and leaves a network that sees each vertex alone (the ablation).
        levels: numbers of vertices of the coarse graphs, finest first.
        style: what tells who speaks: "template", the overall shape of the head alone, so that new speakers have a style
            too; "one-hot" (as in FaceFormer) or "learned", see :class:`otlib.models.style.SpeakerStyle`.
        speakers: names of the training speakers, for the last two styles; from the data.
    """

    feature_layers: int = bounded(MISSING, 1, 256)
    feature_channels: int = bounded(MISSING, 1, 16_384)
    width: int = bounded(128, 1, 2048)
    layers: int = bounded(2, 1, 32)
    heads: int = bounded(4, 1, 64)
    radius: int = bounded(12, 0, 1000)
    dropout: float = bounded(0.1, 0, 1, below=True)
    lost: float = bounded(0.2, 0, 1, below=True)
    shift: float = bounded(0.3, 0, 100)
    forgotten: float = bounded(0.5, 0, 1, below=True)
    channels: int = bounded(32, 1, 1024)
    terms: int = bounded(5, 1, 32)
    levels: tuple[int, ...] = bounded((256, 64), 1, 100_000)
    style: str = one_of("template", STYLES)
    speakers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check(self)
        if not 1 <= len(self.levels) <= _MOST_LEVELS or list(self.levels) != sorted(self.levels, reverse=True):
            raise ValueError(f"levels must be 1 to {_MOST_LEVELS} numbers, the largest first, but are {self.levels}")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not divisible by heads {self.heads}")


@dataclass(frozen=True)
class Geometry:
    """The model's description of some templates with the same faces.

    Attributes:
        hierarchy: mesh hierarchy, which they share.
        signal: (B, M, GEOMETRY_CHANNELS): position, its encoding, and normal of the first coarse level's vertices.
    """

    hierarchy: MeshHierarchy
    signal: Tensor

    def of(self, templates: slice | Sequence[int]) -> "Geometry":
        """Return the geometry of some of the templates; one may come more than once."""
        return replace(self, signal=self.signal[templates])

    def to(self, device: torch.device) -> "Geometry":
        """Return the geometry on a device."""
        return Geometry(self.hierarchy.to(device), self.signal.to(device))


def geometric_signal(vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], indices: Int[Tensor, " M"],
                     middle: Float[Tensor, "3"] | None = None) -> Float[Tensor, "M C"]:
    """Return position, its sines and cosines, and the normal of some of the vertices.

    Positions are relative to the middle of the bounding box, or to that which is given. The encoding (Tancik et al. 2020)
    separates what lies close together, such as the two lips; the normals tell which lip is which.
    """
    if middle is None:
        middle = (vertices.amax(0) + vertices.amin(0)) / 2
    position = (vertices - middle) / POSITION_UNIT
    vectors = face_vectors(vertices, faces)  # F 3, twice the area
    normal = torch.zeros_like(vertices).index_add(0, faces.reshape(-1).long(), vectors.repeat_interleave(3, 0))
    waves = [function(torch.pi * frequency * position) for frequency in _FREQUENCIES for function in (torch.sin, torch.cos)]
    return torch.cat([position, unit_vectors(normal), *waves], 1)[indices]


def prepare_geometry(template: Float[Tensor, "V 3"], topology: Topology, settings: ModelSettings, *,
                     hierarchy: MeshHierarchy | None = None, variation: int | None = None,
                     middle: Float[Tensor, "3"] | None = None) -> Geometry:
    """Return the geometry of one template.

    Args:
        template: a head at rest, metres.
        topology: the template's topology; if it has a region "lips", the coarse graphs are denser there.
        settings: model settings; levels larger than the mesh are reduced to its size.
        hierarchy: the hierarchy of another template with the same faces, to share it.
        variation: see :func:`otlib.meshes.hierarchy.build_hierarchy`.
        middle: metres, from where positions count; None for the middle of the bounding box, which a head without a back has
            elsewhere than those of the training.
    """
    faces = torch.from_numpy(topology.faces).to(template.device)
    if hierarchy is None:
        sizes, lips = coarse_sizes(settings.levels, len(template)), topology.regions.get("lips")
        lips = None if lips is None else torch.from_numpy(lips)
        hierarchy = build_hierarchy(template, faces, sizes, lips, variation=variation)
    return Geometry(hierarchy, geometric_signal(template, faces, hierarchy.chosen[1], middle)[None])


def coarse_sizes(levels: tuple[int, ...], vertices: int) -> tuple[int, ...]:
    """Return ``levels`` for a mesh of ``vertices`` vertices: a small mesh has smaller levels, each at most half the last."""
    sizes = [min(levels[0], vertices)]
    for level in levels[1:]:
        sizes.append(min(level, max(1, sizes[-1] // 2)))
    return tuple(sizes)


class OTTalk(nn.Module):
    """The whole model; see the module's docstring for its plan."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.settings = settings
        width, channels, terms = settings.width, settings.channels, settings.terms
        self.layer_logits = nn.Parameter(torch.zeros(settings.feature_layers))
        self.feature_norm = nn.LayerNorm(settings.feature_channels)
        self.project = nn.Linear(settings.feature_channels, width)
        self.neighbours = nn.Conv1d(width, width, 5, padding=2)
        if settings.style == "template":
            self.style = nn.Linear(2 * channels, width)
        else:
            self.style = SpeakerStyle(settings.style, settings.speakers, width)
        self.temporal = TemporalTransformer(width, settings.layers, settings.heads, settings.radius, settings.dropout)
        self.geometry = nn.ModuleList([ChebyshevConvolution(GEOMETRY_CHANNELS, channels, terms),
                                       ChebyshevConvolution(channels, channels, terms)])
        self.decoder = MotionDecoder(width, channels, terms, len(settings.levels))

    @property
    def reach(self) -> int:
        """Frames to each side on which a frame's motion depends."""
        return self.temporal.reach + 2

    def describe_template(self, geometry: Geometry) -> list[Tensor]:
        """Return features of the templates on every coarse level, finest first; one call for each template is enough."""
        first, second = self.geometry
        hierarchy, laplacian = geometry.hierarchy, geometry.hierarchy.laplacians[1]
        features = nn.functional.gelu(first(geometry.signal, laplacian))
        levels = [features + second(features, laplacian)]
        for level in range(1, len(self.settings.levels)):
            levels.append(hierarchy.downsample(levels[-1], level))
        return levels

    def listen(self, features: Float[Tensor, "B T layers C"], levels: list[Tensor],
               generators: Sequence[torch.Generator] | None = None,
               speakers: Sequence[str] | None = None) -> Float[Tensor, "B T W"]:
        """Return one vector a frame from the audio around it and the style: the template's overall shape, or a name.

        Features in half precision, as cached, become float32 here.
        """
        weights = self.layer_logits.softmax(0)
        mixed = self.feature_norm(torch.einsum("btlc,l->btc", features.to(weights.dtype), weights))
        audio = self.project(perturb(mixed, self.settings.lost, self.settings.shift, generators))
        audio = audio + nn.functional.gelu(self.neighbours(audio.transpose(1, 2))).transpose(1, 2)
        if self.settings.style == "template":
            style = self.style(torch.cat([levels[-1].mean(1), levels[-1].amax(1)], -1))  # B W
        else:
            style = self.style(speakers or [""] * len(features))  # B W; nobody is called ""
        return self.follow(audio + forget(style, self.settings.forgotten, generators)[:, None], generators)

    def follow(self, audio: Float[Tensor, "B T W"], generators: Sequence[torch.Generator] | None = None,
               ) -> Float[Tensor, "B T W"]:
        """Return each frame's signal after attention to the frames around it."""
        return self.temporal(audio, generators)

    def move(self, latent: Float[Tensor, "B T W"], levels: list[Tensor], hierarchy: MeshHierarchy,
             generators: Sequence[torch.Generator] | None = None) -> Float[Tensor, "B T V 3"]:
        """Return every vertex's displacement in metres from one vector a frame.

        Args:
            latent: from :meth:`listen`.
            levels: from :meth:`describe_template`.
            hierarchy: mesh hierarchy of the templates.
            generators: for what is dropped in training, one for each clip; the decoder here drops nothing.
        """
        return self.decoder(latent, levels, hierarchy)

    def at_frames(self, index: Int[Tensor, "B K"], latent: Float[Tensor, "B T W"], levels: list[Tensor],
                  hierarchy: MeshHierarchy,
                  generators: Sequence[torch.Generator] | None = None) -> Float[Tensor, "B K V 3"]:
        """Return the displacements of some frames of each clip, in metres.

        Args:
            index: numbers of the frames.
            latent: from :meth:`listen`, of all frames.
            levels, hierarchy, generators: as for :meth:`move`.
        """
        batch = torch.arange(len(latent), device=latent.device)[:, None]
        return self.move(latent[batch, index], levels, hierarchy, generators)

    def forward(self, features: Float[Tensor, "B T layers C"], geometry: Geometry,
                generators: Sequence[torch.Generator] | None = None,
                speakers: Sequence[str] | None = None) -> Float[Tensor, "B T V 3"]:
        """Return displacements from the template, in metres.

        Args:
            features: features of the audio at the mesh's frame rate.
            geometry: geometry of each clip's template, from :func:`prepare_geometry`.
            generators: for what training drops and changes, one for each clip; None drops and changes nothing.
            speakers: names, one for each clip; only the styles "one-hot" and "learned" use them.
        """
        levels = self.describe_template(geometry)
        return self.move(self.listen(features, levels, generators, speakers), levels, geometry.hierarchy, generators)
