"""Job: run an experiment on trained models, which `what` in the config names.

`python -m microdesign.jobs.evaluate CONFIG`.
"""

from microdesign.jobs.entry import run_job

from microdesign.experiments.evaluate import evaluate, load_experiment

if __name__ == "__main__":
    run_job(load_experiment, evaluate)
