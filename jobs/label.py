"""Job: compute the effective properties of a data set's images. `python -m jobs.label CONFIG`."""

from jobs.entry import run_job
from microdesign.physics.labelling import LabelConfig, label
from microdesign.progress import counted

if __name__ == "__main__":
    run_job(LabelConfig, lambda config, progress: label(config, counted(progress, "labelled")))
