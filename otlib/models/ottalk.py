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

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from otlib.meshes.chebyshev import ChebyshevConvolution
from otlib.meshes.geometry import face_vectors, unit_vectors
from otlib.meshes.hierarchy import MeshHierarchy, build_hierarchy
from otlib.models.perturbation import forget, perturb
from otlib.models.style import STYLES, SpeakerStyle
from otlib.models.temporal import TemporalTransformer

DISPLACEMENT_UNIT = 0.01  # metres: the last layer works in centimetres, the size of a mouth's motion
POSITION_UNIT = 0.1  # metres: half a head, so that positions are about one
GEOMETRIES = ("template", "template and previous motion")
_FREQUENCIES = (1.0, 2.0, 4.0)  # of the position encoding, in half periods per POSITION_UNIT
GEOMETRY_CHANNELS = 3 + 3 + 6 * len(_FREQUENCIES)


@dataclass(frozen=True)
class ModelSettings:
    """Sizes and switches of the model; every value is our choice, the paper states none.

    Attributes:
        feature_layers, feature_channels: of the audio features (1 + layers of the encoder, its width).
        width: channels of the transformer over time.
        layers, heads: of the transformer.
        radius: frames to each side that attention reaches in one layer (0.4 s at 30 frames a second).
        dropout: in the transformer.
        lost, shift: of the audio features in training, see :func:`otlib.models.perturbation.perturb`.
        forgotten: share of the clips in training of which the style is not told, so that the model does without where a head
            is unlike all that it knows.
        channels: of the graph convolutions.
        terms: Chebyshev terms K, orders 0 to K - 1 (CoMA, the best-known Chebyshev model of faces, has 6); 1 turns the
            graph off and leaves a network that sees each vertex alone (the ablation).
        levels: vertices of the coarse graphs, finest first.
        geometry: which geometry the graph convolutions read. "template": each frame is decoded by itself. "template and
            previous motion": they also read how the frame before was displaced, frame after frame, in training as in use
            (slower). The previous motion alone is no choice: without the template nothing would tell vertices apart,
            since no parameter belongs to a vertex.
        style: what tells who speaks: "template", the overall shape of the head alone, so that new speakers have a style
            too; "one-hot" (as in FaceFormer) or "learned", see :class:`otlib.models.style.SpeakerStyle`.
        speakers: names of the training speakers, for the last two styles; set by the data.
    """

    feature_layers: int
    feature_channels: int
    width: int = 128
    layers: int = 2
    heads: int = 4
    radius: int = 12
    dropout: float = 0.1
    lost: float = 0.2
    shift: float = 0.3
    forgotten: float = 0.5
    channels: int = 32
    terms: int = 5
    levels: tuple[int, ...] = (256, 64)
    geometry: str = "template"
    style: str = "template"
    speakers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, choices in {"geometry": GEOMETRIES, "style": STYLES}.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} {getattr(self, name)!r} is not one of {', '.join(map(repr, choices))}")
        for name in ("lost", "forgotten"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, but is {getattr(self, name)}")
        if not 0 <= self.shift < float("inf"):
            raise ValueError(f"shift must be finite and not negative, but is {self.shift}")


@dataclass(frozen=True)
class Geometry:
    """What the model knows of a template: its hierarchy and a signal on the first coarse level.

    Attributes:
        hierarchy: of the mesh; templates of one topology may share it.
        signal: (M, GEOMETRY_CHANNELS), position, its encoding, and normal of the chosen vertices.
    """

    hierarchy: MeshHierarchy
    signal: Tensor


def geometric_signal(vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"],
                     chosen: Int[Tensor, " M"]) -> Float[Tensor, "M C"]:
    """Return position, its sines and cosines, and the normal of the chosen vertices.

    Positions count from the middle of the bounding box. The encoding (Tancik et al. 2020) tells apart what lies close,
    such as the two lips; the normals tell which of them is which.
    """
    middle = (vertices.amax(0) + vertices.amin(0)) / 2
    position = (vertices - middle) / POSITION_UNIT
    vectors = face_vectors(vertices, faces)  # F 3, twice the area
    normal = torch.zeros_like(vertices).index_add(0, faces.reshape(-1).long(), vectors.repeat_interleave(3, 0))
    waves = [function(torch.pi * frequency * position) for frequency in _FREQUENCIES for function in (torch.sin, torch.cos)]
    return torch.cat([position, unit_vectors(normal), *waves], 1)[chosen]


def prepare_geometry(vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], settings: ModelSettings,
                     lips: Int[Tensor, " N"] | None = None, hierarchy: MeshHierarchy | None = None,
                     variation: int | None = None) -> Geometry:
    """Return what the model needs of a template.

    Args:
        vertices: the template, metres.
        faces: its triangles.
        settings: of the model; levels larger than the mesh are cut to it.
        lips: vertices where the coarse graphs shall be denser.
        hierarchy: of another template with the same faces, to share it.
        variation: of :func:`otlib.meshes.hierarchy.build_hierarchy`.
    """
    if hierarchy is None:
        sizes = coarse_sizes(settings.levels, len(vertices))
        hierarchy = build_hierarchy(vertices, faces, sizes, lips, variation=variation)
    return Geometry(hierarchy, geometric_signal(vertices, faces, hierarchy.chosen[1]))


