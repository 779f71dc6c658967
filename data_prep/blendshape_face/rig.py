"""Articulator controls to ARKit's shapes.

The controls mean the same as on the built-in head (:mod:`data_prep.head.rig`): `jaw` lowers the chin by 18 mm, and
`aperture` alone determines how far the lips part, up to 22 mm. jawOpen parts the lips too, and mouthClose shuts them again;
so for every frame we compute the gap that all other shapes leave (it is linear in their weights). Where it is larger than
the target, mouthClose takes away the difference; where it is smaller, the lips' own raising and lowering add it. The lips
meet in every p, b and m, on every face. Which shapes stand for which control, and how much of each, is our choice, judged by
eye on ICT-FaceKit's mean face.
"""

from collections.abc import Mapping

import numpy as np

from data_prep.blendshape_face.family import FaceFamily, check_jaw_open
from data_prep.head import CONTROLS
from data_prep.head.surface import smoothstep
from otlib.errors import InputError

REQUIRED = ("jawOpen", "mouthClose", "mouthPucker", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft",
            "mouthUpperUpRight")
OPTIONAL: Mapping[str, str] = {  # shapes, and what a face lacks without them
    "mouthFunnel": "open rounded lips",
    "mouthPressLeft": "pressed lips", "mouthPressRight": "pressed lips",
    "mouthRollLower": "the lower lip at the teeth for f and v", "mouthRollUpper": "pressed lips",
    "mouthStretchLeft": "spread lips", "mouthStretchRight": "spread lips",
    "mouthSmileLeft": "spread lips and asymmetry", "mouthSmileRight": "spread lips and asymmetry",
    "browInnerUp": "raised brows",
    "browOuterUpLeft": "raised brows", "browOuterUpRight": "raised brows",
    "browDownLeft": "lowered brows", "browDownRight": "lowered brows",
    "eyeBlinkLeft": "blinks", "eyeBlinkRight": "blinks",
}

_CHIN_DROP, _APERTURE, _CORNER_OUT = 0.018, 0.022, 0.004  # metres at jaw, aperture and spread 1
_OPENERS = ("mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight")
_PART_MOST = 1.0  # largest weight of the openers
_RAISED, _SHUT = 0.5, 0.25  # share of the jaw that shut lips take away, and the aperture from which they do
_ROLLS = ("mouthRollLower", "mouthRollUpper")  # each brings its own lip back
_PRESSED = 0.8  # share of the gap at rest that pressing takes away
_PUCKER = {"round": 0.55, "protrude": 0.45}
_FUNNEL, _FUNNEL_APERTURE = 0.5, 0.4  # at protrude 1, and the aperture from which it is whole
_STRETCH_TO_SMILE = {"mouthStretch": 0.75, "mouthSmile": 0.25}  # shares, so that corners go out but not down or up
_SHARES = {  # weight of each shape at a control of 1
    "press": {"mouthPressLeft": 0.6, "mouthPressRight": 0.6, "mouthRollLower": 0.15, "mouthRollUpper": 0.15},
    "tuck": {"mouthRollLower": 0.45},
    "blink": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
    "brow up": {"browInnerUp": 1.0, "browOuterUpLeft": 0.5, "browOuterUpRight": 0.5},
    "brow down": {"browDownLeft": 0.5, "browDownRight": 0.5},
    "smirk left": {"mouthSmileLeft": 0.5}, "smirk right": {"mouthSmileRight": 0.5},
}


