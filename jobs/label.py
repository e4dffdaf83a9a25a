"""Job: compute the effective properties of a data set's images. `python -m jobs.label CONFIG`."""

from jobs.entry import counted, run_job
from microdesign.physics.labelling import LabelConfig, label

if __name__ == "__main__":
    run_job(LabelConfig, lambda config, progress: label(config, counted(progress, "labelled")))
