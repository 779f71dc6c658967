"""Mesh hierarchies: brute-force oracles on small meshes, exactness, and lips that stay apart."""

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull

from otlib.meshes.coarsening import (
    UNEVENNESS,
    counted_distance,
    edge_graph,
    farthest_points,
    nearest_covered,
    uneven_distance,
    voronoi_cells,
)
from otlib.meshes.graph import graph_edges
from otlib.meshes.hierarchy import build_hierarchy, cell_average, vertex_masses
from tests.oracles.hierarchy_naive import adjacent_cells, all_distances, greedy_farthest

EXACT = {"rtol": 0.0, "atol": 1e-12}  # rows of weights sum to one in float64
SINGLE = {"rtol": 0.0, "atol": 2e-6}  # the same in float32


def grid(width, height, offset=0, shift=(0.0, 0.0, 0.0)):
    """A flat grid of width x height vertices, one apart, as (vertices, faces)."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1) + shift
    corner = (np.arange(height - 1)[:, None] * width + np.arange(width - 1)).ravel()
    quads = np.stack([corner, corner + 1, corner + width + 1, corner + width], axis=1)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]) + offset
    return torch.tensor(vertices, dtype=torch.float64), torch.tensor(faces)


def two_grids(shift):
    first, faces = grid(15, 15)
    second, more = grid(15, 15, offset=225, shift=shift)
    return torch.cat([first, second]), torch.cat([faces, more])


def slit_grid():
    """A 31 x 20 grid cut along the row of height 10 from x = 6 to x = 24: a closed mouth whose lips touch.

    The vertices of the cut exist twice; the lower copy is appended.
    """
    vertices, faces = grid(31, 20)
    cut = [10 * 31 + x for x in range(7, 24)]
    copies = {old: 620 + i for i, old in enumerate(cut)}
    below = vertices[faces][:, :, 1].max(dim=1).values <= 10
    for face in faces[below]:
        for corner in range(3):
            face[corner] = copies.get(int(face[corner]), int(face[corner]))
    lowered = faces.clone()
    lowered[below] = torch.tensor([[copies.get(int(v), int(v)) for v in face] for face in faces[below]])
    vertices = torch.cat([vertices, vertices[cut]])
    return vertices, lowered, torch.tensor(cut), torch.arange(620, 620 + len(cut))


def bumpy_sphere(count=1500):
    """A closed surface with uneven triangles."""
    points = np.random.default_rng(0).normal(size=(count, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return torch.tensor(points), torch.tensor(ConvexHull(points).simplices.astype(np.int64))


def numpy_graph(vertices, faces, region=None, density=1.0):
    edges = graph_edges(faces).numpy()
    return edges, counted_distance(vertices.numpy(), edges, region, density)


def test_farthest_points_and_cells_by_brute_force():
    vertices, faces = bumpy_sphere(60)
    edges, graph = numpy_graph(vertices, faces, np.arange(9), 4.0)
    lengths = np.array([graph[i, j] for i, j in edges])
    distance = all_distances(edges, lengths, 60)
    chosen = farthest_points(vertices.numpy(), graph, (12,))
    assert chosen.tolist() == greedy_farthest(distance, chosen[0], 12)
    cells, radius = voronoi_cells(vertices.numpy(), graph, chosen)
    to_chosen = distance[chosen]
    np.testing.assert_allclose(to_chosen[cells, np.arange(60)], to_chosen.min(axis=0), **EXACT)
    assert radius == pytest.approx(to_chosen.min(axis=0).max())


def test_coarse_graph_joins_cells_that_share_an_edge():
    vertices, faces = grid(12, 9)
    hierarchy = build_hierarchy(vertices, faces, (15, 4))
    edges, graph = numpy_graph(vertices, faces)
    for level in (1, 2):
        cells, _ = voronoi_cells(vertices.numpy(), graph, hierarchy.chosen[level].numpy())
        rows, columns = hierarchy.laplacians[level].indices()
        found = {(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if i < j}
        assert found == adjacent_cells(edges, cells)


def test_density_counts_edges_once_outside_and_longer_inside():
    vertices, faces = grid(41, 5)
    edges, graph = numpy_graph(vertices, faces, np.array([0, 41, 82, 123, 164]), 9.0)  # the left side
    assert graph[41, 82] == pytest.approx(3.0)  # sqrt(9) within the region
    assert graph[39, 40] == pytest.approx(1.0, abs=1e-6)  # far from it
    assert (edge_graph(edges, np.ones(len(edges)), 205) != counted_distance(
        vertices.numpy(), edges, None, 9.0)).nnz == 0


def test_a_dense_region_gets_more_vertices():
    vertices, faces = grid(40, 40)
    region = torch.nonzero((vertices[:, :2] - 20).norm(dim=1) < 6)[:, 0]
    share = [torch.isin(build_hierarchy(vertices, faces, (100,), region, density).chosen[1], region).sum().item()
             for density in (1.0, 4.0, 16.0)]
    assert share[0] < share[1] and 2.5 * share[0] < share[2]


def test_levels_are_nested_and_sizes_kept():
    vertices, faces = bumpy_sphere(400)
    hierarchy = build_hierarchy(vertices, faces, (120, 40, 9))
    assert hierarchy.sizes == (400, 120, 40, 9)
    for level in range(1, 4):
        size = hierarchy.sizes[level]
        assert torch.equal(hierarchy.chosen[level], hierarchy.chosen[1][:size])
        assert torch.equal(hierarchy.positions[level], vertices[hierarchy.chosen[level]])
        assert hierarchy.up[level - 1].shape == (hierarchy.sizes[level - 1], size)
        assert hierarchy.down[level - 1].shape == (size, hierarchy.sizes[level - 1])
        assert hierarchy.laplacians[level].shape == (size, size)


def test_constants_are_kept():
    vertices, faces = bumpy_sphere(400)
    hierarchy = build_hierarchy(vertices, faces, (120, 40, 9))
    for level in range(3):
        ones = torch.ones(2, hierarchy.sizes[level], 1, dtype=torch.float64)
        coarse = hierarchy.downsample(ones, level)
        torch.testing.assert_close(coarse, torch.ones_like(coarse), **EXACT)
        torch.testing.assert_close(hierarchy.upsample(coarse, level + 1), ones, **EXACT)


def test_coarse_vertices_keep_their_value():
    vertices, faces = bumpy_sphere(300)
    hierarchy = build_hierarchy(vertices, faces, (50,))
    value = torch.arange(50, dtype=torch.float64)[:, None]
    assert torch.equal(hierarchy.upsample(value, 1)[hierarchy.chosen[1]], value)


def test_affine_displacements_are_nearly_exact():
    vertices, faces = bumpy_sphere(1500)
    hierarchy = build_hierarchy(vertices, faces, (300,))
    turned = vertices @ torch.tensor([[1.0, 0.3, 0.0], [-0.2, 0.9, 0.1], [0.0, 0.4, 1.1]], dtype=torch.float64)
    error = (hierarchy.upsample(turned[hierarchy.chosen[1]], 1) - turned).norm(dim=1)
    assert error.max() < 0.05 and error.mean() < 0.01  # the spacing is 0.2; the ridge leaves a little


def test_smooth_functions_converge():
    vertices, faces = bumpy_sphere(1500)
    wave = torch.sin(3 * vertices)
    errors = []
    for size in (75, 300):
        hierarchy = build_hierarchy(vertices, faces, (size,))
        errors.append((hierarchy.upsample(wave[hierarchy.chosen[1]], 1) - wave).abs().mean().item())
    assert errors[1] < 0.35 * errors[0]  # half the spacing: second order would be a quarter
    assert errors[1] < 0.02


def test_lips_that_touch_do_not_mix():
    vertices, faces, upper, lower = slit_grid()
    hierarchy = build_hierarchy(vertices, faces, (80,))
    motion = torch.where(vertices[:, 1] > 10, 1.0, -1.0).double()
    motion[upper], motion[lower] = 1.0, -1.0
    motion[(vertices[:, 1] == 10) & ((vertices[:, 0] < 7) | (vertices[:, 0] > 23))] = 0.0  # corners and beyond
    opened = hierarchy.upsample(motion[hierarchy.chosen[1]][:, None], 1)[:, 0]
    middle = slice(5, 12)  # at least five edges from the corners
    assert (opened[upper][middle] > 0.99).all() and (opened[lower][middle] < -0.99).all()
    cells = hierarchy.down[0].to_dense() > 0  # no cell holds vertices of both lips there
    assert not (cells[:, upper[middle]].any(dim=1) & cells[:, lower[middle]].any(dim=1)).any()


def test_separate_parts_do_not_mix():
    vertices, faces = two_grids(shift=(0.0, 0.0, 0.1))  # one hovers over the other
    hierarchy = build_hierarchy(vertices, faces, (30,))
    side = (torch.arange(450) >= 225).double()[:, None]
    torch.testing.assert_close(hierarchy.upsample(side[hierarchy.chosen[1]], 1), side, **EXACT)
    torch.testing.assert_close(hierarchy.downsample(side, 0), side[hierarchy.chosen[1]], **EXACT)


def test_small_parts_follow_the_nearest_vertex():
    vertices, faces = grid(20, 20)
    tooth = torch.tensor([[5.1, 5.2, 0.3], [5.3, 5.2, 0.3], [5.1, 5.4, 0.3]], dtype=torch.float64)
    loose = torch.tensor([[19.0, 19.2, 0.0]], dtype=torch.float64)  # in no face
    vertices = torch.cat([vertices, tooth, loose])
    faces = torch.cat([faces, torch.tensor([[400, 401, 402]])])
    hierarchy = build_hierarchy(vertices, faces, (40,))
    assert hierarchy.chosen[1].max() < 400
    up, down = hierarchy.up[0].to_dense(), hierarchy.down[0].to_dense()
    for part, nearest in [(400, 105), (401, 105), (403, 399)]:
        assert torch.equal(up[part], up[nearest])
        assert torch.equal(down[:, part] > 0, down[:, nearest] > 0)
    everything = build_hierarchy(vertices, faces, (404,))  # as many as there are: all parts get theirs
    assert torch.equal(everything.up[0].to_dense()[torch.argsort(everything.chosen[1])].argmax(dim=1).sort().values,
                       torch.arange(404))


def test_nearest_covered():
    points = np.array([[0.0, 0, 0], [1, 0, 0], [0.9, 0, 0]])
    assert nearest_covered(points, np.array([True, True, False])).tolist() == [0, 1, 1]


def test_averages_are_by_area():
    average, total = cell_average(np.array([0, 1, 0]), np.array([1.0, 5.0, 3.0]), 2)
    np.testing.assert_allclose(average.toarray(), [[0.25, 0, 0.75], [0, 1, 0]])
    np.testing.assert_allclose(total, [4.0, 5.0])
    vertices, faces = grid(3, 3)
    assert vertex_masses(vertices, faces).sum() == pytest.approx(4.0)
    flat = vertex_masses(torch.zeros(9, 3), faces)  # no area anywhere: all alike
    assert (flat > 0).all() and np.ptp(flat) == 0


def test_the_same_call_gives_the_same_bits():
    vertices, faces = bumpy_sphere(300)
    first, again = (build_hierarchy(vertices, faces, (60, 12), torch.arange(20)) for _ in range(2))
    for name in ("chosen", "positions"):
        assert all(map(torch.equal, getattr(first, name), getattr(again, name)))
    for name in ("laplacians", "up", "down"):
        for a, b in zip(getattr(first, name), getattr(again, name), strict=True):
            assert torch.equal(a.indices(), b.indices()) and torch.equal(a.values(), b.values())


@pytest.mark.parametrize("variation", [None, 1])
def test_rounding_of_vertices_changes_no_choice(variation):
    """A symmetric mesh is full of ties; another processor's last bits must not break them another way."""
    vertices, faces = two_grids((0.0, 20.0, 0.5))
    lips = torch.arange(100, 110)
    plain = build_hierarchy(vertices, faces, (150, 40, 10), lips, variation=variation)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        noise = 1e-12 * torch.randn(vertices.shape, generator=generator, dtype=vertices.dtype)
        other = build_hierarchy(vertices + noise, faces, (150, 40, 10), lips, variation=variation)
        for one, two in zip(plain.chosen, other.chosen, strict=True):
            assert torch.equal(one, two)
        for one, two in zip(plain.laplacians, other.laplacians, strict=True):
            assert torch.equal(one.to_dense() != 0, two.to_dense() != 0)


