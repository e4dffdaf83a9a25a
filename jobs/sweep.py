"""Job: sweep training settings. `python -m microdesign.jobs.sweep CONFIG`."""

from microdesign.jobs.entry import run_job

from microdesign.learning.sweep.sweep import sweep
from microdesign.learning.sweep.sweep_config import SweepConfig

if __name__ == "__main__":
    run_job(SweepConfig, sweep)
