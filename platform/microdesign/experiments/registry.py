"""The experiments by name, and how the config of one is read.

An experiment is a folder beside this file: `config.py` has its configuration, `run.py` its function
`run(config, folder, tracking_uri, progress)`, `tables.py` and `figures.py` what it shows. Its config is imported when
it is asked for, and the rest when it runs, so that a wrong config is refused at once.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microdesign.core.config import load_config, read_yaml_mapping
from microdesign.core.errors import InputError
from microdesign.core.progress import Progress
from microdesign.experiments.base.config import ExperimentConfig

if TYPE_CHECKING:
    from microdesign.experiments.base.result import ExperimentResult

EXPERIMENTS: Mapping[str, str] = {
    "fidelity": "FidelityExperiment",
    "reconstruction": "ReconstructionExperiment",
    "forward": "ForwardExperiment",
    "inverse": "InverseExperiment",
    "latent": "LatentExperiment",
}
"""What `--what`, or `what` in the config, takes, which is the experiment's folder; and the class of its config."""


def experiment_class(what: str | None) -> type[ExperimentConfig]:
    """The config class of an experiment; of fidelity when None.

    Raises:
        InputError: There is no such experiment.
    """
    name = what or "fidelity"
    if name not in EXPERIMENTS:
        raise InputError(f"what = {name}: unknown experiment; expected one of: {', '.join(EXPERIMENTS)}.")
    found: type[ExperimentConfig] = getattr(_module(name, "config"), EXPERIMENTS[name])
    return found


def experiment_runner(what: str) -> "Callable[[Any, Path, str, Progress], ExperimentResult]":
    """The function `run` of an experiment."""
    runner: Callable[[Any, Path, str, Progress], ExperimentResult] = _module(what, "run").run
    return runner


def load_experiment(path: str | Path, overrides: Sequence[str] = (), what: str | None = None) -> ExperimentConfig:
    """Reads an experiment's config; `what`, or the file's key of this name, selects the experiment.

    Raises:
        InputError: The experiment is unknown, the file is of another one, or it cannot be read.
    """
    named = read_yaml_mapping(path).get("what")
    found = experiment_class(what or (None if named is None else str(named)))
    if None not in (named, what) and named != what:
        raise InputError(f"{path}: is of the experiment {named}, --what asks for {what}; expected the same.")
    return load_config(found, path, overrides)


def _module(what: str, name: str) -> Any:
    return import_module(f"microdesign.experiments.{what}.{name}")