def test_a_variation_is_another_choice_of_vertices_with_the_same_properties():
    vertices, faces = bumpy_sphere(400)
    linear = vertices @ torch.tensor([[1.0, 0.3], [-0.5, 1.0], [0.2, 0.1]], dtype=vertices.dtype)
    plain = build_hierarchy(vertices, faces, (60, 12), torch.arange(20))
    choices = {tuple(plain.chosen[1].tolist())}
    for seed in range(3):
        varied, again = (build_hierarchy(vertices, faces, (60, 12), torch.arange(20), variation=seed) for _ in range(2))
        assert torch.equal(varied.chosen[1], again.chosen[1])
        choices.add(tuple(varied.chosen[1].tolist()))
        assert varied.sizes == plain.sizes
        for up in varied.up:
            assert torch.allclose(up.to_dense().sum(1), torch.ones(up.shape[0], dtype=up.dtype))
        assert varied.upsample(linear[varied.chosen[1]], 1).sub(linear).abs().max() < 0.35 * linear.abs().max()
    assert len(choices) == 4


def test_an_uneven_graph_keeps_its_edges_and_changes_their_lengths_smoothly():
    vertices, faces = bumpy_sphere(400)
    edges, graph = numpy_graph(vertices, faces)
    points = vertices.numpy()
    uneven = uneven_distance(graph, points, np.random.default_rng(0))
    assert (uneven != uneven.T).nnz == 0
    assert set(zip(*uneven.nonzero(), strict=True)) == set(zip(*graph.nonzero(), strict=True))
    factors = np.concatenate([np.log((uneven_distance(graph, points, np.random.default_rng(seed)) / graph)[tuple(edges.T)])
                              for seed in range(40)])
    assert 0.8 * UNEVENNESS < factors.std() < UNEVENNESS  # an edge has the mean of its ends
    moved = uneven_distance(graph, 7.0 * points, np.random.default_rng(0))
    np.testing.assert_allclose(moved.toarray(), uneven.toarray(), rtol=1e-12)  # units play no part


