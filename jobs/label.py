"""Job: compute the effective properties of a data set's images. `python -m microdesign.jobs.label CONFIG`."""

from microdesign.jobs.entry import run_job

from microdesign.physics.execution.labelling import LabelConfig, label

if __name__ == "__main__":
    run_job(LabelConfig, label)
