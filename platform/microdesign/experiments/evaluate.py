"""`microdesign evaluate`: from an experiment's configuration to its tables and figures, in a folder and in MLflow."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from microdesign.core.config import load_config, read_yaml_mapping
from microdesign.core.errors import InputError
from microdesign.core.progress import Progress, silent
from microdesign.experiments.base.config import ExperimentConfig
from microdesign.experiments.base.outcome import Outcome, keep
from microdesign.experiments.fidelity.run import FidelityExperiment, run_fidelity
from microdesign.experiments.forward.run import ForwardExperiment, run_forward
from microdesign.experiments.inverse.run import InverseExperiment, run_inverse
from microdesign.experiments.latent.run import LatentExperiment, run_latent
from microdesign.experiments.reconstruction.run import ReconstructionExperiment, run_reconstruction
from microdesign.tracking import default_uri, ending, start_run


class Experiment(NamedTuple):
    """Its configuration, and what it does with it: (config, folder, tracking address, progress) -> outcome."""

    config: type[ExperimentConfig]
    run: Callable[[Any, Path, str, Progress], Outcome]


EXPERIMENTS: Mapping[str, Experiment] = {
    "fidelity": Experiment(FidelityExperiment, run_fidelity),
    "reconstruction": Experiment(ReconstructionExperiment, run_reconstruction),
    "forward": Experiment(ForwardExperiment, run_forward),
    "inverse": Experiment(InverseExperiment, run_inverse),
    "latent": Experiment(LatentExperiment, run_latent),
}
"""What `--what`, or `what` in the config, takes."""


def load_experiment(path: str | Path, overrides: Sequence[str] = (), what: str | None = None) -> ExperimentConfig:
    """Reads an experiment's config; which one it is says `what`, or the file.

    Raises:
        InputError: The experiment is unknown, the file is of another one, or it cannot be read.
    """
    named = read_yaml_mapping(path).get("what")
    name = what or named or "fidelity"
    if not isinstance(name, str) or name not in EXPERIMENTS:
        raise InputError(f"what = {name}: is no experiment; expected one of: {', '.join(EXPERIMENTS)}.")
    if named not in (None, name):
        raise InputError(f"{path}: is of the experiment {named}, --what asks for {name}; expected the same.")
    return load_config(EXPERIMENTS[name].config, path, overrides)


def evaluate(config: ExperimentConfig, progress: Progress = silent, tracking_uri: str | None = None) -> dict[str, Any]:
    """Runs an experiment, or goes on with one that was killed: what was trained, or computed by physics, is on disk.

    Writes tables, figures and `config.yaml` into the folder and logs them to MLflow; returns the document.

    Raises:
        InputError: A model, a data set or the folder cannot be had.
    """
    folder = Path(config.folder).resolve()
    uri = tracking_uri or default_uri()
    with ending(start_run(config.experiment, f"{config.what}-{folder.name}", uri)) as run:
        run.log_params(config.model_dump(mode="json"))
        run.log_tags({"stage": "evaluate", "what": config.what})
        outcome = EXPERIMENTS[config.what].run(config, folder, uri, progress)
        keep(outcome, config, config.what, folder, run)
    return outcome.document | {"folder": str(folder), "tracking_uri": uri}
