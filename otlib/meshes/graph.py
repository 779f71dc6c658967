"""The edge graph of a triangle mesh, and its scaled Laplacian."""

import math

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.linalg import ArpackError, eigsh
from torch import Tensor

from otlib.meshes.sparse import sparse_matrix

DENSE_EIGENVALUES = 64
"""Up to this many vertices a dense solver finds the largest eigenvalue, because Lanczos needs a larger matrix."""


def graph_edges(faces: Tensor | np.ndarray) -> Tensor:
    """Return each edge of a triangle mesh once, as sorted pairs in lexicographic order.

    Args:
        faces: (F, 3) vertex indices.

    Returns:
        (E, 2) int64 on the device of ``faces``, smaller index first.

    Raises:
        ValueError: faces that are not (F, 3), empty or not integers, a negative index, or a face that repeats a vertex.
    """
    faces = torch.as_tensor(faces)
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.shape[0] == 0:
        raise ValueError(f"faces must have shape (F, 3) with F > 0, not {tuple(faces.shape)}")
    if faces.is_floating_point() or faces.is_complex():
        raise ValueError(f"faces must be integers, not {faces.dtype}")
    pairs = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).to(torch.int64)  # 3F 2
    return _unique_pairs(pairs, "faces")


def scaled_laplacian(connectivity: Tensor | np.ndarray, vertex_count: int, *, lambda_max: float | None = 2.0,
                     dtype: torch.dtype = torch.float32) -> Tensor:
    """Return 2 L / lambda_max - I of the symmetric normalised Laplacian L of a mesh or graph.

    A vertex without edges has L = 1 on its diagonal (the inverse root of its zero degree is taken as zero), as in
    PyTorch Geometric.

    Args:
        connectivity: (F, 3) faces or (E, 2) edges; an edge listed twice or in both directions counts once.
        vertex_count: V.
        lambda_max: the eigenvalue of L that is mapped to 1. The default 2 is an upper bound for every graph and makes the
            diagonal vanish. None computes the largest (``largest_eigenvalue``): the spectrum then fills [-1, 1].
        dtype: dtype of the result.

    Returns:
        (V, V) sparse COO, coalesced and symmetric, on the device of ``connectivity``.

    Raises:
        ValueError: bad connectivity, an index not below ``vertex_count``, or a lambda_max that is not positive.
    """
    edges = _edges(connectivity, vertex_count)
    if lambda_max is None:
        lambda_max = largest_eigenvalue(edges, vertex_count)
    if not (math.isfinite(lambda_max) and lambda_max > 0):
        raise ValueError(f"lambda_max must be positive and finite, not {lambda_max}")
    both = torch.cat([edges, edges.flip(1)])  # 2E 2
    degree = torch.bincount(both[:, 0], minlength=vertex_count).double()
    inverse_root = torch.where(degree > 0, degree.clamp(min=1).rsqrt(), 0.0)
    adjacency = inverse_root[both[:, 0]] * inverse_root[both[:, 1]]  # 2E
    rows, columns, values = both[:, 0], both[:, 1], -2.0 / lambda_max * adjacency
    diagonal = 2.0 / lambda_max - 1.0
    if diagonal != 0.0:
        every = torch.arange(vertex_count, device=edges.device)
        rows, columns = torch.cat([rows, every]), torch.cat([columns, every])
        values = torch.cat([values, values.new_full((vertex_count,), diagonal)])
    return sparse_matrix(rows, columns, values, (vertex_count, vertex_count), dtype=dtype, device=edges.device)


def largest_eigenvalue(connectivity: Tensor | np.ndarray, vertex_count: int) -> float:
    """Return the largest eigenvalue of the symmetric normalised Laplacian, which lies in [1, 2].

    Args:
        connectivity: (F, 3) faces or (E, 2) edges.
        vertex_count: V.

    Raises:
        ValueError: bad connectivity, or Lanczos does not converge (for such a large graph, 2 is the better choice).
    """
    laplacian = scaled_laplacian(connectivity, vertex_count, lambda_max=2.0, dtype=torch.float64).cpu()  # L - I
    if len(laplacian.values()) == 0:
        return 1.0  # no edges: L = I, and Lanczos has nothing to start from
    if vertex_count <= DENSE_EIGENVALUES:
        return 1.0 + torch.linalg.eigvalsh(laplacian.to_dense())[-1].item()
    start = np.cos(np.arange(vertex_count, dtype=float))  # fixed, so the result is too; unlike ones, not symmetric
    matrix = csr_array((laplacian.values().numpy(), tuple(laplacian.indices().numpy())), shape=tuple(laplacian.shape))
    try:
        return 1.0 + float(eigsh(matrix, k=1, which="LA", v0=start, return_eigenvectors=False)[0])
    except ArpackError as error:
        raise ValueError("the largest eigenvalue did not converge: pass lambda_max=2.0, a bound of all graphs") from error


def _edges(connectivity: Tensor | np.ndarray, vertex_count: int) -> Tensor:
    connectivity = torch.as_tensor(connectivity)
    if connectivity.ndim == 2 and connectivity.shape[1] == 2 and not connectivity.is_floating_point():
        edges = _unique_pairs(connectivity, "edges")
    else:
        edges = graph_edges(connectivity)
    if edges.numel() and int(edges.max()) >= vertex_count:
        raise ValueError(f"connectivity names vertex {int(edges.max())}, but there are {vertex_count} vertices")
    return edges


def _unique_pairs(pairs: Tensor, name: str) -> Tensor:
    """Return each pair once, sorted, as int64; refuse negative indices and a vertex joined to itself."""
    if pairs.numel() and int(pairs.min()) < 0:
        raise ValueError(f"{name} must not be negative, but hold {int(pairs.min())}")
    loops = pairs[:, 0] == pairs[:, 1]
    if loops.any():
        raise ValueError(f"{name} join vertex {int(pairs[loops][0, 0])} to itself")
    return torch.unique(pairs.to(torch.int64).sort(dim=1).values, dim=0)