def coarse_sizes(levels: tuple[int, ...], vertices: int) -> tuple[int, ...]:
    """Return ``levels`` for a mesh of so many vertices: a small mesh has smaller ones, each at most half the one before."""
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
        count = len(settings.levels)
        self.gains = nn.ModuleList(nn.Linear(width, channels) for _ in range(count))
        self.shifts = nn.ModuleList(nn.Linear(width, channels) for _ in range(count))
        self.convolutions = nn.ModuleList(ChebyshevConvolution(channels, channels, terms) for _ in range(count))
        self.out = nn.Linear(channels, 3)
        nn.init.zeros_(self.out.weight)  # the untrained model shows the template, as in the peers' systems
        nn.init.zeros_(self.out.bias)
        self.feedback = ChebyshevConvolution(3, channels, terms) if settings.geometry != "template" else None

    @property
    def reach(self) -> int:
        """Frames to each side on which a frame's motion depends."""
        return self.temporal.reach + 2

    def describe_template(self, signal: Float[Tensor, "B M C"], hierarchy: MeshHierarchy) -> list[Tensor]:
        """Return the geometry's features on every coarse level, finest first; needed once for each template."""
        first, second = self.geometry
        laplacian = hierarchy.laplacians[1]
        features = nn.functional.gelu(first(signal, laplacian))
        levels = [features + second(features, laplacian)]
        for level in range(1, len(self.settings.levels)):
            levels.append(hierarchy.downsample(levels[-1], level))
        return levels

    def listen(self, features: Float[Tensor, "B T layers C"], geometry: list[Tensor],
               generators: Sequence[torch.Generator] | None = None,
               speakers: Sequence[str] | None = None) -> Float[Tensor, "B T W"]:
        """Return one vector a frame from the audio around it and who speaks: the template's overall shape, or a name."""
        weights = self.layer_logits.softmax(0)
        heard = self.feature_norm(torch.einsum("btlc,l->btc", features, weights))
        audio = self.project(perturb(heard, self.settings.lost, self.settings.shift, generators))
        audio = audio + nn.functional.gelu(self.neighbours(audio.transpose(1, 2))).transpose(1, 2)
        if self.settings.style == "template":
            style = self.style(torch.cat([geometry[-1].mean(1), geometry[-1].amax(1)], -1))  # B W
        else:
            style = self.style(speakers or [""] * len(features))  # B W; nobody is called ""
        return self.temporal(audio + forget(style, self.settings.forgotten, generators)[:, None], generators)

    def coarse_motion(self, latent: Float[Tensor, "B T W"], geometry: list[Tensor], hierarchy: MeshHierarchy,
                      before: Float[Tensor, "B M 3"] | None = None) -> Float[Tensor, "B T M 3"]:
        """Return the displacements of the finest coarse level, in units of DISPLACEMENT_UNIT.

        Args:
            latent: one vector a frame.
            geometry: of :meth:`describe_template`.
            hierarchy: of the mesh.
            before: displacements of the frame before the first; None is a head at rest. Matters only where the geometry
                that the model reads includes the previous motion.
        """
        if self.feedback is None:
            return self._decode(latent, geometry, hierarchy)
        if before is None:
            before = latent.new_zeros(len(latent), geometry[0].shape[1], 3)
        frames = []
        for time in range(latent.shape[1]):
            recalled = self.feedback(before, hierarchy.laplacians[1])[:, None]  # B 1 M C
            frames.append(self._decode(latent[:, time, None], geometry, hierarchy, recalled))
            before = frames[-1][:, 0]
        return torch.cat(frames, 1)

    def _decode(self, latent: Tensor, geometry: list[Tensor], hierarchy: MeshHierarchy,
                recalled: Tensor | None = None) -> Tensor:
        signal = None
        for level in reversed(range(len(geometry))):  # coarse to fine
            shape = geometry[level][:, None]  # B 1 M C
            local = shape * self.gains[level](latent)[:, :, None] + self.shifts[level](latent)[:, :, None]  # B T M C
            signal = local if signal is None else local + hierarchy.upsample(signal, level + 2)
            if level == 0 and recalled is not None:
                signal = signal + recalled
            signal = signal + self.convolutions[level](nn.functional.gelu(signal), hierarchy.laplacians[level + 1])
        return self.out(signal)

    def move(self, latent: Float[Tensor, "B T W"], geometry: list[Tensor],
             hierarchy: MeshHierarchy) -> Float[Tensor, "B T V 3"]:
        """Return every vertex's displacement in metres from one vector a frame."""
        return hierarchy.upsample(self.coarse_motion(latent, geometry, hierarchy), 1) * DISPLACEMENT_UNIT

    def forward(self, features: Float[Tensor, "B T layers C"], signal: Float[Tensor, "B M C2"], hierarchy: MeshHierarchy,
                generators: Sequence[torch.Generator] | None = None,
                speakers: Sequence[str] | None = None) -> Float[Tensor, "B T V 3"]:
        """Return displacements from the template, in metres.

        Args:
            features: of the audio at the mesh's frame rate.
            signal: each clip's template, from :func:`geometric_signal`.
            hierarchy: of the topology that the clips share.
            generators: of what is dropped and changed in training, one for each clip; None does neither.
            speakers: names, one for each clip; only the styles "one-hot" and "learned" know them.
        """
        geometry = self.describe_template(signal, hierarchy)
        return self.move(self.listen(features, geometry, generators, speakers), geometry, hierarchy)


