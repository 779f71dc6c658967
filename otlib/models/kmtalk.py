"""KMTalk: key motions first, then their completion to all frames under the guidance of the audio.

    audio features ---> OT-Talk's listening and decoder ---> meshes at the key frames ---+
                  |                                                                      v
    key frames ---+                            interpolation over time + a learned residual ---> motion
                  |                                                                      ^
                  +---> attention to the key motions and to the audio around a frame ----+

Stated by the abstract of KMTalk (arXiv 2409.01113): key motions are found by linguistic knowledge and learned first; a
module completes them to the whole sequence, guided by the audio. The paper plugs that module into other systems as well:
here the host that makes the key motions is OT-Talk or :class:`otlib.models.autoregressive.Autoregressive`, trained with the
completion or before it. Which frames are key follows from the phonemes' times,
see :mod:`otlib.phonemes.key_frames`. The paper leaves open what the modules look like inside; everything else here is our
choice: both are built from the parts of OT-Talk, so that any template can be animated, and completion learns what
interpolation lacks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from otlib.meshes.hierarchy import MeshHierarchy
from otlib.models.autoregressive import Autoregressive
from otlib.models.decoder import MotionDecoder
from otlib.models.motion_encoder import MotionEncoder
from otlib.models.ottalk import Geometry, ModelSettings, OTTalk
from otlib.models.temporal import LocalCrossAttention, drop
from otlib.settings import bounded, one_of

HOSTS = {"ottalk": OTTalk, "autoregressive": Autoregressive}  # what makes the key motions


@dataclass(frozen=True)
class KMTalkSettings(ModelSettings):
    """Sizes and switches of KMTalk: those of OT-Talk, whose parts it has, and of the completion.

    Attributes:
        completion_layers: blocks of the completion.
        span: frames to each side at which a key motion is seen; a frame that sees none has the residual alone.
        key_motion: whether the key frames have meshes; without, completion knows where they are and nothing else (the
            paper's row "without the key-motion decoder", in our reading).
        guided: whether completion hears the audio (the paper's row "without audio guidance").
        host: what makes the key motions, one of :data:`HOSTS`.
    """

    completion_layers: int = bounded(2, 1, 32)
    span: int = bounded(12, 1, 1000)
    key_motion: bool = True
    guided: bool = True
    host: str = one_of("ottalk", tuple(HOSTS))


@dataclass(frozen=True)
class KeyPlaces:
    """Where the key frames of some clips are, and between which two of them each frame lies.

    Attributes:
        keys: (B, T) which frames are key.
        index: (B, K) frames of the keys in order; a clip with fewer than K repeats its last one (or frame 0, if it has
            none).
        counts: (B,) number of keys of each clip.
        left, right: (B, T) numbers of the key motions before and after each frame, or at it; the other one where there is
            none within the span.
        weight: (B, T) share of the right one, where there are two.
        seen: (B, T) whether there is any.
        distance: (B, T, 2) frames to both of them as a share of the span; 1 where there is none.
    """

    keys: Tensor
    index: Tensor
    counts: Tensor
    left: Tensor
    right: Tensor
    weight: Tensor
    seen: Tensor
    distance: Tensor


def key_places(keys: Bool[Tensor, "B T"], span: int) -> KeyPlaces:
    """Return the places of key frames.

    Args:
        keys: which frames are key: none, some or all.
        span: frames to each side at which a key is seen.
    """
    batch, frames = keys.shape
    most = max(1, int(keys.sum(1).max()))
    order = torch.argsort((~keys).to(torch.int8), dim=1, stable=True)[:, :most]  # keys first, in order of time
    count = keys.sum(1, keepdim=True)  # B 1
    place = torch.arange(most, device=keys.device)
    index = order.gather(1, torch.minimum(place, (count - 1).clamp_min(0)))
    time = torch.arange(frames, device=keys.device).expand(batch, frames)
    before = torch.where(keys, time, -frames - span).cummax(1).values  # B T
    after = torch.where(keys, time, 2 * frames + span).flip(1).cummin(1).values.flip(1)
    has_left, has_right = time - before <= span, after - time <= span
    left = (keys.cumsum(1) - 1).clamp_min(0)
    right = torch.where(keys, left, torch.minimum(left + (keys.cumsum(1) > 0), (count - 1).clamp_min(0)))
    weight = (time - before).double() / (after - before).clamp_min(1)
    distance = torch.stack([torch.where(has_left, time - before, span), torch.where(has_right, after - time, span)], -1)
    return KeyPlaces(keys, index, count[:, 0], torch.where(has_left, left, right), torch.where(has_right, right, left),
                     weight, has_left | has_right, distance / span)


def interpolated(values: Float[Tensor, "B K ..."], places: KeyPlaces) -> Float[Tensor, "B T ..."]:
    """Carry values of the key frames to all frames: linearly between two keys, constant next to one, zero without any."""
    batch = torch.arange(len(values), device=values.device)[:, None]
    weight, seen = (part.to(values).reshape(*part.shape, *[1] * (values.ndim - 2)) for part in (places.weight, places.seen))
    return torch.lerp(values[batch, places.left], values[batch, places.right], weight) * seen


class Completion(nn.Module):
    """From key motions to the motion of all frames: interpolation, and a residual that attention to both sides learns.

    Each frame begins as the interpolated description of the key motions around it, its distance to them, and the audio. In
    each block it attends to the key motions and to the audio within ``radius`` frames. The residual's decoder starts at
    zero: untrained, completion is linear interpolation.
    """

    def __init__(self, settings: KMTalkSettings) -> None:
        super().__init__()
        self.settings = settings
        width, channels, layers = settings.width, settings.channels, settings.completion_layers
        self.read = MotionEncoder(width, channels)
        self.place = nn.Linear(3, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * layers))
        self.to_keys = nn.ModuleList(LocalCrossAttention(width, settings.heads, settings.radius) for _ in range(layers))
        self.to_audio = nn.ModuleList(LocalCrossAttention(width, settings.heads, settings.radius) for _ in range(layers))
        self.widen = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU()) for _ in range(layers))
        self.narrow = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(layers))
        self.last_norm = nn.LayerNorm(width)
        self.decoder = MotionDecoder(width, channels, settings.terms, len(settings.levels))

    def forward(self, key_motion: Float[Tensor, "B K V 3"], places: KeyPlaces, audio: Float[Tensor, "B T W"],
                shapes: Sequence[Float[Tensor, "B _ C"]], hierarchy: MeshHierarchy,
                generators: Sequence[torch.Generator] | None = None) -> Float[Tensor, "B T V 3"]:
        """Return the displacements of all frames, metres.

        Args:
            key_motion: displacements at ``places.index``, metres, from whatever host.
            places: from :func:`key_places`.
            audio: one vector a frame, from :meth:`OTTalk.listen`.
            shapes: from :meth:`OTTalk.describe_template`.
            hierarchy: mesh hierarchy of the templates.
            generators: for dropout, one for each clip, in training; None drops nothing.
        """
        share = self.settings.dropout
        motions = interpolated(self.read(key_motion[:, :, hierarchy.chosen[1]], shapes[0]), places)  # B T W
        where = torch.cat([places.distance, places.keys[..., None]], -1).to(motions)
        x = motions + self.place(where)
        if self.settings.guided:
            x = x + audio
        for layer, (widen, narrow) in enumerate(zip(self.widen, self.narrow, strict=True)):
            x = x + drop(self.to_keys[layer](self.norms[2 * layer](x), motions, places.keys), share, generators)
            if self.settings.guided:
                x = x + drop(self.to_audio[layer](self.norms[2 * layer + 1](x), audio), share, generators)
            x = x + drop(narrow(drop(widen(x), share, generators)), share, generators)
        return interpolated(key_motion, places) + self.decoder(self.last_norm(x), shapes, hierarchy)


@dataclass(frozen=True)
class Completed:
    """What KMTalk predicts.

    Attributes:
        motion: (B, T, V, 3) displacements of all frames, metres.
        key_motion: (B, K, V, 3) displacements at the key frames, metres.
        places: where the key frames are.
    """

    motion: Tensor
    key_motion: Tensor
    places: KeyPlaces


class KMTalk(nn.Module):
    """The whole model; see the module's docstring for its plan."""

    def __init__(self, settings: KMTalkSettings) -> None:
        super().__init__()
        self.settings = settings
        self.host = HOSTS[settings.host](settings)
        self.completion = Completion(settings)

    def plug_into(self, host: OTTalk) -> None:
        """Take a trained host of the same settings and freeze it, so that completion alone is trained."""
        self.host.load_state_dict(host.state_dict())
        self.host.requires_grad_(False)

    @property
    def reach(self) -> int:
        """Frames to each side on which a frame's motion depends."""
        return self.host.reach + self.settings.radius + self.settings.span

    def describe_template(self, geometry: Geometry) -> list[Tensor]:
        """Return features of the templates, see :meth:`OTTalk.describe_template`."""
        return self.host.describe_template(geometry)

    def complete(self, features: Float[Tensor, "B T layers C"], keys: Bool[Tensor, "B T"], levels: list[Tensor],
                 hierarchy: MeshHierarchy, generators: Sequence[torch.Generator] | None = None,
                 speakers: Sequence[str] | None = None, true_motion: Float[Tensor, "B T V 3"] | None = None,
                 trust: float = 0.0) -> Completed:
        """Return the motion of templates that :meth:`describe_template` has described.

        Eight arguments: the last two and the generators are for training alone.

        Args:
            features: features of the audio at the mesh's frame rate.
            keys: which frames are key.
            levels, hierarchy: of the templates.
            generators: for what training drops and changes, one for each clip; None drops and changes nothing.
            speakers: names, one for each clip; only the styles "one-hot" and "learned" use them.
            true_motion: true displacements, metres.
            trust: probability that completion gets a clip's true key motions in place of the predicted ones.
        """
        learning = generators if next(self.host.parameters()).requires_grad else None
        audio = self.host.listen(features, levels, learning, speakers)
        places = key_places(keys, self.settings.span)
        key_motion = self.host.at_frames(places.index, audio, levels, hierarchy, learning)
        given = key_motion if self.settings.key_motion else torch.zeros_like(key_motion)
        if true_motion is not None and trust > 0 and self.settings.key_motion:
            true = torch.tensor([float(torch.rand((), generator=generator)) < trust for generator in generators])
            batch = torch.arange(len(keys), device=keys.device)[:, None]
            given = torch.where(true.to(keys.device)[:, None, None, None], true_motion[batch, places.index], given)
        return Completed(self.completion(given, places, audio, levels, hierarchy, generators), key_motion, places)

    def forward(self, features: Float[Tensor, "B T layers C"], geometry: Geometry,
                generators: Sequence[torch.Generator] | None = None, speakers: Sequence[str] | None = None, *,
                keys: Bool[Tensor, "B T"], true_motion: Float[Tensor, "B T V 3"] | None = None,
                trust: float = 0.0) -> Completed:
        """Return displacements from the template, metres.

        Seven arguments: the last two and the generators are for training alone.

        Args:
            geometry: geometry of each clip's template.
            features, generators, speakers, keys, true_motion, trust: as for :meth:`complete`.
        """
        return self.complete(features, keys, self.describe_template(geometry), geometry.hierarchy, generators, speakers,
                             true_motion, trust)
