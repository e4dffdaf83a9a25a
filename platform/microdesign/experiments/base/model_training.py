"""Trains the models of an experiment, or opens those that are given."""

from pathlib import Path

from microdesign.core.errors import InputError
from microdesign.core.progress import Progress
from microdesign.experiments.base.trained_models import TrainedModels
from microdesign.learning.models import load_model
from microdesign.learning.training.config.train_config import TrainConfig
from microdesign.learning.training.registration import NotRegisteredError
from microdesign.learning.training.train import train
from microdesign.model.bundle import Bundle, load_bundle
from microdesign.model.losses.config import split_names


def train_models(
    config: TrainedModels, cache: Path, uri: str, progress: Progress
) -> tuple[dict[str, Bundle], dict[str, str]]:
    """Trains the models that are not trained yet, each as `microdesign train` does; continues stopped trainings.

    Returns:
        The models by name, and the reason for each that is left out: its style loss needs weights that are missing.

    Raises:
        InputError: A setting is not valid, or a given model is missing or predicts other properties (checked before
            any training); or a data set is missing.
        MicrodesignError: A training failed.
    """
    places: dict[str | None, str] = {name: given for name, given in config.models.items() if isinstance(given, str)}
    trainings = {name: config.training(name) for name in config.models if name not in places}
    left_out: dict[str, str] = {}
    order = list(trainings)
    for name, each in trainings.items():
        if each.start in order and order.index(each.start) >= order.index(name):
            raise InputError(f"models.{name}: starts from {each.start}, which is not trained before it.")
        parent = f"it starts from {each.start}" if each.start in left_out else ""
        if reason := parent or _lacks_style_weights(each):
            left_out[name] = reason
            progress(f"model {name} is left out: {reason}")
    bundles = {name: _given(config, name, place, cache, uri) for name, place in places.items() if name is not None}
    for name, each in trainings.items():
        if name not in left_out:
            progress(f"model {name}")
            each = each.model_copy(update={"start": places.get(each.start, each.start)})
            try:
                folder = train(each, progress, uri, needs_mlflow=False)
            except NotRegisteredError as error:  # an experiment evaluates poor models too
                progress(str(error))
                folder = error.bundle
            bundles[name], places[name] = load_bundle(folder), str(folder)
    return {name: bundles[name] for name in config.models if name in bundles}, left_out


def _given(config: TrainedModels, name: str, place: str, cache: Path, uri: str) -> Bundle:
    """A model that is not trained here, of the same properties as those that are."""
    bundle, wanted = load_model(place, cache, uri), config.train.properties
    if wanted and set(bundle.properties) != set(wanted):
        raise InputError(
            f"models.{name}: {place} predicts {', '.join(bundle.properties) or 'no properties'}; expected "
            f"{', '.join(wanted)}, as train.properties."
        )
    return bundle


def _lacks_style_weights(training: TrainConfig) -> str:
    """Why a training that takes the style loss's default weights cannot have them; empty if it can or need not."""
    objectives = [stage.objective for stage in training.loop.resolved_stages]
    if not any("style" in split_names(each.loss) and each.settings.style.weights is None for each in objectives):
        return ""
    try:
        training.loop.sources()
    except InputError as error:
        return str(error)
    return ""
