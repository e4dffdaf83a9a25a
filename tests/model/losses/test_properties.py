"""The losses on properties against the likelihood and against relative errors worked out by hand."""

import pytest
import torch

from microdesign.model.losses.properties import LARGE, consistency, regression
from microdesign.model.prior.mixture import Gaussian
from microdesign.model.standardization import Standardization


def test_regression_at_unit_deviation_is_the_gaussian_likelihood() -> None:
    c, mean = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))
    expected = -torch.distributions.Normal(mean, 1.0).log_prob(c).mean()
    torch.testing.assert_close(regression(Gaussian(mean, torch.zeros(6, 3)), c), expected)


def test_regression_weights_by_a_detached_deviation() -> None:
    stream = torch.Generator().manual_seed(0)
    c, mean, log_std = torch.randn(3, 6, 3, generator=stream)
    mean.requires_grad_()
    log_std.requires_grad_()
    regression(Gaussian(mean, log_std), c).backward()
    std, error = log_std.detach().exp(), c - mean.detach()
    torch.testing.assert_close(mean.grad, -error / std / mean.numel())
    torch.testing.assert_close(log_std.grad, std * (1 - (error / std) ** 2) / mean.numel())


def test_consistency_counts_relative_errors() -> None:
    """The same relative error of a stiffness and of a Poisson's ratio costs the same, whatever their spreads."""
    standardization = Standardization(names=("Ex", "vxy"), units=("", ""), offsets=(1.0, 0.3), scales=(2.0, 0.03))
    c = torch.zeros(1, 2)  # Ex = e, vxy = 0.3
    predicted = torch.tensor([[0.05 / 2.0, 0.05 * 0.3 / 0.03]])
    expected = (1 + (0.05 / LARGE) ** 2) ** 0.5 - 1
    assert consistency(predicted, c, standardization).item() == pytest.approx(expected, rel=1e-5)
    small = consistency(predicted[:, :1] * 1e-2, c[:, :1]).item()
    assert small == pytest.approx(0.5 * (0.05 / 2.0 * 1e-2 / LARGE) ** 2, rel=1e-2)
