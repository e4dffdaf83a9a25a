"""Sweeps over losses, priors and any other training setting, on Ray Tune."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import ray.tune
import torch
from pydantic import Field

from microdesign.config import Config, validate_config
from microdesign.errors import InputError
from microdesign.files import digest_json
from microdesign.learning.checkpoints import load_state, state_checkpoint
from microdesign.learning.evaluation import evaluate_bundle
from microdesign.learning.failures import driver_error
from microdesign.learning.feed import Feed, fit_standardization
from microdesign.learning.loop import LoopConfig, State, build_model, run_loop
from microdesign.learning.samples import Samples, check_held_out, check_images, usable
from microdesign.microstructure.dataset import Dataset
from microdesign.model.bundle import Bundle, Description
from microdesign.model.networks import channels_last
from microdesign.progress import Progress, silent
from microdesign.tracking import Run, default_uri, ending, start_run


class SweepConfig(Config):
    """A sweep: every combination of the values in `space`."""

    dataset: str = Field(description="folder of the labelled data set; on a cluster, one that all nodes see")
    properties: tuple[str, ...] = Field(("Ex", "Ey", "kx"), min_length=1, description="properties to condition on")
    loop: LoopConfig = LoopConfig()
    space: Mapping[str, tuple[Any, ...]] = Field(
        {"objective.loss": ("mse", "mse+cess"), "model.prior.kind": ("conditional", "mixture")},
        description="dotted name of a setting of `loop` -> the values to try",
    )
    metric: Literal["mape", "excess_cess"] = Field("mape", description="what names the best trial; the least wins")
    cpus_per_trial: float = Field(1, gt=0, description="CPU cores, and torch threads, of a trial")
    gpus_per_trial: float = Field(0, ge=0, description="GPUs, or a share of one, of a trial")
    max_concurrent: int = Field(2, ge=1, description="trials at a time: no more than the cluster holds")
    storage: str = Field("runs", description="folder for trials and checkpoints; on a cluster, one that all nodes see")
    name: str = Field("sweep", description="name of the sweep; with the digest of the settings it names the folder")
    experiment: str = Field("microdesign", description="MLflow experiment")

    def loop_with(self, choice: Mapping[str, Any]) -> LoopConfig:
        """The loop's settings with a trial's choice put in.

        Raises:
            InputError: The space names no setting of the loop, or a value is not valid for it.
        """
        values = self.loop.model_dump(mode="json")
        for name, value in choice.items():
            *parents, last = name.split(".")
            section = values
            for parent in parents:
                section = section.get(parent)
                if not isinstance(section, dict):
                    raise InputError(f"The sweep's space names '{name}'; the loop has no section '{parent}'.")
            section[last] = value
        return validate_config(LoopConfig, values, f"the trial {dict(choice)}")


def sweep(config: SweepConfig, progress: Progress = silent, tracking_uri: str | None = None) -> list[dict[str, Any]]:
    """Runs or resumes a sweep; returns a row for each trial (its choice and metrics), the best first.

    Raises:
        InputError: The data set is missing, lacks a property, or the space holds an unknown setting or value.
        MicrodesignError: Every trial failed.
    """
    if config.loop.max_minutes is not None:
        raise InputError("A sweep compares equal numbers of epochs; leave loop.max_minutes out.")
    for name, values in config.space.items():
        if not values:
            raise InputError(f"The sweep's space gives no value for '{name}'; expected at least one.")
        for value in values:
            config.loop_with({name: value})
    dataset = Dataset.open(config.dataset)
    check_images(dataset.manifest.shape, dataset.manifest.n_phases, config.loop.model.network.size)
    usable(dataset, "train", config.properties)
    check_held_out(dataset, "validation", config.properties)
    settings = config.model_dump(mode="json", include={"properties", "loop", "space"})
    name = f"{config.name}-{digest_json([settings, dataset.manifest.digest])[:10]}"
    storage = Path(config.storage).resolve()
    uri = tracking_uri or default_uri()
    with ending(start_run(config.experiment, name, uri)) as parent:
        parent.log_params(config.model_dump(mode="json"))
        parent.log_tags({"stage": "sweep", "dataset": dataset.manifest.digest})
        trainable = ray.tune.with_resources(
            ray.tune.with_parameters(
                _trial,
                settings=config.model_dump(mode="json") | {"dataset": str(dataset.folder.resolve())},
                parent=parent,
            ),
            {"CPU": config.cpus_per_trial, "GPU": config.gpus_per_trial},
        )
        tuner = _tuner(config, trainable, name, storage)
        progress(f"sweep {name}: {' x '.join(config.space)}")
        results = tuner.fit()
        if results.num_errors == len(results):
            raise driver_error(results.errors[0], f"Every trial of {name}")
        rows = [_row(result, config) for result in results if result.error is None]
        rows.sort(key=lambda row: row[config.metric])
        parent.log_metrics({f"best_{config.metric}": rows[0][config.metric], "failed_trials": results.num_errors})
        parent.log_text(_table(rows), "trials.md")
        for row in rows:
            progress(
                ", ".join(
                    f"{key} {value:.4g}" if isinstance(value, float) else f"{value}" for key, value in row.items()
                )
            )
    return rows


def _tuner(config: SweepConfig, trainable: Any, name: str, storage: Path) -> ray.tune.Tuner:
    if ray.tune.Tuner.can_restore(str(storage / name)):
        return ray.tune.Tuner.restore(str(storage / name), trainable, resume_unfinished=True, resume_errored=True)
    return ray.tune.Tuner(
        trainable,
        param_space={key: ray.tune.grid_search(list(values)) for key, values in config.space.items()},
        tune_config=ray.tune.TuneConfig(max_concurrent_trials=config.max_concurrent),
        run_config=ray.tune.RunConfig(
            name=name,
            storage_path=str(storage),
            verbose=0,
            checkpoint_config=ray.tune.CheckpointConfig(num_to_keep=1),
        ),
    )


def _trial(choice: dict[str, Any], settings: dict[str, Any], parent: Run) -> None:
    """What each Ray Tune trial runs: the plain training loop, then the validation split."""
    config = validate_config(SweepConfig, settings, "the sweep config")
    loop = config.loop_with(choice)
    torch.set_num_threads(max(1, round(config.cpus_per_trial)))
    device = torch.device("cuda" if config.gpus_per_trial else "cpu")
    dataset = Dataset.open(config.dataset)
    samples = Samples.read(dataset, usable(dataset, "train", config.properties))
    manifest = dataset.manifest
    standardization = fit_standardization(samples.properties, manifest.shape, config.properties, manifest.properties)
    feed = Feed(samples, standardization, loop.batch_size, loop.seed, device=device)
    model = channels_last(build_model(loop, len(config.properties))).to(device)
    with ending(parent.child(", ".join(f"{key.split('.')[-1]}={value}" for key, value in choice.items()))) as run:
        run.log_params(choice)

        def on_epoch(done: int, terms: dict[str, float], save: Callable[[], State]) -> None:
            run.log_metrics(terms, step=done)
            with state_checkpoint(save) as checkpoint:
                ray.tune.report(
                    {"epoch": done, **terms, **(final() if done == loop.epochs else {})}, checkpoint=checkpoint
                )

        def final() -> dict[str, float]:
            description = Description(model=loop.model, standardization=standardization)
            metrics = evaluate_bundle(Bundle(model.cpu().eval(), description), dataset, "validation").metrics
            run.log_metrics(metrics)
            mape = sum(metrics[f"mape_{name}"] for name in config.properties) / len(config.properties)
            return {"mape": mape, "excess_cess": metrics["reconstruction_excess_cess_median"]}

        run_loop(model, feed, loop, on_epoch, load_state(ray.tune.get_checkpoint()))


def _row(result: Any, config: SweepConfig) -> dict[str, Any]:
    chosen = {name: result.config[name] for name in config.space}
    return chosen | {name: float(result.metrics[name]) for name in ("mape", "excess_cess", "total")}


def _table(rows: list[dict[str, Any]]) -> str:
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + " --- |" * len(rows[0])]
    lines += ["| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows]
    return "\n".join(lines) + "\n"
