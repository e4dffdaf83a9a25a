import json
from pathlib import Path

import pytest

from microdesign.config import Config, load_config
from microdesign.errors import InputError
from microdesign.experiments.fidelity_run import FidelityExperiment
from microdesign.experiments.forward import ForwardExperiment
from microdesign.experiments.inverse import InverseExperiment
from microdesign.experiments.latent import LatentExperiment
from microdesign.experiments.reconstruction_run import ReconstructionExperiment
from microdesign.experiments.run import evaluate, load_experiment
from microdesign.experiments.trained import TrainedModels
from microdesign.learning.train_config import TrainConfig
from microdesign.microstructure.dataset import Dataset
from microdesign.microstructure.generate import GenerateJob
from microdesign.physics.labelling import LabelConfig
from microdesign.physics.store import ResultStore

CONFIGS = Path(__file__).parents[2] / "jobs" / "configs"


def settings(folder: Path, bundle: Path, dataset: Dataset) -> FidelityExperiment:
    return FidelityExperiment(
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


def test_the_experiment_is_named_by_the_file_or_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("{what: fidelity, model: m, dataset: d}")
    assert load_experiment(path) == load_experiment(path, what="fidelity")
    assert load_experiment(path, ["fidelity.draws=3"]).fidelity.draws == 3
    with pytest.raises(InputError, match="what = alchemy: is no experiment; expected one of: fidelity"):
        load_experiment(path, what="alchemy")
    path.write_text("{what: alchemy}")
    with pytest.raises(InputError, match="is of the experiment alchemy, --what asks for fidelity"):
        load_experiment(path, what="fidelity")


@pytest.mark.parametrize(
    ("pattern", "model", "least"),
    [
        ("fidelity*.yaml", FidelityExperiment, 3),
        ("ten-generate.yaml", GenerateJob, 1),
        ("ten-label-*.yaml", LabelConfig, 2),
        ("ten-train-*.yaml", TrainConfig, 2),
        ("ten-rehearse-*.yaml", TrainConfig, 2),
        ("paper-reconstruction*.yaml", ReconstructionExperiment, 2),
        ("paper-forward*.yaml", ForwardExperiment, 2),
        ("paper-inverse*.yaml", InverseExperiment, 4),
        ("paper-latent*.yaml", LatentExperiment, 2),
        ("paper-volumes-generate*.yaml", GenerateJob, 2),
        ("paper-volumes-label*.yaml", LabelConfig, 2),
    ],
)
def test_the_configs_are_valid(pattern: str, model: type[Config], least: int) -> None:
    found = sorted(CONFIGS.glob(pattern))
    assert len(found) >= least
    for path in found:
        config = load_config(model, path)
        if isinstance(config, TrainedModels):
            assert all(config.training(name).loop.phases for name in config.models)
