"""Optimizers and learning-rate schedules by configuration."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from microdesign.learning.training.optimization import LearningRateSchedule, OptimizerConfig


def optimizer(**settings: object) -> OptimizerConfig:
    return OptimizerConfig.model_validate(settings)


def test_one_cycle() -> None:
    for warmup in (0.0, 0.05, 0.5):
        factor = partial(LearningRateSchedule(warmup=warmup).factor, epochs=0)
        assert factor(warmup) == pytest.approx(1)
        assert factor(1) == pytest.approx(0)
        assert factor(2) == pytest.approx(0)
        assert factor(warmup + (1 - warmup) / 2) == pytest.approx(0.5)
        rates = [factor(progress) for progress in np.linspace(0, 1, 101)]
        assert all(0 <= rate <= 1 for rate in rates)
        assert rates[0] > 0
        peak = int(np.argmax(rates))
        assert rates[: peak + 1] == sorted(rates[: peak + 1])
        assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_warm_restarts_are_torchs() -> None:
    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(theirs, T_0=10)
    ours = LearningRateSchedule(kind="warm_restarts", period=10)
    for step in range(120):
        theirs.step()
        scheduler.step(step / 4)
        assert ours.factor(0.3, step / 4) == pytest.approx(theirs.param_groups[0]["lr"], abs=1e-12)


def test_constant() -> None:
    assert {LearningRateSchedule(kind="constant").factor(progress, 3) for progress in (0, 0.5, 1)} == {1.0}


def test_optimizers_lower_a_quadratic() -> None:
    for kind in ("adamw", "radam", "adam", "sgd"):
        weights = torch.nn.Parameter(torch.ones(3))
        built = optimizer(kind=kind).build([weights])
        assert type(built).__name__.lower() == kind
        for group in built.param_groups:
            group["lr"] = 0.05
        for _ in range(100):
            built.zero_grad()
            weights.square().sum().backward()
            built.step()
        assert weights.detach().norm() < 0.3, kind


def test_weight_decay_is_decoupled_where_it_says_so() -> None:
    """At zero gradient a decoupled decay takes rate x decay of a weight; sgd's does too, adam's a full step."""
    for kind, expected in (("adamw", 0.999), ("radam", 0.999), ("adam", 0.99), ("sgd", 0.999)):
        weights = torch.nn.Parameter(torch.ones(1))
        built = optimizer(kind=kind, weight_decay=0.1, momentum=0).build([weights])
        built.param_groups[0]["lr"] = 0.01
        weights.grad = torch.zeros(1)
        built.step()
        assert weights.item() == pytest.approx(expected, rel=1e-5), kind


def test_gradients_are_clipped() -> None:
    for clip, norm in ((1.0, 1.0), (10.0, 5.0), (None, 5.0)):
        weights = torch.nn.Parameter(torch.zeros(2))
        weights.grad = torch.tensor([3.0, 4.0])
        assert optimizer(gradient_clip=clip).clip([weights]).item() == pytest.approx(5)
        assert weights.grad.norm().item() == pytest.approx(norm)
        weights.grad = torch.tensor([3.0, math.nan])
        assert optimizer(gradient_clip=clip).clip([weights]).isnan()
