import json
from pathlib import Path

import pytest

from microdesign.config import Config, load_config
from microdesign.errors import InputError
from microdesign.experiments.run import EvaluateConfig, evaluate
from microdesign.learning.train import TrainConfig
from microdesign.microstructure.dataset import Dataset
from microdesign.microstructure.generate import GenerateJob
from microdesign.physics.labelling import LabelConfig
from microdesign.physics.store import ResultStore

CONFIGS = Path(__file__).parents[2] / "jobs" / "configs"


def settings(folder: Path, bundle: Path, dataset: Dataset) -> EvaluateConfig:
    return EvaluateConfig(
        model=str(bundle),
        dataset=str(dataset.folder),
        folder=str(folder / "out"),
        fidelity={"targets": 3, "draws": 2, "realism_draws": 1},
    )


@pytest.mark.ray
def test_a_second_run_asks_physics_for_nothing(
    tmp_path: Path, bundle_folder: Path, dataset: Dataset, local_ray: None
) -> None:
    config, uri = settings(tmp_path, bundle_folder, dataset), f"sqlite:///{tmp_path / 'mlflow.db'}"
    first = evaluate(config, tracking_uri=uri)
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} >= {
        "fidelity.json", "fidelity.md", "config.yaml", "errors.png", "gallery.png", "realism.png", "results",
    }  # fmt: skip
    assert json.loads((out / "fidelity.json").read_text())["metrics"] == first["metrics"]
    known = len(ResultStore(out / "results"))
    assert known >= 3 * 2 + 3
    second = evaluate(config, tracking_uri=uri)
    assert len(ResultStore(out / "results")) == known
    assert second["metrics"] == first["metrics"]


def test_an_unknown_experiment_is_refused(tmp_path: Path, bundle_folder: Path, dataset: Dataset) -> None:
    with pytest.raises(InputError, match="--what alchemy: is no experiment; expected one of: fidelity"):
        evaluate(settings(tmp_path, bundle_folder, dataset), what="alchemy")


@pytest.mark.parametrize(
    ("pattern", "model", "least"),
    [
        ("fidelity*.yaml", EvaluateConfig, 3),
        ("ten-generate.yaml", GenerateJob, 1),
        ("ten-label-*.yaml", LabelConfig, 2),
        ("ten-train-*.yaml", TrainConfig, 2),
    ],
)
def test_the_configs_are_valid(pattern: str, model: type[Config], least: int) -> None:
    found = sorted(CONFIGS.glob(pattern))
    assert len(found) >= least
    for path in found:
        load_config(model, path)
