"""Products of one sparse matrix with many small signals, in a layout that keeps them in cache."""

import torch
from jaxtyping import Float
from torch import Tensor

SLAB_NUMBERS = 2**18
"""How many dense numbers (1 MB in float32) the sparse matrix multiplies at a time on a CPU.

Our choice, measured: multiplying all columns of 240 frames at once runs from main memory and is 3 to 7 times slower than
slabs of this size, for matrices of 300 to 23,000 rows. The split does not change any result.
"""

LEAST_COLUMNS = 256
"""Fewest columns of a slab, whatever the number of rows: with fewer, walking the matrix costs more than the products."""


def sparse_matrix(rows, columns, values, shape: tuple[int, int], *, dtype: torch.dtype,
                  device: torch.device | str | None = None) -> Tensor:
    """Return a coalesced COO matrix from coordinate lists; values at the same position are added.

    COO, not CSR: CSR brings no gain here, and on its first use torch warns that it is in beta.

    Args:
        rows, columns: (n,) integers; values: (n,) numbers; numpy arrays or tensors.
        shape: numbers of rows and columns.
        dtype, device: those of the result.
    """
    indices = torch.stack([torch.as_tensor(rows), torch.as_tensor(columns)]).to(device=device, dtype=torch.int64)
    values = torch.as_tensor(values).to(device=device, dtype=dtype)
    return torch.sparse_coo_tensor(indices, values, shape, check_invariants=True).coalesce()


def frame_slabs(signal: Float[Tensor, "B N C"], width: int) -> tuple[Float[Tensor, "_ N C"], ...]:
    """Split a batch into runs of frames that fit in cache, if each frame takes ``width`` columns.

    Other devices than the CPU get the batch in one piece, because a launch costs more there than a cache miss.
    """
    frames, vertices, _ = signal.shape
    if signal.device.type == "cpu":
        frames = max(1, max(LEAST_COLUMNS, SLAB_NUMBERS // vertices) // width)
    return signal.split(frames)


def sparse_product(matrix: Tensor, signal: Float[Tensor, "*batch M C"]) -> Float[Tensor, "*batch N C"]:
    """Multiply every signal of a batch from the left by one sparse matrix.

    Args:
        matrix: (N, M) sparse COO, coalesced; no gradient flows into it.
        signal: dense, same dtype and device.

    Raises:
        ValueError: the matrix is not coalesced COO, or the sizes do not fit.
    """
    check_sparse(matrix, signal)
    batch, (vertices, channels) = signal.shape[:-2], signal.shape[-2:]
    if signal.numel() == 0:
        return signal.new_zeros(*batch, matrix.shape[0], channels)
    products = []
    for slab in frame_slabs(signal.reshape(-1, vertices, channels), channels):
        columns = slab.transpose(0, 1).reshape(vertices, -1)  # b M C -> M (b C)
        product = torch.sparse.mm(matrix, columns)  # N (b C)
        products.append(product.view(matrix.shape[0], -1, channels).transpose(0, 1))  # b N C
    return torch.cat(products).view(*batch, matrix.shape[0], channels)


def check_sparse(matrix: Tensor, signal: Tensor) -> None:
    """Refuse a matrix that is not coalesced COO or whose columns are not the signal's vertices."""
    if matrix.layout != torch.sparse_coo or matrix.ndim != 2 or not matrix.is_coalesced():
        raise ValueError(f"matrix must be a coalesced sparse COO matrix, not {matrix.layout} of {matrix.ndim} axes")
    if signal.ndim < 2 or signal.shape[-2] != matrix.shape[1]:
        raise ValueError(f"signal of shape {tuple(signal.shape)} does not fit a matrix of {matrix.shape[1]} columns")
