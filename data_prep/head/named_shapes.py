"""The built-in head's shapes with ARKit's names: what the rig can make of the 52, and as much as other heads make at 1.

Each shape is made of the rig's fields (:mod:`data_prep.head.rig`), or of parts of them: upper and lower lip, left and right
half, inner and outer brow. They mean what :mod:`data_prep.blendshape_face.rig` takes such shapes for, the other way round:
jawOpen parts the lips as it lowers the chin, the same amount of mouthClose brings them together again, so that shut lips on
a low jaw are both, and the raising and lowering of the lips is what the mouth opens further than that. The amounts at a
weight of 1 are near those of other heads with such shapes (jawOpen lowers the chin by 36 mm and parts the lips by 29), so
that weights can be put onto these. Which parts and how much of them is our choice; no shape of another head is used.

The other 29 shapes are missing: gaze, squinting and wide eyes, jaw and mouth to the sides, jawForward, mouthFrown,
mouthDimple, mouthShrug, cheeks, nose and tongue. The talker makes none of these motions.
"""

import numpy as np

from data_prep.head import make_head
from data_prep.head import mesh as head_mesh
from data_prep.head import parts as head_parts
from data_prep.head import rig as head_rig
from data_prep.head.surface import Points, smoothstep
from otlib.export.blendshapes import Blendshapes

_METRE = 1e-3  # metres per millimetre
_MIDDLE = 12.0  # mm: the halves of the face share so much on either side of the middle
_BROW_INNER, _BROW_OUTER = 18.0, 36.0  # mm from the middle: the brow's inner part ends between
_JAW = 2.0  # chords of the jaw's path from shut to 1, which is 18 mm at the chin
_JAW_UPPER, _JAW_LOWER = 1.4, 1.3  # apertures by which jawOpen parts the lips, so that the upper one stays where it is
_UPPER_UP, _LOWER_DOWN = 0.65, 0.45  # apertures of one lip alone: 5 and 6.5 mm
_CURL = 1.8  # rings around the lips: what a lip that moves alone takes along; the jaw takes along more
_PUCKER_PROTRUDE = 0.65  # beside 1 of round: less than in any rounded sound, so that mouthFunnel is what is left over
_FUNNEL_ROUND, _FUNNEL_APERTURE = 0.3, 0.6  # beside 1 of protrude
_SMILE = {"spread": 0.8, "smirk": 1.6}  # corners out and up
_STRETCH = {"spread": 1.6, "smirk": -0.8}  # corners out and a little down; two of it and one smile are spread lips
_PRESS = 1.5
_ROLL_BACK = 4.0  # mm that the upper lip goes back
_BROW_DOWN = 2.0  # so that a control of 1 is half of it


def named_shapes(resolution: str = "low") -> Blendshapes:
    """Return the mean built-in head at rest and its 23 shapes, in metres.

    Args:
        resolution: "low", "medium" or "high", as :func:`data_prep.head.make_head`.

    Raises:
        ValueError: an unknown resolution.
    """
    head = make_head(resolution=resolution)
    points = head_mesh.build(head_mesh.DETAILS[resolution], head_parts.PIECES).points
    shapes = _shapes(points, head_rig.fields(points))
    return Blendshapes(head.vertices, tuple(shapes), _METRE * np.stack(list(shapes.values())))


def _shapes(points: Points, fields: np.ndarray) -> dict[str, np.ndarray]:
    """Return the displacement (N, 3) mm of each shape at a weight of 1, from the rig's fields (14, N, 3)."""
    field = dict(zip(head_rig.WEIGHTS, fields, strict=True))
    ring, _, sine = head_rig.mouth_coordinates(points)
    upper = _share(0.5 + 0.5 * sine / np.maximum(np.hypot(sine, 0.35 * ring), 1e-9))  # halves of the mouth, without a kink
    lower = 1 - upper
    x = points.nominal[:, 0]
    halves = {side: _share(smoothstep(-_MIDDLE, _MIDDLE, sign * x)) for side, sign in (("Left", 1), ("Right", -1))}
    curl = _share(smoothstep(_CURL + 1, _CURL - 1, ring))
    inner = _share(smoothstep(_BROW_OUTER, _BROW_INNER, np.abs(x)))
    aperture, press, tuck = field["aperture"], field["press"], field["tuck"]
    chord = head_rig.weights(np.eye(len(head_rig.CONTROLS))[[head_rig.CONTROLS.index("jaw")]])[0]
    jaw = _JAW * np.tensordot(chord, fields, 1)
    parting = (_JAW_UPPER * upper + _JAW_LOWER * lower) * aperture
    outside = smoothstep(0.75, 0.05, points.depth)  # as in the rig: not teeth, nor what lies deep in the mouth
    back = np.array([0.0, 0.0, -_ROLL_BACK]) * _share(outside * np.maximum(sine, 0) ** 2 * smoothstep(2.6, 0.3, ring))
    shapes = {
        "jawOpen": jaw + parting,
        "mouthClose": -parting,
        "mouthFunnel": field["protrude"] + _FUNNEL_ROUND * field["round"] + _FUNNEL_APERTURE * aperture,
        "mouthPucker": field["round"] + _PUCKER_PROTRUDE * field["protrude"],
        "mouthRollLower": lower * tuck,
        "mouthRollUpper": upper * press + back,
        "browInnerUp": inner * field["brow up"],
    }
    blink = field["blink"] + field["blink square"]
    for side, half in halves.items():
        corner = {"spread": half * field["spread"], "smirk": field[f"smirk {side.lower()}"]}
        shapes |= {
            f"mouthSmile{side}": sum(amount * corner[name] for name, amount in _SMILE.items()),
            f"mouthStretch{side}": sum(amount * corner[name] for name, amount in _STRETCH.items()),
            f"mouthPress{side}": _PRESS * half * press,
            f"mouthLowerDown{side}": _LOWER_DOWN * half * curl * lower * aperture,
            f"mouthUpperUp{side}": _UPPER_UP * half * curl * upper * aperture,
            f"browDown{side}": _BROW_DOWN * half * field["brow down"],
            f"browOuterUp{side}": half * (1 - inner) * field["brow up"],
            f"eyeBlink{side}": half * blink,
        }
    return shapes


def _share(values: np.ndarray) -> np.ndarray:
    """Return values (N,) as a column, to multiply displacements with."""
    return values[:, None]
