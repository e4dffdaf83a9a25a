"""Job: sweep training settings. `python -m jobs.sweep CONFIG`."""

from jobs.entry import run_job
from microdesign.learning.sweep import sweep
from microdesign.learning.sweep_config import SweepConfig

if __name__ == "__main__":
    run_job(SweepConfig, sweep)
