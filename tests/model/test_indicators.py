"""Indicators of phases: they agree with the container's, and probabilities are a partition of unity."""

import pytest
import torch

from microdesign.microstructure.data.container import Microstructures
from microdesign.model.indicators import all_phases, channels, indicators, probabilities

SHAPES = [(6, 5), (4, 5, 3)]


def labels(phases: int, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randint(phases, (3, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("phases", [2, 3, 5])
def test_indicators_are_those_of_the_container(phases: int, shape: tuple[int, ...]) -> None:
    drawn = labels(phases, shape)
    x = indicators(drawn, phases)
    assert x.shape == (3, channels(phases), *shape)
    torch.testing.assert_close(x, Microstructures(labels=drawn.numpy(), n_phases=phases).indicator(), rtol=0, atol=0)
    every = all_phases(x)
    assert every.shape == (3, phases, *shape)
    torch.testing.assert_close(every.argmax(1), drawn.long())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("phases", [2, 4])
def test_probabilities_sum_to_one_over_all_phases(phases: int, shape: tuple[int, ...]) -> None:
    logits = 3 * torch.randn(2, channels(phases), *shape, generator=torch.Generator().manual_seed(1))
    every = all_phases(probabilities(logits))
    assert (every >= 0).all()
    torch.testing.assert_close(every.sum(1), torch.ones(2, *shape))


def test_two_phases_are_a_softmax_of_zero_and_the_logit() -> None:
    logits = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    expected = torch.cat((torch.zeros_like(logits), logits), dim=1).softmax(1)
    torch.testing.assert_close(all_phases(probabilities(logits)), expected)
