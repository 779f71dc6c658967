"""The sliced Wasserstein distance between weighted measures, with gradients in points and masses.

How it differs from POT 0.9.7's ``ot.sliced_wasserstein_distance`` (tests/otlib/measures/test_sliced_beside_pot.py has a
minimal case of each):

- POT returns the root, SW_p; we return SW_p^p unless asked for the root.
- Weights that are negative, all zero or do not sum to one: POT silently returns a number (1 % too much mass turns 0.010
  into 0.018 in the test); we raise an error that names them.
- An atom without mass: in POT it shifts the value when it lies far away; here it changes nothing.
- Equal measures: POT's gradient is NaN, ours is zero.
- float32 numpy arrays, POT's default: its value drifts by some 1e-5 at 20,000 atoms; with torch tensors it does not.
- Directions: POT ignores ``torch.manual_seed``; pass it ``projections`` of shape (d, L).
"""

import importlib.util

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from otlib.checks import NotFiniteError, check_finite, check_tensor, extremes
from otlib.measures import sliced_batched
from otlib.measures.compiled import sliced_cpu
from otlib.measures.compiled.sliced_numba import MAX_ATOMS
from otlib.measures.measure import Measure, check_not_negative, total_mass

COORDINATE_LIMIT = 1e15
"""Largest accepted coordinate: its square times a mass still fits in float32."""

DIRECTION_TOLERANCE = 1e-4
"""Largest accepted |length of a direction - 1|: a thousand times float32 rounding."""

_BACKENDS = ("auto", "kernel", "triton", "torch")


def sliced_wasserstein(
    x: Measure,
    y: Measure,
    directions: Float[Tensor, "L d"] | Float[Tensor, "*B L d"],
    *,
    p: float = 2.0,
    root: bool = False,
    backend: str = "auto",
) -> Float[Tensor, "*B"]:
    """Sliced Wasserstein distance of each pair of measures: the mean over directions of the one-dimensional W_p^p.

    Differentiable once, in the points and the weights of both measures. The weights are first scaled to sum to one, so
    a common factor changes nothing, and an optimiser may move them freely as long as none becomes negative. For an atom
    without mass, the gradient in its weight is the change that its first bit of mass would cause. With ``root`` the
    gradient of a distance of zero is zero. ``torch.autocast`` changes nothing: all is computed in the points' own dtype.

    Args:
        x: measures in R^d, any batch shape.
        y: measures with the same batch shape, dtype and device; the number of atoms may differ.
        directions: unit vectors, shared by the batch or one set for each of its measures (lower variance of a mean over
            frames at the same cost); see :func:`otlib.measures.directions.draw_directions`. They get no gradient.
        p: exponent of the cost, at least one.
        root: return SW_p (a distance, as POT does) instead of SW_p^p (a mean, the usual loss).
        backend: "kernel" (CPU, compiled, float32 and float64, any p; at most 2^21 atoms), "torch" (any device), "triton"
            (GPU, compiled; by name only, since it has run in Triton's interpreter and on no card yet), or "auto": the
            kernel where possible, otherwise torch.

    Returns:
        One value for each index of the batch, in the points' unit to the power p (1 with ``root``).

    Raises:
        ValueError: incompatible measures, directions of a wrong shape or not of unit length, p below one, an unknown
            backend, a value that is not finite, or weights that have become negative or all zero since the measure was
            made; the message names the offender.
        NotFiniteError: a ValueError; the value or, in the backward pass, a gradient leaves the range of the dtype, as SW_p^p
            of 1 mm does in float32 from p = 13 on.
        RuntimeError: a gradient is differentiated, as for a gradient penalty.

    Source: Bonneel et al. 2015; the mean over directions is taken inside the root, as in Le et al. 2024 and POT.
    """
    check_pair(x, y)
    batch, dimension = x.batch_shape, x.points.shape[-1]
    check_directions(directions, x)
    check_exponent(p)
    solver = _solver(backend, x, y)
    shared = directions.ndim == 2
    value = _SlicedWasserstein.apply(
        x.points.reshape(-1, *x.points.shape[-2:]),
        x.weights.reshape(-1, x.weights.shape[-1]),
        y.points.reshape(-1, *y.points.shape[-2:]),
        y.weights.reshape(-1, y.weights.shape[-1]),
        directions.reshape(1 if shared else -1, directions.shape[-2], dimension),
        float(p),
        solver,
    ).reshape(batch)
    check_power("SW_p^p", p, value, torch.isfinite(value.detach()))
    if not root:
        return value
    lost = value.detach() < torch.finfo(value.dtype).tiny
    if bool(lost.any()):  # the measures are equal, or so near that their power is none: SW_1 tells
        with torch.no_grad():
            nearest = sliced_wasserstein(x, y, directions, backend=backend, p=1.0)
        coordinate = max(abs(bound) for measure in (x, y) for bound in extremes(measure.points))
        check_power("SW_p^p", p, value, ~(lost & (nearest > torch.finfo(value.dtype).eps * coordinate)))
    return _root(value, p)


