"""`microdesign evaluate`: runs an experiment and saves its result in a folder and in MLflow.

An experiment is a folder beside this file: `config.py` has its configuration, `run.py` its function
`run(config, folder, tracking_uri, progress)`, `tables.py` and `figures.py` what it shows.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from microdesign.core.config import load_config, read_yaml_mapping
from microdesign.core.errors import InputError
from microdesign.core.progress import Progress, silent
from microdesign.experiments.base.config import ExperimentConfig
from microdesign.experiments.base.result import ExperimentResult
from microdesign.experiments.base.saving import save_result
from microdesign.experiments.fidelity.config import FidelityExperiment
from microdesign.experiments.forward.config import ForwardExperiment
from microdesign.experiments.inverse.config import InverseExperiment
from microdesign.experiments.latent.config import LatentExperiment
from microdesign.experiments.reconstruction.config import ReconstructionExperiment
from microdesign.tracking import default_uri, ending, start_run

EXPERIMENTS: Mapping[str, type[ExperimentConfig]] = {
    "fidelity": FidelityExperiment,
    "reconstruction": ReconstructionExperiment,
    "forward": ForwardExperiment,
    "inverse": InverseExperiment,
    "latent": LatentExperiment,
}
"""What `--what`, or `what` in the config, takes."""


def load_experiment(path: str | Path, overrides: Sequence[str] = (), what: str | None = None) -> ExperimentConfig:
    """Reads an experiment's config; `what`, or the file's key of this name, selects the experiment.

    Raises:
        InputError: The experiment is unknown, the file is of another one, or it cannot be read.
    """
    named = read_yaml_mapping(path).get("what")
    name = what or named or "fidelity"
    if not isinstance(name, str) or name not in EXPERIMENTS:
        raise InputError(f"what = {name}: unknown experiment; expected one of: {', '.join(EXPERIMENTS)}.")
    if named not in (None, name):
        raise InputError(f"{path}: is of the experiment {named}, --what asks for {name}; expected the same.")
    return load_config(EXPERIMENTS[name], path, overrides)


def evaluate(
    config: ExperimentConfig, progress: Progress = silent, tracking_uri: str | None = None
) -> ExperimentResult:
    """Runs an experiment, or continues a stopped one: trainings and results of physics on disk are reused.

    Writes tables, figures, the result as JSON and `config.yaml` into the folder and logs them to MLflow.

    Raises:
        InputError: A model, a data set or the folder cannot be opened.
    """
    folder = Path(config.folder).resolve()
    uri = tracking_uri or default_uri()
    with ending(start_run(config.experiment, f"{config.what}-{folder.name}", uri)) as run:
        run.log_params(config.model_dump(mode="json"))
        run.log_tags({"stage": "evaluate", "what": config.what})
        result = _runner(config.what)(config, folder, uri, progress)
        result = result.model_copy(update={"folder": str(folder), "tracking_uri": uri})
        save_result(result, config, folder, run)
    return result


def _runner(what: str) -> Callable[[Any, Path, str, Progress], ExperimentResult]:
    """The function of an experiment, imported when it runs: a wrong config is refused before that."""
    runner: Callable[[Any, Path, str, Progress], ExperimentResult]
    runner = import_module(f"microdesign.experiments.{what}.run").run
    return runner
