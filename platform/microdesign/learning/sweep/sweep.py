"""Sweeps over losses, priors and any other setting of the loop, on Ray Tune; the winner is trained and registered.

A trial is the plain training loop in one process. What it did is in the sweep's own record (`sweep_trials`), so a sweep
that was killed goes on: trials that are over are told to the search and not repeated, the others go on from their
state, in the MLflow run that they began.
"""

import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import ray.tune
import torch
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from microdesign.core.config import changed, dump_yaml, validate_config
from microdesign.core.errors import MicrodesignError
from microdesign.core.files import write_json, write_text
from microdesign.core.journal import journal
from microdesign.core.progress import Progress, silent
from microdesign.learning.evaluation.held_out import HeldOut
from microdesign.learning.evaluation.metrics import LARGER_IS_BETTER
from microdesign.learning.sweep.search_space import (
    Choice,
    Space,
    as_suggestion,
    check_space,
    combinations,
    distributions,
    suggested,
)
from microdesign.learning.sweep.sweep_config import SweepConfig
from microdesign.learning.sweep.sweep_report import SweepReport
from microdesign.learning.sweep.sweep_trials import SweepTrial, SweepTrialStore
from microdesign.learning.training.config.loop_config import LoopConfig
from microdesign.learning.training.config.train_config import TrainConfig
from microdesign.learning.training.latent_fit import fit_to_latents
from microdesign.learning.training.loop import State, build_model, run_loop
from microdesign.learning.training.preparation import check_training, prepare, standardization_of
from microdesign.learning.training.registration import NotRegisteredError
from microdesign.learning.training.starting_point import (
    initial_model,
    knows_images_alone,
    resolve_padding,
    resolve_start,
)
from microdesign.learning.training.train import check_worker_resources, train
from microdesign.learning.training.workers.failures import driver_error
from microdesign.microstructure.data.dataset import Dataset
from microdesign.physics.evaluators.protocol import Evaluator, check_evaluator, for_images
from microdesign.physics.evaluators.resolver import load_evaluator
from microdesign.physics.execution.resources import check_resources
from microdesign.physics.materials import materials_from
from microdesign.tracking import (
    Recorder,
    Run,
    check_reachable,
    complete_record,
    default_uri,
    recorded,
    start_run,
)

_TRIED = 4
"""Images on which an evaluator is tried before any trial starts."""


def sweep(config: SweepConfig, progress: Progress = silent, tracking_uri: str | None = None) -> dict[str, Any]:
    """Runs or resumes a sweep; returns the document of `SweepReport`: trials, Pareto sets, winners, comparison.

    Raises:
        InputError: The data set is missing, lacks a property, or the space holds an unknown setting or value.
        MicrodesignError: Every trial of a model failed.
    """
    dataset = _checked(config, progress)
    name = config.run_name(dataset.manifest.digest)
    folder = Path(config.train.storage).resolve() / name
    uri = tracking_uri or default_uri()
    check_reachable(uri)
    with (
        recorded(
            folder / "mlflow.json", uri, lambda: start_run(config.train.tracking.experiment, name, uri), progress
        ) as parent,
        journal(folder, "sweep", progress) as progress,
    ):
        parent.log_tags({"stage": "sweep", "dataset": dataset.manifest.digest})
        parent.log_text(dump_yaml(config), "config.yaml")
        write_text(folder / "sweep.yaml", dump_yaml(config))
        report = SweepReport(name, config.metrics)
        for model, loop in config.studies().items():
            store = SweepTrialStore(folder / "trials" / model)
            try:
                _search(config, model, loop, store, dataset, parent.run, progress)
            finally:
                _complete_records(store, progress)
            trials = store.all()
            best = report.add(model, trials)
            progress(f"{model or name}: best {best.choice}: {best.metrics}")
            if config.retrain:
                try:
                    report.bundles[model] = train(_winner(config, model, loop, best), progress, uri, needs_mlflow=False)
                except NotRegisteredError as error:  # it is compared all the same
                    progress(str(error))
                    report.bundles[model] = error.bundle
        if report.bundles:
            report.compare(dataset, _evaluator(config, dataset))
        for artifact, figure in report.figures().items():
            parent.log_figure(figure, f"{artifact}.png")
        parent.log_text(report.table(), "trials.md")
        parent.log_metrics(report.metrics())
        write_json(folder / "result.json", document := report.document())
    return document


def _checked(config: SweepConfig, progress: Progress) -> Dataset:
    """Refuses, before anything runs, what would fail later; opens the data set."""

    def check(loop: LoopConfig) -> None:
        loop.sources()
        build_model(loop, len(config.train.properties))

    for loop in config.studies().values():
        check_space(config.space, loop, config.search.method == "grid", check)
    check_resources("A trial", config.resources.of_trial, "resources")
    if config.retrain:
        check_worker_resources(config.train)
    dataset = Dataset.open(config.train.dataset)
    for loop in config.studies().values():
        check_training(config.train.model_copy(update={"loop": loop}), dataset)
    evaluator = _evaluator(config, dataset)
    if evaluator is not None and "inverse_error" in config.metrics:
        images = dataset.read_shard(0).labels[:_TRIED]
        materials = materials_from(dataset.manifest.materials, config.train.dataset)
        check_evaluator(
            evaluator,
            images,
            materials,
            config.train.properties,
            f"inverse_error.evaluator {config.inverse_error.evaluator}",
        )
    elif config.inverse_error.evaluator is not None and "inverse_error" in config.metrics:
        progress("inverse_error is measured by each model's own regressor: the data set states no materials")
    return dataset


