import numpy as np
import pytest
import torch
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.statistics.similarity import (
    nearest_rms_distance,
    relative_distance,
    rms_distance,
    sampled_two_point,
    two_point_distance,
)
from microdesign.microstructure.statistics.two_point import two_point


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


def test_the_relative_distance_of_half_filled_stripes_across_and_along() -> None:
    """The normalised autocovariance is a triangle wave r from 1 to -1 of mean square 1/3 + 2 / (3 n^2), n the width."""
    width = 16
    stripes = (torch.arange(64) % (2 * width) < width).double()[:, None].expand(64, 64)
    expected = (2 * (1 / 3 + 2 / (3 * width**2))) ** 0.5
    f, g = two_point(stripes), two_point(stripes.T)
    torch.testing.assert_close(relative_distance(f, g), torch.tensor(expected, dtype=torch.float64))
    assert relative_distance(f, two_point(stripes.roll(3, 0))) < 1e-12


def test_sampled_statistics_are_those_of_dyadic_offsets() -> None:
    stream = np.random.default_rng(3)
    for shape, phases in [((16, 16), 2), ((8, 8, 8), 2), ((12, 15), 3)]:
        images = Microstructures(labels=stream.integers(0, phases, (70, *shape)), n_phases=phases)
        found = sampled_two_point(images)
        full = two_point(images.indicator(), len(shape))
        first = full[:, 0] if phases == 2 else full[:, 1]
        assert len(found) == 70
        torch.testing.assert_close(found[:, 0], first.flatten(1)[:, 0])
        expected = {round(float(value), 5) for value in first[0].flatten()}
        own = found[0, : found.shape[1] // (phases - 1)]
        assert {round(float(value), 5) for value in own} <= expected
        rolled = Microstructures(labels=np.roll(images.labels, (3, 5), axis=(1, 2)), n_phases=phases)
        torch.testing.assert_close(sampled_two_point(rolled), found, atol=1e-6, rtol=0)
        nearest = nearest_rms_distance(found[:40], found[20:])
        by_pairs = rms_distance(found[:40, None], found[None, 20:], dims=1).min(dim=1).values
        # cdist multiplies matrices: near zero it is off by the root of the rounding.
        torch.testing.assert_close(nearest, by_pairs, atol=2e-3, rtol=0)


def test_gradients() -> None:
    m = torch.rand(1, 6, 6, dtype=torch.float64, requires_grad=True)
    other = torch.rand(1, 6, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: two_point_distance(x, other), m)
    # Its slope at zero is taken as zero.
    (gradient,) = torch.autograd.grad(two_point_distance(m, m.detach()).sum(), m)
    assert torch.equal(gradient, torch.zeros_like(m))


def test_refuses_unequal_grids() -> None:
    with pytest.raises(InputError, match="expected equal spatial shapes"):
        two_point_distance(torch.zeros(4, 4), torch.zeros(4, 5))
