"""Make skin_fill.npz: the points that fill the skin of the built-in head at its three resolutions."""

if __name__ == "__main__":
    from otlib.commands import run

    run(__spec__.name)

from pathlib import Path

import numpy as np
from tqdm import tqdm

from data_prep.head import parts as head_parts
from data_prep.head.mesh import DETAILS, build
from data_prep.head.skin_fill import STORED, fill, store_fill
from otlib.commands import Parser, command
from otlib.files import atomic_write


def make_fill() -> dict[str, np.ndarray]:
    """Return the file's content: rows and azimuths (:func:`data_prep.head.skin_fill.store_fill`) by number of points."""
    arrays: dict[str, np.ndarray] = {}

    def keep(fixed: np.ndarray, count: int) -> np.ndarray:
        placed = fill(fixed, count)
        arrays[str(count)] = store_fill(placed)
        return placed

    for detail in tqdm(DETAILS.values(), desc="heads"):
        build(detail, head_parts.PIECES, keep)
    return arrays


@command
def main(arguments: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = Parser(description=__doc__)
    parser.add_argument("--target", type=Path, default=Path(__file__).with_name(STORED))
    target = parser.parse_args(arguments).target
    with atomic_write(target) as temporary:
        np.savez_compressed(temporary, **make_fill())
