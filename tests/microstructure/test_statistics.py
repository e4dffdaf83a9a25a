import math

import numpy as np
import pytest
import torch
from torch import Tensor

from microdesign.errors import InputError
from microdesign.microstructure.container import Microstructures
from microdesign.microstructure.generators import generate
from microdesign.microstructure.statistics import (
    rms_distance,
    specific_surface,
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
    (gradient,) = torch.autograd.grad(two_point_distance(m, m.detach()).sum(), m)
    assert torch.equal(gradient, torch.zeros_like(m))


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
        two_point_distance(torch.zeros(4, 4), torch.zeros(4, 5))
