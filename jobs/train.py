"""Job: train a model and register it. `python -m microdesign.jobs.train CONFIG`."""

from typing import TYPE_CHECKING

from microdesign.core.progress import Progress
from microdesign.jobs.entry import run_job

if TYPE_CHECKING:
    from microdesign.learning.training.config.train_config import TrainConfig


def run(config: "TrainConfig", progress: Progress) -> dict[str, str]:
    """Trains, and returns where the bundle is."""
    from microdesign.learning.training.train import train

    return {"bundle": str(train(config, progress))}


if __name__ == "__main__":
    run_job("train", run)
