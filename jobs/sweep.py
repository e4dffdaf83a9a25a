"""Job: search training settings. `python -m microdesign.jobs.sweep CONFIG`."""

from typing import TYPE_CHECKING, Any

from microdesign.core.progress import Progress
from microdesign.jobs.entry import run_job

if TYPE_CHECKING:
    from microdesign.learning.sweep.sweep_config import SweepConfig


def run(config: "SweepConfig", progress: Progress) -> dict[str, Any]:
    """Runs the trials, trains the winners and returns both."""
    from microdesign.learning.sweep.sweep import sweep

    return sweep(config, progress)


if __name__ == "__main__":
    run_job("sweep", run)
