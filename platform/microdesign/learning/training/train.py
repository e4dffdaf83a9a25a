"""Training under Ray Train: any number of workers, a checkpoint an epoch, resumed by running the same command again."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import torch

from microdesign.core.config import dump_yaml
from microdesign.core.errors import InputError, StorageError
from microdesign.core.files import lock_folder, read_json, write_json, write_text
from microdesign.core.journal import journal
from microdesign.core.progress import Progress, silent
from microdesign.learning.data.samples import left_out
from microdesign.learning.evaluation.evaluation import complete, evaluate_bundle, summary
from microdesign.learning.models import bundle_folder
from microdesign.learning.training.config.train_config import TrainConfig
from microdesign.learning.training.latent_fit import fit_to_latents
from microdesign.learning.training.loop import State, build_model
from microdesign.learning.training.physics_feedback import obstacle
from microdesign.learning.training.preparation import augmentation_for, check_training, prepare, standardization_of
from microdesign.learning.training.registration import NotRegisteredError, check_quality
from microdesign.learning.training.starting_point import knows_images_alone, resolve_padding, resolve_start
from microdesign.learning.training.workers.relay import describe, expected_epochs
from microdesign.learning.training.workers.trainer import run_workers
from microdesign.learning.training.workers.worker import run_worker
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.bundle import DESCRIPTION, Bundle, Description, load_bundle, save_bundle
from microdesign.model.pretrained import FOLDERS, start_bundle
from microdesign.model.standardization import Standardization
from microdesign.physics.execution.resources import check_resources
from microdesign.tracking import (
    Recorder,
    Run,
    check_reachable,
    complete_record,
    default_uri,
    recorded,
    register_bundle,
    start_run,
)


def train(
    config: TrainConfig, progress: Progress = silent, tracking_uri: str | None = None, needs_mlflow: bool = True
) -> Path:
    """Trains, evaluates, logs and registers a model; returns the bundle's folder.

    A run that finished is not repeated: its bundle is returned. One that was killed goes on from its last checkpoint.

    Args:
        config: What to train on what.
        progress: Told of each epoch: a line, and how many epochs are done.
        tracking_uri: MLflow address; the environment's or the embedded default when None.
        needs_mlflow: Whether MLflow must answer at the start and register the bundle. Work that trains as a part of it
            takes False: it goes on with the bundle, and its own command registers it later.

    Raises:
        InputError: The data set is missing or lacks a property; MLflow does not answer; or another process is at the
            same training.
        MicrodesignError: Training failed on every try; the message carries the worker's error.
        NotRegisteredError: The model is worse than `minimum_r2`; its bundle stays.
        StorageError: MLflow does not register the bundle, which stays; the same command registers it.
    """
    dataset = Dataset.open(config.dataset)
    uri = tracking_uri or default_uri()
    if needs_mlflow:
        check_reachable(uri)
    config, reason = resolve_start(resolve_padding(config, dataset.manifest))
    if reason:
        progress(f"training starts from seeded weights: the pretrained ones do not fit ({reason})")
    if config.start is not None and config.start not in FOLDERS:
        start = bundle_folder(config.start, Path(config.storage).resolve() / "models", uri)
        config = config.model_copy(update={"start": str(start)})
    name = config.run_name(dataset.manifest.digest)
    folder = Path(config.storage).resolve() / name
    record = folder / "registered.json"
    registered = read_json(record) if record.is_file() else {}
    place = f"{config.tracking.register_as} at {uri}"
    if place in registered:
        complete_record(folder / "mlflow.json", progress)
        progress(f"the model {name} is trained already")
        return folder / "bundle"
    trained = _is_trained(folder / "bundle")
    if not trained:  # what cannot be trained leaves no folder and no run
        check_training(config, dataset)
        if lacking := left_out(dataset, config.properties, config.unlabelled):
            progress(lacking)
        check_worker_resources(config)
    with (
        lock_folder(str(folder)) or nullcontext(),
        journal(folder, "training", progress) as progress,
        recorded(
            folder / "mlflow.json", uri, lambda: _started(config, dataset, name, uri), progress, needs_mlflow
        ) as run,
    ):
        write_text(folder / "config.yaml", dump_yaml(config))
        if not trained:
            if config.physics_feedback is not None and (reason := obstacle(dataset.manifest)):
                progress(f"training has no physics feedback: {reason}")
                run.log_tags({"physics_feedback": f"none: {reason}"})
            _make_bundle(config, dataset, folder, run, progress)
        metrics = load_bundle(folder / "bundle").description.metrics
        run.log_metrics(metrics)
        try:
            check_quality(metrics, config.tracking.minimum_r2, folder / "bundle")
        except NotRegisteredError as error:
            run.log_tags({"not_registered": str(error)})
            raise
        try:
            version, alias = register_bundle(run.run, folder / "bundle", config.tracking.register_as)
        except (StorageError, InputError) as error:
            if needs_mlflow:
                raise
            progress(f"the model is not registered: {error}")
            return folder / "bundle"
        write_json(record, registered | {place: version.number})
        progress(f"registered {version} as {alias}: {summary(metrics, config.properties)}")
    return folder / "bundle"


def _is_trained(bundle: Path) -> bool:
    """Whether a bundle is there with its evaluation, which is written last."""
    return (bundle / DESCRIPTION).is_file() and bool(load_bundle(bundle).description.metrics)


def _started(config: TrainConfig, dataset: Dataset, name: str, uri: str) -> Run:
    """A new MLflow run with what is known before training. A resumed training writes on in it, and not this again."""
    sources = config.loop.sources()
    run = start_run(config.tracking.experiment, name, uri)
    run.log_params(config.model_dump(mode="json"))
    start = {} if config.start is None else {"start": start_bundle(config.start).digest}
    run.log_tags({"dataset": dataset.manifest.digest, "stage": "train"} | start | sources)
    run.log_dataset(dataset.folder, dataset.manifest.digest, {"samples": len(dataset)} | dataset.manifest.classes)
    run.log_text(dump_yaml(config), "config.yaml")
    return run


def _make_bundle(config: TrainConfig, dataset: Dataset, folder: Path, run: Recorder, progress: Progress) -> None:
    """Trains, evaluates and writes the bundle; it is on disk before the evaluation could fail."""
    standardization = standardization_of(config, dataset)
    progress(f"augmentation of the training images: {augmentation_for(config, dataset)}")
    state = _fit(config, standardization, folder.name, run, progress)
    bundle = _bundle(config, standardization, dataset, state, folder / "bundle")
    bundle = complete(bundle, dataset)
    evaluation = evaluate_bundle(bundle, dataset)
    for name, figure in evaluation.figures().items():
        run.log_figure(figure, f"{name}.png")
    description = bundle.description.model_copy(update={"metrics": evaluation.metrics})
    save_bundle(folder / "bundle", bundle.model, description, bundle.reference_set)


def check_worker_resources(config: TrainConfig) -> None:
    """Refuses workers that do not fit this machine's Ray, see `check_resources`."""
    resources = config.resources
    check_resources("Training", resources.of_worker, "resources", resources.workers_range[0])


