"""What the built-in head says, by weights of its shapes with ARKit's names."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from data_prep.head.named_shapes import named_shapes
from otlib.export.blendshapes import lips_lost, solve_weights
from otlib.export.talking_head import ShapeWeights, TalkingHead

_NOISE_MM = 0.1  # of the talker's motion: what shapes share so nearly that less would divide it does not tremble


def with_weights(head: TalkingHead, resolution: str,
                 progress: Callable[[Iterable[Any]], Iterable[Any]] = iter) -> TalkingHead:
    """Return the same talking head with the weights of its shapes; closures of the lips come first.

    Args:
        head: the built-in head, in motion.
        resolution: its resolution.
        progress: passes on the T frames one by one, and may show how far it is.

    Raises:
        ValueError: it is another head.
    """
    shapes, gap = named_shapes(resolution), head.topology.lip_gap
    weights = solve_weights(head.motion, shapes, noise_mm=_NOISE_MM, gap=gap, progress=progress)
    return replace(head, shape_weights=ShapeWeights(shapes.names, weights,
                                                    lips_lost(head.motion, shapes, weights, head.topology)))
