"""Job: train a model and register it. `python -m microdesign.jobs.train CONFIG`."""

from microdesign.jobs.entry import run_job

from microdesign.learning.training.train import train
from microdesign.learning.training.train_config import TrainConfig

if __name__ == "__main__":
    run_job(TrainConfig, lambda config, progress: {"bundle": str(train(config, progress))})
