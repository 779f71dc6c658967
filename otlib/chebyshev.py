"""Chebyshev graph convolution on the edge graph of a triangle mesh.

A filter of K terms is a polynomial in the scaled Laplacian ~L, written in Chebyshev's basis:

    y = sum_{k=0}^{K-1} T_k(~L) x W_k + b,      T_0 = I,  T_1 = ~L,  T_k = 2 ~L T_{k-1} - T_{k-2}

    ~L = 2 L / lambda_max - I,                  L = I - D^(-1/2) A D^(-1/2)

K counts terms, so the orders are 0 to K - 1 and a vertex hears from at most K - 1 edges away (as in PyTorch Geometric
and CoMA; Defferrard et al. 2016 also call this number K). The polynomials stay within [-1, 1] only while the
eigenvalues of ~L do: lambda_max has to be at least the largest eigenvalue of L, and 2 always is.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_array
from scipy.sparse.linalg import ArpackNoConvergence, eigsh
from torch import Tensor, nn

from otlib.sparse import check_sparse, frame_slabs, sparse_matrix

DENSE_EIGENVALUES = 64
"""Graphs of at most this many vertices get their largest eigenvalue from a dense solver: Lanczos needs some room."""


def graph_edges(faces: Tensor | np.ndarray) -> Tensor:
    """Return each edge of a triangle mesh once, as sorted pairs in lexicographic order.

    Args:
        faces: (F, 3) vertex indices.

    Returns:
        (E, 2) int64 on the device of ``faces``, smaller index first.

    Raises:
        ValueError: not (F, 3), empty, not integers, a negative index, or a face that names a vertex twice.
    """
    faces = torch.as_tensor(faces)
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.shape[0] == 0:
        raise ValueError(f"faces must have shape (F, 3) with F > 0, not {tuple(faces.shape)}")
    if faces.is_floating_point() or faces.is_complex():
        raise ValueError(f"faces must be integers, not {faces.dtype}")
    pairs = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).to(torch.int64)  # 3F 2
    _check_pairs(pairs, "faces")
    return torch.unique(pairs.sort(dim=1).values, dim=0)


def scaled_laplacian(connectivity: Tensor | np.ndarray, vertex_count: int, *, lambda_max: float | None = 2.0,
                     dtype: torch.dtype = torch.float32) -> Tensor:
    """Return 2 L / lambda_max - I of the symmetric normalised Laplacian L of a mesh or graph.

    A vertex without edges has L = 1 on its diagonal (the inverse root of its zero degree is taken as zero), as in
    PyTorch Geometric.

    Args:
        connectivity: (F, 3) faces or (E, 2) edges; an edge named twice or in both directions counts once.
        vertex_count: V.
        lambda_max: the eigenvalue of L that is mapped to 1. The default 2 bounds that of every graph and leaves no
            diagonal. None computes the largest one (``largest_eigenvalue``): the spectrum then fills [-1, 1].
        dtype: of the result.

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
        ValueError: bad connectivity, or Lanczos did not converge (a graph so large that 2 is the better choice).
    """
    laplacian = scaled_laplacian(connectivity, vertex_count, lambda_max=2.0, dtype=torch.float64).cpu()  # L - I
    if vertex_count <= DENSE_EIGENVALUES:
        return 1.0 + torch.linalg.eigvalsh(laplacian.to_dense())[-1].item()
    start = np.cos(np.arange(vertex_count, dtype=float))  # fixed, so that the result is; not symmetric like ones
    matrix = csr_array((laplacian.values().numpy(), tuple(laplacian.indices().numpy())), shape=tuple(laplacian.shape))
    try:
        return 1.0 + float(eigsh(matrix, k=1, which="LA", v0=start, return_eigenvectors=False)[0])
    except ArpackNoConvergence as error:
        raise ValueError("the largest eigenvalue did not converge: pass lambda_max=2.0, a bound of all graphs") from error


class ChebyshevConvolution(nn.Module):
    """Graph convolution by a polynomial of K Chebyshev terms, for signals of any batch shape.

    y = sum_k T_k(~L) x W_k + b is summed by Clenshaw's recursion from the highest order down:

        z_k = x W_k,    b_k = z_k + 2 ~L b_{k+1} - b_{k+2},    y = z_0 + ~L b_1 - b_2 + b

    It equals the forward recursion T_k = 2 ~L T_{k-1} - T_{k-2} up to rounding and runs as fast, but only x is kept
    for the gradient instead of all T_k(~L) x, and the sparse products have the width of the output. Sparse products
    with folded batches (see ``otlib.sparse``) beat dense ones with precomputed T_k(~L) at every size tried (80 to
    1,300 vertices), so there is no dense path.

    Args:
        in_channels, out_channels: C and C'.
        terms: K, at least 1; the orders are 0 to K - 1. One term mixes channels and ignores the graph.
        bias: add a learned number to each output channel.
        generator: for the initial weights; None takes torch's own, as the layers of torch do.

    Attributes:
        weight: (K, C, C'), uniform in +-sqrt(6 / (K C + C')), Glorot's rule with the fan-in of all terms together
            (our choice: the K terms of a white signal add their variances).
        bias: (C',) zeros, or None.

    Shapes:
        signal (*batch, V, C), Laplacian (V, V) sparse, result (*batch, V, C'). The parameters do not depend on V.
    """

    def __init__(self, in_channels: int, out_channels: int, terms: int, bias: bool = True, *,
                 generator: torch.Generator | None = None) -> None:
        super().__init__()
        for name, value in {"in_channels": in_channels, "out_channels": out_channels, "terms": terms}.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        self.in_channels, self.out_channels, self.terms = in_channels, out_channels, terms
        self.weight = nn.Parameter(torch.empty(terms, in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights anew and set the bias to zero."""
        bound = math.sqrt(6.0 / (self.terms * self.in_channels + self.out_channels))
        nn.init.uniform_(self.weight, -bound, bound, generator=generator)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, signal: Float[Tensor, "*batch V C"], laplacian: Tensor) -> Float[Tensor, "*batch V D"]:
        """Filter a signal on the vertices.

        Args:
            signal: C = ``in_channels`` numbers a vertex.
            laplacian: (V, V), scaled, from ``scaled_laplacian``. The recursion runs in its dtype, also under autocast
                (sparse products have no half precision on a CPU).

        Returns:
            Same batch shape, C' = ``out_channels`` numbers a vertex.

        Raises:
            ValueError: channels or vertices do not fit.
        """
        check_sparse(laplacian, signal)
        if signal.shape[-1] != self.in_channels or laplacian.shape[0] != laplacian.shape[1]:
            raise ValueError(f"signal of shape {tuple(signal.shape)} and Laplacian of shape {tuple(laplacian.shape)} "
                             f"do not fit a convolution of {self.in_channels} channels")
        batch, vertices = signal.shape[:-2], signal.shape[-2]
        if signal.numel() == 0:
            return signal.new_zeros(*batch, vertices, self.out_channels)
        frames = signal.reshape(-1, vertices, self.in_channels)
        results = [self._filter(slab, laplacian) for slab in frame_slabs(frames, max(self.in_channels, self.out_channels))]
        return torch.cat(results).view(*batch, vertices, self.out_channels)

    def _filter(self, signal: Float[Tensor, "b V C"], laplacian: Tensor) -> Float[Tensor, "b V D"]:
        frames, vertices, _ = signal.shape
        rows = signal.transpose(0, 1).reshape(vertices * frames, self.in_channels)  # b V C -> (V b) C
        mixed = [(rows @ weight).view(vertices, -1).to(laplacian.dtype) for weight in self.weight]  # K x V (b D)
        if self.bias is not None:
            mixed[0] = mixed[0] + self.bias.to(laplacian.dtype).repeat(frames)
        with torch.autocast(signal.device.type, enabled=False):
            result = clenshaw(laplacian, mixed)
        return result.view(vertices, frames, -1).transpose(0, 1)  # V (b D) -> b V D

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, terms={self.terms}, bias={self.bias is not None}"


def clenshaw(laplacian: Tensor, coefficients: list[Float[Tensor, "V N"]]) -> Float[Tensor, "V N"]:
    """Return sum_k T_k(laplacian) coefficients[k], with one sparse product for each k above 0.

    Args:
        laplacian: (V, V) sparse, scaled.
        coefficients: K dense matrices.
    """
    last, before = coefficients[-1], None  # b_{k+1} and b_{k+2}
    for order in range(len(coefficients) - 2, -1, -1):
        base = coefficients[order] if before is None else coefficients[order] - before
        product = torch.sparse.addmm(base, laplacian, last, alpha=2.0 if order > 0 else 1.0)
        last, before = product, last
    return last


def _edges(connectivity: Tensor | np.ndarray, vertex_count: int) -> Tensor:
    connectivity = torch.as_tensor(connectivity)
    if connectivity.ndim == 2 and connectivity.shape[1] == 2 and not connectivity.is_floating_point():
        _check_pairs(connectivity, "edges")
        edges = torch.unique(connectivity.to(torch.int64).sort(dim=1).values, dim=0)
    else:
        edges = graph_edges(connectivity)
    if edges.numel() and int(edges.max()) >= vertex_count:
        raise ValueError(f"connectivity names vertex {int(edges.max())}, but there are {vertex_count} vertices")
    return edges


def _check_pairs(pairs: Tensor, name: str) -> None:
    if pairs.numel() == 0:
        return
    if int(pairs.min()) < 0:
        raise ValueError(f"{name} must not be negative, but hold {int(pairs.min())}")
    loops = pairs[:, 0] == pairs[:, 1]
    if bool(loops.any()):
        raise ValueError(f"{name} join vertex {int(pairs[loops][0, 0])} to itself")
