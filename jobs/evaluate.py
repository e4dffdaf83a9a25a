"""Job: measure a trained model, the experiment `fidelity`. `python -m jobs.evaluate CONFIG`."""

from jobs.entry import run_job
from microdesign.experiments.run import EvaluateConfig, evaluate

if __name__ == "__main__":
    run_job(EvaluateConfig, evaluate)
