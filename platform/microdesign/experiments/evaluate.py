"""`microdesign evaluate`: runs an experiment and saves its result in a folder and in MLflow."""

from pathlib import Path

from microdesign.core.progress import Progress, silent
from microdesign.experiments.base.config import ExperimentConfig
from microdesign.experiments.base.result import ExperimentResult
from microdesign.experiments.base.saving import save_result
from microdesign.experiments.registry import experiment_runner
from microdesign.tracking import Run, default_uri, recorded, start_run


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

    def started() -> Run:
        run = start_run(config.experiment, f"{config.what}-{folder.name}", uri)
        run.log_params(config.model_dump(mode="json"))
        return run

    with recorded(folder / "mlflow.json", uri, started, progress) as run:
        run.log_changes(config.model_dump(mode="json"))
        run.log_tags({"stage": "evaluate", "what": config.what})
        result = experiment_runner(config.what)(config, folder, uri, progress)
        result = result.model_copy(update={"folder": str(folder), "tracking_uri": uri})
        save_result(result, config, folder, run)
    return result
