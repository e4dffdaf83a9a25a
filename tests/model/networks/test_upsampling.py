"""Smooth upsampling: an interpolation that does not see where an image begins, and its adjoint."""

from itertools import product

import torch
from torch.nn import functional as F

from microdesign.model.networks.upsampling import Upsample, interpolation_matrix
from tests.cases import case

DIMENSIONS = [2, 3]


def maps(dimensions: int, size: int = 6) -> torch.Tensor:
    return torch.randn(2, 3, *(size,) * dimensions, generator=torch.Generator().manual_seed(0))


def test_agrees_with_torch_inside() -> None:
    for size, dimensions in product((11, 12), DIMENSIONS):
        with case(dimensions=dimensions, size=size):
            x = maps(dimensions)
            expected = F.interpolate(x, size=(size,) * dimensions, mode="bilinear" if dimensions == 2 else "trilinear")
            torch.testing.assert_close(Upsample((6,) * dimensions, (size,) * dimensions, "zero")(x), expected)
            periodic = Upsample((6,) * dimensions, (size,) * dimensions, "periodic")(x)
            assert periodic.shape == (2, 3, *(size,) * dimensions)
            inside = (..., *(slice(1, -1),) * dimensions)
            torch.testing.assert_close(periodic[inside], expected[inside])
            assert not torch.allclose(periodic, expected)


def test_doubling_commutes_with_periodic_shifts() -> None:
    for dimensions in DIMENSIONS:
        with case(dimensions=dimensions):
            up, x, axes = (
                Upsample((6,) * dimensions, (12,) * dimensions, "periodic"),
                maps(dimensions),
                tuple(range(2, 2 + dimensions)),
            )
            torch.testing.assert_close(up(x.roll((1,) * dimensions, axes)), up(x).roll((2,) * dimensions, axes))


def test_doubling_is_the_interpolation_matrix_on_each_axis() -> None:
    for size in (11, 12):
        with case(size=size):
            x, weights = maps(2), interpolation_matrix(6, size)
            torch.testing.assert_close(weights.sum(1), torch.ones(size))
            expected = torch.einsum("xi,yj,bcij->bcxy", weights, weights, x)
            torch.testing.assert_close(Upsample((6, 6), (size, size), "periodic")(x), expected)


def test_gradient() -> None:
    for size, dimensions in product((5, 6), DIMENSIONS):
        with case(dimensions=dimensions, size=size):
            up, x = (
                Upsample((3,) * dimensions, (size,) * dimensions, "periodic").double(),
                maps(dimensions, 3)[:1, :2].double().requires_grad_(),
            )
            assert torch.autograd.gradcheck(up, x)


def test_no_checkerboard() -> None:
    """Noise on the coarse grid leaves nothing at the finest wave number."""
    spectrum = torch.fft.rfft2(Upsample((32, 32), (64, 64), "periodic")(torch.randn(8, 1, 32, 32))).abs().square()
    assert spectrum[..., 32, :].mean() + spectrum[..., -1].mean() < 1e-6 * spectrum.mean()
