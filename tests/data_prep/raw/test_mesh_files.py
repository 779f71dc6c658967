"""Mesh files read back as they were written, in the author's own order; damaged and hostile ones refused in one sentence."""

import base64
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import trimesh

from data_prep.raw.mesh_files import SUFFIXES, read_mesh, read_meshes
from otlib.errors import InputError

# a square, a vertex that no face names, and two vertices in one place: what readers like to merge or drop
VERTICES = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.25], [5, 5, 5], [0, 0, 0]], dtype=float)
FACES = np.array([[0, 1, 2], [2, 3, 5]])
TEXT = "".join("v {} {} {}\n".format(*vertex) for vertex in VERTICES)
SINGLE = 1e-6  # PLY and glTF hold float32


def surface():
    return trimesh.Trimesh(VERTICES, FACES, process=False)


def gltf_files():
    """A .gltf document and the buffers that it names."""
    files = trimesh.exchange.gltf.export_gltf(trimesh.Scene(surface()))
    document = json.loads(files.pop("model.gltf"))
    return document, files


def write_gltf(folder: Path) -> Path:
    document, files = gltf_files()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "mesh.gltf").write_text(json.dumps(document))
    return folder / "mesh.gltf"


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_mesh(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


def ply(encoding: str = "ascii") -> bytes:
    return surface().export(file_type="ply", encoding=encoding)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".PLY", "-text.ply"])
def test_vertices_and_faces_keep_their_order_and_number(tmp_path, suffix):
    path = tmp_path / f"mesh{suffix}"
    if suffix == ".gltf":
        path = write_gltf(tmp_path)
    elif suffix == ".obj":
        written(path, TEXT + "f 1 2 3\nf 3 4 6\n")
    elif "text" in suffix:
        written(path, ply())
    else:
        written(path, surface().export(file_type=suffix.lower()[1:]))
    mesh = read_mesh(path)
    np.testing.assert_allclose(mesh.vertices, VERTICES, atol=SINGLE)
    np.testing.assert_array_equal(mesh.faces, FACES)
    assert (mesh.vertices.dtype, mesh.faces.dtype) == (np.float64, np.int64)


@pytest.mark.parametrize("lines", [
    "f 1 2 3\nf 3 4 6\n",
    "f -6 -5 -4\nf -4 -3 -1\n",  # counted from the end
    "vt 0 0\nvn 0 0 1\nf 1/1/1 2/1/1 3/1/1\nf 3//1 4//1 6//1\n",
    "vt 0 0\nvt 1 0\nf 1/1 2/2 3/1\nf 3/2 4/1 6/1\n",  # one vertex, two texture coordinates
    "mtllib no.mtl\nusemtl skin\ng a\nf 1 2 3\nusemtl teeth\no b\ns 1\nf 3 4 6\n",
    "# comment \u00e9\n  f 1 2 3\r\nf 3 \\\n 4 6\n",
])
def test_obj_faces_in_all_their_spellings(tmp_path, lines):
    mesh = read_mesh(written(tmp_path / "a.obj", TEXT + lines))
    np.testing.assert_array_equal(mesh.vertices, VERTICES)
    np.testing.assert_array_equal(mesh.faces, FACES)


def test_obj_vertices_with_colour_or_weight(tmp_path):
    coloured = "v 0 0 0 0.5 0.5 0.5\nv 1e-1 0 0 1\n\tv 0 1E2 0\nf 1 2 3\n"
    np.testing.assert_array_equal(read_mesh(written(tmp_path / "a.obj", coloured)).vertices,
                                  [[0, 0, 0], [0.1, 0, 0], [0, 100, 0]])


@pytest.mark.parametrize("name", ["a.obj", "a.ply"])
def test_polygons_are_cut_into_triangles_that_cover_them(tmp_path, name):
    """A convex pentagon and a triangle in the plane: the areas add up, whatever diagonal is taken."""
    corners = np.array([[0, 0, 0], [2, 0, 0], [3, 1, 0], [1, 3, 0], [-1, 1, 0], [9, 9, 0]], dtype=float)
    polygons, area = [[0, 1, 2, 3, 4], [1, 5, 2]], 7.0 + 1.0
    rows = [" ".join(str(index + (name == "a.obj")) for index in polygon) for polygon in polygons]
    if name == "a.obj":
        text = "".join("v {} {} {}\n".format(*corner) for corner in corners) + "".join(f"f {row}\n" for row in rows)
    else:
        text = ("ply\nformat ascii 1.0\nelement vertex 6\nproperty float x\nproperty float y\nproperty float z\n"
                "element face 2\nproperty list uchar int vertex_indices\nend_header\n"
                + "".join("{} {} {}\n".format(*corner) for corner in corners)
                + "".join(f"{len(polygon)} {row}\n" for polygon, row in zip(polygons, rows, strict=True)))
    mesh = read_mesh(written(tmp_path / name, text))
    assert len(mesh.faces) == sum(len(polygon) - 2 for polygon in polygons)
    cross = np.cross(*(mesh.vertices[mesh.faces[:, corner]] - mesh.vertices[mesh.faces[:, 0]] for corner in (1, 2)))
    assert np.linalg.norm(cross, axis=1).sum() / 2 == pytest.approx(area)


