import math

import numpy as np
import pytest
import torch
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.generators import generate
from microdesign.microstructure.statistics.two_point import (
    anisotropy,
    cross_correlation,
    normalized_two_point,
    radial_average,
    relative_distance,
    rms_distance,
    specific_surface,
    structure_tensor,
    surface_by_axis,
    two_point,
    two_point_distance,
    two_point_set,
    volume_fractions,
)


@pytest.fixture
def images() -> Tensor:
    return Microstructures.concatenate(
        [generate(family, 0, 3, 32, seed=0) for family in ("GRF", "AngEllipse", "VoronoiMedium")]
    ).indicator()


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


def test_surface_of_a_disc() -> None:
    x, y = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    disc = torch.from_numpy(((x - 127.5) ** 2 + (y - 127.5) ** 2 < 80**2).astype(np.float32))
    assert specific_surface(disc).item() * math.pi / 4 == pytest.approx(2 * math.pi * 80 / 256**2, rel=0.01)


@pytest.mark.parametrize("soft", [False, True])
def test_two_phase_set_sums_to_one_and_equals_the_general_one(images: Tensor, soft: bool) -> None:
    m = images.double()
    if soft:
        m = 0.1 + 0.7 * m
    derived = two_point_set(m)
    assert derived.shape == (9, 2, 2, 32, 32)
    torch.testing.assert_close(derived.sum(dim=(1, 2)), torch.ones(9, 32, 32, dtype=torch.float64))
    torch.testing.assert_close(derived, two_point_set(torch.cat((1 - m, m), dim=1)))


def test_three_phases_sum_to_one_and_swap_with_the_offset() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (2, 8, 6))
    f = two_point_set(Microstructures(labels=labels, n_phases=3).indicator())
    torch.testing.assert_close(f.sum(dim=(1, 2)), torch.ones(2, 8, 6))
    reversed_offsets = torch.roll(f.flip(-2, -1), (1, 1), (-2, -1))
    torch.testing.assert_close(f.transpose(1, 2), reversed_offsets)
    first = torch.from_numpy(labels == 0).float()
    second = torch.from_numpy(labels == 1).float()
    direct = (first * torch.roll(second, (-2, -3), (1, 2))).mean(dim=(1, 2))
    torch.testing.assert_close(f[:, 0, 1, 2, 3], direct)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (2, 2), (7, 4), (3, 5, 2), (4, 1, 3), (4, 2, 5), (6,)])
def test_every_parity_of_the_sides(shape: tuple[int, ...]) -> None:
    m = torch.rand(3, *shape, dtype=torch.float64)
    axes = tuple(range(1, len(shape) + 1))
    f = two_point(m, dims=len(shape))
    for offset in np.ndindex(*shape):
        direct = (m * torch.roll(m, tuple(-r for r in offset), axes)).mean(dim=axes)
        torch.testing.assert_close(f[:, *offset], direct)


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


def stripes_at(angle: float, period: float, size: int) -> Tensor:
    """Stripes whose normal is at `angle` from x; not periodic unless the angle suits."""
    x, y = torch.meshgrid(torch.arange(size).double(), torch.arange(size).double(), indexing="ij")
    return ((x * math.cos(angle) + y * math.sin(angle)) / period % 1 < 0.5).double()


