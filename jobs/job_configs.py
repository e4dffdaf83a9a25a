"""The config of every job: its class, and how it is read. Classes are imported when they are asked for."""

from collections.abc import Sequence
from pathlib import Path

from microdesign.core.config import Config, load_config
from microdesign.core.errors import InputError
from microdesign.core.references import load_named

_CLASSES = {
    "generate": "microdesign.microstructure.generators.dataset_generation:GenerateJob",
    "label": "microdesign.physics.execution.label_config:LabelConfig",
    "train": "microdesign.learning.training.config.train_config:TrainConfig",
    "pretrain": "microdesign.learning.pretraining.config:PretrainConfig",
    "sweep": "microdesign.learning.sweep.sweep_config:SweepConfig",
    "design": "microdesign.design.campaign.campaign_config:CampaignConfig",
    "demo": "microdesign.demo.config:DemoConfig",
}
JOBS = ("generate", "label", "pretrain", "train", "sweep", "evaluate", "design")
"""What `microdesign.jobs` has a module for, and a cluster takes."""


def config_class(job: str, what: str | None = None) -> type[Config]:
    """Returns the config class of a job, or of the demo.

    Args:
        job: One of `JOBS`, or `demo`.
        what: The experiment, for the job `evaluate`; fidelity when None.

    Raises:
        InputError: There is no such job or experiment, or `what` is given for another job.
    """
    if job == "evaluate":
        from microdesign.experiments.registry import experiment_class

        return experiment_class(what)
    if what is not None:
        raise InputError(f"what = {what}: goes with the job evaluate alone, not with {job}.")
    if job not in _CLASSES:
        raise InputError(f"'{job}' is no job; expected one of {', '.join(JOBS)}, demo.")
    found: type[Config] = load_named(_CLASSES[job], f"the config of {job}", "a class")
    return found


def read_config(job: str, path: str | Path, overrides: Sequence[str] = (), what: str | None = None) -> Config:
    """Reads the config of a job from a YAML file; its key `what` selects the experiment of `evaluate`.

    Raises:
        InputError: There is no such job, or the file or an override is not valid.
    """
    if job == "evaluate":
        from microdesign.experiments.registry import load_experiment

        return load_experiment(path, overrides, what)
    return load_config(config_class(job, what), path, overrides)
