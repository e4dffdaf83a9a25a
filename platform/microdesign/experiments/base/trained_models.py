"""The models of an experiment that compares several: settings of one training configuration, or given bundles."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from microdesign.core.config import Config, changed
from microdesign.core.errors import InputError
from microdesign.learning.training.config.train_config import TrainConfig

Models = Mapping[str, str | Mapping[str, Any]]


class TrainedModels(Config):
    """Models by name that share one training configuration but for the settings of each."""

    train: TrainConfig = Field(description="training configuration of all; each model's name is appended to its names")
    models: Models = Field(
        min_length=1,
        description="name -> settings of `train` by dotted name, such as loop.objective.loss; or a bundle folder or "
        "models:/NAME@ALIAS, which is not trained; the setting start may name a model that comes before",
    )

    @property
    def properties(self) -> tuple[str, ...]:
        """The properties that all predict.

        Raises:
            InputError: There are none.
        """
        if not self.train.properties:
            raise InputError(f"train.properties is empty; expected what the models of {self.train.dataset} predict.")
        return self.train.properties

    def training(self, name: str) -> TrainConfig:
        """The training of a model.

        Raises:
            InputError: It is not trained, or a setting is not valid.
        """
        settings = self.models[name]
        if isinstance(settings, str):
            raise InputError(f"models.{name}: is {settings}, which is trained already; expected settings.")
        named = {
            "name": f"{self.train.name}-{name}",
            "tracking.register_as": f"{self.train.tracking.register_as}-{name}",
        }
        return changed(self.train, named | dict(settings), f"models.{name}")
