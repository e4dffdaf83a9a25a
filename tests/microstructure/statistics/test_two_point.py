import math

import numpy as np
import pytest
import torch
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.microstructure.statistics.similarity import two_point_distance
from microdesign.microstructure.statistics.surface import anisotropy, specific_surface
from microdesign.microstructure.statistics.two_point import (
    cross_correlation,
    normalized_two_point,
    radial_average,
    two_point,
    volume_fractions,
)


def test_against_direct_sums() -> None:
    m = torch.rand(6, 5, dtype=torch.float64)
    f = two_point(m)
    for dx in range(6):
        for dy in range(5):
            direct = (m * torch.roll(m, (-dx, -dy), (0, 1))).mean()
            assert f[dx, dy].item() == pytest.approx(direct.item(), abs=1e-14)


def test_three_dimensions_and_leading_axes() -> None:
    m = (torch.rand(2, 3, 6, 5, 4, dtype=torch.float64) > 0.5).double()
    f = two_point(m, dims=3)
    assert f.shape == m.shape
    direct = (m * torch.roll(m, (-1, -3, -2), (2, 3, 4))).mean(dim=(2, 3, 4))
    torch.testing.assert_close(f[..., 1, 3, 2], direct)
    torch.testing.assert_close(f[..., 0, 0, 0], volume_fractions(m, dims=3))


def test_offset_zero_is_the_volume_fraction(images: Tensor) -> None:
    torch.testing.assert_close(two_point(images)[..., 0, 0], volume_fractions(images), atol=1e-6, rtol=0)


def test_shift_and_inversion_change_nothing_but_phase_swap_does(images: Tensor) -> None:
    f = two_point(images)
    torch.testing.assert_close(two_point(torch.roll(images, (5, -9), (-2, -1))), f, atol=1e-6, rtol=0)
    torch.testing.assert_close(two_point(images.flip(-2, -1)), f, atol=1e-6, rtol=0)
    assert (two_point_distance(images, 1 - images).max()) > 0.05