def test_one_coarse_vertex_is_enough():
    vertices, faces = grid(4, 4)
    hierarchy = build_hierarchy(vertices, faces, (2, 1))
    constant = hierarchy.upsample(hierarchy.upsample(torch.ones(1, 3, dtype=torch.float64), 2), 1)
    torch.testing.assert_close(constant, torch.ones(16, 3, dtype=torch.float64), **EXACT)


def test_to_changes_the_type_and_keeps_the_rest():
    vertices, faces = bumpy_sphere(200)
    vertices = vertices.float().double()
    double = build_hierarchy(vertices, faces, (40,))
    single = double.to(dtype=torch.float32)
    assert single.up[0].dtype == single.positions[0].dtype == torch.float32 and single.chosen[1].dtype == torch.int64
    assert single.sizes == double.sizes
    value = torch.randn(3, 40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(single.upsample(value.float(), 1), double.upsample(value, 1).float(), **SINGLE)
    direct = build_hierarchy(vertices.float(), faces, (40,))
    assert torch.equal(direct.up[0].to_dense(), single.up[0].to_dense())


@pytest.mark.parametrize(("change", "message"), [
    ({"sizes": ()}, "sizes must be positive"),
    ({"sizes": (10, 10)}, "fall"),
    ({"sizes": (26,)}, "at most 25"),
    ({"sizes": (5, 0)}, "positive"),
    ({"dense_region": [25]}, "there are 25"),
    ({"dense_region": [-1]}, "vertices -1"),
    ({"dense_region": []}, "dense_region"),
    ({"density": 0.5}, "density"),
    ({"density": float("nan")}, "density"),
    ({"faces": torch.tensor([[0, 1, 25]])}, "25"),
    ({"faces": torch.zeros(0, 3, dtype=torch.int64)}, "empty"),
    ({"faces": torch.tensor([[3, 3, 4]])}, "vertex 3 to itself"),
    ({"template_vertices": torch.full((25, 3), torch.nan)}, "finite"),
])
def test_bad_input_is_refused(change, message):
    vertices, faces = grid(5, 5)
    good = {"template_vertices": vertices, "faces": faces, "sizes": (10,)}
    with pytest.raises(ValueError, match=message):
        build_hierarchy(**good | change)


def test_levels_that_do_not_exist_are_refused():
    vertices, faces = grid(5, 5)
    hierarchy = build_hierarchy(vertices, faces, (10,))
    for call in (lambda: hierarchy.upsample(torch.ones(25, 1), 0), lambda: hierarchy.upsample(torch.ones(10, 1), 2),
                 lambda: hierarchy.downsample(torch.ones(10, 1), 1)):
        with pytest.raises(ValueError, match="level must be"):
            call()
    with pytest.raises(ValueError, match="does not fit"):
        hierarchy.upsample(torch.ones(11, 1, dtype=torch.float64), 1)
