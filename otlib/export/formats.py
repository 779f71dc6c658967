"""The files that a talking head can become: one table of names and writers.

A new format is a function here and its line in FORMATS. Each imports what it needs when it is asked for.
"""

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otlib.errors import InputError
from otlib.export.talking_head import TalkingHead

Progress = Callable[[Iterable[Any]], Iterable[Any]]
"""Passes on what it is given, one by one, T of them, and may show how far it is."""


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        what: what it is good for, in a few words.
        write: writes a head to a path, and returns what there is to say of the file.
        begin: the first four bytes of every such file, b"JSON" for that; empty for a folder of files.
        check: raises InputError if this machine cannot write it.
        of_shapes: whether it holds weights of named shapes alone, so that :attr:`TalkingHead.shape_weights` are needed.
        names_shapes: whether its shapes have their names where the head has such weights.
    """

    what: str
    write: Callable[[Path, TalkingHead, Progress], str]
    begin: bytes = b""
    check: Callable[[], object] = lambda: None
    of_shapes: bool = False
    names_shapes: bool = False


def _html(path: Path, head: TalkingHead, progress: Progress) -> str:
    from otlib.export.html import write_html

    error_mm = write_html(path, head)
    return f"{path.stat().st_size / 1e6:.1f} MB, largest error {error_mm:.3f} mm"


def _shapes(kind: str) -> Callable[[Path, TalkingHead, Progress], str]:
    def write(path: Path, head: TalkingHead, progress: Progress) -> str:
        from otlib.export.blendshapes import named_targets
        from otlib.export.morph_targets import targets_of

        solved = head.shape_weights
        targets = (targets_of(head.motion, head.template) if solved is None
                   else named_targets(head.motion, solved.shapes, solved.weights))
        write_mesh = getattr(importlib.import_module(f"otlib.export.{kind}"), f"write_{kind}")
        write_mesh(path, head.motion, head.topology, head.frame_rate, targets=targets)
        count = len(targets.displacements)
        return (f"{count} shapes, largest error {targets.max_error_mm:.3f} mm" if solved is None
                else f"{count} shapes with ARKit's names; {solved.lost}")

    return write


def _can_write_usd() -> None:
    if importlib.util.find_spec("pxr") is None:
        raise InputError("a usd file needs usd-core, which is not installed: run `pip install 'otlib[usd]'`, or choose "
                         "another format, such as glb")


def _mp4(path: Path, head: TalkingHead, progress: Progress) -> str:
    from otlib.export.mp4 import write_talking_head
    from otlib.viz.film_frames import film_processes, film_size, render_frames

    size, note = film_size(len(head.motion) / head.frame_rate)
    pictures = progress(render_frames(head.motion, head.topology, template=head.template, size=size,
                                      processes=film_processes(len(head.motion))))
    sound = head.recording.samples, head.recording.sample_rate
    return f"{write_talking_head(path, pictures, head.frame_rate, *sound)} pictures{note and f' of {note}'}"


def _can_film() -> None:
    from otlib.viz.can_render import ensure_rendering

    if importlib.util.find_spec("imageio_ffmpeg") is None:
        raise InputError("a film needs imageio-ffmpeg, which is not installed: run `pip install 'otlib[notebook]'`, or "
                         "choose another format, such as html")
    ensure_rendering()


def _npy(path: Path, head: TalkingHead, progress: Progress) -> str:
    from otlib.export.mesh_frames import write_npy

    write_npy(path, progress(head.in_own_unit()), len(head.motion))
    return f"float32 {head.motion.shape}"


def _weights(kind: str) -> Callable[[Path, TalkingHead, Progress], str]:
    def write(path: Path, head: TalkingHead, progress: Progress) -> str:
        from otlib.export.audio2face import write_audio2face
        from otlib.export.live_link import write_live_link

        if (solved := head.shape_weights) is None:
            raise ValueError(f"shape_weights: the head has none, which a {kind} file consists of")
        names = solved.shapes.names
        {"csv": write_live_link, "json": write_audio2face}[kind](path, names, solved.weights, head.frame_rate)
        return f"{len(solved.weights)} frames, {len(names)} of ARKit's 52 shapes move; {solved.lost}"

    return write


def _meshes(kind: str) -> Callable[[Path, TalkingHead, Progress], str]:
    def write(path: Path, head: TalkingHead, progress: Progress) -> str:
        from otlib.export.mesh_frames import write_meshes

        faces = head.topology.faces if head.own_faces is None else head.own_faces
        write_meshes(path, progress(head.in_own_unit()), faces, head.frame_rate, kind)
        return f"{len(head.motion)} files"

    return write


FORMATS = {
    "html": Format("a page that plays in any browser, with sound; the head can be turned", _html, b"<!do"),
    "mp4": Format("a film with sound; needs the extra otlib[notebook]", _mp4, b"\0\0\0 ", _can_film),
    "glb": Format("for Blender, Unity, Unreal and three.js: shapes and their weights over time", _shapes("glb"), b"glTF",
                  names_shapes=True),
    "usd": Format("for Omniverse, Houdini and Blender: the same as in a glb; needs the extra otlib[usd]", _shapes("usd"),
                  b"PXR-", _can_write_usd, names_shapes=True),
    "csv": Format("the weights of ARKit's 52 shapes as Live Link Face records them, for Unreal, MetaHuman and Blender",
                  _weights("csv"), b"Time", of_shapes=True),
    "json": Format("the same weights as Audio2Face exports them, for Unreal, Maya and Blender", _weights("json"), b"JSON",
                   of_shapes=True),
    "npy": Format("one array of all frames, (T, V, 3) float32, in unit and axes of the head's file", _npy, b"\x93NUM"),
    "obj": Format("a folder with one OBJ file a frame, in unit and axes of the head's file", _meshes("obj")),
    "ply": Format("a folder with one binary PLY file a frame, in unit and axes of the head's file", _meshes("ply")),
}
"""Every format by its name, which is also the end of its files' names."""
