"""The experiment `fidelity`: a trained model, a data set and physics in Ray tasks."""

from dataclasses import asdict
from pathlib import Path
from typing import Literal

from pydantic import Field

from microdesign.core.progress import Progress
from microdesign.experiments.base.config import ExperimentConfig
from microdesign.experiments.base.measured import MeasuredModel
from microdesign.experiments.base.outcome import Outcome
from microdesign.experiments.fidelity import report as fidelity_report
from microdesign.experiments.fidelity.measure import FidelityConfig, measure


class FidelityExperiment(ExperimentConfig, MeasuredModel):
    """Fidelity of a trained model."""

    what: Literal["fidelity"] = "fidelity"
    folder: str = Field("runs/evaluation", description="where tables, figures and results of physics go")
    fidelity: FidelityConfig = FidelityConfig()


def run_fidelity(config: FidelityExperiment, folder: Path, uri: str, progress: Progress) -> Outcome:
    """Measures the model; what physics has answered is in the store, aimed draws are in the folder.

    Raises:
        InputError: The model or the data set cannot be had, or the materials differ.
    """
    measured = config.opened(folder, uri, progress)
    found = measure(
        measured.surrogate, measured.dataset, measured.evaluator, config.fidelity, progress, folder / "draws"
    )
    return Outcome(
        tables={"fidelity": fidelity_report.table(found.rows)},
        figures=fidelity_report.figures(found),
        metrics=found.metrics,
        details={"rows": [asdict(row) for row in found.rows]},
        tags=measured.tags,
    )
