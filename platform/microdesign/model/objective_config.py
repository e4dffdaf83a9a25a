"""The settings of the training objective."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from microdesign.core.config import Config
from microdesign.model.losses.config import LossSettings, split_names


class ObjectiveConfig(Config):
    """Losses and their weights."""

    renamed: ClassVar[Mapping[str, str]] = {
        "concentration": "component_usage",
        "likeness": "component_diversity",
        "resemblance": "distribution_matching",
    }

    loss: str = Field(
        "mse+cess+lineal_path", description="reconstruction: names of losses, or module:name, joined by '+'"
    )
    weights: Mapping[str, float] = Field(
        {"mse": 0.1, "cess": 5.0, "lineal_path": 2.0},
        description="weight of a named loss where it is not 1; of others, ignored",
    )
    settings: LossSettings = Field(LossSettings(), description="settings of the losses")
    kl: Literal["monte_carlo", "bound"] = Field("monte_carlo", description="form of the KL divergence to the mixture")
    beta: float = Field(2e-4, ge=0, description="weight of the KL divergence, per nat")
    denoising: float = Field(
        1.0, ge=0, description="weight of the denoiser's cross entropy, for the decoder local_global"
    )
    fractions: float = Field(
        1.0, ge=0, description="weight of the squared error of volume fractions, for the decoder local_global"
    )
    gamma: float = Field(0.1, ge=0, description="weight of the regression term")
    consistency: float = Field(0.03, ge=0, description="weight of the errors of the decodes' properties")
    balance: float = Field(0.05, ge=0, description="weight of KL(mean component use || uniform), against collapse")
    component_usage: float = Field(
        0.02,
        ge=0,
        description="weight of KL(p(k|c) || uniform): components are there for every target, not each for its own",
    )
    component_diversity: float = Field(
        0.003, ge=0, description="weight of the similarity of two components' draws for the same properties"
    )
    distribution_matching: float = Field(
        0.05, ge=0, description="weight of the distance of draws from images as populations, in shapes and properties"
    )

    @field_validator("loss")
    @classmethod
    def _check_loss(cls, value: str) -> str:
        split_names(value)
        return value

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, value: Mapping[str, float]) -> Mapping[str, float]:
        for name, weight in value.items():
            if name != "clamp":
                split_names(name)
            if not (weight >= 0 and math.isfinite(weight)):
                raise ValueError(f"the weight {weight} of '{name}' is not supported; expected a number >= 0")
        return value
