"""Articulator controls to the expression shapes of ICT-FaceKit.

The controls mean the same as on the built-in head (:mod:`data_prep.head.rig`): `jaw` lowers the chin by 18 mm, and
`aperture` alone determines how far the lips part, up to 22 mm. The kit's jawOpen parts the lips too, and its mouthClose
shuts them again; so for every frame we compute the gap that all other shapes leave (it is linear in their weights). Where
it is larger than the target, mouthClose takes away the difference; where it is smaller, the lips' own raising and lowering
add it. The lips meet in every p, b and m, on every face. Which shapes stand for which control, and how much of each, is our
choice, judged by eye on the kit's mean face.
"""

from collections.abc import Mapping

import numpy as np

from data_prep.head import CONTROLS
from data_prep.head.surface import smoothstep
from data_prep.ict.model import CHIN, LEFT_CORNER, LOWER_LIP, UPPER_LIP, FaceModel
from otlib.errors import InputError

REQUIRED = ("jawOpen", "mouthClose", "mouthPucker", "mouthLowerDown_L", "mouthLowerDown_R", "mouthUpperUp_L",
            "mouthUpperUp_R")
OPTIONAL: Mapping[str, str] = {  # shapes, and what a face lacks without them
    "mouthFunnel": "open rounded lips",
    "mouthPress_L": "pressed lips", "mouthPress_R": "pressed lips",
    "mouthRollLower": "the lower lip at the teeth for f and v", "mouthRollUpper": "pressed lips",
    "mouthStretch_L": "spread lips", "mouthStretch_R": "spread lips",
    "mouthSmile_L": "spread lips and asymmetry", "mouthSmile_R": "spread lips and asymmetry",
    "browInnerUp_L": "raised brows", "browInnerUp_R": "raised brows",
    "browOuterUp_L": "raised brows", "browOuterUp_R": "raised brows",
    "browDown_L": "lowered brows", "browDown_R": "lowered brows",
    "eyeBlink_L": "blinks", "eyeBlink_R": "blinks",
}

_CHIN_DROP, _APERTURE, _CORNER_OUT = 0.018, 0.022, 0.004  # metres at jaw, aperture and spread 1
_OPENERS = ("mouthLowerDown_L", "mouthLowerDown_R", "mouthUpperUp_L", "mouthUpperUp_R")
_PART_MOST = 1.0  # largest weight of the openers
_RAISED, _SHUT = 0.5, 0.25  # share of the jaw that shut lips take away, and the aperture from which they do
_ROLLS = ("mouthRollLower", "mouthRollUpper")  # each brings its own lip back
_PRESSED = 0.8  # share of the gap at rest that pressing takes away
_PUCKER = {"round": 0.55, "protrude": 0.45}
_FUNNEL, _FUNNEL_APERTURE = 0.5, 0.4  # at protrude 1, and the aperture from which it is whole
_STRETCH_TO_SMILE = {"mouthStretch": 0.75, "mouthSmile": 0.25}  # shares, so that corners go out but not down or up
_SHARES = {  # weight of each shape at a control of 1
    "press": {"mouthPress_L": 0.6, "mouthPress_R": 0.6, "mouthRollLower": 0.15, "mouthRollUpper": 0.15},
    "tuck": {"mouthRollLower": 0.45},
    "blink": {"eyeBlink_L": 1.0, "eyeBlink_R": 1.0},
    "brow up": {"browInnerUp_L": 1.0, "browInnerUp_R": 1.0, "browOuterUp_L": 0.5, "browOuterUp_R": 0.5},
    "brow down": {"browDown_L": 0.5, "browDown_R": 0.5},
    "smirk left": {"mouthSmile_L": 0.5}, "smirk right": {"mouthSmile_R": 0.5},
}


class Rig:
    """The weights of a model's expressions for articulator controls.

    Args:
        model: a model with all of REQUIRED; shapes of OPTIONAL that it lacks do not move.

    Raises:
        InputError: a shape does not do what its name says.
    """

    def __init__(self, model: FaceModel) -> None:
        self._column = {name: number for number, name in enumerate(model.names)}
        self._middle = model.landmarks[[UPPER_LIP, LOWER_LIP]]
        upper, lower = (model.expressions[:, lip].astype(float) for lip in self._middle)
        self._parting, self._before = (upper - lower)[:, 1:].T  # (K,) metres up and forward from the lower lip to the upper
        self._apart = sum(self._parting[self._column[name]] for name in _OPENERS)
        self._lips_at_rest = self.lips(model.neutral)
        chin = float(model.expressions[self._column["jawOpen"], model.landmarks[CHIN], 1])
        corner = model.expressions[:, model.landmarks[LEFT_CORNER], 0].astype(float)
        if not chin < 0:
            raise InputError("jawOpen does not lower the chin, so it is not the shape of that name")
        if not self._parting[self._column["mouthClose"]] < 0 or not self._apart > 0:
            raise InputError("mouthClose does not bring the lips together or mouthUpperUp and mouthLowerDown do not part "
                             "them, so they are not the shapes of those names")
        self._jaw_open = -_CHIN_DROP / chin
        out = sum(share * corner[self._column[f"{name}_L"]] for name, share in _STRETCH_TO_SMILE.items()
                  if f"{name}_L" in self._column)
        self._spread = {f"{name}_{side}": _CORNER_OUT / out * share for name, share in _STRETCH_TO_SMILE.items()
                        for side in "LR"} if out > 0 else {}

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
        weights = np.zeros((len(controls), len(self._column)))
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
        self._add(weights, {"mouthClose": 1 / self._parting[self._column["mouthClose"]]}, np.minimum(further, 0))
        self._add(weights, dict.fromkeys(_OPENERS, 1.0), np.clip(further / self._apart, 0, _PART_MOST))

    def _meet(self, weights: np.ndarray, shut: np.ndarray, wider: float, forth: float) -> None:
        """Roll in the lip that would lie in front of the other one when shut, so that they meet face to face."""
        closed = weights.copy()
        self._part(closed, np.full(len(weights), -wider))
        before = forth + closed @ self._before  # (T,) metres
        for name in _ROLLS:
            if name in self._column and (effect := self._before[self._column[name]]) != 0:
                self._add(weights, {name: 1.0}, shut * np.maximum(-before / effect, 0))

    def _add(self, weights: np.ndarray, shares: Mapping[str, float], amount: np.ndarray) -> None:
        for name, share in shares.items():
            if name in self._column:
                weights[:, self._column[name]] += share * amount
