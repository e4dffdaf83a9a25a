"""Optimizers and learning-rate schedules, by configuration."""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from microdesign.core.config import Config

if TYPE_CHECKING:
    import torch


class LearningRateSchedule(Config):
    """How the learning rate changes over a stage of training."""

    kind: Literal["one_cycle", "warm_restarts", "constant"] = Field(
        "one_cycle", description="linear rise, then half a cosine to 0; cosine with warm restarts; no change"
    )
    warmup: float = Field(0.05, ge=0, lt=1, description="one_cycle: share of the stage in which the rate rises")
    period: float = Field(10, gt=0, description="warm_restarts: epochs between restarts (Loshchilov, Hutter 2016)")

    def factor(self, progress: float, epochs: float) -> float:
        """Returns the factor of the learning rate, from 0 to 1.

        Args:
            progress: Share of the stage that is done, by steps or by the clock.
            epochs: Epochs of the stage that are done, a fraction within one.
        """
        if self.kind == "constant":
            return 1.0
        if self.kind == "warm_restarts":
            return 0.5 * (1 + math.cos(math.pi * (epochs % self.period) / self.period))
        if progress < self.warmup:
            return (progress + 1e-3) / (self.warmup + 1e-3)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - self.warmup) / (1 - self.warmup))))


class OptimizerConfig(Config):
    """How the weights are updated."""

    renamed: ClassVar[Mapping[str, str]] = {
        "course": "schedule.kind",
        "warmup": "schedule.warmup",
        "period": "schedule.period",
    }

    kind: Literal["adamw", "radam", "adam", "sgd"] = Field("adamw", description="torch.optim's optimizer")
    learning_rate: float = Field(2e-3, gt=0, description="peak of the learning rate")
    pretrained: float = Field(
        0.05,
        gt=0,
        le=1,
        description="factor of the learning rate for encoder and decoder where these start from a model of images: the "
        "smaller it is, the truer their draws stay to images; larger where these are unlike the ones it knows",
    )
    schedule: LearningRateSchedule = Field(LearningRateSchedule(), description="how the rate changes over a stage")
    weight_decay: float = Field(1e-4, ge=0, description="decoupled for adamw and radam, in the gradient for the others")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd; the others keep torch's defaults")
    gradient_clip: float | None = Field(1.0, gt=0, description="largest norm of the gradient; null does not clip")

    def build(self, parameters: "Iterable[torch.nn.Parameter] | Iterable[dict[str, Any]]") -> "torch.optim.Optimizer":
        """Returns the optimizer of the parameters, or of groups of them; the loop sets their learning rate."""
        import torch  # a config validates without it

        decay = self.weight_decay
        if self.kind == "adamw":
            return torch.optim.AdamW(parameters, weight_decay=decay)
        if self.kind == "radam":
            return torch.optim.RAdam(parameters, weight_decay=decay, decoupled_weight_decay=True)
        if self.kind == "adam":
            return torch.optim.Adam(parameters, weight_decay=decay)
        return torch.optim.SGD(parameters, weight_decay=decay, momentum=self.momentum)

    def clip(self, parameters: "Iterable[torch.nn.Parameter]") -> "torch.Tensor":
        """Clips the gradients in place; returns their norm before."""
        import torch

        limit = math.inf if self.gradient_clip is None else self.gradient_clip
        return torch.nn.utils.clip_grad_norm_(parameters, limit)
