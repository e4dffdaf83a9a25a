"""The flow from noise to data, against the closed form of normal data."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from microdesign.model.networks.probability_flow import probability_flow, restarted_flow

SPREAD = 0.3
"""Standard deviation of the data."""


def uniform(start: float, steps: int) -> list[float]:
    return torch.linspace(start, 1.0, steps + 1, dtype=torch.float64).tolist()


def variance(t: float) -> float:
    """Of t x + (1 - t) noise."""
    return (t * SPREAD) ** 2 + (1 - t) ** 2


def clean(x: Tensor, t: float) -> Tensor:
    """The mean of normal data given x_t."""
    return t * SPREAD**2 / variance(t) * x


def error(times: Sequence[float]) -> float:
    """The flow keeps x_t / sqrt(variance(t)): relative error of the last estimate."""
    x = torch.ones(1, 1, 4, 4, dtype=torch.float64)
    last = times[-2]
    exact = clean(x * math.sqrt(variance(last) / variance(times[0])), last)
    return float((probability_flow(clean, x, times) / exact - 1).abs().max())


@pytest.mark.parametrize("start", [0.0, 0.15])
def test_it_is_of_second_order(start: float) -> None:
    """Up to a time of 0.9 that all have in common, so that twice the steps halve every step."""
    few, some, many = (
        error([*(0.9 * torch.tensor(uniform(start / 0.9, n), dtype=torch.float64)).tolist(), 1.0]) for n in (8, 64, 128)
    )
    assert few < 0.01  # steps of first order, without the extrapolation, give 0.11 and more
    assert some / many > 3.8


def test_a_single_step_is_the_estimate() -> None:
    x = torch.linspace(-1, 1, 16, dtype=torch.float64).reshape(1, 1, 4, 4)
    torch.testing.assert_close(probability_flow(clean, x, [0.5, 1.0]), clean(x, 0.5))


def test_a_constant_estimate_is_reached_exactly() -> None:
    found = probability_flow(lambda x, t: torch.full_like(x, 0.25), torch.randn(1, 1, 4, 4), uniform(0.1, 5))
    torch.testing.assert_close(found, torch.full_like(found, 0.25))


def test_passes_with_fresh_noise_come_to_the_distribution_of_the_data() -> None:
    """Each pass leaves the same share of what the variance is off, here fourfold at first."""
    stream = torch.Generator().manual_seed(0)
    first, last = 0.3, 0.6
    x = 2 * math.sqrt(variance(first)) * torch.randn(1, 1, 400, 400, generator=stream, dtype=torch.float64)
    noises = [torch.randn(x.shape, generator=stream, dtype=torch.float64) for _ in range(10)]
    times = torch.linspace(first, last, 33, dtype=torch.float64).tolist()
    share = (first / last) ** 2 * variance(last) / variance(first)
    for n in (0, 1, 2, 10):
        deviation = float(restarted_flow(clean, x, times, noises[:n]).std())
        assert deviation == pytest.approx(math.sqrt(variance(last) * (1 + 3 * share**n)), rel=0.005)