def _fit(config: TrainConfig, standardization: Standardization, name: str, run: Recorder, progress: Progress) -> State:
    epochs = config.loop.total_epochs

    def tell(done: int, metrics: Mapping[str, float]) -> None:
        run.log_metrics(metrics, step=done)  # first: what was told is on record, whenever the process dies
        progress(f"epoch {done}/{epochs}: {describe(metrics)}")
        progress.count(done, expected_epochs(done, metrics["progress"]), "epochs")

    paths = {"dataset": config.dataset} | (
        {} if config.start is None or config.start in FOLDERS else {"start": config.start}
    )
    resolved = {name: str(Path(path).resolve()) for name, path in paths.items()}
    settings = {
        "config": config.model_dump(mode="json") | resolved,
        "standardization": standardization.model_dump(mode="json"),
    }
    folder = Path(config.storage).resolve() / name
    return run_workers(run_worker, settings, config.resources, folder, tell, f"Training {name}")


def _bundle(
    config: TrainConfig, standardization: Standardization, dataset: Dataset, state: State, folder: Path
) -> Bundle:
    """Writes the bundle of a final training state."""
    model = build_model(config.loop, len(config.properties))
    model.load_state_dict(state["model"])
    if knows_images_alone(config):
        # Once more, to where the latents have ended: the joint loop is too coarse for the last nats.
        feed, _ = prepare(config, dataset, standardization, torch.device("cpu"))
        fit_to_latents(model, feed, config.loop.seed)
    manifest, augmentation = dataset.manifest, augmentation_for(config, dataset)
    description = Description(
        model=config.loop.model,
        standardization=standardization,
        materials=manifest.materials,
        dataset=manifest.digest,
        **manifest.physical,
        turns=augmentation.turns,
        flips=augmentation.flips,
    )
    return save_bundle(folder, model, description)
