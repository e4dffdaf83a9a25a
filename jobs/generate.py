"""Job: generate images. `python -m microdesign.jobs.generate CONFIG`."""

from microdesign.jobs.entry import run_job

from microdesign.microstructure.generators.dataset_generation import GenerateJob, generate_to

if __name__ == "__main__":
    run_job(GenerateJob, generate_to)
