"""Optimisers, and the course of the learning rate, by configuration."""

import math
from collections.abc import Iterable
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from microdesign.core.config import Config


class OptimizerConfig(Config):
    """How weights move; the learning rate itself stands in the loop and its phases."""

    kind: Literal["adamw", "radam", "adam", "sgd"] = Field("adamw", description="torch.optim's optimiser")
    weight_decay: float = Field(1e-4, ge=0, description="decoupled for adamw and radam, in the gradient for the others")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd; the others keep torch's defaults")
    course: Literal["one_cycle", "warm_restarts", "constant"] = Field(
        "one_cycle", description="of the learning rate over a phase: rise and half cosine; cosine with warm restarts"
    )
    warmup: float = Field(0.05, ge=0, lt=1, description="one_cycle: share of the phase in which the rate rises")
    period: float = Field(10, gt=0, description="warm_restarts: epochs between restarts (Loshchilov, Hutter 2016)")
    gradient_clip: float | None = Field(1.0, gt=0, description="largest norm of the gradient; null does not clip")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Returns the optimiser of the parameters; the loop sets its learning rate at each step."""
        decay = self.weight_decay
        if self.kind == "adamw":
            return torch.optim.AdamW(parameters, weight_decay=decay)
        if self.kind == "radam":
            return torch.optim.RAdam(parameters, weight_decay=decay, decoupled_weight_decay=True)
        if self.kind == "adam":
            return torch.optim.Adam(parameters, weight_decay=decay)
        return torch.optim.SGD(parameters, weight_decay=decay, momentum=self.momentum)

    def factor(self, progress: float, epochs: float) -> float:
        """Returns the factor of the learning rate.

        Args:
            progress: Share of the phase that is done, by steps or by the clock.
            epochs: Epochs of the phase that are done, a fraction within one.
        """
        if self.course == "constant":
            return 1.0
        if self.course == "warm_restarts":
            return 0.5 * (1 + math.cos(math.pi * (epochs % self.period) / self.period))
        if progress < self.warmup:
            return (progress + 1e-3) / (self.warmup + 1e-3)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - self.warmup) / (1 - self.warmup))))

    def clip(self, parameters: Iterable[nn.Parameter]) -> torch.Tensor:
        """Clips the gradients in place; returns their norm before."""
        limit = math.inf if self.gradient_clip is None else self.gradient_clip
        return nn.utils.clip_grad_norm_(parameters, limit)
