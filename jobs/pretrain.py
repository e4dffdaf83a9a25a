"""Job: pretrain encoder and decoder on images without properties. `python -m microdesign.jobs.pretrain CONFIG`."""

from typing import TYPE_CHECKING

from microdesign.core.progress import Progress
from microdesign.jobs.entry import run_job

if TYPE_CHECKING:
    from microdesign.learning.pretraining.config import PretrainConfig


def run(config: "PretrainConfig", progress: Progress) -> dict[str, str]:
    """Pretrains, and returns where the bundle is."""
    from microdesign.learning.pretraining.pretrain import pretrain

    return {"bundle": str(pretrain(config, progress))}


if __name__ == "__main__":
    run_job("pretrain", run)
