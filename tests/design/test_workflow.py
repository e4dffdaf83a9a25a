"""A whole campaign from its configuration: random model, real physics, MLflow, every kind of goal."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pyarrow.parquet as pq
import pytest

from microdesign.core.config import validate_config
from microdesign.core.errors import InputError
from microdesign.core.progress import Recorded
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.ledger import read_trials
from microdesign.design.campaign.trials import Trial
from microdesign.design.report.html import report_campaign
from microdesign.design.report.result import CampaignResult
from microdesign.design.setup import open_setup
from microdesign.design.workflow import run_design
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.generators.dataset_generation import GenerateConfig, generate_dataset
from microdesign.model.bundle import load_bundle, save_bundle
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.vae import VAERegression
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.manufacturing import VARIANTS
from microdesign.physics.execution.labelling import label_dataset
from microdesign.physics.materials import Materials
from microdesign.surrogate.coarse_grid import coarsened
from microdesign.surrogate.local import LocalSurrogate
from tests.mlflow_database import database

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]

SMALL = {"samples": 48, "screened": 6, "per_round": 4, "evaluations": 12, "candidates": 2, "refinement": {"pool": 16}}
TARGET = {
    "properties": {
        "Ex": {"at_least": 1.5},
        "kx/ky": {"maximize": True},
        "Gxy": {"at_most": 3},
        "K": {"minimize": True},
    },
    "constraints": {"volume_fraction": [0.3, 0.7], "connected": {0: 0.2}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, surrogate: LocalSurrogate, materials: Materials) -> Path:
    """With a bundle and a labelled data set."""
    folder = tmp_path_factory.mktemp("workflow")
    save_bundle(folder / "bundle", surrogate.bundle.model, surrogate.bundle.description)
    settings = GenerateConfig(families=("GRF", "VoronoiLarge"), count_per_family=12, size=32)
    images = generate_dataset(settings, folder / "images")
    label_dataset(images, folder / "labelled", materials, FFTEvaluator())
    return folder


def settings(parts: Path, **changes: Any) -> CampaignConfig:
    values = {"target": TARGET, "model": str(parts / "bundle"), "folder": str(parts / "campaign"), **SMALL}
    return validate_config(CampaignConfig, values | changes, "the settings")


@pytest.mark.parametrize("goal", [{"at_least": 3.0}, {"maximize": True}])
def test_a_property_that_the_data_set_lacks(
    goal: dict[str, Any], local_ray: None, folder: Path, tmp_path: Path
) -> None:
    """Physics gives it, so that it can be asked for; there is no best training image then. No redraws either."""
    changes = {
        "target": {"properties": {"C11": goal}, "tolerance": 0.5},
        "robustness": {"draws": 0, "manufacturing": False},
        "evaluations": 6,
    }
    config = settings(folder, folder=str(tmp_path), dataset=str(folder / "labelled"), **changes)
    result = run_design(config, tracking_uri=database(folder, "other.db"))
    assert result.baselines["training_set"] is None
    assert result.candidates[0].verified["C11"] > 0
    assert (tmp_path / "report.html").is_file()


@pytest.fixture(scope="module")
def result(local_ray: None, folder: Path) -> CampaignResult:
    return run_design(settings(folder, dataset=str(folder / "labelled")), tracking_uri=database(folder))


def test_predictions_by_physics_on_a_coarse_grid(local_ray: None, folder: Path, materials: Materials) -> None:
    """They are what the report calls predicted, and verified values are those of the full grid."""
    target = {"properties": {"Ex": 3.0}, "tolerance": 0.5}
    changes = {"target": target, "coarse_grid": 2, "folder": str(folder / "coarse"), "evaluations": 6}
    result = run_design(settings(folder, **changes), tracking_uri=database(folder, "other.db"))
    for candidate in result.candidates:
        labels = np.load(candidate.files["npy"], allow_pickle=False)
        coarse, full = (
            FFTEvaluator().evaluate(each[None], materials) for each in (coarsened(labels[None], 2)[0], labels)
        )
        assert candidate.predicted["Ex"] == pytest.approx(coarse["Ex"][0], rel=1e-3)
        assert candidate.verified["Ex"] == pytest.approx(full["Ex"][0], rel=1e-3)
    assert result.candidates
    changes |= {"retrain_every": 3, "folder": str(folder / "coarse-retrained"), "evaluations": 12}
    given: list[int] = []

    def retrain(trials: list[Trial]) -> LocalSurrogate:
        given.append(len(trials))
        return LocalSurrogate(load_bundle(folder / "bundle"))

    run_design(settings(folder, **changes), tracking_uri=database(folder, "other.db"), retrain=retrain)
    assert given[0] == 3
    records = [pq.read_table(path) for path in (folder / "coarse-retrained" / "evaluations").glob("*.parquet")]
    models = {model for record in records for model in record["model"].to_pylist()}
    assert {model[-2:] for model in models} == {"/2"}  # a retrained model's predictions are physics' own too
    with pytest.raises(InputError, match="coarse_grid = 4: images of 32 x 32 pixels do not allow it"):
        open_setup(settings(folder, coarse_grid=4), folder / "none", database(folder, "other.db"))
    harder = {"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 100, "nu": 0.3, "k": 100}]}
    for phases, factor in ((harder, 2), (None, 1)):
        said, changed = Recorded(), settings(folder, materials=phases)
        setup = open_setup(changed, folder / "none", database(folder, "other.db"), progress=said)
        assert setup.config.coarse_grid == factor
        assert any("phases of another contrast" in text for text in said.texts) == (factor == 2)


def test_candidates_meet_every_kind_of_goal(result: CampaignResult, materials: Materials) -> None:
    assert {name: str(goal) for name, goal in result.target.properties.items()} == {
        "Ex": ">= 1.5",
        "kx/ky": "max",
        "Gxy": "<= 3",
        "K": "min",
    }
    assert result.units["kx/ky"] == "1"
    assert result.candidates
    for candidate in result.candidates:
        labels = np.load(candidate.files["npy"], allow_pickle=False)
        values = {name: array[0] for name, array in FFTEvaluator().evaluate(labels[None], materials).items()}
        assert candidate.verified["kx/ky"] == pytest.approx(values["kx"] / values["ky"], rel=1e-3)
        assert candidate.verified["Ex"] >= 1.5
        assert candidate.error == 0
        assert candidate.constraints["volume_fraction"] == pytest.approx(labels.mean())
        assert 0.3 <= labels.mean() <= 0.7
        assert candidate.constraints["connected_0"] >= 0.2
        assert candidate.predicted["Gxy"] is None  # the model has Ex and kx alone
        assert candidate.predicted["Ex"] > 0
        assert set(candidate.files) == {"npy", "png", "vti"}
        assert all(Path(path).is_file() for path in candidate.files.values())
        assert candidate.robustness.draws == 8
        assert 0 <= candidate.discretization_gap["K"] < 1
        assert candidate.all_verified["C11"] == pytest.approx(values["C11"], rel=1e-3)
        assert len(candidate.z) == 4


def test_the_front_and_the_baselines(result: CampaignResult, folder: Path) -> None:
    front = result.search.front
    assert front.names == ("kx/ky", "K")
    assert front.senses == (1, -1)
    best = np.array(front.values)[np.array(front.on_front)]
    points = [[candidate.verified[name] for name in front.names] for candidate in result.candidates]
    among = [np.abs(best - point).sum(1).min() < 1e-9 for point in points]
    assert among[0]
    assert among == sorted(among, reverse=True)  # what is on the front comes before what is not
    data = Dataset.open(folder / "labelled").load("train")
    trained = result.baselines["training_set"]
    assert trained.error == 0
    assert trained.of == len(data)
    assert result.baselines["random"].of == 12


def test_mlflow_has_the_same(result: CampaignResult, folder: Path) -> None:
    client = mlflow.MlflowClient(tracking_uri=result.tracking_uri)
    experiment = client.get_experiment_by_name("microdesign")
    runs = client.search_runs([experiment.experiment_id])
    (whole,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(runs) >= 3
    assert whole.data.metrics["evaluations"] == 12
    assert {"hypervolume", "best_K", "best_kx_per_ky", "utilization"} <= set(whole.data.metrics)
    files = {file.path for file in client.list_artifacts(whole.info.run_id)}
    assert {"report.html", "result.json", "campaign.yaml", "candidates", "candidates.md", "charts"} <= files


def test_the_page_and_the_document_are_in_the_folder(result: CampaignResult, folder: Path) -> None:
    assert CampaignResult.model_validate_json((folder / "campaign" / "result.json").read_text()) == result
    page = (folder / "campaign" / "report.html").read_text()
    assert {text: text in page for text in ("kx/ky max", "Pareto front", "volume fraction", "kx/ky max 1")} == {
        "kx/ky max": True,
        "Pareto front": True,
        "volume fraction": True,
        "kx/ky max 1": False,
    }


def test_the_same_run_goes_on(result: CampaignResult, folder: Path) -> None:
    uri = database(folder)
    again = run_design(settings(folder, dataset=str(folder / "labelled"), evaluations=14), tracking_uri=uri)
    assert again.search.resumed_evaluations == 12
    assert again.search.evaluations == 14
    # Training images that would count are checked by the second discretization too.
    checked = again.after_search.evaluations - 14 - (8 + len(VARIANTS)) * len(again.candidates)
    assert 0 <= checked <= 2 * len(again.candidates)
    named = {path for candidate in again.candidates for path in candidate.files.values()}
    nearest = {str(Path(each.nearest).with_suffix(kind)) for each in again.candidates for kind in (".npy", ".png")}
    assert {str(path) for path in (folder / "campaign" / "candidates").iterdir()} == named | nearest
    client = mlflow.MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name("microdesign").experiment_id])
    (whole,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert whole.data.params["evaluations"] == "12"
    assert {name: value for name, value in whole.data.tags.items() if name.startswith("changed.")} == {
        "changed.evaluations": "14"
    }


def test_a_campaign_that_was_cut_off_is_reported_as_it_stands(folder: Path, tmp_path: Path) -> None:
    """In the end the answer counts again; what is asked for no blind draws has none."""

    def stop(line: str) -> None:
        if "evaluations, " in line:
            raise KeyboardInterrupt

    campaign, uri = tmp_path / "c", database(folder, "other.db")
    target = {"properties": {"Ex": 3.0}, "tolerance": 0.9}
    data = {
        "dataset": str(folder / "labelled"),
        "random_baseline": False,
        "robustness": {"draws": 0, "manufacturing": False},
    }
    config = settings(folder, folder=str(campaign), target=target, **data)
    with pytest.raises(KeyboardInterrupt):
        run_design(config, stop, uri)
    assert not (campaign / "result.json").exists()
    page = report_campaign(campaign).read_text()
    answered = len(read_trials(str(campaign))[0])
    assert 4 <= answered < 12
    assert f"{answered} physics evaluations" in page
    assert "the search has not ended yet" in page
    assert "Candidate 1" in page
    assert str(uri) in page
    assert (campaign / "unfinished").is_dir()
    ended = run_design(config, tracking_uri=uri)
    assert not (campaign / "unfinished").exists()
    assert set(ended.baselines) == {"training_set"}
    assert ended.after_search.evaluations <= 2 * 2  # training images that would count, by the second discretization
    assert ended.search.stopped in report_campaign(campaign).read_text()


def test_the_folder_of_another_campaign_is_left_as_it_is(result: CampaignResult, folder: Path) -> None:
    before = {path: path.read_bytes() for path in (folder / "campaign").rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="holds a campaign with another seed"):
        run_design(settings(folder, dataset=str(folder / "labelled"), seed=1), tracking_uri=result.tracking_uri)
    assert {path: path.read_bytes() for path in (folder / "campaign").rglob("*") if path.is_file()} == before


def test_a_report_of_no_campaign(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no campaign; expected a folder that"):
        report_campaign(tmp_path)


def test_a_folder_that_is_no_files(folder: Path) -> None:
    with pytest.raises(InputError, match=r"folder = s3://bucket/c: report and images need a folder of a file system"):
        run_design(settings(folder, folder="s3://bucket/c"))


def test_other_materials_are_allowed_and_said(folder: Path, result: CampaignResult, tmp_path: Path) -> None:
    other = {"phases": [{"E": 5, "nu": 0.3, "k": 2}, {"E": 50, "nu": 0.3, "k": 20}]}
    asked = {"properties": {"Ex": 15.0, "kx": 6.0}, "tolerance": 0.5}
    config = settings(
        folder, target=asked, materials=other, folder=str(tmp_path / "c"), dataset=str(folder / "labelled")
    )
    lines = list[str]()
    found = run_design(config, lines.append, tracking_uri=database(folder))
    assert any("trained on other phases" in line for line in lines)
    assert found.baselines == {}
    assert found.feasibility.distance_to_data is None
    candidate = found.candidates[0]
    assert candidate.novelty is not None
    physics = FFTEvaluator().evaluate(np.load(candidate.files["npy"])[None], Materials.model_validate(other))
    assert candidate.verified["Ex"] == pytest.approx(physics["Ex"][0], rel=1e-3)


def test_refused_before_anything_is_computed(folder: Path, tmp_path: Path) -> None:
    for changes, message in [
        ({"evaluations": 0}, "'evaluations' = 0 is not valid: Input should be greater than or equal to 2"),
        ({"target": {"properties": {"colour": 1}}}, "target 'colour' is no property"),
        (
            {"target": {"properties": {"Ex": 1}, "constraints": {"roundness": 1}}},
            "unknown key 'target.constraints.round",
        ),
        ({"target": {"properties": {"Ex": 12}}}, "Ex = 12 is out of reach"),
        ({"target": {"properties": {"Ex": 3}, "tolerance": 1e-6}}, "the tolerance 1e-06 of Ex is below that of"),
        ({"target": {}}, "nothing is asked; expected properties, or an image to match"),
        ({"target": {"match": "nowhere.npy"}}, r"nowhere\.npy: does not exist"),
        (
            {"target": {"properties": {"Ex": 3}, "constraints": {"feature_size": {1: {"at_least": 40}}}}},
            "phase 1 40 pixels wide do not fit into an image of 32 x 32 pixels",
        ),
        ({"evaluator": "nothing"}, "evaluator = 'nothing' is unknown"),
        ({"model": "nowhere"}, "nowhere"),
        (
            {"materials": {"phases": [{"E": E, "nu": 0.3, "k": E} for E in (1, 5, 10)]}},
            "The campaign's materials are 3 phases; the model makes images of 2",
        ),
        ({"dataset": "nowhere"}, "nowhere"),
    ]:
        with pytest.raises(InputError, match=message):
            open_setup(settings(folder, **{"folder": str(tmp_path / "c"), **changes}), tmp_path / "c", "sqlite:///x.db")
        assert not (tmp_path / "c").exists()


def test_a_model_of_other_phases_than_the_materials(folder: Path, tmp_path: Path, surrogate: LocalSurrogate) -> None:
    small = NetworkConfig(size=16, widths=(8, 8), latent=4, hidden=16, phases=3)
    described = surrogate.bundle.description.model_copy(update={"model": ModelConfig(network=small)})
    save_bundle(tmp_path / "bundle", VAERegression(described.model, 2), described)
    with pytest.raises(InputError, match="materials are 2 phases; the model makes images of 3"):
        open_setup(settings(folder, model=str(tmp_path / "bundle")), tmp_path / "c", "sqlite:///x.db")


def test_retraining_needs_a_function_that_trains(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="retrain_every = 8, but there is nothing that trains"):
        run_design(settings(folder, retrain_every=8, folder=str(tmp_path / "c")))
    assert not (tmp_path / "c").exists()


def test_units_are_those_of_the_model(
    folder: Path, tmp_path: Path, surrogate: LocalSurrogate, materials: Materials
) -> None:
    def stated(unit: str) -> dict[str, Any]:
        return materials.model_dump(mode="json") | {"units": {"E": unit, "k": "W/(m K)"}}

    described = surrogate.bundle.description.model_copy(update={"materials": stated("GPa")})
    save_bundle(tmp_path / "bundle", surrogate.bundle.model, described)
    model = {"model": str(tmp_path / "bundle"), "folder": str(tmp_path / "c")}
    open_setup(settings(folder, **model, materials=stated("GPa")), tmp_path / "c", "sqlite:///x.db")
    with pytest.raises(InputError, match="state E in 'MPa', those of the model in 'GPa'; nothing is converted"):
        open_setup(settings(folder, **model, materials=stated("MPa")), tmp_path / "c", "sqlite:///x.db")


def test_images_of_another_size_than_the_model_s(folder: Path, tmp_path: Path, materials: Materials) -> None:
    small = generate_dataset(GenerateConfig(families=("GRF",), count_per_family=4, size=16), tmp_path / "images")
    label_dataset(small, tmp_path / "labelled", materials, FFTEvaluator())
    config = settings(folder, dataset=str(tmp_path / "labelled"))
    with pytest.raises(InputError, match=r"holds images of shape \(16, 16\) in 2 phases, the model makes 32 x 32 in 2"):
        open_setup(config, tmp_path / "c", "sqlite:///x.db")
