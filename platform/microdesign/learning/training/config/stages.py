"""Stages of a training: parts that follow each other, each with an objective and a learning rate of its own."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import Field

from microdesign.core.config import Config, changed, flatten
from microdesign.model.objective_config import ObjectiveConfig


class StageConfig(Config):
    """Where a stage differs from the loop's own settings."""

    epochs: int | None = Field(None, ge=1, description="passes over the training split; null: the loop's epochs")
    objective: Mapping[str, Any] = Field({}, description="settings that differ from the loop's objective")
    learning_rate: float | None = Field(None, gt=0, description="peak of the learning rate; null: the optimizer's")


class Stage(NamedTuple):
    """A stage with every setting resolved.

    Attributes:
        start, epochs: Its first epoch, counted over the whole run, and its number of epochs.
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


def resolve(
    stages: Sequence[StageConfig], epochs: int, objective: ObjectiveConfig, learning_rate: float
) -> list[Stage]:
    """Fills in what the stages leave open.

    Args:
        stages: The stages; without any there is a single one.
        epochs: Of a stage that gives none.
        objective: What a stage's own settings are merged into, section by section.
        learning_rate: Of a stage that gives none.

    Raises:
        InputError: A stage's objective is not valid.
    """
    resolved: list[Stage] = []
    for index, each in enumerate(stages or (StageConfig(),)):
        resolved.append(
            Stage(
                start=resolved[-1].end if resolved else 0,
                epochs=each.epochs or epochs,
                objective=changed(objective, flatten(each.objective), f"stages.{index}.objective"),
                learning_rate=each.learning_rate or learning_rate,
            )
        )
    return resolved
