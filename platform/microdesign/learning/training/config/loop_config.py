"""The settings of the training loop: what a sweep varies."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from microdesign.core.config import Config
from microdesign.learning.training.config.stages import Stage, StageConfig, resolve
from microdesign.learning.training.optimization import OptimizerConfig
from microdesign.model.model_config import ModelConfig
from microdesign.model.objective_config import ObjectiveConfig


class LoopConfig(Config):
    """Model, objective, optimizer, and how long to train."""

    renamed: ClassVar[Mapping[str, str]] = {
        "learning_rate": "optimizer.learning_rate",
        "learns": "trainable",
        "schedule": "stages",
    }

    model: ModelConfig = Field(ModelConfig(), description="architecture: networks and prior")
    objective: ObjectiveConfig = Field(ObjectiveConfig(), description="losses and their weights")
    optimizer: OptimizerConfig = Field(OptimizerConfig(), description="optimizer, learning rate and its schedule")
    trainable: Literal["all", "regressor"] = Field(
        "all", description="all weights, or the property regressor's alone: fine-tuning of a finished model (`start`)"
    )
    epochs: int = Field(20, ge=1, description="passes over the training split, in each stage that sets none")
    stages: tuple[StageConfig, ...] = Field(
        (), description="stages, such as mse and then cess_crop; each starts a new optimizer. Empty: a single one"
    )
    max_minutes: float | None = Field(
        None,
        gt=0,
        description="wall-time limit, shared by the stages in proportion to their epochs, the last of which it may cut "
        "short; schedules end within it",
    )
    batch_size: int = Field(64, ge=1, description="images per step and worker")
    bf16: bool = Field(
        True,
        description="bf16 autocast of the model, where the device has bf16 in hardware; losses are float32 always",
    )
    compile: bool = Field(False, description="torch.compile of the model, which takes minutes at first")
    checkpoint_minutes: float | None = Field(None, gt=0, description="time between checkpoints within an epoch")
    turns: bool | None = Field(
        None,
        description="whether training images are turned by quarters, and their properties with them; null: unless the "
        "images, or their phases, have a direction",
    )
    flips: bool | None = Field(
        None, description="whether training images are mirrored; null: unless they have a slanted direction"
    )
    shifts: bool = Field(True, description="whether periodic training images are shifted")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of weights, order, augmentation and latent draws")

    @model_validator(mode="after")
    def _check(self) -> Self:
        _ = self.resolved_stages
        if self.trainable == "regressor" and self.model.network.regressor != "own":
            raise ValueError(
                f"trainable regressor is not supported with model.network.regressor {self.model.network.regressor}, "
                "which shares the encoder's trunk; set model.network.regressor to own"
            )
        return self

    @property
    def resolved_stages(self) -> list[Stage]:
        """The stages with every setting resolved, one at least.

        Raises:
            InputError: A stage's objective is not valid.
        """
        return resolve(self.stages, self.epochs, self.objective, self.optimizer.learning_rate)

    @property
    def total_epochs(self) -> int:
        """Epochs of all stages."""
        return self.resolved_stages[-1].end

    def sources(self) -> dict[str, str]:
        """What the losses depend on besides this config, for the run's record.

        Raises:
            InputError: A loss of the user's own cannot be imported, or the style loss has no weights.
        """
        from microdesign.model.objective import Objective  # a config validates without torch

        return {name: of for stage in self.resolved_stages for name, of in Objective(stage.objective).sources.items()}
