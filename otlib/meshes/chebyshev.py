"""Chebyshev graph convolution on the edge graph of a triangle mesh.

A filter of K terms is a polynomial in the scaled Laplacian ~L, written in Chebyshev's basis:

    y = sum_{k=0}^{K-1} T_k(~L) x W_k + b,      T_0 = I,  T_1 = ~L,  T_k = 2 ~L T_{k-1} - T_{k-2}

    ~L = 2 L / lambda_max - I,                  L = I - D^(-1/2) A D^(-1/2)

K counts terms: the orders are 0 to K - 1, and a vertex receives values from at most K - 1 edges away (as in PyTorch
Geometric and CoMA; Defferrard et al. 2016 also call this number K). The polynomials stay within [-1, 1] only if the
eigenvalues of ~L do, so lambda_max must be at least the largest eigenvalue of L; 2 always is.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from otlib.meshes.sparse import check_sparse, frame_slabs


class ChebyshevConvolution(nn.Module):
    """Graph convolution by a polynomial of K Chebyshev terms, for signals of any batch shape.

    y = sum_k T_k(~L) x W_k + b is summed by Clenshaw's recursion from the highest order down:

        z_k = x W_k,    b_k = z_k + 2 ~L b_{k+1} - b_{k+2},    y = z_0 + ~L b_1 - b_2 + b

    It equals the forward recursion T_k = 2 ~L T_{k-1} - T_{k-2} up to rounding and is as fast, but the gradient needs only
    x instead of all T_k(~L) x, and the sparse products have the width of the output. Sparse products with folded batches
    (see ``otlib.meshes.sparse``) beat dense ones with precomputed T_k(~L) at every size measured (80 to 1,300 vertices), so
    there is no dense path.

    Args:
        in_channels, out_channels: C and C'.
        terms: K, at least 1; the orders are 0 to K - 1. One term mixes channels and ignores the graph.
        bias: add a learned number to each output channel.
        generator: draws the initial weights; None uses torch's global generator, as torch's own layers do.

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
        """Redraw the weights and set the bias to zero."""
        bound = math.sqrt(6.0 / (self.terms * self.in_channels + self.out_channels))
        nn.init.uniform_(self.weight, -bound, bound, generator=generator)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, signal: Float[Tensor, "*batch V C"], laplacian: Tensor) -> Float[Tensor, "*batch V D"]:
        """Filter a signal on the vertices.

        Args:
            signal: C = ``in_channels`` numbers per vertex.
            laplacian: (V, V), scaled, from ``scaled_laplacian``. The recursion runs in its dtype, also under autocast
                (sparse products have no half precision on a CPU).

        Returns:
            Same batch shape, C' = ``out_channels`` numbers per vertex.

        Raises:
            ValueError: the number of channels or vertices is wrong.
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
