"""Job: run an experiment on trained models, which `what` in the config names. `python -m jobs.evaluate CONFIG`."""

from jobs.entry import run_job
from microdesign.experiments.run import evaluate, load_experiment

if __name__ == "__main__":
    run_job(load_experiment, evaluate)
