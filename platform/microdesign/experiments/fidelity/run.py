"""The experiment `fidelity`: a trained model, a data set and physics in Ray tasks."""

from dataclasses import asdict
from pathlib import Path

from microdesign.core.progress import Progress
from microdesign.experiments.base.evaluated_model import open_model
from microdesign.experiments.base.result import ExperimentResult, save_figures
from microdesign.experiments.fidelity.config import FidelityExperiment
from microdesign.experiments.fidelity.figures import figures
from microdesign.experiments.fidelity.measure import measure
from microdesign.experiments.fidelity.tables import fidelity_table


def run(config: FidelityExperiment, folder: Path, uri: str, progress: Progress) -> ExperimentResult:
    """Evaluates the model; stored results of physics and cached draws in the folder are reused.

    Raises:
        InputError: The model or the data set cannot be opened, or the materials differ.
    """
    opened = open_model(config, folder, uri, progress)
    found = measure(opened.surrogate, opened.dataset, opened.evaluator, config.fidelity, progress, folder / "draws")
    return ExperimentResult(
        tables={"fidelity": fidelity_table(found.measurements)},
        figures=save_figures(figures(found), folder),
        metrics=found.metrics,
        details={"measurements": [asdict(each) for each in found.measurements]},
        tags=opened.tags,
    )
