"""Motion as plain numbers: one array, or one mesh a frame, in the unit and with the vertices of the head's own file."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Float, Integer

from otlib.data.whole_folder import FolderFormat, file_table, whole_folder
from otlib.files import atomic_write, write_json

FRAMES = FolderFormat("a folder of mesh frames", "frames.json", "otlib-mesh-frames", 1)
"""How a folder with one mesh a frame is recognised; its manifest also has the frame rate."""


def write_npy(path: Path | str, frames: Iterable[Float[np.ndarray, "V 3"]], count: int) -> None:
    """Write frames as one .npy array (T, V, 3) float32; memory holds one frame at a time.

    Args:
        path: the file to write; it appears only when it is whole.
        frames: (V, 3) each.
        count: T.

    Raises:
        ValueError: there are not ``count`` frames, or none.
        InputError: the file cannot be written.
    """
    written = 0
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        for frame in frames:
            if not written:
                header = {"descr": "<f4", "fortran_order": False, "shape": (count, *frame.shape)}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(np.ascontiguousarray(frame, "<f4").data)
            written += 1
        if not written or written != count:
            raise ValueError(f"frames: there are {written}, not {count}")


def write_meshes(folder: Path | str, frames: Iterable[Float[np.ndarray, "V 3"]], faces: Integer[np.ndarray, "F 3"],
                 frame_rate: float, kind: str) -> None:
    """Write one mesh a frame, NAME_000000.obj and so on, NAME being the folder's.

    `python -m data_prep recordings` reads such a folder as a recording's motion.

    Args:
        folder: the folder to make; it appears only when it is whole, and replaces only one that this function made.
        frames: (V, 3) each.
        faces: vertex indices from 0.
        frame_rate: frames a second, for the manifest.
        kind: "obj", text, or "ply", binary.

    Raises:
        ValueError: another kind.
        InputError: the folder may not be replaced, or cannot be written.
    """
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {', '.join(_KINDS)}, not {kind!r}")
    folder, content = Path(folder), _KINDS[kind](faces)

    def finish() -> None:
        write_json(work / FRAMES.manifest, {"format": FRAMES.name, "version": FRAMES.version, "frame_rate": frame_rate,
                                            "files": file_table(work)})

    with whole_folder(folder, FRAMES, finish) as work:
        for number, frame in enumerate(frames):
            (work / f"{folder.name}_{number:06d}.{kind}").write_bytes(content(frame))


def _obj(faces: np.ndarray) -> Callable[[np.ndarray], bytes]:
    polygons = "".join(f"f {a} {b} {c}\n" for a, b, c in (faces + 1).tolist())

    def content(frame: np.ndarray) -> bytes:
        points = "".join(f"v {x:.9g} {y:.9g} {z:.9g}\n" for x, y, z in frame.tolist())  # nine digits give float32 back
        return (points + polygons).encode()

    return content


def _ply(faces: np.ndarray) -> Callable[[np.ndarray], bytes]:
    rows = np.empty(len(faces), [("corners", "u1"), ("vertices", "<i4", 3)])
    rows["corners"], rows["vertices"] = 3, faces
    axes = "".join(f"property float {axis}\n" for axis in "xyz")

    def content(frame: np.ndarray) -> bytes:
        header = (f"ply\nformat binary_little_endian 1.0\nelement vertex {len(frame)}\n{axes}element face {len(faces)}\n"
                  "property list uchar int vertex_indices\nend_header\n")
        return header.encode() + np.ascontiguousarray(frame, "<f4").tobytes() + rows.tobytes()

    return content


_KINDS = {"obj": _obj, "ply": _ply}
