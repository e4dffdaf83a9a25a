"""Job: compute the effective properties of a data set's images. `python -m microdesign.jobs.label CONFIG`."""

from typing import TYPE_CHECKING, Any

from microdesign.core.progress import Progress
from microdesign.jobs.entry import run_job

if TYPE_CHECKING:
    from microdesign.physics.execution.label_config import LabelConfig


def run(config: "LabelConfig", progress: Progress) -> dict[str, Any]:
    """Writes the labelled data set and returns what was made."""
    from microdesign.physics.execution.labelling import label

    return label(config, progress)


if __name__ == "__main__":
    run_job("label", run)
