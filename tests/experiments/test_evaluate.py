import json
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.experiments.base.config import ExperimentConfig
from microdesign.experiments.evaluate import evaluate
from microdesign.experiments.fidelity.config import FidelityExperiment
from microdesign.experiments.forward.config import ForwardExperiment
from microdesign.experiments.forward.statistics_regression import StatisticsRegressor
from microdesign.experiments.inverse.config import InverseExperiment
from microdesign.experiments.latent.config import LatentExperiment
from microdesign.experiments.registry import load_experiment
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.generators.dataset_generation import GenerateConfig, generate_dataset
from microdesign.model.bundle import load_bundle, save_bundle
from microdesign.model.prior.config import PriorConfig
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression
from microdesign.physics.execution.pool import TaskPool
from microdesign.physics.execution.store import ResultStore
from microdesign.physics.materials import Materials
from tests.mlflow_database import database

ConfigT = TypeVar("ConfigT", bound=ExperimentConfig)


def settings(folder: Path, bundle: Path, dataset: Dataset, **changes: str) -> FidelityExperiment:
    return FidelityExperiment(
        model=str(bundle),
        dataset=str(dataset.folder),
        folder=str(folder / "out"),
        fidelity={"targets": 3, "draws": 2, "realism_draws": 1, "recognition_steps": 4, "two_sample_steps": 2},
        **changes,
    )


@pytest.mark.ray
def test_a_second_run_evaluates_nothing_again(
    tmp_path: Path, bundle_folder: Path, dataset: Dataset, local_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, uri = settings(tmp_path, bundle_folder, dataset), database(tmp_path)
    first = evaluate(config, tracking_uri=uri)
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} >= {
        "fidelity.json", "fidelity.md", "config.yaml", "errors.png", "gallery.png", "realism.png",
        "contact_sheet.png", "results",
    }  # fmt: skip
    assert json.loads((out / "fidelity.json").read_text())["metrics"] == first.metrics
    assert len(ResultStore(out / "results")) >= 3 * 2 + 3

    def refuse(*_: object) -> None:
        raise AssertionError("it is evaluated again")

    monkeypatch.setattr(TaskPool, "submit", refuse)
    second = evaluate(config, tracking_uri=uri)
    assert second == first


def trained(what: type[ConfigT], bundle: Path, dataset: Dataset, folder: Path, **changes: object) -> ConfigT:
    """An experiment on one model that is there already."""
    train = {"dataset": str(dataset.folder), "properties": ["Ex", "kx"]}
    settings = {"train": train, "models": {"given": str(bundle)}, "folder": str(folder / "out")}
    return what.model_validate(settings | changes)


@pytest.mark.ray
def test_the_papers_experiments_run_and_run_again(
    tmp_path: Path, bundle_folder: Path, dataset: Dataset, local_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each twice: results of physics and predictions of baselines are reused."""
    uri = database(tmp_path)
    forest = {"forest": {"kind": "random_forest", "components": 3}}
    few = {"targets": 2, "draws": 2, "component_draws": 2, "local_search": {"targets": 1, "budget": 4, "draws": 2}}
    measured = {"model": str(bundle_folder), "dataset": str(dataset.folder), "folder": str(tmp_path / "l")}
    configs: list[ExperimentConfig] = [
        trained(ForwardExperiment, bundle_folder, dataset, tmp_path / "f", baselines=forest),
        trained(InverseExperiment, bundle_folder, dataset, tmp_path / "i", **few),
        LatentExperiment.model_validate(measured | {"steps": 3, "dimensions": 2}),
    ]
    first = [evaluate(config, tracking_uri=uri) for config in configs]
    forward, inverse, latent = first
    assert [row[0] for row in forward.table.rows] == ["given", "forest"]
    assert [row[0] for row in inverse.table.rows] == ["nearest training image", "given"]
    assert len(latent.table.rows) == 1 + 3
    assert (tmp_path / "i" / "out" / "components.csv").read_text().count("given,") == 4

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it is computed again")

    monkeypatch.setattr(TaskPool, "submit", refuse)
    monkeypatch.setattr(StatisticsRegressor, "fit", refuse)
    assert [evaluate(config, tracking_uri=uri) for config in configs] == first


@pytest.mark.ray
def test_unsupported_input_is_refused_at_once(
    tmp_path: Path, bundle_folder: Path, dataset: Dataset, materials: Materials, local_ray: None
) -> None:
    uri = database(tmp_path)

    def refused(config: ExperimentConfig, message: str) -> None:
        with pytest.raises(InputError, match=message):
            evaluate(config, tracking_uri=uri)

    train = {"dataset": str(dataset.folder), "properties": ["Ex", "Ey", "kx"]}
    for what in (ForwardExperiment, InverseExperiment):
        config = trained(what, bundle_folder, dataset, tmp_path, train=train)
        refused(config, r"models.given: .* predicts Ex, kx; expected Ex, Ey, kx, as train.properties")
        config = trained(what, bundle_folder, dataset, tmp_path, train=train | {"properties": []})
        refused(config, "train.properties is empty; expected what the models of .* predict")
    images = generate_dataset(GenerateConfig(families=("GRF",), count_per_family=20, size=32), tmp_path / "images")
    refused(
        settings(tmp_path, bundle_folder, images), "images: has no materials; label it with `microdesign data label`"
    )
    phases = GenerateConfig(families=("Polycrystal",), count_per_family=20, size=32, n_phases=3)
    three = generate_dataset(phases, tmp_path / "three")
    config = trained(InverseExperiment, bundle_folder, three, tmp_path)
    refused(config, "three: holds 3 phases in 2 dimensions; expected 2 phases in 2 or 3 dimensions")
    rotated = settings(tmp_path, bundle_folder, dataset, evaluator="fft: discretization=rotated")
    refused(rotated, r"labels are \d.\d% off the physics that evaluates decodes")
    refused(settings(tmp_path, bundle_folder, dataset, evaluator="alchemy"), "evaluator = 'alchemy' is unknown")
    given = load_bundle(bundle_folder).description
    model = given.model.model_copy(update={"prior": PriorConfig(kind="standard")})
    nothing = Standardization.fit(np.zeros((2, 0)), (), ())
    description = given.model_copy(update={"model": model, "standardization": nothing})
    save_bundle(tmp_path / "nothing", VAERegression(model, 0), description)
    refused(settings(tmp_path, tmp_path / "nothing", dataset), "nothing predicts no properties; expected one that does")


def test_the_experiment_is_named_by_the_file_or_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("{what: fidelity, model: m, dataset: d}")
    assert load_experiment(path) == load_experiment(path, what="fidelity")
    assert load_experiment(path, ["fidelity.draws=3"]).fidelity.draws == 3
    with pytest.raises(InputError, match="what = alchemy: unknown experiment; expected one of: fidelity"):
        load_experiment(path, what="alchemy")
    path.write_text("{what: alchemy}")
    with pytest.raises(InputError, match="is of the experiment alchemy, --what asks for fidelity"):
        load_experiment(path, what="fidelity")