class Rig:
    """The weights of a family's expressions for articulator controls.

    Args:
        family: a family with all of REQUIRED; shapes of OPTIONAL that it lacks do not move.

    Raises:
        InputError: a shape does not do what its name says.
    """

    def __init__(self, family: FaceFamily) -> None:
        self._columns: dict[str, list[int]] = {}
        for number, name in enumerate(family.names):
            self._columns.setdefault(name, []).append(number)
        self._middle = family.topology.lip_gap
        upper, lower = (family.expressions[:, lip].astype(float) for lip in self._middle)
        self._parting, self._before = (upper - lower)[:, 1:].T  # (K,) metres up and forward from the lower lip to the upper
        self._apart = sum(self._effect(self._parting, name) for name in _OPENERS)
        self._lips_at_rest = self.lips(family.neutral)
        jaw_open = family.expressions[self._columns["jawOpen"]].sum(0)
        check_jaw_open(jaw_open, family.chin)
        corner = family.expressions[:, family.topology.regions["mouth_corners"][0], 0].astype(float)
        if not self._effect(self._parting, "mouthClose") < 0 or not self._apart > 0:
            raise InputError("mouthClose does not bring the lips together or mouthUpperUp and mouthLowerDown do not part "
                             "them, so they are not the shapes of those names")
        self._jaw_open = -_CHIN_DROP / float(jaw_open[family.chin, 1])
        out = sum(share * self._effect(corner, f"{name}Left") for name, share in _STRETCH_TO_SMILE.items())
        self._spread = {f"{name}{side}": _CORNER_OUT / out * share for name, share in _STRETCH_TO_SMILE.items()
                        for side in ("Left", "Right")} if out > 0 else {}

    def _effect(self, of_columns: np.ndarray, name: str) -> float:
        """Return what the shape of a name does at a weight of 1, of a linear effect (K,); 0 for a shape that is missing."""
        return sum(of_columns[column] for column in self._columns.get(name, ()))

    def lips(self, vertices: np.ndarray) -> np.ndarray:
        """Return how far the upper lip lies above and in front of the lower one, (2,) metres."""
        upper, lower = vertices[self._middle].astype(float)
        return (upper - lower)[1:]

    def weights(self, controls: np.ndarray, person: np.ndarray) -> np.ndarray:
        """Return weights (T, K) of the expressions.

        Args:
            controls: (T, A), the columns in the order of CONTROLS.
            person: (V, 3), the person's face with all weights zero. Controls of zero bring every person's lips as close
                together as on the mean face.

        Raises:
            ValueError: controls of a wrong shape.
        """
        if controls.ndim != 2 or controls.shape[1] != len(CONTROLS):
            raise ValueError(f"controls must have shape (T, {len(CONTROLS)}), not {controls.shape}")
        control = dict(zip(CONTROLS, np.asarray(controls, dtype=float).T, strict=True))
        aperture, brow, smirk = control["aperture"], control["brow"], control["smirk"]
        weights = np.zeros((len(controls), len(self._parting)))
        shut = 1 - smoothstep(0.0, _SHUT, aperture)
        self._add(weights, {"jawOpen": self._jaw_open}, control["jaw"] * (1 - _RAISED * shut))
        self._add(weights, {"mouthPucker": 1.0}, sum(share * control[name] for name, share in _PUCKER.items()))
        self._add(weights, {"mouthFunnel": _FUNNEL}, control["protrude"] * np.minimum(aperture / _FUNNEL_APERTURE, 1.0))
        self._add(weights, self._spread, control["spread"])
        amounts = control | {"brow up": np.maximum(brow, 0), "brow down": np.maximum(-brow, 0),
                             "smirk left": np.maximum(smirk, 0), "smirk right": np.maximum(-smirk, 0)}
        for name, shares in _SHARES.items():
            self._add(weights, shares, amounts[name])
        wider, forth = self.lips(person) - self._lips_at_rest
        self._meet(weights, shut, wider, forth)
        self._part(weights, _APERTURE * aperture - _PRESSED * control["press"] * self._lips_at_rest[0] - wider)
        return weights

    def _part(self, weights: np.ndarray, gap: np.ndarray) -> None:
        """Change the weights so that the lips part by ``gap`` (T,) metres."""
        further = gap - weights @ self._parting
        self._add(weights, {"mouthClose": 1 / self._effect(self._parting, "mouthClose")}, np.minimum(further, 0))
        self._add(weights, dict.fromkeys(_OPENERS, 1.0), np.clip(further / self._apart, 0, _PART_MOST))

    def _meet(self, weights: np.ndarray, shut: np.ndarray, wider: float, forth: float) -> None:
        """Roll in the lip that would lie in front of the other one when shut, so that they meet face to face."""
        closed = weights.copy()
        self._part(closed, np.full(len(weights), -wider))
        before = forth + closed @ self._before  # (T,) metres
        for name in _ROLLS:
            if (effect := self._effect(self._before, name)) != 0:
                self._add(weights, {name: 1.0}, shut * np.maximum(-before / effect, 0))

    def _add(self, weights: np.ndarray, shares: Mapping[str, float], amount: np.ndarray) -> None:
        for name, share in shares.items():
            for column in self._columns.get(name, ()):
                weights[:, column] += share * amount