def test_the_scene_of_a_gltf_file_places_its_mesh(tmp_path):
    scene = trimesh.Scene()
    scene.add_geometry(surface(), transform=trimesh.transformations.scale_and_translate(2, [1, 2, 3]))
    moved = read_mesh(written(tmp_path / "a.glb", scene.export(file_type="glb")))
    np.testing.assert_allclose(moved.vertices, 2 * VERTICES + [1, 2, 3], atol=SINGLE)


def test_a_gltf_file_may_hold_its_buffers_itself(tmp_path):
    document, files = gltf_files()
    for buffer in document["buffers"]:
        buffer["uri"] = "data:application/octet-stream;base64," + base64.b64encode(files[buffer["uri"]]).decode()
    mesh = read_mesh(written(tmp_path / "a.gltf", json.dumps(document)))
    np.testing.assert_allclose(mesh.vertices, VERTICES, atol=SINGLE)


@pytest.mark.parametrize("name", ["../outside.bin", "/outside.bin", "sub/outside.bin", "..\\outside.bin", "link.bin",
                                  "http://example.org/outside.bin"])
def test_a_gltf_file_opens_nothing_but_what_lies_beside_it(tmp_path, name):
    """Each of these files is there and would do."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    document, files = gltf_files()
    buffer = document["buffers"][0]
    for path in (tmp_path / "outside.bin", folder / "sub/outside.bin", folder / "..\\outside.bin"):
        path.write_bytes(files[buffer["uri"]])
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    for own, content in files.items():
        (folder / own).write_bytes(content)
    buffer["uri"] = name
    assert "does not lie beside it" in refusal(written(folder / "a.gltf", json.dumps(document)))


def test_a_gltf_file_whose_buffer_is_missing(tmp_path):
    path = write_gltf(tmp_path)
    (tmp_path / "gltf_buffer_0.bin").unlink()
    said = refusal(path)
    assert said.startswith(f"{path}: names the file 'gltf_buffer_0.bin', and ") and "gltf_buffer_0.bin: no such file" in said


@pytest.mark.parametrize(("content", "told"), [
    ("", "expected one"),
    (TEXT, "no mesh of vertices and faces"),
    (TEXT + "f 1 2 9\n", "names vertex 9, there are 6"),
    (TEXT + "f 1 2 -7\n", "names vertex -7, there are 6"),
    (TEXT + "f 0 1 2\n", "names vertex 0"),
    (TEXT + "f 1 2\n", "fewer than three corners"),
    (TEXT + "f 1 2 3\nf 1 2", "fewer than three corners"),
    (TEXT + "f 1 2 3.5\n", "damaged"),
    (TEXT + "v 1 2\nf 1 2 3\n", "damaged"),
    (TEXT + "v a b c\nf 1 2 3\n", "damaged"),
    (TEXT + "v nan 0 0\nf 1 2 3\n", "vertex 6 is not a finite position"),
    (TEXT + "v 0 inf 0\nf 1 2 3\n", "vertex 6 is not a finite position"),
    (bytes(range(256)) * 8, "expected one"),
])
def test_damaged_obj_files(tmp_path, content, told):
    assert told in refusal(written(tmp_path / "a.obj", content))


@pytest.mark.parametrize(("content", "told"), [
    (b"hello", "header does not end"),
    (ply().replace(b"\n3 2 3 5", b"\n3 2 3 6"), "names vertex 6 (counted from 0), there are 6"),
    (ply().replace(b"\n3 2 3 5", b"\n3 2 3 -1"), "names vertex -1"),
    (ply().replace(b"\n5.0", b"\nnan 5.0").replace(b" 5.00000000\n0", b"\n0"), "vertex 4 is not a finite"),
    (ply().replace(b"vertex 6", b"vertex 999999999999"), "promises 1000000000001 rows"),
    (ply("binary").replace(b"vertex 6", b"vertex 999999999999"), "damaged, cut short"),
    (ply()[:ply().index(b"element face")] + b"end_header\n" + b"0 0 0\n" * 6, "without faces"),
])
def test_damaged_ply_files(tmp_path, content, told):
    assert told in refusal(written(tmp_path / "a.ply", content))


@pytest.mark.parametrize("kind", ["ply", "ply-text", "glb"])
def test_no_file_that_is_cut_short_is_taken_for_a_whole_one(tmp_path, kind):
    """At every byte; a text may lose its last line break, and what is left of a last number cannot be told from one."""
    whole = ply() if kind == "ply-text" else surface().export(file_type=kind)
    path = tmp_path / f"a.{kind[:3]}"
    kept = len(whole) - (1 if kind == "ply-text" else 0)
    for length in range(kept):
        refusal(written(path, whole[:length]))


def test_a_quad_lost_at_the_end_of_a_line_is_noticed(tmp_path):
    """Two quads are four triangles: the header's number of faces alone would not tell."""
    text = ply().replace(b"3 0 1 2\n3 2 3 5", b"4 0 1 2 3\n4 0 1 2 5\n4 1 2 3 4").replace(b"face 2", b"face 3")
    assert len(read_mesh(written(tmp_path / "a.ply", text)).faces) == 6
    cut = text[:text.index(b"4 1 2 3 4")]
    assert "promises 9 rows, it has 8" in refusal(written(tmp_path / "a.ply", cut))


