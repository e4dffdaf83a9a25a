"""Retraining during a campaign: the model is fine-tuned on the data set and the designs evaluated so far."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from microdesign.core.errors import InputError
from microdesign.core.progress import Progress, silent
from microdesign.core.references import Endpoint, RegisteredModel, parse_model
from microdesign.design.campaign.background_training import Retrain
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.trials import Trial
from microdesign.learning.models import bundle_folder
from microdesign.learning.training.config.feedback_config import PhysicsFeedbackConfig
from microdesign.learning.training.config.loop_config import LoopConfig
from microdesign.learning.training.config.resources import ResourcesConfig
from microdesign.learning.training.config.train_config import TrainConfig
from microdesign.learning.training.optimization import OptimizerConfig
from microdesign.learning.training.preparation import check_training
from microdesign.learning.training.registration import NotRegisteredError, TrackingConfig
from microdesign.learning.training.train import train
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset, DatasetWriter
from microdesign.model.bundle import load_bundle
from microdesign.physics.evaluators.resolver import fast_tier
from microdesign.physics.materials import Materials
from microdesign.surrogate.local import LocalSurrogate
from microdesign.tracking import default_uri

CLASS = "campaign"
"""Class of a campaign's designs in the data set that the model is trained on."""


def retrainer(config: CampaignConfig, progress: Progress = silent, tracking_uri: str | None = None) -> Retrain | None:
    """What `design` calls every `config.retrain_every` values; None when that is 0.

    Each time training starts from the campaign's first model, with the data set and all values so far, in the folder
    `retraining`: what was trained there is found again when the campaign is resumed. Models are registered as
    challengers of the one they come from.

    Args:
        config: The campaign.
        progress: Called with lines for people.
        tracking_uri: MLflow's address; `default_uri()` when None.

    Raises:
        InputError: There is no data set, the model is an endpoint's, the phases are not those of the data set, or
            training would refuse the data set, the model or the campaign's evaluator.
    """
    if not config.retrain_every:
        return None
    asked = f"retrain_every = {config.retrain_every}"
    if config.dataset is None:
        raise InputError(f"{asked}: expected `dataset`, the labelled images that the model is trained on as well.")
    reference = parse_model(config.model)
    if isinstance(reference, Endpoint):
        raise InputError(
            f"{asked}: the model at {config.model} cannot be trained; expected a bundle or models:/NAME@ALIAS."
        )
    dataset, uri = Dataset.open(config.dataset), tracking_uri or default_uri()
    given = dataset.manifest.materials
    phases = config.materials
    if phases and given and phases.tensor_digest != Materials.model_validate(given).tensor_digest:
        raise InputError(f"{asked}: {config.dataset} is labelled for other materials than the campaign's.")
    folder = Path(config.folder).resolve() / "retraining"
    name = reference.name if isinstance(reference, RegisteredModel) else "microdesign"

    def training(data: Dataset, trials: int) -> TrainConfig:
        start = bundle_folder(config.model, folder / "start", uri)
        bundle = load_bundle(start)
        settings = config.retraining
        return TrainConfig(
            dataset=str(data.folder),
            properties=bundle.properties,
            start=str(start),
            loop=LoopConfig(
                model=bundle.description.model,
                epochs=settings.epochs,
                optimizer=OptimizerConfig(learning_rate=settings.learning_rate),
            ),
            physics_feedback=_feedback(config) if settings.physics_feedback else None,
            resources=ResourcesConfig(cpus=settings.cpus, gpu=settings.gpu),
            tracking=TrackingConfig(experiment=config.experiment, register_as=name),
            storage=str(folder),
            name=f"train-{trials}",
        )

    def retrain(trials: list[Trial]) -> LocalSurrogate:
        both = joined(dataset, trials, folder / f"dataset-{len(trials)}")
        again = training(both, len(trials))
        try:
            return LocalSurrogate(load_bundle(train(again, progress, uri, needs_mlflow=False)))
        except NotRegisteredError as error:
            progress(f"{error} The campaign goes on with the model that it began with.")
            return LocalSurrogate(load_bundle(str(again.start)))

    # What the first training would refuse hours later is refused now.
    check_training(training(dataset, 0), dataset)
    return retrain


def _feedback(config: CampaignConfig) -> PhysicsFeedbackConfig:
    """Physics in the training loop by the campaign's own evaluator, of the built-in one its fast tier."""
    settings = fast_tier(config.evaluator, config.evaluator_settings)
    return PhysicsFeedbackConfig(evaluator=config.evaluator, evaluator_settings=settings)


def joined(dataset: Dataset, trials: Sequence[Trial], folder: Path) -> Dataset:
    """Writes the data set and the trials with values, as one more shard of class `campaign`, into a folder."""
    manifest = dataset.manifest
    writer = DatasetWriter(
        folder,
        settings={"dataset": manifest.digest, "trials": [trial.key for trial in trials]},
        units=manifest.properties,
        materials=manifest.materials,
        split=manifest.split,
    )
    for number, shard in enumerate(manifest.shards):
        if not writer.has_shard(shard.name):
            writer.write_shard(shard.name, dataset.read_shard(number))
    values = {name: [trial.drawn.get(name, np.nan) for trial in trials] for name in manifest.properties}
    new = Microstructures(
        labels=np.stack([trial.labels for trial in trials]),
        n_phases=manifest.n_phases,
        classes=(CLASS,) * len(trials),
        properties={name: np.array(column) for name, column in values.items()},
        periodic=manifest.periodic,
        **manifest.physical,
    )
    if not writer.has_shard(CLASS):
        writer.write_shard(CLASS, new)
    return writer.finish([*(shard.name for shard in manifest.shards), CLASS])