def animate(model: OTTalk, features: Float[Tensor, "T layers C"] | Iterable[Tensor], template: Float[Tensor, "V 3"],
            geometry: Geometry, window: int = 300, speaker: str = "") -> Iterator[Float[Tensor, "T V 3"]]:
    """Yield the talking mesh of a recording of any length, in stretches of at most ``window`` frames.

    Windows overlap by what the model can see, so the result is that of one pass over the whole recording and memory
    is bounded by one window.

    Args:
        model: trained; put in evaluation mode here.
        features: of the whole recording, or of consecutive stretches of it, read one after the other.
        template: metres.
        geometry: of that template.
        window: new frames a stretch.
        speaker: name, for the styles that know their training speakers.

    Yields:
        Vertices in metres of consecutive frames.
    """
    model.eval()
    with torch.no_grad():
        levels = model.describe_template(geometry.signal[None], geometry.hierarchy)
    before = None
    for seen, lead, count in _windows([features] if isinstance(features, Tensor) else features, window, model.reach):
        with torch.no_grad():  # closed before the yield, which would carry it into the caller's code
            latent = model.listen(seen[None], levels, speakers=[speaker])[:, lead: lead + count]
            coarse = model.coarse_motion(latent, levels, geometry.hierarchy, before)  # 1 T M 3
            before = coarse[:, -1]
            vertices = template + geometry.hierarchy.upsample(coarse, 1)[0] * DISPLACEMENT_UNIT
        yield vertices


def _windows(stretches: Iterable[Tensor], window: int, reach: int) -> Iterator[tuple[Tensor, int, int]]:
    """Cut a recording into windows of new frames, each with the ``reach`` frames before and behind it that there are.

    Yields:
        Features, the number of frames before the new ones, and the number of new ones.
    """
    held, start, first, total = None, 0, 0, 0  # features at hand, the frame they begin at, the next new frame, frames read
    for stretch in stretches:
        held = stretch if held is None else torch.cat([held, stretch])
        total += len(stretch)
        while total >= first + window + reach:
            begin = max(0, first - reach)
            yield held[begin - start: first + window + reach - start], first - begin, window
            first += window
            kept = max(0, first - reach)
            held, start = held[kept - start:], kept
    while first < total:
        count, begin = min(window, total - first), max(0, first - reach)
        yield held[begin - start: first + count + reach - start], first - begin, count
        first += count
