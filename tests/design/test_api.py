"""Inverse design from Python: a loaded model, plain dicts, no Ray; and a campaign that is evaluated elsewhere."""

from pathlib import Path
from typing import Any

import pytest

from microdesign.core.errors import InputError
from microdesign.core.progress import silent
from microdesign.design.api import Campaign, design
from microdesign.design.report.result import CampaignResult, read_result
from microdesign.model.bundle import load_bundle, save_bundle
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.materials import Materials
from microdesign.surrogate.local import LocalSurrogate
from tests.mlflow_database import database

TARGET = {"properties": {"Ex": 3.2, "kx": 3.2}, "tolerance": 0.5}
SMALL: dict[str, Any] = {"samples": 32, "screened": 4, "evaluations": 6, "candidates": 2, "refinement": {"pool": 16}}
PHASES = [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="module")
def model(folder: Path, surrogate: LocalSurrogate) -> LocalSurrogate:
    save_bundle(folder / "bundle", surrogate.bundle.model, surrogate.bundle.description)
    return LocalSurrogate(load_bundle(folder / "bundle"))


def designed(model: Any, folder: Path, **changes: Any) -> CampaignResult:
    uri = database(folder)
    settings = {**SMALL, "robustness": {"draws": 1}, "folder": folder / "campaign", "tracking_uri": uri, **changes}
    return design(model, TARGET, progress=silent, **settings)


@pytest.fixture(scope="module")
def result(folder: Path, model: LocalSurrogate) -> CampaignResult:
    """Of a loaded model, where Ray must not be started."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("Ray is used")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray.init", refuse)
        patch.setattr("microdesign.physics.execution.pool.TaskPool.__init__", refuse)
        return designed(model, folder, materials=PHASES)


def test_candidates_are_verified_by_physics(result: CampaignResult, materials: Materials) -> None:
    assert result.candidates
    assert result.search.evaluations == 6
    values = FFTEvaluator().evaluate(result.images, materials)
    for number, candidate in enumerate(result.candidates):
        assert candidate.verified["Ex"] == pytest.approx(values["Ex"][number], rel=1e-3)
    assert result.images.shape == (len(result.candidates), 32, 32)
    assert "candidate 1" in str(result)
    assert "<table>" in result._repr_html_()


def test_the_same_call_goes_on_and_repeats_nothing(result: CampaignResult, folder: Path) -> None:
    again = designed(folder / "bundle", folder)
    assert again.search.resumed_evaluations == again.search.evaluations == 6
    assert again.candidates == result.candidates
    assert read_result(folder / "campaign") == again


def test_a_campaign_that_is_evaluated_elsewhere(surrogate: LocalSurrogate, tmp_path: Path) -> None:
    target = {"Ex": 3.0, "hardness": {"at_least": 0.4}}  # hardness is a property that only the laboratory knows
    settings = {**SMALL, "folder": tmp_path / "lab", "tracking_uri": "sqlite:///none.db"}
    with Campaign(surrogate, target, **settings) as campaign:
        while not campaign.reason_to_stop():
            trials = campaign.ask(3)
            told: dict[str, Any] = {t.key: {"Ex": 1 + 4 * t.labels.mean(), "hardness": 0.5} for t in trials}
            told[trials[0].key] = "it broke in the press"
            assert len(campaign.tell(told)) == len(trials)
        result = campaign.result()
    assert result.search.stopped == "the budget of 6 evaluations is spent"
    assert [failure.error for failure in result.search.failed] == ["it broke in the press"] * len(result.search.failed)
    assert result.search.failed
    assert len(result.images) == len(result.candidates)
    with pytest.raises(InputError, match="another evaluator"):
        Campaign(surrogate, target, **settings, method="another laboratory")


def test_bad_input_is_one_sentence(surrogate: LocalSurrogate, tmp_path: Path) -> None:
    for arguments, message in (
        ({"target": {"Ex": 11.0}}, "Ex = 11 is out of reach"),
        ({"target": {"Ex": 3.0}, "evaluation": 3}, "unknown key 'evaluation'; did you mean 'evaluations'"),
        ({"target": {"Ex": 3.0}, "runner": "slurm"}, "runner = 'slurm' is unknown"),
        ({"target": {"Ex": 3.0}, "refiner": "annealing"}, "refiner = 'annealing' is unknown"),
        ({"target": {"Ex": 3.0}, "retrain_every": 8}, "expected the model's bundle folder, not a loaded one"),
        ({"target": {"Ex": 3.0}, "aimed": 8}, "'aimed' is now called 'corrected'"),
    ):
        with pytest.raises(InputError, match=message):
            design(surrogate, folder=tmp_path / "c", progress=silent, tracking_uri="sqlite:///none.db", **arguments)
    assert not (tmp_path / "c" / "evaluations").exists()