def test_stripes_and_checkerboard_in_closed_form() -> None:
    period, size = 8, 32
    stripes = (torch.arange(size) % period < period // 2).double()[:, None].expand(size, size)
    offset = torch.arange(size) % period
    triangle = 0.5 - torch.minimum(offset, period - offset) / period
    torch.testing.assert_close(two_point(stripes), triangle.double()[:, None].expand(size, size))
    assert specific_surface(stripes).item() == pytest.approx(2 / period)
    assert specific_surface(stripes, pixel_size=0.5).item() == pytest.approx(4 / period)
    x, y = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    board = ((x + y) % 2).double()
    torch.testing.assert_close(two_point(board), 0.5 * (1 - board))
    assert specific_surface(board).item() == pytest.approx(2.0)


def test_every_parity_of_the_sides() -> None:
    for shape in [(1, 1), (1, 4), (4, 1), (2, 2), (7, 4), (3, 5, 2), (4, 1, 3), (4, 2, 5), (6,)]:
        m = torch.rand(3, *shape, dtype=torch.float64)
        axes = tuple(range(1, len(shape) + 1))
        f = two_point(m, dims=len(shape))
        for offset in np.ndindex(*shape):
            direct = (m * torch.roll(m, tuple(-r for r in offset), axes)).mean(dim=axes)
            torch.testing.assert_close(f[:, *offset], direct, msg=lambda text, s=shape, o=offset: f"{s} at {o}: {text}")


def test_many_images_in_several_passes_and_none() -> None:
    m = (torch.rand(19, 1, 256, 256) > 0.4).float()
    torch.testing.assert_close(two_point(m)[[0, 7, 18]], two_point(m[[0, 7, 18]]))
    torch.testing.assert_close(two_point(m)[:, 0, 0, 0], m.mean(dim=(1, 2, 3)))
    assert two_point(m[:0]).shape == (0, 1, 256, 256)


def test_cross_correlation() -> None:
    a, b = torch.rand(2, 6, 5, dtype=torch.float64), torch.rand(6, 5, dtype=torch.float64)
    f = cross_correlation(a, b)
    assert f.shape == (2, 6, 5)
    for offset in np.ndindex(6, 5):
        direct = (a * torch.roll(b, tuple(-r for r in offset), (0, 1))).mean(dim=(1, 2))
        torch.testing.assert_close(f[:, *offset], direct)
    torch.testing.assert_close(cross_correlation(a, a), two_point(a))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert cross_correlation(a.float(), b.float()).dtype == torch.float32


def test_overlapping_discs_in_the_mean(boolean_model: tuple[Tensor, float, float]) -> None:
    # The Boolean model: outside all discs with probability exp(-rho V), at both ends of r with exp(-rho U(r)), U the
    # area of the union of two discs r apart (Torquato 2002, section 5.1).
    free, radius, rho = boolean_model
    r, mean = radial_average(two_point(free).mean(dim=0))
    half = (r / (2 * radius)).clamp_max(1)
    overlap = 2 * radius**2 * (half.acos() - half * (1 - half**2).sqrt())
    expected = torch.exp(-rho * (2 * math.pi * radius**2 - overlap))
    assert (mean - expected)[:50].abs().max() < 0.01
    # Surface per area: 2 pi R rho exp(-rho pi R^2), 4 / pi of it in pixel faces.
    surface = float(specific_surface(free).mean()) * math.pi / 4
    assert surface == pytest.approx(2 * math.pi * radius * rho * math.exp(-0.5), rel=0.03)
    assert float(anisotropy(free).mean()) < 0.25


def test_radial_average_and_normalisation(images: Tensor) -> None:
    r, mean = radial_average(two_point(images))
    assert mean.shape == (9, 1, 17)
    assert r.shape == (17,)
    assert r[0] == 0
    assert r[1] == pytest.approx((4 + 4 * math.sqrt(2)) / 8)
    assert ((r - torch.arange(17)).abs() <= 0.5).all()
    torch.testing.assert_close(mean[..., 0], volume_fractions(images))
    x, y = torch.meshgrid(*[torch.fft.fftfreq(12, 1 / 12, dtype=torch.float64)] * 2, indexing="ij")
    r, mean = radial_average(x**2 + y**2)
    torch.testing.assert_close(mean, r**2, atol=0.1, rtol=0)
    r, _ = radial_average(torch.zeros(8, 6, 7), dims=3)
    assert r.shape == (4,)
    normal = normalized_two_point(images.double())
    torch.testing.assert_close(normal[..., 0, 0], torch.ones(9, 1, dtype=torch.float64))
    torch.testing.assert_close(normal, normalized_two_point(1 - images.double()))
    # The covariances of all offsets add up to nothing.
    assert normal.mean(dim=(-2, -1)).abs().max() < 1e-9
    for value in (0.0, 1.0):
        assert not normalized_two_point(torch.full((16, 16), value)).any()


def test_gradients() -> None:
    m = torch.rand(1, 6, 6, dtype=torch.float64, requires_grad=True)
    other = torch.rand(1, 6, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(two_point, m)
    assert torch.autograd.gradcheck(normalized_two_point, m)
    assert torch.autograd.gradcheck(lambda x: cross_correlation(x, other), m)
    assert torch.autograd.gradcheck(lambda x: radial_average(two_point(x))[1], m)
    volume = torch.rand(2, 3, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: two_point(x, dims=3), volume)
    assert torch.autograd.gradgradcheck(two_point, m)


def test_under_function_transforms() -> None:
    m = torch.rand(3, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(torch.func.vmap(two_point)(m), two_point(m))
    gradient = torch.func.vmap(torch.func.grad(lambda x: two_point(x)[1, 2]))(m)
    expected = (torch.roll(m, (-1, -2), (1, 2)) + torch.roll(m, (1, 2), (1, 2))) / 30
    torch.testing.assert_close(gradient, expected)


def test_float32_under_autocast(images: Tensor) -> None:
    exact = two_point(images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert two_point(images).dtype == torch.float32
        torch.testing.assert_close(two_point(images), exact, atol=0, rtol=0)
    assert two_point(images.bfloat16()).dtype == torch.float32


def test_refuses() -> None:
    with pytest.raises(InputError, match="expected 3 spatial axes"):
        two_point(torch.zeros(4, 4), dims=3)
    with pytest.raises(InputError, match="expected equal spatial shapes"):
        cross_correlation(torch.zeros(4, 4), torch.zeros(4, 5))
