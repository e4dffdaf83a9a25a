"""Job: generate images or volumes. `python -m microdesign.jobs.generate CONFIG`."""

from typing import TYPE_CHECKING, Any

from microdesign.core.progress import Progress
from microdesign.jobs.entry import run_job

if TYPE_CHECKING:
    from microdesign.microstructure.generators.dataset_generation import GenerateJob


def run(config: "GenerateJob", progress: Progress) -> dict[str, Any]:
    """Writes the data set and returns what was made."""
    from microdesign.microstructure.generators.dataset_generation import generate_to

    return generate_to(config, progress)


if __name__ == "__main__":
    run_job("generate", run, on_ray=False)