def _evaluator(config: SweepConfig, dataset: Dataset) -> Evaluator | None:
    """The physics behind `inverse_error`; None where the regressor's predictions have to do."""
    given = config.inverse_error
    if given.evaluator is None or dataset.manifest.materials is None:
        return None
    return for_images(
        load_evaluator(given.evaluator, given.evaluator_settings), dataset.manifest.periodic, dataset.manifest.aspect
    )


def _winner(config: SweepConfig, model: str, loop: LoopConfig, best: SweepTrial) -> TrainConfig:
    """The full training of a search's best trial, under a name of its own where there are several models."""
    suffix, tracking = f"-{model}" if model else "", config.train.tracking
    return config.train.model_copy(
        update={
            "loop": changed(loop, best.choice, "the best trial"),
            "name": f"{config.name}{suffix}-winner",
            "tracking": tracking.model_copy(update={"register_as": f"{tracking.register_as}{suffix}"}),
        }
    )


def _search(
    config: SweepConfig,
    model: str,
    loop: LoopConfig,
    store: SweepTrialStore,
    dataset: Dataset,
    parent: Run,
    progress: Progress,
) -> None:
    """Runs what is left of a model's trials."""
    known = store.all()
    over = [trial for trial in known if trial.is_over]
    left = config.search.trials - len(over) - sum(trial.repeats for trial in over)
    if config.search.method == "grid":
        done = [dict(trial.choice) for trial in over]
        choices = [choice for choice in combinations(config.space) if choice not in done]
        left = len(choices)
    progress(f"{model or config.name}: {len(over)} trials are done, {max(0, left)} to go")
    if left <= 0:
        return
    # Tune's own files are not needed after the search; a new start must not find old ones.
    place = store.folder / "tune"
    shutil.rmtree(place, ignore_errors=True)
    directions = ["max" if name in LARGER_IS_BETTER else "min" for name in config.metrics]
    trainable = ray.tune.with_parameters(
        _trial,
        settings=config.model_dump(mode="json")
        | {"train": config.train.model_dump(mode="json") | {"dataset": str(dataset.folder.resolve())}},
        model=model,
        folder=str(store.folder),
        parent=parent,
    )
    if config.search.method == "grid":
        how: dict[str, Any] = {"num_samples": 1}
        space: dict[str, Any] = {"choice": ray.tune.grid_search([as_suggestion(config.space, c) for c in choices])}
    else:
        how = {"num_samples": left, "search_alg": _searcher(config, known, directions)}
        space = {}
    if config.search.early_stopping:
        how["scheduler"] = ASHAScheduler(
            time_attr="epoch",
            metric=config.metrics[0],
            mode=directions[0],
            max_t=config.trial_loop(loop, {}).total_epochs,
            grace_period=config.search.grace_epochs,
        )
    tuner = ray.tune.Tuner(
        ray.tune.with_resources(trainable, config.resources.of_trial),
        param_space=space,
        tune_config=ray.tune.TuneConfig(max_concurrent_trials=config.resources.concurrent, **how),
        run_config=ray.tune.RunConfig(
            name="tune",
            storage_path=str(store.folder),
            verbose=0,
            callbacks=[_Watch(config, store, progress, len(over), len(over) + left)],
        ),
    )
    results = tuner.fit()
    shutil.rmtree(place, ignore_errors=True)
    if not any(trial.has_result for trial in store.all()):
        raise driver_error(results.errors[0], f"Every trial of {model or config.name}")


