"""The models of an experiment that compares several: trained by itself one by one, or taken from elsewhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from microdesign.config import Config, changed
from microdesign.design.surrogates import load_model
from microdesign.errors import InputError
from microdesign.learning.train import train
from microdesign.learning.train_config import TrainConfig
from microdesign.model.bundle import Bundle, load_bundle
from microdesign.model.losses import split_names
from microdesign.progress import Progress

Models = Mapping[str, str | Mapping[str, Any]]


class TrainedModels(Config):
    """Models by name, all of one training but for what is said of each."""

    train: TrainConfig = Field(description="the training that all share; a model's name is added to its names")
    models: Models = Field(
        min_length=1,
        description="name -> settings of `train` by dotted name, such as loop.objective.loss; or a bundle folder or "
        "models:/NAME@ALIAS, which is not trained; the setting start may name a model that is trained before",
    )

    def training(self, name: str) -> TrainConfig:
        """The training of a model.

        Raises:
            InputError: It is not trained, or a setting is not valid.
        """
        settings = self.models[name]
        if isinstance(settings, str):
            raise InputError(f"models.{name}: is {settings}, which is trained already; expected settings.")
        named = {"name": f"{self.train.name}-{name}", "register_as": f"{self.train.register_as}-{name}"}
        return changed(self.train, named | dict(settings), f"models.{name}")

    def bundles(self, cache: Path, uri: str, progress: Progress) -> tuple[dict[str, Bundle], dict[str, str]]:
        """Trains what is not trained yet, each as `microdesign train` does; goes on with what was killed.

        Returns:
            The models by name, and why those are left out that need the style loss where its weights are not installed.

        Raises:
            InputError: A setting is not valid (said before anything is trained), or a data set or bundle is missing.
            MicrodesignError: A training failed.
        """
        trainings = {name: self.training(name) for name, given in self.models.items() if not isinstance(given, str)}
        order = list(self.models)
        for name, each in trainings.items():
            if each.start in order and (each.start not in trainings or order.index(each.start) >= order.index(name)):
                raise InputError(f"models.{name}: starts from {each.start}, which is not trained before it.")
        left_out = {name: reason for name, each in trainings.items() if (reason := _lacks_style_weights(each))}
        for name, reason in left_out.items():
            progress(f"model {name} is left out: {reason}")
        bundles: dict[str, Bundle] = {}
        folders: dict[str | None, str] = {}
        for name, given in self.models.items():
            if isinstance(given, str):
                bundles[name] = load_model(given, cache, uri)
            elif name not in left_out:
                progress(f"model {name}")
                training = trainings[name]
                folder = train(
                    training.model_copy(update={"start": folders.get(training.start, training.start)}), progress, uri
                )
                bundles[name], folders[name] = load_bundle(folder), str(folder)
        return bundles, left_out


def _lacks_style_weights(training: TrainConfig) -> str:
    """Why a training that takes the style loss's default weights cannot have them; empty if it can or need not."""
    objectives = [phase.objective for phase in training.loop.phases]
    if not any("style" in split_names(each.loss) and each.settings.style.weights is None for each in objectives):
        return ""
    try:
        training.loop.sources()
    except InputError as error:
        return str(error)
    return ""
