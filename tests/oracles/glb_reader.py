"""A reader of animated .glb files that follows the specification and shares nothing with the writer."""

import json

import numpy as np

_TYPES = {5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC3": 3}


class Glb:
    """The first mesh and the first animation of a .glb file."""

    def __init__(self, data: bytes) -> None:
        assert data[:4] == b"glTF"
        assert int.from_bytes(data[4:8], "little") == 2
        assert int.from_bytes(data[8:12], "little") == len(data)
        text_length = int.from_bytes(data[12:16], "little")
        assert data[16:20] == b"JSON"
        self.document = json.loads(data[20 : 20 + text_length])
        start = 20 + text_length
        binary_length = int.from_bytes(data[start : start + 4], "little")
        assert data[start + 4 : start + 8] == b"BIN\0"
        self._binary = data[start + 8 : start + 8 + binary_length]
        assert start + 8 + binary_length == len(data)
        self.primitives = self.document["meshes"][0]["primitives"]

    def array(self, accessor_number: int) -> np.ndarray:
        """Return an accessor's values, (n,) or (n, 3)."""
        accessor = self.document["accessors"][accessor_number]
        view = self.document["bufferViews"][accessor["bufferView"]]
        width = _WIDTHS[accessor["type"]]
        values = np.frombuffer(
            self._binary, _TYPES[accessor["componentType"]], accessor["count"] * width, view["byteOffset"]
        )
        return values if width == 1 else values.reshape(-1, width)

    def key_times(self) -> np.ndarray:
        """Return the times of the animation's keys, (T,) seconds."""
        return self.array(self._sampler()["input"])

    def weights_at(self, time: float) -> np.ndarray:
        """Return the morph weights, (K,), at a time between the first and last keys, interpolated linearly."""
        times = self.key_times()
        weights = self.array(self._sampler()["output"]).reshape(len(times), -1)
        return np.array([np.interp(time, times, column) for column in weights.T])

    def morphed(self, primitive: dict, attribute: str, weights: np.ndarray) -> np.ndarray:
        """Return base + sum of weighted targets of "POSITION" or "NORMAL", (n, 3)."""
        total = self.array(primitive["attributes"][attribute]).astype(np.float64)
        for weight, target in zip(weights, primitive["targets"], strict=True):
            total = total + weight * self.array(target[attribute])
        return total

    def triangles(self, primitive: dict, weights: np.ndarray) -> np.ndarray:
        """Return the corner positions of a primitive's triangles, (F, 3, 3)."""
        return self.morphed(primitive, "POSITION", weights)[self.array(primitive["indices"]).reshape(-1, 3)]

    def _sampler(self) -> dict:
        animation = self.document["animations"][0]
        channel = animation["channels"][0]
        assert channel["target"]["path"] == "weights"
        sampler = animation["samplers"][channel["sampler"]]
        assert sampler["interpolation"] == "LINEAR"
        return sampler
