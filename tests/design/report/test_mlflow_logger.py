"""What MLflow holds of a campaign."""

from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pytest

from microdesign.core.progress import Recorded
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.progress import CampaignProgress
from microdesign.design.campaign.trials import Trial, Trials, TrialState
from microdesign.design.report.mlflow_logger import MLflowLogger, hypervolume
from microdesign.design.report.summary import summarize_search, total_seconds
from microdesign.design.target.target import Target
from microdesign.tracking import recorded, start_run
from tests.mlflow_database import database

TARGET = Target(properties={"Ex": 2.0, "kx": {"maximize": True}, "ky": {"minimize": True}}, tolerance=0.1)
VALUES = [(2.0, 1.0, 3.0), (2.1, 4.0, 4.0), (3.0, 9.0, 1.0), (2.0, 3.0, 3.5), (2.0, 1.0, 5.0)]


def trial(number: int, values: tuple[float, ...] | None, predicted: float = 2.2) -> Trial:
    labels = (np.random.default_rng(number).random((8, 8)) < 0.5).astype(np.uint8)
    return Trial(
        number=number,
        key=f"{number:064x}",
        labels=labels,
        z=np.zeros(3),
        component=number % 2,
        round=number // 2,
        stage="initial" if number < 3 else "bayesian",
        parent="",
        model="m",
        predicted={"Ex": predicted, "kx": float("nan"), "ky": 3.0},
        state=TrialState.SUCCEEDED if values else TrialState.FAILED,
        verified=dict(zip(TARGET.names, values, strict=True)) if values else {},
        error="" if values else "EvaluationError: no answer",
        order=number,
        timings={"proposing": 0.5, "waiting": 0.25, "evaluating": 1.0},
    )


TRIALS = [*(trial(i, values) for i, values in enumerate(VALUES)), trial(5, None)]


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database: its tables take seconds to make."""
    return database(tmp_path_factory.mktemp("record"))


def test_hypervolume_of_two_boxes() -> None:
    front = np.array([[2.0, 1.0], [1.0, 2.0], [0.5, 0.5]])
    assert hypervolume(front, np.zeros(2)) == pytest.approx(3.0)


def test_the_search_in_rounds(tmp_path: Path) -> None:
    config = CampaignConfig(target=TARGET, per_round=3)
    found = summarize_search(TRIALS, CampaignProgress(config, Trials(TRIALS)), tmp_path)
    first, second = found.rounds
    assert (first.first, first.last, second.first, second.last) == (1, 3, 4, 5)
    assert first.stages == {"initial": 3}
    assert second.stages == {"bayesian": 2}
    assert (first.best_error, second.best_so_far) == (0, 0)
    pictures = np.load(first.images, allow_pickle=False)
    assert pictures.shape == (3, 8, 8)
    np.testing.assert_array_equal(pictures[2], TRIALS[2].labels)  # it misses Ex: last
    assert [each.predicted["Ex"] for each in found.evaluated] == [2.2] * 5
    assert [each.verified["Ex"] for each in found.evaluated] == [values[0] for values in VALUES]
    assert found.evaluated[0].predicted["kx"] is None
    assert sorted(first.shown) == [1, 2, 3]
    assert first.shown[2] == 3  # which misses Ex
    assert (
        dict(found.timings)
        == total_seconds(TRIALS)
        == {"proposing": 3.0, "waiting": 1.5, "evaluating": 6.0, "checking": 0.0}
    )
    assert [(failure.key, failure.error) for failure in found.failed] == [(TRIALS[5].key, "EvaluationError: no answer")]
    assert found.best_values == {"kx": (1, 4, 4, 4, 4), "ky": (3, 3, 3, 3, 3)}
    assert found.front is not None
    assert found.front.numbers == (0, 1, 3, 4)
    assert found.front.on_front == (True, True, True, False)


def test_a_run_with_a_nested_run_for_each_round(uri: str, tmp_path: Path) -> None:
    record = tmp_path / "mlflow.json"
    start = partial(start_run, "e", "campaign", uri)
    with recorded(record, uri, start) as recorder, MLflowLogger(recorder, TARGET) as logger:
        logger.log_round(TRIALS[:3], TRIALS[:3], 1)
        logger.log_round(TRIALS, TRIALS[3:], 2)
    with recorded(record, uri, start) as recorder, MLflowLogger(recorder, TARGET) as later:
        assert later.reported == 6
    run = recorder.run
    client = mlflow.MlflowClient(tracking_uri=uri)
    whole = client.get_run(run.run_id)
    assert whole.data.metrics["evaluations"] == 6
    assert whole.data.metrics["failed"] == 1
    assert whole.data.metrics["best_kx"] == 4
    assert whole.data.metrics["best_ky"] == 3
    # Fronts (1, -3), (3, -3.5), (4, -4) over the reference (1, -5).
    assert whole.data.metrics["hypervolume"] == pytest.approx(2 * 1.5 + 1 * 1)
    assert [metric.step for metric in client.get_metric_history(run.run_id, "best_error")] == [3, 6]
    nested = client.search_runs([run.experiment_id], f"tags.mlflow.parentRunId = '{run.run_id}'")
    assert {child.info.run_name for child in nested} == {"evaluations 1 to 3", "evaluations 4 to 6"}
    last = next(child for child in nested if child.info.run_name == "evaluations 4 to 6")
    assert last.info.status == "FINISHED"
    assert last.data.metrics["seconds_evaluating"] == 3
    assert last.data.metrics["prediction_error_Ex"] == pytest.approx(0.1)
    assert "prediction_error_kx" not in last.data.metrics
    assert [file.path for file in client.list_artifacts(last.info.run_id)] == ["gallery.png"]


def test_what_mlflow_refuses_is_said(uri: str, tmp_path: Path) -> None:
    run, said = start_run("e", "campaign", uri), Recorded()
    gone = type(run)(run.uri, run.experiment_id, "0" * 32)
    record = tmp_path / "mlflow.json"
    with recorded(record, uri, lambda: gone, said) as recorder, MLflowLogger(recorder, TARGET) as logger:
        logger.log_round(TRIALS, TRIALS, 1)
    assert any("refuses a part of the record" in text and "not found" in text for text in said.texts)
