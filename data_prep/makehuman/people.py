"""What makes MakeHuman's heads differ: its identity targets, as directions around a mean young adult.

Weights of directions are drawn from N(0, 1) (:mod:`data_prep.corpus.speakers`). A target that has an opposite, such as
nose-scale-vert-decr and -incr, gives one direction, half their difference; targets of the left and of the right side go
together, and asymmetry has directions of its own. How far a standard deviation goes is our choice, judged by eye on a
hundred heads: people who would pass in a street, each easily told from the others.
"""

from collections.abc import Iterable

import numpy as np

from data_prep.makehuman.wheel import Wheel

_MACRO = "macrodetails"
_ANCESTRIES, _SEXES = ("african", "asian", "caucasian"), ("female", "male")
_AVERAGE = "averagemuscle-averageweight"
_SEX, _ANCESTRY, _AGE, _WEIGHT, _MUSCLE = 0.8, 0.5, 0.25, 0.35, 0.35  # of the way from the mean to the end, and of age
_DETAIL = {  # folders of targets, and the share of a target that is one standard deviation
    "head": 0.16, "forehead": 0.20, "eyebrows": 0.25, "eyes": 0.18, "nose": 0.22, "mouth": 0.17, "chin": 0.20, "cheek": 0.25,
    "ears": 0.25, "asym": 0.12,
}
_OPPOSITES = (("decr", "incr"), ("down", "up"), ("backward", "forward"), ("in", "out"), ("concave", "convex"),
              ("compress", "uncompress"))
_ELSEWHERE = ("head-trans", "asymm-")  # the head as a whole, and the trunk


def mean_person(wheel: Wheel) -> np.ndarray:
    """Return what the mean young adult adds to the base mesh, (19158, 3) metres: both sexes and all ancestries alike.

    Raises:
        InputError: the wheel lacks a target, or one is damaged.
    """
    faces = _mean(wheel, (f"{ancestry}-{sex}-young" for ancestry in _ANCESTRIES for sex in _SEXES))
    return faces + _mean(wheel, (f"universal-{sex}-young-{_AVERAGE}" for sex in _SEXES))


def directions(wheel: Wheel) -> dict[str, np.ndarray]:
    """Return what one standard deviation of each direction adds, (19158, 3) metres; errors as in :func:`mean_person`."""
    found = _builds(wheel)
    for folder, share in _DETAIL.items():
        names = set(wheel.targets(folder))
        for name in sorted(names):
            if name.startswith(_ELSEWHERE) or _mirror(name) < name:
                continue
            low, high = _ends(name, names)
            if high:
                found[high] = share / 2 * (_sides(wheel, folder, high, names) - _sides(wheel, folder, low, names))
    return found


def _builds(wheel: Wheel) -> dict[str, np.ndarray]:
    """Return sex, ancestry, age, weight and muscle."""
    of_sex = {sex: _mean(wheel, (f"{ancestry}-{sex}-young" for ancestry in _ANCESTRIES))
              + _mean(wheel, [f"universal-{sex}-young-{_AVERAGE}"]) for sex in _SEXES}
    of_ancestry = {ancestry: _mean(wheel, (f"{ancestry}-{sex}-young" for sex in _SEXES)) for ancestry in _ANCESTRIES}
    mean = np.mean(list(of_ancestry.values()), 0)
    old = _mean(wheel, (f"{ancestry}-{sex}-old" for ancestry in _ANCESTRIES for sex in _SEXES)) - mean

    def range_of(low: str, high: str) -> np.ndarray:
        ends = [_mean(wheel, (f"universal-{sex}-young-{build}" for sex in _SEXES)) for build in (low, high)]
        return (ends[1] - ends[0]) / 2

    return {
        "sex": _SEX * (of_sex["male"] - of_sex["female"]) / 2,
        "african": _ANCESTRY * (of_ancestry["african"] - mean), "asian": _ANCESTRY * (of_ancestry["asian"] - mean),
        "age": _AGE * old, "weight": _WEIGHT * range_of("averagemuscle-minweight", "averagemuscle-maxweight"),
        "muscle": _MUSCLE * range_of("minmuscle-averageweight", "maxmuscle-averageweight"),
    }


def _mean(wheel: Wheel, names: Iterable[str]) -> np.ndarray:
    return np.mean([wheel.target(_MACRO, name) for name in names], 0)


def _mirror(name: str) -> str:
    """Return the name of the target on the other side; the name itself if it has both."""
    if name[:2] in ("l-", "r-"):
        return {"l": "r", "r": "l"}[name[0]] + name[1:]
    return name


def _ends(name: str, names: set[str]) -> tuple[str, str]:
    """Return a target's opposite and the target, if it is the end that a direction is named after; else two empty names."""
    start, _, end = name.rpartition("-")
    for low, high in (*_OPPOSITES, ("l", "r")):
        if end == high and f"{start}-{low}" in names:
            return f"{start}-{low}", name
    return "", ""


def _sides(wheel: Wheel, folder: str, name: str, names: set[str]) -> np.ndarray:
    both = {name, _mirror(name)} & names
    return sum(wheel.target(folder, side) for side in sorted(both))
