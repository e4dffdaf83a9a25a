"""The experiment `fidelity`: a trained model, a data set and physics in Ray tasks."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from pydantic import Field

from microdesign.design.surrogates import open_surrogate
from microdesign.design.wire import TOKEN_VARIABLE
from microdesign.experiments import fidelity_report
from microdesign.experiments.config import ExperimentConfig
from microdesign.experiments.fidelity import FidelityConfig, measure
from microdesign.experiments.outcome import Outcome
from microdesign.experiments.physics import materials_of, stored_physics
from microdesign.microstructure.dataset import Dataset
from microdesign.physics.store import ResultStore
from microdesign.progress import Progress


class FidelityExperiment(ExperimentConfig):
    """Fidelity of a trained model."""

    what: Literal["fidelity"] = "fidelity"
    model: str = Field(description="bundle folder, models:/NAME@ALIAS, or http://HOST:PORT of a Serve endpoint")
    dataset: str = Field(description="folder of the labelled data set that the model was trained on")
    folder: str = Field("runs/evaluation", description="where tables, figures and results of physics go")
    store: str | None = Field(None, description="folder of known results; one in `folder` when None")
    fidelity: FidelityConfig = FidelityConfig()


def run_fidelity(config: FidelityExperiment, folder: Path, uri: str, progress: Progress) -> Outcome:
    """Measures the model; what physics has answered is in the store.

    Raises:
        InputError: The model or the data set cannot be had, or the materials differ.
    """
    surrogate = open_surrogate(config.model, folder / "models", uri, os.environ.get(TOKEN_VARIABLE))
    dataset = Dataset.open(config.dataset)
    physics = stored_physics(materials_of(surrogate, dataset), ResultStore(config.store or folder / "results"))
    found = measure(surrogate, dataset, physics, config.fidelity, progress)
    return Outcome(
        tables={"fidelity": fidelity_report.table(found.rows)},
        figures=fidelity_report.figures(found),
        metrics=found.metrics,
        details={"rows": [asdict(row) for row in found.rows]},
        tags={"model": surrogate.digest, "dataset": dataset.manifest.digest},
    )
