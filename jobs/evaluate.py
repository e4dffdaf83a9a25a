"""Job: run an experiment on trained models, which `what` in the config names.

`python -m microdesign.jobs.evaluate CONFIG`.
"""

from typing import TYPE_CHECKING

from microdesign.core.progress import Progress
from microdesign.jobs.entry import run_job

if TYPE_CHECKING:
    from microdesign.experiments.base.config import ExperimentConfig
    from microdesign.experiments.base.result import ExperimentResult


def run(config: "ExperimentConfig", progress: Progress) -> "ExperimentResult":
    """Runs the experiment and returns its result."""
    from microdesign.experiments.evaluate import evaluate

    return evaluate(config, progress)


if __name__ == "__main__":
    run_job("evaluate", run)
