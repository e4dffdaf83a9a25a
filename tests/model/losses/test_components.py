"""The losses on components of a mixture: what each of them is zero for."""

import math

import pytest
import torch

from microdesign.model.binarization import binarize_straight_through
from microdesign.model.losses.components import component_diversity, component_usage, imbalance
from microdesign.model.prior.mixture import Mixture


def corners(n: int) -> Mixture:
    """Four far components at equal weight, the same for each of n samples."""
    mean = torch.tensor([[9.0, 9.0], [9.0, -9.0], [-9.0, 9.0], [-9.0, -9.0]]).expand(n, 4, 2)
    return Mixture(torch.full((n, 4), math.log(0.25)), mean, torch.zeros(n, 4, 2))


def test_imbalance_counts_the_components_in_use() -> None:
    prior = corners(4)
    for used, expected in (((0, 1, 2, 3), 0.0), ((0, 0, 1, 1), math.log(2)), ((0, 0, 0, 0), math.log(4))):
        assert imbalance(prior, prior.mean[0, list(used)]).item() == pytest.approx(expected, abs=1e-5), used


def test_imbalance_is_zero_where_components_coincide() -> None:
    same = Mixture(torch.full((5, 3), math.log(1 / 3)), torch.zeros(5, 3, 2), torch.zeros(5, 3, 2))
    assert imbalance(same, torch.randn(5, 2)).item() == pytest.approx(0, abs=1e-6)


def test_component_usage_of_even_weights_is_zero_and_of_a_sole_component_log_k() -> None:
    even = torch.full((3, 4), 0.25).log()
    sole = torch.tensor([[1.0, 0.0, 0.0, 0.0]]).clamp_min(1e-30).log()
    zeros = torch.zeros(3, 4, 2)
    assert component_usage(Mixture(even, zeros, zeros)).item() == pytest.approx(0, abs=1e-6)
    assert component_usage(Mixture(sole, zeros[:1], zeros[:1])).item() == pytest.approx(math.log(4))
    mixed = Mixture(torch.cat((even[:1], sole)), zeros[:2], zeros[:2])
    assert component_usage(mixed).item() == pytest.approx(math.log(4) / 2)


def stripes(width: int, axis: int) -> torch.Tensor:
    """Stripes of period 16 across an axis, `(1, 32, 32)`."""
    x = (torch.arange(32) % 16 < width).float()
    return (x[:, None] if axis == 0 else x[None, :]).expand(1, 32, 32)


def test_component_diversity_of_equal_statistics_is_one_and_of_distinct_ones_zero() -> None:
    pair = torch.tensor([[0, 1]])
    shifted = stripes(8, 0).roll(5, 1)
    assert component_diversity(torch.stack((stripes(8, 0), shifted)), pair) == 1
    turned = torch.stack((stripes(8, 0), stripes(8, 1)))
    assert component_diversity(turned, pair) == 0
    near = torch.stack((stripes(8, 0), stripes(7, 0)))
    assert 0 < component_diversity(near, pair) < 1
    both = torch.cat((near, turned))
    expected = component_diversity(near, pair) / 2
    torch.testing.assert_close(component_diversity(both, torch.tensor([[0, 1], [2, 3]])), expected)


def test_component_diversity_drives_draws_apart() -> None:
    logits = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    pair = torch.tensor([[0, 1]])
    optimizer = torch.optim.Adam([logits], 0.1)
    before = component_diversity(binarize_straight_through(logits.sigmoid()), pair).item()
    for _ in range(60):
        optimizer.zero_grad()
        component_diversity(binarize_straight_through(logits.sigmoid()), pair).backward()
        optimizer.step()
    assert component_diversity(binarize_straight_through(logits.sigmoid()), pair).item() < before - 0.1
