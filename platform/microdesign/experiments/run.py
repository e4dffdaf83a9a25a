"""`microdesign evaluate`: from an experiment's configuration to its tables and figures, in a folder and in MLflow."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from microdesign.config import Config, dump_yaml, validate_config
from microdesign.design.surrogates import open_surrogate
from microdesign.design.wire import TOKEN_VARIABLE
from microdesign.errors import InputError
from microdesign.experiments import fidelity_report
from microdesign.experiments.fidelity import FidelityConfig, Physics, measure
from microdesign.files import replacing, write_json, write_text
from microdesign.microstructure.dataset import Dataset
from microdesign.model.surrogate import Surrogate
from microdesign.physics.evaluator import FFTEvaluator, Values
from microdesign.physics.materials import Materials
from microdesign.physics.parallel import evaluate_parallel
from microdesign.physics.store import ResultStore
from microdesign.tracking import default_uri, ending, start_run

Progress = Callable[[str], None]

EXPERIMENTS = ("fidelity",)
"""What `--what` takes."""


class EvaluateConfig(Config):
    """An experiment on a trained model."""

    model: str = Field(description="bundle folder, models:/NAME@ALIAS, or http://HOST:PORT of a Serve endpoint")
    dataset: str = Field(description="folder of the labelled data set that the model was trained on")
    folder: str = Field("runs/evaluation", description="where tables, figures and results of physics go")
    store: str | None = Field(None, description="folder of known results; one in `folder` when None")
    experiment: str = Field("microdesign", description="MLflow experiment")
    fidelity: FidelityConfig = FidelityConfig()


def evaluate(
    config: EvaluateConfig,
    progress: Progress = lambda line: None,
    tracking_uri: str | None = None,
    what: str = "fidelity",
) -> dict[str, Any]:
    """Runs an experiment, or goes on with one that was killed: what physics has answered is in the store.

    Writes `fidelity.json`, `fidelity.md`, `config.yaml` and the figures into the folder, and the same to MLflow;
    returns the document.

    Raises:
        InputError: The experiment is unknown, or the model, the data set or the folder cannot be had.
    """
    if what not in EXPERIMENTS:
        raise InputError(f"--what {what}: is no experiment; expected one of: {', '.join(EXPERIMENTS)}.")
    folder = Path(config.folder).resolve()
    uri = tracking_uri or default_uri()
    surrogate = open_surrogate(config.model, folder / "models", uri, os.environ.get(TOKEN_VARIABLE))
    dataset = Dataset.open(config.dataset)
    store = ResultStore(config.store or folder / "results")
    materials = _materials(surrogate, dataset)
    with ending(start_run(config.experiment, f"fidelity-{surrogate.digest[:8]}", uri)) as run:
        run.log_params(config.model_dump(mode="json"))
        run.log_tags({"stage": "evaluate", "model": surrogate.digest, "dataset": dataset.manifest.digest})
        found = measure(surrogate, dataset, stored_physics(materials, store), config.fidelity, progress)
        document = found.document() | {"model": surrogate.digest, "dataset": dataset.manifest.digest}
        document["table"] = [fidelity_report.TITLES, *fidelity_report.table(found.rows)]
        write_text(folder / "config.yaml", dump_yaml(config))
        write_text(folder / "fidelity.md", fidelity_report.markdown(found.rows))
        for name, figure in fidelity_report.figures(found).items():
            run.log_figure(figure, f"{name}.png")
            with replacing(folder / f"{name}.png") as temporary:
                figure.savefig(temporary, format="png", dpi=100)
        run.log_metrics({name: value for name, value in found.metrics.items() if np.isfinite(value)})
        write_json(folder / "fidelity.json", document)
        for name in ("config.yaml", "fidelity.md", "fidelity.json"):
            run.log_file(folder / name)
    return document | {"folder": str(folder), "tracking_uri": uri}


def stored_physics(materials: Materials, store: ResultStore) -> Physics:
    """The built-in solver in Ray tasks, by discretisation; every answer goes to the store."""

    def physics(labels: np.ndarray, discretization: str) -> Values:
        evaluator = validate_config(FFTEvaluator, {"discretization": discretization}, "the discretization")
        return evaluate_parallel(evaluator, labels, materials, store=store)

    return physics


def _materials(surrogate: Surrogate, dataset: Dataset) -> Materials:
    known = surrogate.describe().get("materials")
    if known != dataset.manifest.materials:
        raise InputError("The model was trained on labels of other materials than the data set's; expected the same.")
    return validate_config(Materials, dataset.manifest.materials, "the data set's materials")
