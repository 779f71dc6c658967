"""What a head says, by weights of shapes with ARKit's names: its own if it is the built-in one, or shapes carried to it."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from data_prep.head.named_shapes import named_shapes
from data_prep.talk.head import HeadAtRest, built_in_head
from otlib.export.blendshapes import Blendshapes, lips_lost, solve_weights
from otlib.export.talking_head import ShapeWeights, TalkingHead
from otlib.heads import understand_head
from otlib.heads.transfer import carry_shapes

_NOISE_MM = 0.1  # of the talker's motion: what shapes share so nearly that less would divide it does not tremble
_STILL = 1e-4  # metres: a shape that moves no vertex further is none on that head


def shapes_of(head: HeadAtRest, resolution: str = "low") -> Blendshapes:
    """Return the shapes of a head: those of the built-in one at a resolution, or the same on a head of a person's own."""
    if head.own is None:
        return named_shapes(resolution)
    known, built_in = named_shapes(), built_in_head()
    source = understand_head("the built-in head", built_in.template, built_in.topology.faces)
    carried = carry_shapes(known.displacements, source, head.own)
    moving = [number for number, shape in enumerate(carried) if abs(shape).max() > _STILL]
    return Blendshapes(head.template, tuple(known.names[number] for number in moving), carried[moving])


def with_weights(head: TalkingHead, shapes: Blendshapes,
                 progress: Callable[[Iterable[Any]], Iterable[Any]] = iter) -> TalkingHead:
    """Return the same talking head with the weights of its shapes; closures of the lips come first.

    Args:
        head: in motion.
        shapes: its shapes.
        progress: passes on the T frames one by one, and may show how far it is.

    Raises:
        ValueError: they are another head's.
    """
    weights = solve_weights(head.motion, shapes, noise_mm=_NOISE_MM, gap=head.topology.lip_gap, progress=progress)
    return replace(head, shape_weights=ShapeWeights(shapes, weights, lips_lost(head.motion, shapes, weights, head.topology)))
