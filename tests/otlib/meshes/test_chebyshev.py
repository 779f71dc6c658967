"""Chebyshev graph convolution against dense polynomials, eigenvalues and PyTorch Geometric."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from scipy.spatial import Delaunay

from otlib.meshes.chebyshev import ChebyshevConvolution
from otlib.meshes.graph import graph_edges, largest_eigenvalue, scaled_laplacian
from otlib.meshes.sparse import SLAB_NUMBERS, sparse_matrix, sparse_product
from tests.oracles.chebyshev_dense import dense_scaled_laplacian, filter_by_eigenvalues, filter_by_recursion

with warnings.catch_warnings():  # the import itself uses torch.jit.script, which torch deprecates
    warnings.simplefilter("ignore", DeprecationWarning)
    from torch_geometric.nn import ChebConv
    from torch_geometric.utils import get_laplacian, to_dense_adj

DOUBLE = {"rtol": 1e-11, "atol": 1e-12}  # sums of some hundred float64 products
SINGLE = {"rtol": 1e-4, "atol": 1e-5}  # the same in float32

TETRAHEDRON = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])


def planar_mesh(count, seed=0):
    points = np.random.default_rng(seed).random((count, 2))
    return Delaunay(points).simplices.astype(np.int64)


def layer(channels_in, channels_out, terms, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    convolution = ChebyshevConvolution(channels_in, channels_out, terms, generator=generator, **options).double()
    if convolution.bias is not None:
        torch.nn.init.normal_(convolution.bias, generator=generator)
    return convolution


def signal_of(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def numpy_weights(convolution):
    return convolution.weight.detach().numpy(), convolution.bias.detach().numpy()


@pytest.mark.parametrize("lambda_max", [2.0, 1.5, 3.0])
def test_laplacian_is_the_dense_one(lambda_max):
    faces = planar_mesh(40)
    found = scaled_laplacian(faces, 42, lambda_max=lambda_max, dtype=torch.float64)  # two vertices without a face
    np.testing.assert_allclose(found.to_dense(), dense_scaled_laplacian(faces, 42, lambda_max), **DOUBLE)
    assert found.layout == torch.sparse_coo and found.is_coalesced()


def test_laplacian_agrees_with_torch_geometric():
    faces = planar_mesh(30)
    edges = graph_edges(faces)
    both = torch.cat([edges, edges.flip(1)]).T
    index, values = get_laplacian(both, normalization="sym", num_nodes=30, dtype=torch.float64)
    theirs = to_dense_adj(index, edge_attr=values, max_num_nodes=30)[0] - torch.eye(30, dtype=torch.float64)
    np.testing.assert_allclose(scaled_laplacian(faces, 30, dtype=torch.float64).to_dense(), theirs, **DOUBLE)


def test_laplacian_from_edges_equals_that_from_faces():
    faces = planar_mesh(25)
    edges = graph_edges(faces)
    doubled = torch.cat([edges.flip(1), edges])  # an edge counts once, in whichever direction
    assert torch.equal(scaled_laplacian(doubled, 25).to_dense(), scaled_laplacian(faces, 25).to_dense())


def test_edges_of_a_tetrahedron():
    assert graph_edges(TETRAHEDRON).tolist() == [[i, j] for i, j in itertools.combinations(range(4), 2)]


@pytest.mark.parametrize("count", [1, 64, 65, 500])  # dense solver and Lanczos
@pytest.mark.parametrize("edges, largest", [([], 1.0), ([[0, 1]], 2.0), ([[0, 1], [1, 2], [2, 0]], 1.5)])
def test_largest_eigenvalue_of_a_graph_that_is_mostly_single_vertices(edges, largest, count):
    """None, one edge, one triangle: 1, 2 and 3/2 by hand."""
    edges = torch.tensor(edges, dtype=torch.int64).reshape(-1, 2)
    if count > 2 or not len(edges):
        assert largest_eigenvalue(edges, count) == pytest.approx(largest, abs=1e-10)
        scaled = scaled_laplacian(edges, count, lambda_max=None, dtype=torch.float64).to_dense()
        assert torch.linalg.eigvalsh(scaled)[-1].item() == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("count", [4, 30, 90])  # dense solver and Lanczos
def test_largest_eigenvalue(count):
    faces = TETRAHEDRON.numpy() if count == 4 else planar_mesh(count)
    true = np.linalg.eigvalsh(dense_scaled_laplacian(faces, count) + np.eye(count))[-1]
    assert largest_eigenvalue(faces, count) == pytest.approx(true, abs=1e-10)
    filled = scaled_laplacian(faces, count, lambda_max=None, dtype=torch.float64)
    assert np.linalg.eigvalsh(filled.to_dense())[-1] == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("terms", [1, 2, 3, 6])
@pytest.mark.parametrize("oracle", [filter_by_recursion, filter_by_eigenvalues])
def test_convolution_is_the_dense_polynomial(terms, oracle):
    faces = planar_mesh(35)
    laplacian = scaled_laplacian(faces, 35, lambda_max=2.2, dtype=torch.float64)
    convolution, signal = layer(3, 4, terms), signal_of(35, 3)
    expected = oracle(signal.numpy(), dense_scaled_laplacian(faces, 35, 2.2), *numpy_weights(convolution))
    np.testing.assert_allclose(convolution(signal, laplacian).detach(), expected, **DOUBLE)


def test_convolution_agrees_with_torch_geometric():
    faces = planar_mesh(50)
    edges = graph_edges(faces)
    ours = layer(5, 7, 4)
    theirs = ChebConv(5, 7, K=4, normalization="sym").double()
    with torch.no_grad():
        for term, weight in zip(theirs.lins, ours.weight, strict=True):
            term.weight.copy_(weight.T)
        theirs.bias.copy_(ours.bias)
    signal = signal_of(50, 5)
    # PyTorch Geometric's default for lambda_max with this normalisation is 2, as ours
    expected = theirs(signal, torch.cat([edges, edges.flip(1)]).T)
    torch.testing.assert_close(ours(signal, scaled_laplacian(faces, 50, dtype=torch.float64)), expected, **DOUBLE)


def test_batch_equals_singles_across_slabs():
    laplacian = scaled_laplacian(planar_mesh(20), 20, dtype=torch.float64)
    convolution = layer(2, 100, 3)
    frames = SLAB_NUMBERS // (20 * 100)  # frames of a slab; three times as many and three more make four slabs
    signal = signal_of(3, frames + 1, 20, 2)
    batched = convolution(signal, laplacian)
    assert batched.shape == (3, frames + 1, 20, 100)
    for i, j in [(0, 0), (1, frames), (2, frames // 2)]:
        torch.testing.assert_close(batched[i, j], convolution(signal[i, j], laplacian), **DOUBLE)


def test_an_empty_batch_stays_empty():
    laplacian = scaled_laplacian(TETRAHEDRON, 4, dtype=torch.float64)
    assert layer(2, 3, 2)(signal_of(0, 4, 2), laplacian).shape == (0, 4, 3)
    assert sparse_product(laplacian, signal_of(0, 4, 2)).shape == (0, 4, 2)


def test_convolution_follows_a_renumbering_of_the_vertices():
    faces, order = planar_mesh(30), torch.randperm(30, generator=torch.Generator().manual_seed(2))
    convolution, signal = layer(3, 2, 5), signal_of(30, 3)
    renamed = torch.argsort(order)[torch.as_tensor(faces)]
    expected = convolution(signal, scaled_laplacian(faces, 30, dtype=torch.float64))[order]
    found = convolution(signal[order], scaled_laplacian(renamed, 30, dtype=torch.float64))
    torch.testing.assert_close(found, expected, **DOUBLE)


def test_reach_is_one_edge_less_than_terms():
    strip = torch.tensor([[i, i + 1, i + 2] for i in range(18)])  # vertex i has neighbours up to i + 2
    signal = torch.zeros(20, 1, dtype=torch.float64)
    signal[0] = 1.0
    heard = layer(1, 1, 4, bias=False)(signal, scaled_laplacian(strip, 20, dtype=torch.float64))
    assert heard.nonzero()[:, 0].max() == 2 * 3


def test_gradient():
    laplacian = scaled_laplacian(planar_mesh(12), 12, dtype=torch.float64)
    convolution, signal = layer(2, 3, 4), signal_of(2, 12, 2).requires_grad_()

    def run(signal, weight, bias):
        parameters = {"weight": weight, "bias": bias}
        return torch.func.functional_call(convolution, parameters, (signal, laplacian))

    assert torch.autograd.gradcheck(run, (signal, convolution.weight, convolution.bias))


def test_single_precision_and_autocast():
    faces = planar_mesh(30)
    convolution, signal = layer(3, 4, 5), signal_of(6, 30, 3)
    exact = convolution(signal, scaled_laplacian(faces, 30, dtype=torch.float64))
    single = convolution.float()
    result = single(signal.float(), scaled_laplacian(faces, 30))
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, exact.float(), **SINGLE)
    with torch.autocast("cpu", torch.bfloat16):
        half = single(signal.float(), scaled_laplacian(faces, 30))
    torch.testing.assert_close(half, exact.float(), rtol=0.05, atol=0.1)  # bfloat16 keeps 8 bits
    assert not torch.equal(half, result)


def test_initial_weights():
    first, again, other = layer(8, 16, 3), layer(8, 16, 3), layer(8, 16, 3, seed=4)
    assert torch.equal(first.weight, again.weight) and not torch.equal(first.weight, other.weight)
    assert first.weight.abs().max() <= (6 / (3 * 8 + 16)) ** 0.5
    assert layer(1, 1, 1, bias=False).bias is None
    assert torch.count_nonzero(ChebyshevConvolution(2, 2, 2).bias) == 0


def test_sparse_product_and_its_gradient():
    matrix = sparse_matrix([0, 0, 2, 2], [1, 3, 0, 0], [1.0, 2.0, 3.0, 4.0], (3, 4), dtype=torch.float64)
    signal = signal_of(2, 5, 4, 3).requires_grad_()
    torch.testing.assert_close(sparse_product(matrix, signal), matrix.to_dense() @ signal, **DOUBLE)
    assert torch.autograd.gradcheck(lambda x: sparse_product(matrix, x), (signal,))


@pytest.mark.parametrize(("faces", "count", "message"), [
    (torch.zeros(0, 3, dtype=torch.int64), 4, "F > 0"),
    (torch.zeros(2, 4, dtype=torch.int64), 4, r"shape \(F, 3\)"),
    (torch.zeros(2, 3), 4, "integers"),
    (torch.tensor([[0, 1, 9]]), 4, "vertex 9, but there are 4"),
    (torch.tensor([[0, 1, -1]]), 4, "negative"),
    (torch.tensor([[0, 1, 1]]), 4, "vertex 1 to itself"),
    (torch.tensor([[2, 2]]), 4, "vertex 2 to itself"),
])
def test_bad_connectivity_is_refused(faces, count, message):
    with pytest.raises(ValueError, match=message):
        scaled_laplacian(faces, count)


@pytest.mark.parametrize("lambda_max", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_lambda_max_is_refused(lambda_max):
    with pytest.raises(ValueError, match="lambda_max"):
        scaled_laplacian(TETRAHEDRON, 4, lambda_max=lambda_max)


def test_what_does_not_fit_is_refused():
    laplacian, convolution = scaled_laplacian(TETRAHEDRON, 4, dtype=torch.float64), layer(2, 3, 2)
    with pytest.raises(ValueError, match="4 columns"):
        convolution(signal_of(5, 2), laplacian)
    with pytest.raises(ValueError, match="2 channels"):
        convolution(signal_of(4, 3), laplacian)
    with pytest.raises(ValueError, match="coalesced sparse COO"):
        convolution(signal_of(4, 2), laplacian.to_dense())
    for arguments in [(0, 1, 1), (1, 0, 1), (1, 1, 0)]:
        with pytest.raises(ValueError, match="at least 1"):
            ChebyshevConvolution(*arguments)
