"""What training minimises: errors of vertices, their motion and the mouth's opening, and a sliced Wasserstein distance."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from otlib.checks import NotFiniteError
from otlib.measures.directions import SAMPLERS, TRAINING_DIRECTIONS, draw_directions
from otlib.measures.measure import NORMAL_WEIGHT, barycentres, varifold
from otlib.measures.sliced import sliced_wasserstein
from otlib.settings import bounded, check, one_of
from otlib.topology import MILLIMETRES, Topology

_CLOSED_MM = 1.0  # opening at which a frame's extra weight as a closure has fallen to a third
_HEAVIEST = 1e6  # largest weight of a term: beyond it float32 has no digits left for the others
_RINGS = 2  # edges from the lips to the rim of the mouth region: the skin that opening the mouth stretches most


@dataclass(frozen=True)
class LossSettings:
    """Weights of the terms; all terms are in mm^2, so the weights compare like with like.

    The abstract of OT-Talk names the three terms; the weights, the measure and the directions are our choice.

    Attributes:
        reconstruction: weight of the mean squared distance over vertices and frames.
        velocity: weight of the mean squared difference of frame-to-frame motion.
        transport: weight of SW_2^2 between true and predicted mesh (lambda); 0 leaves the term out.
        lips: extra weight of lip vertices in the first two terms; 0 weighs all vertices alike.
        opening: weight of the mean squared difference of the vector from the lower lip to the upper one; 0 leaves it out.
        closure: extra weight of a frame with closed lips in that term. Squared errors make an unsure model hedge: a half
            open mouth is safe wherever p, b or m may be spoken, and never shuts. Closed frames are few and count for more.
        region: where transport is measured: "mouth", the lips and the skin around them, or "face", the whole mesh. On the
            whole mesh the pull on a half-open mouth mostly points elsewhere, since the opening changes every atom's share
            of the area and with it all ranks; on the mouth it points to the truth at most lip vertices (notebook 03, in
            several poses).
        measure: "varifold" (barycentres with normals) or "barycentres".
        normal_weight: length in metres that a unit of the varifold's normals counts as.
        directions: number L of directions.
        sampler: how they are drawn, see :mod:`otlib.measures.directions`.
        frames: number of random frames of each clip and step in which transport is measured, which bounds its cost.
        keys: weight of all these terms at the key frames, for KMTalk, beside the same at all frames; 0 leaves them out.
        key_transport: weight of SW_2^2 in them: optimal transport at key motions (our combination of both papers).
    """

    reconstruction: float = bounded(1.0, 0, _HEAVIEST)
    velocity: float = bounded(5.0, 0, _HEAVIEST)
    transport: float = bounded(1.0, 0, _HEAVIEST)
    lips: float = bounded(10.0, 0, _HEAVIEST)
    opening: float = bounded(0.8, 0, _HEAVIEST)
    closure: float = bounded(30.0, 0, _HEAVIEST)
    region: str = one_of("mouth", ("mouth", "face"))
    measure: str = one_of("varifold", ("varifold", "barycentres"))
    normal_weight: float = bounded(NORMAL_WEIGHT, 0, 10)
    directions: int = bounded(TRAINING_DIRECTIONS[6], 1, 10_000)
    sampler: str = one_of("design", SAMPLERS)
    frames: int = bounded(3, 1, 1000)
    keys: float = bounded(1.0, 0, _HEAVIEST)
    key_transport: float = bounded(1.0, 0, _HEAVIEST)

    def __post_init__(self) -> None:
        check(self)


@lru_cache(maxsize=8)
def transport_faces(topology: Topology, region: str) -> Integer[np.ndarray, "F2 3"]:
    """Return the faces of a region of :class:`LossSettings`: for "mouth", those within two edges of the lips.

    Raises:
        ValueError: the topology names no lips, which "mouth" needs.
    """
    faces = topology.faces
    if region == "face":
        return faces
    near = np.isin(faces, topology.lips)
    for _ in range(_RINGS):
        near = np.isin(faces, faces[near.any(1)])
    return faces[near.any(1)]


def vertex_weights(count: int, topology: Topology, extra: float) -> Float[Tensor, " V"]:
    """Return weights with mean one: 1 + ``extra`` for lip vertices, 1 elsewhere, scaled."""
    weights = torch.ones(count)
    weights[torch.from_numpy(topology.lips)] += extra
    return weights / weights.mean()


def reconstruction(prediction: Float[Tensor, "B T V 3"], truth: Float[Tensor, "B T V 3"],
                   weights: Float[Tensor, " V"]) -> Float[Tensor, ""]:
    """Return the weighted mean squared distance in mm^2."""
    squared = (prediction - truth).square().sum(-1) * MILLIMETRES**2  # B T V
    return (squared * weights).mean()


def velocity(prediction: Float[Tensor, "B T V 3"], truth: Float[Tensor, "B T V 3"],
             weights: Float[Tensor, " V"]) -> Float[Tensor, ""]:
    """Return the weighted mean squared difference of motion from frame to frame, in mm^2.

    Raises:
        ValueError: a single frame, which has no motion.
    """
    if truth.shape[1] < 2:
        raise ValueError(f"velocity needs at least two frames, not {truth.shape[1]}")
    return reconstruction(prediction.diff(dim=1), truth.diff(dim=1), weights)


def opening(prediction: Float[Tensor, "B T V 3"], truth: Float[Tensor, "B T V 3"], rest: Float[Tensor, "B V 3"],
            topology: Topology, closure: float) -> Float[Tensor, ""]:
    """Return the mean squared difference of the vectors across the mouth in mm^2; closed frames may weigh more.

    Args:
        prediction, truth: metres.
        rest: templates, whose lips are closed.
        topology: the heads' topology; its "lip_gap" is the mouth.
        closure: a frame weighs 1 + closure * exp(-opening / 1 mm), opening = true gap beyond the template's.
    """
    upper, lower = topology.lip_gap.tolist()

    def across(vertices: Tensor) -> Tensor:
        return (vertices[..., upper, :] - vertices[..., lower, :]) * MILLIMETRES

    gap, closed = across(truth), across(rest)[:, None]  # B T 3, B 1 3
    opened = (gap.norm(dim=-1) - closed.norm(dim=-1)).clamp_min(0)  # B T
    weight = 1 + closure * torch.exp(-opened / _CLOSED_MM)
    return (weight * (across(prediction) - gap).square().sum(-1)).mean()


def transport(prediction: Float[Tensor, "B T V 3"], truth: Float[Tensor, "B T V2 3"], faces: Int[Tensor, "F 3"],
              settings: LossSettings, generators: Sequence[torch.Generator],
              truth_faces: Int[Tensor, "F2 3"] | None = None) -> Float[Tensor, ""]:
    """Return SW_2^2 in mm^2 between the meshes as measures, mean over some random frames of each clip.

    It needs no correspondence: a truth of another topology has its own ``truth_faces``, and this term alone can tell where
    the surface is.

    Each frame has its own random directions, which lowers the deviation of the mean. Each clip has its own generator,
    so that the loss of a batch does not depend on how processes share out its clips.
    """
    count = min(settings.frames, prediction.shape[1])
    frames = torch.stack([torch.randperm(prediction.shape[1], generator=g)[:count] for g in generators]).to(truth.device)
    clips = torch.arange(len(frames), device=truth.device)[:, None]
    pair = [v[clips, frames].flatten(0, 1) for v in (prediction, truth)]  # (B n) V 3 each
    surfaces = list(zip(pair, (faces, faces if truth_faces is None else truth_faces), strict=True))
    if settings.measure == "varifold":
        measures = [varifold(vertices, triangles, settings.normal_weight) for vertices, triangles in surfaces]
    else:
        measures = [barycentres(vertices, triangles) for vertices, triangles in surfaces]
    directions = torch.cat([
        draw_directions(settings.directions, measures[0].points.shape[-1], sampler=settings.sampler, generator=generator,
                        batch=count, dtype=prediction.dtype) for generator in generators])
    return sliced_wasserstein(*measures, directions.to(prediction.device)).mean() * MILLIMETRES**2


def losses(prediction: Float[Tensor, "B T V 3"], truth: Float[Tensor, "B T V 3"], rest: Float[Tensor, "B V 3"],
           topology: Topology, settings: LossSettings, generators: Sequence[torch.Generator],
           ) -> dict[str, Float[Tensor, ""]]:
    """Return every term in mm^2, unweighted, and their weighted sum under "total".

    Args:
        prediction, truth: metres.
        rest: templates, metres, whose lips are closed.
        topology: the heads' topology; its "lips" weigh more, its "lip_gap" is the mouth.
        settings: weights of the terms; "opening" and "transport" are left out if their weight is 0.
        generators: for random frames and directions, one for each clip of the batch.

    Raises:
        ValueError: a topology without the regions that the terms need, a single frame, or meshes that do not fit.
        NotFiniteError: a term, which the message names, is NaN or infinite.
    """
    topology.check("truth", truth.shape)
    weights = vertex_weights(truth.shape[-2], topology, settings.lips).to(truth)
    terms = {"reconstruction": reconstruction(prediction, truth, weights),
             "velocity": velocity(prediction, truth, weights)}
    if settings.opening > 0:
        terms["opening"] = opening(prediction, truth, rest, topology, settings.closure)
    if settings.transport > 0:
        faces = torch.from_numpy(transport_faces(topology, settings.region)).to(truth.device)
        terms["transport"] = transport(prediction, truth, faces, settings, generators)
    terms["total"] = torch.stack([getattr(settings, name) * term for name, term in terms.items()]).sum()
    finite = torch.stack([*terms.values()]).isfinite().tolist()
    if faulty := [name for name, fine in zip(terms, finite, strict=True) if not fine]:
        raise NotFiniteError(f"the loss has no finite value in the terms {', '.join(faulty)}")
    return terms


def key_losses(key_motion: Float[Tensor, "B K V 3"], index: Int[Tensor, "B K"], counts: Int[Tensor, " B"],
               truth: Float[Tensor, "B T V 3"], rest: Float[Tensor, "B V 3"], topology: Topology, settings: LossSettings,
               generators: Sequence[torch.Generator]) -> dict[str, Float[Tensor, ""]]:
    """Return the terms of :func:`losses` at the key frames, mean over the clips, their names preceded by "key_".

    Velocity is the motion from one key to the next. Each clip counts alike, however many keys it has; one with a single key
    or none has no such terms, and counts as zero.

    Eight arguments: those of :func:`losses`, and where the keys are.

    Args:
        key_motion: predicted displacements at the keys, metres.
        index: frames of the keys.
        counts: how many of them are each clip's.
        truth, rest, topology, settings, generators: as for :func:`losses`.
    """
    at_keys = replace(settings, transport=settings.key_transport)
    optional = [name for name in ("opening", "transport") if getattr(at_keys, name) > 0]
    names = ["reconstruction", "velocity", *optional, "total"]
    sums = dict.fromkeys(names, key_motion.new_zeros(()))
    for clip, count in enumerate(counts.tolist()):
        if count > 1:
            one = slice(clip, clip + 1)
            terms = losses(rest[one, None] + key_motion[one, :count], truth[one, index[clip, :count]], rest[one], topology,
                           at_keys, generators[one])
            sums = {name: sums[name] + terms[name] for name in names}
    return {f"key_{name}": term / len(counts) for name, term in sums.items()}