class _SlicedWasserstein(torch.autograd.Function):
    """SW_p^p of T pairs; the solver computes gradients along with the value, so backward only scales them."""

    @staticmethod
    def forward(ctx, x_points, x_weights, y_points, y_weights, directions, p, solver):
        x, y = (x_points, x_weights), (y_points, y_weights)
        x_needed, y_needed = any(ctx.needs_input_grad[:2]), any(ctx.needs_input_grad[2:4])
        x_gradients = y_gradients = (None, None)
        with torch.autocast(x_points.device.type, enabled=False):
            if x_needed or not y_needed:
                value, *x_gradients = solver(*x, *y, directions, p, x_needed)
            if y_needed:  # a second pass with the roles swapped
                value, *y_gradients = solver(*y, *x, directions, p, True)
        ctx.save_for_backward(*x_gradients, *y_gradients)
        ctx.inputs = *x, *y  # not saved: they may be overwritten, since the gradients are there already
        return value

    @staticmethod
    def backward(ctx, upstream):
        gradients = [
            None if gradient is None or not needed else _scaled(gradient, upstream.detach())
            for gradient, needed in zip(ctx.saved_tensors, ctx.needs_input_grad, strict=False)
        ]
        for name, gradient in zip(("x.points", "x.weights", "y.points", "y.weights"), gradients, strict=True):
            if gradient is not None:
                check_finite(f"the gradient of the distance in {name}", gradient)
        if torch.is_grad_enabled():  # create_graph=True
            gradients = [gradient if gradient is None else _Constant.apply(gradient, upstream, *ctx.inputs)
                         for gradient in gradients]
        return *gradients, None, None, None


class _Constant(torch.autograd.Function):
    """A gradient that depends on inputs, but cannot be differentiated in them.

    ``once_differentiable`` of torch raises only where the way leads through nothing else: else it drops the term.
    """

    @staticmethod
    def forward(ctx, gradient, *inputs):
        return gradient

    @staticmethod
    def backward(ctx, upstream):
        raise RuntimeError("the sliced Wasserstein distance is differentiable once; its gradient, as in a gradient penalty, "
                           "cannot be differentiated")


def _scaled(gradient: Tensor, upstream: Float[Tensor, " T"]) -> Tensor:
    """Gradients of T pairs times one number each; on the CPU by numpy, as in :func:`otlib.checks.extremes`."""
    factor = upstream.reshape(-1, *[1] * (gradient.ndim - 1))
    if gradient.device.type == "cpu":
        with np.errstate(over="ignore", invalid="ignore"):  # the result is checked
            return torch.from_numpy(np.multiply(gradient.numpy(), factor.numpy(), order="C"))
    return gradient * factor


def _root(value: Tensor, p: float) -> Tensor:
    """Value^(1/p), with zero gradient at zero."""
    positive = value > 0
    return torch.where(positive, torch.where(positive, value, 1) ** (1 / p), 0)


def _solver(backend: str, x: Measure, y: Measure):
    if backend not in _BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(_BACKENDS)}, got {backend!r}")
    atoms = max(x.weights.shape[-1], y.weights.shape[-1])
    device = x.points.device
    fits = device.type == "cpu" and atoms <= MAX_ATOMS
    if backend == "kernel" and not fits:
        raise ValueError(f"backend 'kernel' needs the CPU and at most {MAX_ATOMS} atoms, got {device} and {atoms}")
    if backend == "triton" and not _has_triton(device):
        raise ValueError(f"backend 'triton' needs a GPU and the package triton, got {device}")
    if backend == "triton":
        from otlib.measures.compiled import sliced_triton  # imports triton, which not every installation has

        return sliced_triton.solve
    return sliced_cpu.solve if fits and backend != "torch" else sliced_batched.solve


