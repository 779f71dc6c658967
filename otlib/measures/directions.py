"""Directions for the sliced Wasserstein distance: random, orthogonal, and designs, which need far fewer."""

import functools
import importlib.resources

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

SAMPLERS = ("gaussian", "orthogonal", "design")
TRAINING_DIRECTIONS = {3: 6, 6: 12}
"""Training default by dimension: the smallest stored design whose vertex gradient, for two frames of a talking head, has
a cosine of at least 0.95 with the gradient of 5,000 directions under every rotation tried.

Measured on seven pairs of frames at 9,976 and 46,068 faces, from neighbouring frames to closed against wide open, with 30
rotations each and the default normal weight of 0.01 m: the worst cosine is 0.972 for 6 directions in R^3 (barycentres) and
0.969 for 12 in R^6 (varifolds); the mean is 0.99. With twice the normal weight the worst falls to 0.81, and 16 directions
do no better. ``python tests/benchmarks/training_directions.py`` repeats the measurement."""

_DESIGNS = "direction_designs.npz"


def draw_directions(
    count: int,
    dimension: int,
    *,
    generator: torch.Generator,
    sampler: str = "design",
    batch: int | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Float[Tensor, "L d"] | Float[Tensor, "B L d"]:
    """Draw unit vectors, each uniform on the sphere, so that the mean of any function over them is unbiased.

    Seven arguments, of which three describe the tensor to make, as in PyTorch's own factories.

    Args:
        count: number of directions L.
        dimension: dimension d of the measures: 3 for points, 6 for varifolds.
        generator: source of randomness.
        sampler: how the L directions are drawn together:
            "gaussian": independently (normalised Gaussians, plain Monte Carlo);
            "orthogonal": in independent blocks of d mutually orthogonal directions;
            "design": as a fixed set of evenly spread lines, turned by a random rotation (d = 3 and 6 only). A count that
            is not stored (:func:`design_sizes`) is assembled from the largest stored sets that fit, each with its own
            rotation, and orthogonal blocks for the rest.
        batch: number of independent draws, one for each frame; None draws one set without the batch axis.
        dtype: dtype of the result; the draw itself is in float64.
        device: device of the result; the generator's unless given.

    Returns:
        Unit vectors.

    Raises:
        ValueError: a count, dimension or batch below one, an unknown sampler, or a dimension without designs.

    Source: Gaussian, Bonneel et al. 2015; orthogonal, Rowland et al. 2019; designs in the spirit of quasi-sliced
    Wasserstein (Nguyen et al. 2024), but for lines, since a projection and its opposite cost the same.
    """
    if min(count, dimension, 1 if batch is None else batch) < 1:
        raise ValueError(f"count, dimension and batch must be at least one, got {count}, {dimension} and {batch}")
    draws = 1 if batch is None else batch
    if sampler == "gaussian":
        normal = torch.randn(draws, count, dimension, generator=generator, dtype=torch.float64, device=generator.device)
        directions = torch.nn.functional.normalize(normal, dim=-1)
    elif sampler == "orthogonal":
        directions = _orthogonal(draws, count, dimension, generator)
    elif sampler == "design":
        directions = _rotated_designs(draws, count, dimension, generator)
    else:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {sampler!r}")
    directions = directions.to(device=device, dtype=dtype)
    return directions[0] if batch is None else directions


def design_sizes(dimension: int) -> tuple[int, ...]:
    """Sizes of the stored designs in a dimension, ascending; empty if there are none."""
    return tuple(sorted(_designs().get(dimension, {})))


def _rotations(count: int, dimension: int, generator: torch.Generator) -> Float[Tensor, "count d d"]:
    """Uniform (Haar) orthogonal matrices."""
    normal = torch.randn(count, dimension, dimension, generator=generator, dtype=torch.float64, device=generator.device)
    q, r = torch.linalg.qr(normal)
    # QR fixes the signs of its factors by convention; without this the rotations would not be uniform (Mezzadri 2007).
    return q * torch.diagonal(r, dim1=-2, dim2=-1).sign()[:, None, :]


def _orthogonal(draws: int, count: int, dimension: int, generator: torch.Generator) -> Float[Tensor, "draws count d"]:
    blocks = -(-count // dimension)
    rotations = _rotations(draws * blocks, dimension, generator)
    return rotations.reshape(draws, blocks * dimension, dimension)[:, :count]


def _rotated_designs(draws: int, count: int, dimension: int, generator: torch.Generator) -> Float[Tensor, "draws count d"]:
    sizes = design_sizes(dimension)
    if not sizes:
        raise ValueError(f"sampler 'design' has sets for dimensions {sorted(_designs())} only, got {dimension}; "
                         "use 'orthogonal'")
    parts = []
    for size in reversed(sizes):
        while count >= size:
            base = torch.from_numpy(_designs()[dimension][size]).to(generator.device)
            parts.append(base @ _rotations(draws, dimension, generator))
            count -= size
    if count:
        parts.append(_orthogonal(draws, count, dimension, generator))
    return torch.cat(parts, dim=1)


@functools.cache
def _designs() -> dict[int, dict[int, np.ndarray]]:
    """Stored sets by dimension and size, (L, d) float64; made by ``python -m data_prep.make_direction_designs``."""
    designs: dict[int, dict[int, np.ndarray]] = {}
    resource = importlib.resources.files("otlib.measures") / _DESIGNS
    with resource.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        for directions in stored.values():
            size, dimension = directions.shape
            designs.setdefault(dimension, {})[size] = directions
    return designs
