"""Indicators of phases: they agree with the container's, and probabilities are a partition of unity."""

import torch

from microdesign.microstructure.data.channels import channels
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.indicators import all_phases, indicators, labels_of, one_hot, probabilities

CASES = [(phases, shape) for phases in (2, 3, 5) for shape in ((6, 5), (4, 5, 3))]


def test_indicators_are_those_of_the_container_and_come_back_as_labels() -> None:
    for phases, shape in CASES:
        case, stream = f"{phases} phases, {shape}", torch.Generator().manual_seed(0)
        drawn = torch.randint(phases, (3, *shape), generator=stream, dtype=torch.uint8)
        x, every = indicators(drawn, phases), one_hot(drawn, phases)
        assert x.shape == (3, channels(phases), *shape), case
        assert torch.equal(x, Microstructures(labels=drawn.numpy(), n_phases=phases).indicator()), case
        assert torch.equal(all_phases(x), every), case
        assert torch.equal(every.argmax(1), drawn.long()), case
        assert torch.equal(labels_of(x), drawn), case


def test_probabilities_sum_to_one_over_all_phases() -> None:
    for phases, shape in CASES:
        logits = 3 * torch.randn(2, channels(phases), *shape, generator=torch.Generator().manual_seed(1))
        every = all_phases(probabilities(logits))
        assert (every >= 0).all()
        torch.testing.assert_close(every.sum(1), torch.ones(2, *shape))


def test_two_phases_are_a_softmax_of_zero_and_the_logit() -> None:
    logits = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    expected = torch.cat((torch.zeros_like(logits), logits), dim=1).softmax(1)
    torch.testing.assert_close(all_phases(probabilities(logits)), expected)
