"""A mesh as a surface: seams, turning, pieces and refinement, beside what trimesh says."""

import numpy as np
import trimesh

from otlib.heads.slits import find_slits, sampled
from otlib.heads.surface import border_edges, finer, joined_surface, pieces_of, undirected

SPHERE = trimesh.creation.icosphere(2, 0.1)
VERTICES, FACES = np.asarray(SPHERE.vertices), np.asarray(SPHERE.faces)


def test_triangles_without_common_vertices_are_joined():
    surface = joined_surface(VERTICES[FACES.ravel()], np.arange(FACES.size).reshape(-1, 3))
    assert len(surface.vertices) == len(VERTICES) and surface.pieces.max() == 0 and surface.turned == 0
    np.testing.assert_allclose(surface.vertices[surface.places], VERTICES[FACES.ravel()])
    assert trimesh.Trimesh(surface.vertices, surface.faces, process=False).is_watertight


def test_two_surfaces_that_touch_are_not_joined():
    """Lips that lie on each other stay two."""
    surface = joined_surface(np.concatenate([VERTICES, VERTICES]), np.concatenate([FACES, FACES + len(VERTICES)]))
    assert len(surface.vertices) == 2 * len(VERTICES) and surface.pieces.max() == 1


def test_a_surface_is_turned_outwards_as_a_whole_and_a_small_open_one_stays():
    mixed = FACES.copy()
    mixed[::2] = mixed[::2, ::-1]
    surface = joined_surface(VERTICES, mixed)
    assert surface.turned == len(FACES[::2])
    np.testing.assert_array_equal(np.sort(surface.faces, 1), np.sort(FACES, 1))
    assert trimesh.Trimesh(surface.vertices, surface.faces, process=False).volume > 0
    cap = FACES[VERTICES[FACES][:, :, 2].min(1) > 0.06][:, ::-1]  # looks inwards, as an inner mouth does
    both = joined_surface(np.concatenate([VERTICES, 0.5 * VERTICES]), np.concatenate([FACES, cap + len(VERTICES)]))
    assert both.turned == 0


def test_borders_edges_and_pieces():
    half = FACES[VERTICES[FACES][:, :, 2].max(1) > 0.01]
    mesh = trimesh.Trimesh(VERTICES, half, process=False)
    alone = trimesh.grouping.group_rows(mesh.edges_sorted, require_count=1)
    border = {tuple(sorted(edge)) for edge in border_edges(half).tolist()}
    assert border == set(map(tuple, mesh.edges_sorted[alone].tolist()))
    np.testing.assert_array_equal(undirected(mesh.edges), mesh.edges_unique[np.lexsort(mesh.edges_unique.T[::-1])])
    assert len(np.unique(pieces_of(np.concatenate([FACES, FACES + len(VERTICES)]), 2 * len(VERTICES)))) == 2
    assert len(border_edges(FACES)) == 0


def test_refinement_keeps_the_surface_whole():
    where = VERTICES[:, 2] > 0
    vertices, faces = finer(VERTICES, FACES, 0.01, where)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    assert mesh.is_watertight and mesh.is_winding_consistent
    np.testing.assert_allclose(mesh.volume, SPHERE.volume)
    np.testing.assert_array_equal(vertices[:len(VERTICES)], VERTICES)
    upper = (vertices[mesh.edges_unique][:, :, 2] > 0.06).all(1)
    assert mesh.edges_unique_length[upper].max() <= 0.01 and mesh.edges_unique_length.max() > 0.02


def slit_of(gap, depth=0.02):
    """A block with a slot in it, open towards +z; its ends are open."""
    half = gap / 2
    outline = [(-0.06, -0.04), (0.06, -0.04), (0.06, 0.04), (half, 0.04), (half, 0.04 - depth), (-half, 0.04 - depth),
               (-half, 0.04), (-0.06, 0.04)]
    count = len(outline)
    vertices = np.array([[(x, sign * 0.06, z) for x, z in outline] for sign in (-1, 1)]).reshape(-1, 3)
    near, far = np.arange(count), (np.arange(count) + 1) % count
    faces = np.concatenate([np.stack([near, count + far, far], 1), np.stack([near, count + near, count + far], 1)])
    return trimesh.remesh.subdivide_to_size(vertices, faces, 0.01)


def test_a_slot_is_a_slit_if_it_is_narrow_and_deep():
    (slit, *others) = find_slits(sampled(*slit_of(0.003)))
    assert not others and np.abs(slit.points[:, 0]).max() < 0.002 and np.ptp(slit.points[:, 1]) > 0.09
    np.testing.assert_allclose(slit.apart.min(), 0.003, rtol=1e-6)
    assert find_slits(sampled(*slit_of(0.008))) == []  # wide
    assert find_slits(sampled(*slit_of(0.003, depth=0.002))) == []  # a groove
    assert find_slits(sampled(VERTICES, FACES)) == []


def test_turned_inside_out_a_slit_is_a_wall():
    vertices, faces = slit_of(0.003)
    assert find_slits(sampled(vertices, faces[:, ::-1])) == []
