"""The report of a sweep: order, Pareto sets, winners, table and figures, from trials made up for it."""

import json

import pytest

from microdesign.learning.sweep.sweep_report import SweepReport
from microdesign.learning.sweep.sweep_trials import SweepTrial


def trial(name: str, **metrics: float) -> SweepTrial:
    return SweepTrial(choice={"objective.loss": name}, status="finished", epochs=5, metrics=metrics)


@pytest.fixture
def report() -> SweepReport:
    report = SweepReport("sweep", ("mape", "r2"))
    failed = SweepTrial(choice={"objective.loss": "broken"}, status="failed", error="The loss is nan.")
    good = [trial("best", mape=0.1, r2=0.9), trial("other", mape=0.3, r2=0.95), trial("beaten", mape=0.4, r2=0.5)]
    report.add("small", [failed, *reversed(good)])
    report.add("large", [trial("only", mape=0.2, r2=0.7)])
    return report


def test_rows_are_ranked_and_marked(report: SweepReport) -> None:
    rows = report.rows()
    assert [(row["model"], row["objective.loss"]) for row in rows] == [
        ("small", "best"),
        ("small", "other"),
        ("small", "beaten"),
        ("small", "broken"),
        ("large", "only"),
    ]
    assert [row["pareto"] for row in rows] == [True, True, False, False, True]
    assert [row["winner"] for row in rows] == [True, False, False, False, True]
    assert rows[3]["status"] == "failed"
    assert rows[3]["mape"] is None


def test_the_best_of_each_objective_is_a_metric(report: SweepReport) -> None:
    metrics = report.metrics()
    assert metrics["small_best_mape"] == 0.1
    assert metrics["small_best_r2"] == 0.95
    assert metrics["small_failed_trials"] == 1
    assert metrics["large_failed_trials"] == 0


def test_the_table_and_the_document_say_the_same(report: SweepReport) -> None:
    lines = report.table().splitlines()
    assert lines[0] == "| model | objective.loss | mape | r2 | epochs | status | pareto | winner |"
    assert lines[2] == "| small | best | 0.1 | 0.9 | 5 | finished | True | True |"
    document = json.loads(json.dumps(report.document()))
    assert document["trials"] == report.rows()
    assert [winner["choice"] for winner in document["winners"]] == [
        {"objective.loss": "best"},
        {"objective.loss": "only"},
    ]
    assert document["wins"] is None


def test_the_pareto_set_is_drawn(report: SweepReport) -> None:
    (figure,) = report.figures().values()
    axes = figure.axes[0]
    # For each model all trials, the Pareto set, the winner.
    assert [len(points.get_offsets()) for points in axes.collections] == [3, 2, 1, 1, 1, 1]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("mape", "r2")
