"""Configuration of the experiment `reconstruction`."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from microdesign.core.config import Config
from microdesign.experiments.base.config import ExperimentConfig
from microdesign.experiments.base.trained_models import TrainedModels
from microdesign.microstructure.data.manifest import SplitName
from microdesign.model.losses.config import split_names


class CirclesConfig(Config):
    """The images of discs, and the gradient descent that reconstructs them."""

    size: int = Field(64, ge=16, description="pixels of the square images; a disc's radius is 20 of 224, in proportion")
    images: int = Field(4, ge=1, description="images of five discs")
    losses: tuple[str, ...] = Field(
        ("msess", "cess", "msess+clamp", "cess+clamp"), min_length=1, description="sums of losses, each on its own"
    )
    weights: Mapping[str, float] = Field({"msess": 100.0}, description="weight of a loss where it is not 1")
    clamp: float = Field(0.05, ge=0, description="weight that the clamp rises to over the second half of the descent")
    steps: int = Field(1500, ge=1, description="steps of Adam")
    learning_rate: float = Field(0.1, gt=0, description="of the logits of the pixels")
    starts: int = Field(4, ge=1, description="random starts of an image; the one of the lowest loss counts")
    seed: int = Field(0, ge=0, description="seed of the discs and of the starts")

    @field_validator("losses")
    @classmethod
    def _check(cls, losses: tuple[str, ...]) -> tuple[str, ...]:
        for loss in losses:
            split_names(loss)
        return losses


class LinesConfig(Config):
    """Two lines, and the spacings that they are compared at."""

    size: int = Field(224, ge=16, description="pixels of the square images")
    spacing: int = Field(100, ge=2, description="pixels from one line to the other")
    named: tuple[int, ...] = Field((101, 200), description="other spacings that the table shows")
    losses: tuple[str, ...] = Field(("mse", "msess", "cess", "cess_crop"), min_length=1, description="the losses")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for spacing in (self.spacing, *self.named):
            if not 0 < spacing < self.size:
                raise ValueError(f"spacing {spacing} does not fit; expected 1 to {self.size - 1} pixels")
        for loss in self.losses:
            if len(split_names(loss)) > 1:
                raise ValueError(f"the loss '{loss}' is a sum; expected single losses")
        return self


class ReconstructionExperiment(ExperimentConfig, TrainedModels):
    """The experiments on losses in the space of two-point statistics; images of two phases in two dimensions."""

    what: Literal["reconstruction"] = "reconstruction"
    folder: str = Field("runs/reconstruction", description="folder of tables, figures, scores and reconstructed discs")
    split: SplitName = Field("test", description="held-out split")
    circles: CirclesConfig | None = Field(CirclesConfig(), description="discs from their statistics; null: none")
    lines: LinesConfig | None = Field(LinesConfig(), description="spacing of lines; null: none")