def _searcher(config: SweepConfig, known: list[SweepTrial], directions: list[str]) -> OptunaSearch:
    """Optuna's search, told what is known; trials that were interrupted come first again."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.InMemoryStorage()
    # Another seed after each stop: with the same one the search would begin with the very draws that it made before.
    sampler = optuna.samplers.TPESampler(seed=config.search.seed + len(known))
    study = optuna.create_study(
        storage=storage,
        study_name="sweep",
        directions=["maximize" if direction == "max" else "minimize" for direction in directions],
    )
    space = distributions(config.space)
    for trial in known:
        values = [trial.metrics.get(name, np.nan) for name in config.metrics]
        if trial.has_result and np.isfinite(values).all():
            params = as_suggestion(config.space, dict(trial.choice))
            study.add_trial(optuna.trial.create_trial(params=params, distributions=space, values=values))
        elif not trial.is_over:
            study.enqueue_trial(as_suggestion(config.space, dict(trial.choice)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return OptunaSearch(
            space,
            metric=list(config.metrics),
            mode=directions,
            sampler=sampler,
            storage=storage,
            study_name="sweep",
        )


def _complete_records(store: SweepTrialStore, progress: Progress) -> None:
    """Sends what MLflow has not taken of trials, and ends the runs of interrupted ones; a later search opens these."""
    for trial in store.all():
        complete_record(store.path(trial.choice, "mlflow"), progress, None if trial.is_over else "KILLED")


class _Watch(ray.tune.Callback):
    """Reports trials that ended, and records those that the scheduler stopped: they cannot do it themselves."""

    def __init__(self, config: SweepConfig, store: SweepTrialStore, progress: Progress, over: int, total: int) -> None:
        self.config, self.store, self.progress = config, store, progress
        self.over, self.total = over, total
        progress.count(over, total, "trials")

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Called by Tune in the driver when a trial ended without an error."""
        choice = _choice(self.config.space, trial.config)
        record = self.store.read(choice)
        if record is not None and not record.is_over:
            record = record.model_copy(update={"status": "stopped"})
            self.store.write(record)
            path = self.store.path(choice, "mlflow")
            complete_record(path, self.progress, "KILLED", {"ended": "stopped early"})
        if record is not None:
            values = ", ".join(f"{name} {value:.4g}" for name, value in record.metrics.items())
            self.progress(f"{_label(choice)}: {values}{' (stopped early)' * (record.status == 'stopped')}")
        self._count()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Called by Tune in the driver when a trial failed."""
        choice = _choice(self.config.space, trial.config)
        record = self.store.read(choice)
        self.progress(f"{_label(choice)}: failed ({record.error if record and record.error else 'worker died'})")
        self._count()

    def _count(self) -> None:
        self.over += 1
        self.progress.count(self.over, self.total, "trials")


def _choice(space: Space, settings: Mapping[str, Any]) -> Choice:
    return suggested(space, settings.get("choice", settings))


def _label(choice: Mapping[str, Any]) -> str:
    shown = {key: f"{value:.3g}" if isinstance(value, float) else value for key, value in choice.items()}
    return ", ".join(f"{key.split('.')[-1]}={value}" for key, value in shown.items())


def _trial(suggestion: dict[str, Any], settings: dict[str, Any], model: str, folder: str, parent: Run) -> None:
    """What each Ray Tune trial runs: the plain training loop, then the validation split."""
    config = validate_config(SweepConfig, settings, "the sweep config")
    choice = _choice(config.space, suggestion)
    store = SweepTrialStore(folder)
    record = store.read(choice) or SweepTrial(choice=choice)
    if record.has_result:
        store.write(record.model_copy(update={"repeats": record.repeats + 1}))
        ray.tune.report({"epoch": record.epochs, **record.metrics})
        return
    store.write(record)
    name = ": ".join(filter(None, (model, _label(choice))))
    with recorded(store.path(choice, "mlflow"), parent.uri, lambda: parent.child(name), at_once=False) as run:
        try:
            loop = config.trial_loop(config.studies()[model], choice)
            run.log_params(choice)
            run.log_tags({"model": model or config.name})
            _fit(config, loop, store, record, run)
        except MicrodesignError as error:
            store.write(record.model_copy(update={"status": "failed", "error": str(error)}))
            raise
    # After the run has ended: Tune may stop a trial in its last report, and that would be recorded as a failure.
    record = store.read(choice) or record
    ray.tune.report({"epoch": record.epochs, **record.metrics})


def _fit(config: SweepConfig, loop: LoopConfig, store: SweepTrialStore, record: SweepTrial, run: Recorder) -> None:
    torch.set_num_threads(max(1, round(config.resources.cpus)))
    device = torch.device("cuda" if config.resources.gpus else "cpu")
    dataset = Dataset.open(config.train.dataset)
    names = config.train.properties
    standardization = standardization_of(config.train, dataset)
    training, _ = resolve_start(resolve_padding(config.train.model_copy(update={"loop": loop}), dataset.manifest))
    feed, feedback = prepare(training, dataset, standardization, device)
    evaluator = _evaluator(config, dataset)
    held_out = HeldOut(
        dataset.load("validation").with_known(names),
        standardization,
        config.inverse_error.targets,
        config.inverse_error.draws,
        evaluator,
        None if evaluator is None else materials_from(dataset.manifest.materials, config.train.dataset),
        config.search.seed,
    )
    model = initial_model(training, standardization, dataset.manifest.materials).to(device)
    if knows_images_alone(training):
        fit_to_latents(model, feed, loop.seed)

    objective = loop.resolved_stages[-1].objective

    def on_epoch(done: int, trained: dict[str, float], save: Callable[[], State]) -> None:
        run.log_metrics(trained, step=done)
        last = done == loop.total_epochs
        measured = last or config.search.early_stopping
        metrics = held_out.metrics(model, config.metrics, objective, loop.batch_size) if measured else {}
        if metrics:
            run.log_metrics({f"validation_{name}": value for name, value in metrics.items()}, step=done)
        if not last:
            store.save_state(record.choice, save())
        status = "finished" if last else "running"
        store.write(record.model_copy(update={"epochs": done, "metrics": metrics, "status": status}))
        if metrics and not last:
            ray.tune.report({"epoch": done, **metrics})

    run_loop(model, feed, loop, on_epoch, store.load_state(record.choice), feedback=feedback)
