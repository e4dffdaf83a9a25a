"""Every configuration that comes with the jobs is valid for its job."""

from pathlib import Path

from microdesign.experiments.base.trained_models import TrainedModels
from microdesign.experiments.registry import EXPERIMENTS
from microdesign.jobs.job_configs import JOBS, read_config

CONFIGS = Path(__file__).parents[2] / "jobs" / "configs"


def test_each_config_is_valid_for_the_job_or_experiment_in_its_name() -> None:
    seen = set()
    for path in sorted(CONFIGS.glob("*.yaml")):
        words = path.stem.replace("finetune", "train").split("-")
        (kind,) = [word for word in words if word in (*JOBS, *EXPERIMENTS)] or [path.name]
        config = read_config(kind, path) if kind in JOBS else read_config("evaluate", path, what=kind)
        if isinstance(config, TrainedModels):
            assert all(config.training(name).loop.resolved_stages for name in config.models), path.name
        seen.add(kind)
    assert seen == {*JOBS, *EXPERIMENTS} - {"evaluate"}


def test_the_names_of_configs_have_hyphens() -> None:
    assert [path.name for path in CONFIGS.iterdir() if "_" in path.name or path.suffix != ".yaml"] == []
