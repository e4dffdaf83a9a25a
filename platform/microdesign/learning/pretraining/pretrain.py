"""Pretraining under Ray Train: checkpoints every minute, from which the same command goes on; a bundle in the end."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from microdesign.core.config import dump_yaml, read_yaml_mapping, validate_config
from microdesign.core.errors import InputError
from microdesign.core.files import lock_folder, write_text
from microdesign.core.journal import journal
from microdesign.core.progress import Progress, silent
from microdesign.learning.pretraining.config import PretrainConfig
from microdesign.learning.pretraining.loop import Pretraining, initial_model, model_config
from microdesign.learning.pretraining.worker import run_worker
from microdesign.learning.training.loop import State
from microdesign.learning.training.workers.trainer import run_workers
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.bundle import Description, save_bundle
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression
from microdesign.physics.execution.resources import check_resources
from microdesign.tracking import check_reachable, default_uri, recorded, start_run

_SETTINGS = "config.yaml"
_OF_TIME = ("minutes", "decay_minutes", "resources")
"""Settings that may change between a run and its continuation."""


def pretrain(config: PretrainConfig, progress: Progress = silent, tracking_uri: str | None = None) -> Path:
    """Pretrains, or goes on with it; returns the bundle's folder, `bundle` in `out`.

    A run that was killed goes on from its last checkpoint, and one that is over does, where `minutes` is more now.

    Args:
        config: What to learn from what.
        progress: Told of the terms of the loss as they fall.
        tracking_uri: MLflow address; the environment's or the embedded default when None.

    Raises:
        InputError: A data set does not fit, the decoder is not local_global, there is no bundle to start from, or
            `out` is the folder of other settings.
        MicrodesignError: Pretraining failed on every try; the message carries the worker's error.
    """
    resources = config.resources
    check_resources("Pretraining", resources.of_worker, "resources", resources.workers_range[0])
    config = _resolved(config)
    Pretraining(config, initial_model(config))  # what cannot be learned from leaves no folder and no run
    folder, uri = Path(config.out), tracking_uri or default_uri()
    _check_folder(folder, config)
    check_reachable(uri)
    with (
        lock_folder(str(folder)) or nullcontext(),
        journal(folder, "pretraining", progress) as progress,
        recorded(folder / "mlflow.json", uri, lambda: start_run(config.experiment, folder.name, uri), progress) as run,
    ):
        write_text(folder / _SETTINGS, dump_yaml(config))
        run.log_text(dump_yaml(config), _SETTINGS)

        def tell(seconds: float, means: Mapping[str, float]) -> None:
            terms = ", ".join(f"{name} {value:.4g}" for name, value in means.items() if name != "step")
            run.log_metrics(means, step=round(means["step"]))
            progress(f"{seconds / 60:.1f} of {config.minutes:g} min, step {means['step']:.0f}: {terms}")
            total = round(60 * config.minutes)
            progress.count(min(round(seconds), total), total, "s")

        settings = {"config": config.model_dump(mode="json")}
        state = run_workers(run_worker, settings, resources, folder, tell, f"Pretraining {folder.name}")
        return _save(config, state, folder / "bundle")


def _resolved(config: PretrainConfig) -> PretrainConfig:
    """The settings with whole paths: workers run in folders of their own."""
    sources = [each.model_copy(update={"dataset": str(Path(each.dataset).resolve())}) for each in config.sources]
    paths: dict[str, Any] = {"sources": tuple(sources), "out": str(Path(config.out).resolve())}
    if config.start is not None and Path(config.start).is_dir():
        paths["start"] = str(Path(config.start).resolve())
    return config.model_copy(update=paths)


def _check_folder(folder: Path, config: PretrainConfig) -> None:
    if (folder / _SETTINGS).is_file():
        before = validate_config(PretrainConfig, read_yaml_mapping(folder / _SETTINGS), str(folder / _SETTINGS))
        same = dict.fromkeys(_OF_TIME)
        if before.model_copy(update=same) != config.model_copy(update=same):
            raise InputError(f"{folder}: is the folder of other settings; remove it, or choose another `out`.")


def _save(config: PretrainConfig, state: State, folder: Path) -> Path:
    """Writes the bundle of the averaged weights."""
    model = VAERegression(model_config(config), 0)
    model.load_state_dict(state["average"])
    standardization = Standardization(names=(), units=(), offsets=(), scales=())
    sizes = {min(Dataset.open(each.dataset).manifest.shape) for each in config.sources}
    description = Description(
        model=model_config(config), standardization=standardization, several_resolutions=len(sizes) > 1
    )
    # Half the size; loaded, the weights are float32 again.
    save_bundle(folder, model.half(), description)
    return folder
