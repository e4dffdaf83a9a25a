"""What a training run does one after the other: the loop's config, and the phases that it comes down to."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from microdesign.core.config import Config, validate_config
from microdesign.learning.training.optimization import OptimizerConfig
from microdesign.model.objective import Objective, ObjectiveConfig
from microdesign.model.vae import ModelConfig


class PhaseConfig(Config):
    """Where a phase differs from the loop's own settings."""

    epochs: int | None = Field(None, ge=1, description="passes over the training split; null: the loop's epochs")
    objective: Mapping[str, Any] = Field({}, description="settings that differ from the loop's objective")
    learning_rate: float | None = Field(None, gt=0, description="peak of the learning rate; null: the loop's")


class Phase(NamedTuple):
    """A phase with everything settled.

    Attributes:
        start, epochs: Its first epoch, counted over the whole run, and how many follow.
        objective: What it minimises.
        learning_rate: Peak of its learning rate.
    """

    start: int
    epochs: int
    objective: ObjectiveConfig
    learning_rate: float

    @property
    def end(self) -> int:
        """The epoch after its last."""
        return self.start + self.epochs


class LoopConfig(Config):
    """Model, objective and optimiser: what a sweep varies."""

    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    epochs: int = Field(20, ge=1, description="passes over the training split, in each phase that sets none")
    schedule: tuple[PhaseConfig, ...] = Field(
        (), description="phases, such as mse and then cess_crop; each starts a new optimiser. None: a single one"
    )
    max_minutes: float | None = Field(
        None, gt=0, description="wall-time limit, shared by the phases as the epochs are; the rate then falls within it"
    )
    batch_size: int = Field(64, ge=1, description="images per step and worker")
    learning_rate: float = Field(2e-3, gt=0, description="peak of the learning rate")
    learns: Literal["all", "regressor"] = Field(
        "all", description="what is trained: everything, or of a finished model (`start`) the property regressor alone"
    )
    optimizer: OptimizerConfig = OptimizerConfig()
    bf16: bool = Field(True, description="bf16 autocast of the model; losses are float32 always")
    compile: bool = Field(False, description="torch.compile of the model, which takes minutes at first")
    checkpoint_minutes: float | None = Field(None, gt=0, description="time between checkpoints within an epoch")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of weights, order, augmentation and latent draws")

    @model_validator(mode="after")
    def _check(self) -> Self:
        _ = self.phases
        if self.learns == "regressor" and self.model.network.regressor != "own":
            raise ValueError(
                f"learns regressor is not supported with model.network.regressor {self.model.network.regressor}: "
                "it would change what the encoder sees; set model.network.regressor to own"
            )
        return self

    @property
    def phases(self) -> list[Phase]:
        """The phases of the schedule, or the one that the loop itself describes.

        Raises:
            InputError: A phase's objective is not valid.
        """
        phases: list[Phase] = []
        for index, each in enumerate(self.schedule or (PhaseConfig(),)):
            values = _merged(self.objective.model_dump(mode="json"), each.objective)
            phases.append(
                Phase(
                    start=phases[-1].end if phases else 0,
                    epochs=each.epochs or self.epochs,
                    objective=validate_config(ObjectiveConfig, values, f"schedule.{index}.objective"),
                    learning_rate=each.learning_rate or self.learning_rate,
                )
            )
        return phases

    @property
    def total_epochs(self) -> int:
        """Epochs of all phases."""
        return self.phases[-1].end

    def sources(self) -> dict[str, str]:
        """What the losses depend on besides this config, for the run's record.

        Raises:
            InputError: A loss of the user's own cannot be imported, or the style loss has no weights.
        """
        return {name: source for phase in self.phases for name, source in Objective(phase.objective).sources.items()}


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with `changes` put in, section by section."""
    merged = dict(values)
    for name, change in changes.items():
        inside = merged.get(name)
        merged[name] = _merged(inside, change) if isinstance(inside, dict) and isinstance(change, Mapping) else change
    return merged