def test_anisotropy() -> None:
    for period in (2, 4, 16):
        for m in (stripes_at(0, period, 32), stripes_at(math.pi / 2, period, 32)):
            assert anisotropy(m).item() == pytest.approx(1)
    slanted = stripes_at(math.atan2(3, 1), 32 / math.sqrt(10), 64)
    assert anisotropy(slanted, sigma=2).item() > 0.99
    normal = torch.linalg.eigh(structure_tensor(slanted, sigma=2)).eigenvectors[:, -1]
    assert abs(normal[1] / normal[0]).item() == pytest.approx(3, rel=0.02)
    x, y = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    assert anisotropy(((x // 4 + y // 4) % 2).double()).item() == pytest.approx(0, abs=1e-9)
    disc = ((x - 15.5) ** 2 + (y - 15.5) ** 2 < 80).float()
    flat = ((x - 15.5) ** 2 / 4 + (y - 15.5) ** 2 < 25).float()
    assert anisotropy(disc).item() == pytest.approx(0, abs=1e-5)
    assert 0.3 < anisotropy(flat).item() < 0.95
    torch.testing.assert_close(anisotropy(flat), anisotropy(1 - flat))
    torch.testing.assert_close(anisotropy(flat), anisotropy(flat.T.roll(5, 0)))
    assert not anisotropy(torch.ones(2, 8, 8)).any()
    layers = (torch.arange(8) % 4 < 2)[:, None, None].expand(8, 6, 5).double()
    assert anisotropy(layers, dims=3).item() == pytest.approx(1)


def test_structure_tensor_of_a_wave() -> None:
    # m = sin(a x + b y): the gradient's mean outer product is (a, b) (a, b) / 2, damped by the smoothing.
    x, y = torch.meshgrid(torch.arange(20).double(), torch.arange(30).double(), indexing="ij")
    a, b = 2 * math.pi * 3 / 20, -2 * math.pi * 2 / 30
    wave = torch.sin(a * x + b * y)
    expected = torch.tensor([[a * a, a * b], [a * b, b * b]]).double() / 2 * math.exp(-0.25 * (a**2 + b**2))
    torch.testing.assert_close(structure_tensor(wave, sigma=0.5), expected)


def test_surface_by_axis() -> None:
    m = torch.zeros(6, 5, 4)
    m[1:3, 1:4, :] = 1
    torch.testing.assert_close(surface_by_axis(m, dims=3, pixel_size=2.0) * 120, torch.tensor([12.0, 8.0, 0.0]))


def test_distance_is_symmetric_and_blind_to_shifts(images: Tensor) -> None:
    pairs = two_point_distance(images[:, None], images[None])
    assert pairs.shape == (9, 9, 1)
    torch.testing.assert_close(pairs, pairs.transpose(0, 1))
    assert pairs.diagonal().abs().max() < 1e-6
    assert two_point_distance(images, torch.roll(images, 7, -1)).max() < 1e-6
    off_diagonal = pairs[..., 0][~torch.eye(9, dtype=torch.bool)]
    assert off_diagonal.min() > 1e-3
    f = two_point(images)
    torch.testing.assert_close(rms_distance(f[:1], f), pairs[0])


def test_gradients() -> None:
    m = torch.rand(1, 6, 6, dtype=torch.float64, requires_grad=True)
    other = torch.rand(1, 6, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(two_point, m)
    assert torch.autograd.gradcheck(lambda x: two_point_distance(x, other), m)
    assert torch.autograd.gradcheck(specific_surface, m)
    assert torch.autograd.gradcheck(lambda x: two_point_set(x[:, None]), m)
    assert torch.autograd.gradcheck(normalized_two_point, m)
    assert torch.autograd.gradcheck(lambda x: cross_correlation(x, other), m)
    assert torch.autograd.gradcheck(lambda x: radial_average(two_point(x))[1], m)
    assert torch.autograd.gradcheck(structure_tensor, m)
    assert torch.autograd.gradcheck(anisotropy, m)
    volume = torch.rand(2, 3, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: two_point(x, dims=3), volume)
    assert torch.autograd.gradcheck(lambda x: two_point_set(x, dims=3), volume)
    assert torch.autograd.gradgradcheck(two_point, m)
    assert torch.autograd.gradgradcheck(lambda x: two_point_set(x[:, None]), m)
    (gradient,) = torch.autograd.grad(two_point_distance(m, m.detach()).sum(), m)
    assert torch.equal(gradient, torch.zeros_like(m))


def test_under_function_transforms() -> None:
    m = torch.rand(3, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(torch.func.vmap(two_point)(m), two_point(m))
    torch.testing.assert_close(torch.func.vmap(two_point_set)(m[:, None, None])[:, 0], two_point_set(m[:, None]))
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
    with pytest.raises(InputError, match=r"expected \(B, P, \*N\)"):
        two_point_set(torch.zeros(4, 4))
    with pytest.raises(InputError, match="do not compare"):
        cross_correlation(torch.zeros(4, 4), torch.zeros(4, 5))
    with pytest.raises(InputError, match="do not compare"):
        two_point_distance(torch.zeros(4, 4), torch.zeros(4, 5))


def test_the_relative_distance_of_half_filled_stripes_across_and_along() -> None:
    """The normalised autocovariance is a triangle wave r from 1 to -1 of mean square 1/3 + 2 / (3 n^2), n the width."""
    width = 16
    stripes = (torch.arange(64) % (2 * width) < width).double()[:, None].expand(64, 64)
    expected = (2 * (1 / 3 + 2 / (3 * width**2))) ** 0.5
    f, g = two_point(stripes), two_point(stripes.T)
    torch.testing.assert_close(relative_distance(f, g), torch.tensor(expected, dtype=torch.float64))
    assert relative_distance(f, two_point(stripes.roll(3, 0))) < 1e-12
