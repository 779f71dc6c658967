"""Pictures of heads, drawn with PyVista: lights, cameras and materials, set up once for many poses."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal

import matplotlib
import numpy as np
import PIL.Image
from jaxtyping import Float, UInt8

from otlib.topology import Topology
from otlib.viz import palette
from otlib.viz.can_render import ensure_rendering
from otlib.viz.materials import part_colour, part_gloss, split_faces
from otlib.viz.normals import VertexNormals, split_creases
from otlib.viz.phong_tessellation import PhongTessellation

if TYPE_CHECKING:
    import pyvista

Camera = Literal["front", "three_quarter", "profile"]
Picture = UInt8[np.ndarray, "_ _ 3"]  # (height, width, 3)

_AZIMUTH_DEGREES = {"front": 0.0, "three_quarter": 35.0, "profile": 90.0}  # towards the head's left
_MARGIN = 1.12  # size of the picture relative to the template, so that an opening jaw stays inside
_ROUND_BELOW = 5000  # faces; a finer mesh has smooth contours of its own
SUPERSAMPLING = 2  # as smooth as VTK's own multisampling and 1.4 times as fast on a CPU

# Lights that turn with the camera: position (right, up, towards the viewer), brightness, sRGB colour.
_LIGHTS = (
    ((-0.7, 0.8, 1.2), 0.76, "#FFF6EC"),  # key, from the upper left
    ((1.2, 0.1, 0.9), 0.36, "#E4EEFF"),  # fill, cooler
    ((0.0, -1.0, 0.8), 0.12, "#FFE9DC"),  # bounce from below, so that the chin keeps its shape
    ((0.9, 0.9, -0.9), 0.35, "#FFFFFF"),  # rim, separates the head from the background
)
_AMBIENT = 0.20
_MAY_DISCARD = "if (fragOutput0.a <= 0.0)"  # of VTK's shader; without it, what is hidden is left out before it is shaded


class HeadRenderer(AbstractContextManager):
    """Draws one mesh in many poses: the scene is built once, then only points move.

    Use as a context manager, or call ``close``: VTK holds graphics memory until then.

    Args:
        template: (V, 3) metres; the camera is fitted to it.
        topology: the mesh; its parts get the colours of ``otlib.viz.materials``, and faces in no part are skin.
        size: (width, height) of the picture in pixels.
        camera: "front", "three_quarter" (35 degrees to the head's left) or "profile" (90 degrees).
        focus: vertex indices to fit the camera to, such as the lips; the whole head when None.

    Attributes:
        metres_per_pixel: the length, across the line of sight, that one pixel of the picture covers.

    Raises:
        ValueError: a shape, index, size or camera that cannot be drawn.
        RenderingUnavailable: no GL on this machine.
    """

    def __init__(
        self,
        template: Float[np.ndarray, "V 3"],
        topology: Topology,
        *,
        size: tuple[int, int] = (640, 640),
        camera: Camera = "front",
        focus: Sequence[int] | np.ndarray | None = None,
    ) -> None:
        if min(size) < 16:
            raise ValueError(f"size: {size} pixels is too small to draw in")
        if not np.isfinite(template).all():
            raise ValueError("template: not all values are finite")
        self._vertex_count = len(template)
        topology.check("template", template.shape)
        faces, self._copied = split_creases(template, topology.faces)
        self._normals = VertexNormals(faces, len(self._copied))
        self._rounding = PhongTessellation(faces, self._copied) if len(faces) < _ROUND_BELOW else None
        self._size = size
        ensure_rendering()
        import pyvista  # only now: it must not meet VTK before the check above
        from vtkmodules.vtkCommonCore import vtkUnsignedCharArray

        self._plotter = pyvista.Plotter(
            off_screen=True, window_size=[SUPERSAMPLING * side for side in size], lighting="none"
        )
        self._plotter.disable_anti_aliasing()
        self._memory = vtkUnsignedCharArray()
        self._plotter.set_background(palette.BACKGROUND)
        self._parts = []  # (mesh, its vertices' indices in the head, actor)
        parts = topology.parts
        if self._rounding is not None:
            faces, parts = self._rounding.faces, self._rounding.pieces(parts)
        points, normals = self._surface(template)
        _, towards_viewer = _axes(camera)
        for name, part_faces in split_faces(faces, parts).items():
            nearest_first = np.argsort(-(points @ towards_viewer)[part_faces].sum(1), kind="stable")
            self._add_part(name, part_faces[nearest_first], points, normals)
        for position, intensity, colour in _LIGHTS:
            self._plotter.add_light(
                pyvista.Light(position=position, intensity=intensity, color=colour, light_type="camera light")
            )
        focused = template if focus is None else template[np.asarray(focus)]
        self.metres_per_pixel = place_camera(self._plotter, focused, size, camera)

    def image(
        self,
        vertices: Float[np.ndarray, "V 3"],
        error_mm: Float[np.ndarray, " V"] | None = None,
        error_limit_mm: float = 1.0,
        colourmap: str = palette.ERROR_COLOURMAP,
    ) -> Picture:
        """Draw the head in one pose.

        Args:
            vertices: (V, 3) metres.
            error_mm: (V,) millimetres, or any other values; their colours replace those of the parts.
            error_limit_mm: the error that gets the last colour of the scale; zero gets the first.
            colourmap: a name of matplotlib's.

        Returns:
            (height, width, 3) uint8.

        Raises:
            ValueError: wrong shape or a non-finite value.
        """
        if vertices.shape != (self._vertex_count, 3):
            raise ValueError(f"vertices: shape {vertices.shape}, expected {(self._vertex_count, 3)}")
        for name, values in (("vertices", vertices), ("error_mm", error_mm)):
            if values is not None and not np.isfinite(values).all():
                raise ValueError(f"{name}: not all values are finite")
        points, normals = self._surface(vertices)
        colours = None
        if error_mm is not None:
            values = error_mm[self._copied, None]  # (N, 1)
            if self._rounding is not None:
                values = self._rounding.values(values)
            colours = error_colours(values[:, 0], error_limit_mm, colourmap)
        for mesh, indices, actor in self._parts:
            mesh.points = points[indices]
            mesh.point_data["Normals"] = normals[indices]
            if colours is not None:
                mesh.point_data["error"] = colours[indices]
            actor.mapper.scalar_visibility = colours is not None
        self._plotter.render_window.Render()
        return downsample(self._pixels())

    def close(self) -> None:
        """Give the graphics memory back."""
        self._plotter.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _surface(self, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the points to draw and their normals, float32."""
        vertices = vertices[self._copied].astype(np.float32)
        normals = self._normals(vertices)
        if self._rounding is None:
            return vertices, normals
        return self._rounding.points(vertices, normals), self._rounding.values(normals)

    def _pixels(self) -> Picture:
        """Return what was rendered, in a memory that the next picture uses again."""
        from vtkmodules.util.numpy_support import vtk_to_numpy

        width, height = (SUPERSAMPLING * side for side in self._size)
        self._plotter.render_window.GetPixelData(0, 0, width - 1, height - 1, 0, self._memory, 0)
        return vtk_to_numpy(self._memory).reshape(height, width, 3)[::-1]  # OpenGL's lowest row comes first

    def _add_part(self, name: str, part_faces: np.ndarray, points: np.ndarray, normals: np.ndarray) -> None:
        """Add one part as its own surface: colour borders are sharp, and the normals of the whole head keep it smooth."""
        import pyvista

        indices, local_faces = np.unique(part_faces, return_inverse=True)
        mesh = pyvista.PolyData.from_regular_faces(points[indices], local_faces.reshape(-1, 3))
        mesh.point_data["error"] = np.zeros((len(indices), 3), np.uint8)
        mesh.point_data.active_normals = normals[indices]
        specular, specular_power = part_gloss(name)
        actor = self._plotter.add_mesh(
            mesh,
            scalars="error",
            rgb=True,
            color=part_colour(name),
            ambient=_AMBIENT,
            diffuse=1.0,
            specular=specular,
            specular_power=specular_power,
            reset_camera=False,
        )
        actor.prop.interpolation = "Phong"
        actor.GetShaderProperty().AddFragmentShaderReplacement(_MAY_DISCARD, True, "if (false)", False)  # all is opaque
        self._parts.append((mesh, indices, actor))


def place_camera(
    plotter: "pyvista.Plotter", points: Float[np.ndarray, "N 3"], size: tuple[int, int], camera: Camera
) -> float:
    """Aim a parallel camera at the middle of ``points``, near enough that they fill the picture.

    Parallel, not perspective, so that a length across the line of sight is the same everywhere on the head.

    Args:
        plotter: the scene.
        points: (N, 3) metres, all of which will be visible.
        size: (width, height) of the picture in pixels.
        camera: "front", "three_quarter" or "profile".

    Returns:
        Metres per pixel.

    Raises:
        ValueError: an unknown camera, or points that all lie in one place.
    """
    right, towards_viewer = _axes(camera)
    width, height = size
    across, depth = points @ right, points @ towards_viewer
    metres_per_pixel = _MARGIN * float(max(np.ptp(across) / width, np.ptp(points[:, 1]) / height))
    if not metres_per_pixel > 0:
        raise ValueError("points: all to be shown lie in one place")
    centre = _middle(across) * right + _middle(depth) * towards_viewer
    centre[1] = _middle(points[:, 1])
    view = plotter.camera
    view.parallel_projection = True
    view.parallel_scale = metres_per_pixel * height / 2
    view.up = (0.0, 1.0, 0.0)
    view.focal_point = centre
    view.position = centre + 10.0 * metres_per_pixel * max(size) * towards_viewer
    plotter.renderer.reset_camera_clipping_range()
    return metres_per_pixel


def _axes(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Return the unit vectors to the right in the picture and out of it, (3,) each."""
    if camera not in _AZIMUTH_DEGREES:
        raise ValueError(f"camera: {camera!r} is none of {', '.join(_AZIMUTH_DEGREES)}")
    angle = np.radians(_AZIMUTH_DEGREES[camera])
    return np.array([np.cos(angle), 0.0, -np.sin(angle)]), np.array([np.sin(angle), 0.0, np.cos(angle)])


def _middle(values: np.ndarray) -> float:
    return float(values.min() + values.max()) / 2


def error_colours(
    error_mm: Float[np.ndarray, " V"], limit_mm: float, colourmap: str = palette.ERROR_COLOURMAP
) -> UInt8[np.ndarray, "V 3"]:
    """Return the colour of each error, from none (light) to ``limit_mm`` and above (dark)."""
    shares = np.clip(error_mm / limit_mm, 0.0, 1.0)
    return matplotlib.colormaps[colourmap](shares, bytes=True)[:, :3]


def downsample(picture: Picture) -> Picture:
    """Average each block of ``SUPERSAMPLING`` by ``SUPERSAMPLING`` pixels."""
    return np.asarray(PIL.Image.fromarray(picture).reduce(SUPERSAMPLING))
