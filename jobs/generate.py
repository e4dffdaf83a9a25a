"""Job: generate images. `python -m jobs.generate CONFIG`."""

from jobs.entry import run_job
from microdesign.microstructure.generate import GenerateJob, generate_to
from microdesign.progress import counted

if __name__ == "__main__":
    run_job(GenerateJob, lambda config, progress: generate_to(config, counted(progress, "images")))