def _has_triton(device: torch.device) -> bool:
    return device.type == "cuda" and importlib.util.find_spec("triton") is not None


def check_exponent(p: float) -> None:
    """Raise ValueError unless p is a finite number of at least one."""
    if not 1 <= p < float("inf"):
        raise ValueError(f"p must be finite and at least 1, got {p}")


def check_power(name: str, p: float, powers: Tensor, fine: Bool[Tensor, "*B"]) -> None:
    """Raise NotFiniteError unless all ``powers``, of exponent ``p``, are fine; it says where their dtype cannot hold one."""
    if not bool(fine.all()):
        raise NotFiniteError(f"{name} with p = {p:g} leaves the range of {powers.dtype} in measure "
                             f"{tuple((~fine).nonzero()[0].tolist())}: take float64, another unit of length or a smaller p")


def check_pair(x: Measure, y: Measure) -> None:
    """Raise ValueError unless two measures share dtype, device, batch and dimension, and hold finite values and mass."""
    for name in ("dtype", "device"):
        if getattr(x.points, name) != getattr(y.points, name):
            raise ValueError(f"x and y must share one {name}, got {getattr(x.points, name)} and {getattr(y.points, name)}")
    if x.batch_shape != y.batch_shape:
        raise ValueError(f"x and y must have the same batch shape, got {tuple(x.batch_shape)} and {tuple(y.batch_shape)}")
    if x.points.shape[-1] != y.points.shape[-1]:
        raise ValueError(f"x lives in dimension {x.points.shape[-1]}, y in {y.points.shape[-1]}")
    for name, measure in (("x", x), ("y", y)):
        # A Measure is checked when made, but its tensors can be overwritten later, and compiled code trusts them.
        if measure.points.shape[:-1] != measure.weights.shape:
            raise ValueError(f"{name}.points have shape {tuple(measure.points.shape)}, {name}.weights "
                             f"{tuple(measure.weights.shape)}")
        for part in ("points", "weights"):
            low, high = extremes(getattr(measure, part))
            if not max(-low, high) <= COORDINATE_LIMIT:  # NaN fails the comparison too
                raise ValueError(f"{name}.{part} must be finite and within +-{COORDINATE_LIMIT:g}, "
                                 f"found values from {low} to {high}")
        check_not_negative(f"{name}.weights", measure.weights)
        massless = (total_mass(measure.weights) == 0).nonzero()
        if len(massless):
            raise ValueError(f"{name}.weights are all zero in measure {tuple(massless[0].tolist())}")


def check_directions(directions: Tensor, x: Measure) -> None:
    """Raise ValueError unless ``directions`` are unit vectors that fit ``x`` in shape, dtype and device."""
    check_tensor("directions", directions)
    dimension = x.points.shape[-1]
    shared = directions.ndim == 2
    if directions.shape[-1:] != (dimension,) or directions.ndim < 2 or directions.shape[-2] == 0 or not (
            shared or directions.shape[:-2] == x.batch_shape):
        raise ValueError(f"directions must have shape (L, {dimension}) or {(*x.batch_shape, 'L', dimension)}, got "
                         f"{tuple(directions.shape)}")
    if directions.dtype != x.points.dtype or directions.device != x.points.device:
        raise ValueError(f"directions must be {x.points.dtype} on {x.points.device}, got {directions.dtype} on "
                         f"{directions.device}")
    if directions.requires_grad:
        raise ValueError("directions get no gradient; pass directions.detach()")
    off = (torch.linalg.vector_norm(directions, dim=-1) - 1).abs()
    if not bool((off <= DIRECTION_TOLERANCE).all()):  # NaN fails the comparison too
        index = tuple((~(off <= DIRECTION_TOLERANCE)).nonzero()[0].tolist())
        raise ValueError(f"directions must have unit length; the one at {index} is {directions[index].tolist()}")