def with_extension(name):
    """A GLB file that says no reader can do without an extension."""
    content = surface().export(file_type="glb")
    size = int.from_bytes(content[12:16], "little")
    text = json.dumps(json.loads(content[20:20 + size]) | {"extensionsRequired": [name]}).encode()
    text += b" " * (-len(text) % 4)
    rest = content[20 + size:]
    return (content[:8] + (20 + len(text) + len(rest)).to_bytes(4, "little") + len(text).to_bytes(4, "little")
            + content[16:20] + text + rest)


@pytest.mark.parametrize("name", ["KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_mesh_quantization"])
def test_a_compressed_mesh_is_refused_and_one_with_materials_is_not(tmp_path, name):
    said = refusal(written(tmp_path / "a.glb", with_extension(name)))
    assert f"a.glb: cannot be read without the extension {name}" in said
    assert len(read_mesh(written(tmp_path / "b.glb", with_extension("KHR_materials_unlit"))).vertices) == 6


def test_values_that_overflow_are_refused_without_a_warning(tmp_path):
    """A header that says big-endian over a little-endian body makes numbers of any size."""
    content = surface().export(file_type="ply", vertex_normal=False).replace(b"binary_little_endian", b"binary_big_endian")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        refusal(written(tmp_path / "a.ply", content))
        refusal(written(tmp_path / "b.ply", content.replace(b"property float", b"property double")))
    assert not told


def test_several_meshes_in_one_file(tmp_path):
    scene = trimesh.Scene([surface(), surface()])
    assert "holds 2 meshes, expected one" in refusal(written(tmp_path / "a.glb", scene.export(file_type="glb")))
    scene = trimesh.Scene(surface())
    scene.graph.update("again", matrix=np.eye(4), geometry=next(iter(scene.geometry)))
    assert "2 times, expected once" in refusal(written(tmp_path / "b.glb", scene.export(file_type="glb")))


def test_several_meshes_are_read_as_the_parts_of_one_head(tmp_path):
    scene, box = trimesh.Scene(), trimesh.creation.box()
    for number, name in enumerate(("skin", "left eye", "right eye")):  # the eyes are one mesh, shown twice
        scene.add_geometry(box, node_name=name, geom_name="eye" if number else "skin",
                           transform=trimesh.transformations.translation_matrix([2 * number, 0, 0]))
    scene.export(tmp_path / "head.glb")
    mesh = read_meshes(tmp_path / "head.glb")
    assert mesh.names == ("skin", "left eye", "right eye") and mesh.faces.shape == (36, 3)
    for number in range(3):
        own = mesh.vertices[np.unique(mesh.faces[12 * number:12 * number + 12])]
        np.testing.assert_allclose(own.mean(0), [2 * number, 0, 0], atol=1e-7)
    box.export(tmp_path / "box.obj")
    one, same = read_meshes(tmp_path / "box.obj"), read_mesh(tmp_path / "box.obj")
    np.testing.assert_array_equal(one.vertices, same.vertices)
    assert one.names == same.names == ()


def test_other_formats_and_missing_files(tmp_path):
    assert "not an OBJ, PLY, glTF or GLB file" in refusal(written(tmp_path / "a.stl", b""))
    assert "a.obj: no such file" in refusal(tmp_path / "a.obj")
    (tmp_path / "folder.ply").mkdir()
    assert "folder.ply: is a folder; give a file" in refusal(tmp_path / "folder.ply")
