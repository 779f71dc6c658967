"""The named parts of a head's surface, and how each of them looks."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Integer

_COLOURS = {
    "skin": "#D8AE97",
    "lips": "#B8646A",
    "brows": "#4F3A2E",
    "eyes": "#F1EFEB",
    "iris": "#4B7188",
    "pupils": "#15181B",
    "mouth": "#5E262A",
    "tongue": "#B4585C",
    "teeth": "#ECE7DB",
    "hair": "#57402F",
    "scalp": "#57402F",
}
# (share of mirror-like light, its sharpness as a Phong exponent): skin is matt, eyes and lips are moist
_GLOSS = {
    "skin": (0.10, 12.0),
    "lips": (0.30, 25.0),
    "eyes": (0.55, 60.0),
    "iris": (0.70, 80.0),
    "pupils": (0.90, 80.0),
    "teeth": (0.40, 40.0),
    "hair": (0.25, 15.0),
    "scalp": (0.25, 15.0),
}


def part_colour(name: str) -> str:
    """Return the sRGB colour of a part as "#rrggbb"; a name without a colour of its own looks like skin."""
    return _COLOURS.get(name, _COLOURS["skin"])


def part_gloss(name: str) -> tuple[float, float]:
    """Return (specular share, Phong exponent) of a part; a name without a gloss of its own looks like skin."""
    return _GLOSS.get(name, _GLOSS["skin"])


def linear_colour(name: str) -> tuple[float, float, float]:
    """Return the colour of a part as files of scenes store it, linear: the inverse of sRGB's transfer, IEC 61966-2-1."""
    shares = (byte / 255 for byte in bytes.fromhex(part_colour(name)[1:]))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares)
    return red, green, blue


def part_roughness(name: str) -> float:
    """Return the roughness of a part, as glTF and USD define it: alpha^2 = 2 / (n + 2), alpha = roughness^2 (GGX)."""
    return (2.0 / (part_gloss(name)[1] + 2.0)) ** 0.25


def part_owners(face_count: int, parts: Mapping[str, np.ndarray]) -> tuple[list[str], Integer[np.ndarray, " F"]]:
    """Return the names of all parts, with "skin" first, and which of them each face is in.

    Args:
        face_count: F.
        parts: face indices of each part, as in a topology; faces in no part are "skin".
    """
    names = ["skin", *(name for name in parts if name != "skin")]
    owner = np.zeros(face_count, dtype=np.int64)
    for number, name in enumerate(names[1:], start=1):
        owner[parts[name]] = number
    return names, owner


def split_faces(faces: Integer[np.ndarray, "F 3"], parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Split a face list by part.

    Args:
        faces: (F, 3) vertex indices.
        parts: face indices of each part, as in a topology; faces in no part are "skin".

    Returns:
        The (Fp, 3) faces of each part that has any, in the order of ``parts``, with "skin" first.
    """
    names, owner = part_owners(len(faces), parts)
    return {name: faces[owner == number] for number, name in enumerate(names) if (owner == number).any()}
