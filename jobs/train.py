"""Job: train a model and register it. `python -m jobs.train CONFIG`."""

from jobs.entry import run_job
from microdesign.learning.train import train
from microdesign.learning.train_config import TrainConfig

if __name__ == "__main__":
    run_job(TrainConfig, lambda config, progress: {"bundle": str(train(config, progress))})
