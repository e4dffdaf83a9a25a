"""The record beside the work: what MLflow does not take waits, in order, and nothing of it reaches the work."""

import threading
import time
from contextlib import suppress
from pathlib import Path

import mlflow
import pytest
from matplotlib.figure import Figure
from mlflow.exceptions import MlflowException

from microdesign.core.errors import InputError
from microdesign.core.progress import Recorded
from microdesign.tracking import Recorder, Run, complete_record, recorded, recorder
from tests.tracking.conftest import stored


class Gate:
    """Opens a run once it is let: until then MLflow does not answer."""

    def __init__(self, run: Run) -> None:
        self.run, self.open, self.tries = run, threading.Event(), 0

    def __call__(self) -> Run:
        self.tries += 1
        if not self.open.is_set():
            raise InputError("The MLflow server does not answer.")
        return self.run


def losses(run: Run) -> list[tuple[int, float]]:
    history = mlflow.MlflowClient(tracking_uri=run.uri).get_metric_history(run.run_id, "loss")
    return [(metric.step, metric.value) for metric in history]


def test_an_outage_costs_the_work_nothing_and_the_record_is_completed(run: Run, tmp_path: Path) -> None:
    gate, said, folder = Gate(run), Recorded(), tmp_path / "unsent"
    one = Recorder(folder, run.uri, gate, said, pause=0.02)
    one.begin()
    begun = time.monotonic()
    for step in range(20):
        one.log_metrics({"loss": 1 / (step + 1)}, step=step)
    assert time.monotonic() - begun < 1
    one.log_params({"model": {"latent": 8}})
    one.log_tags({"stage": "train"})
    figure = Figure()
    figure.add_subplot().plot([0, 1])
    one.log_figure(figure, "figures/line.png")
    one.log_text("hello", "note.txt")
    one.log_child("round", {"best": 0.5}, 3, {"gallery.png": b"picture"})
    while gate.tries < 3:
        time.sleep(0.01)
    assert len(list(folder.glob("*.json"))) == 25
    assert len(said.texts) == 1
    assert said.texts[0].startswith(f"MLflow at {run.uri} does not take the record (The MLflow server does not answer")
    gate.open.set()
    one.end()
    one.close()
    assert losses(run) == [(step, 1 / (step + 1)) for step in range(20)]
    data = stored(run)
    assert (data.data.params["model.latent"], data.data.tags["stage"], data.info.status) == ("8", "train", "FINISHED")
    client = mlflow.MlflowClient(tracking_uri=run.uri)
    assert [each.path for each in client.list_artifacts(run.run_id)] == ["figures", "note.txt"]
    (child,) = client.search_runs([run.experiment_id], f"tags.mlflow.parentRunId = '{run.run_id}'")
    assert (child.info.run_name, child.info.status, child.data.metrics) == ("round", "FINISHED", {"best": 0.5})
    assert [each.path for each in client.list_artifacts(child.info.run_id)] == ["gallery.png"]
    assert said.texts[1:] == [f"MLflow at {run.uri} takes the record again"]
    assert not folder.exists()


def test_what_was_not_taken_is_sent_at_the_next_resume(run: Run, tmp_path: Path) -> None:
    record, said = tmp_path / "mlflow.json", Recorded()
    away = Gate(run)
    with suppress(ValueError), recorded(record, run.uri, away, said, at_once=False) as first:
        first.log_changes({"loss": "mse"})
        first.log_metrics({"loss": 3.0}, step=1)
        raise ValueError("the work fails")
    assert f"has not taken 3 entries of the record; they wait in {tmp_path / 'mlflow.unsent'}" in said.texts[-1]
    with recorded(record, run.uri, lambda: run, said) as second:
        assert second.last_step("loss") == 1
        second.log_metrics({"loss": 2.0}, step=2)
    assert losses(run) == [(1, 3.0), (2, 2.0)]
    assert stored(run).info.status == "FINISHED"
    assert not (tmp_path / "mlflow.unsent").exists()


def test_the_record_of_work_that_is_over_is_completed(run: Run, tmp_path: Path) -> None:
    record = tmp_path / "mlflow.json"
    with recorded(record, run.uri, lambda: run):
        pass
    left = Recorder(tmp_path / "mlflow.unsent", run.uri, Gate(run))
    left.log_metrics({"loss": 1.0}, step=1)
    left.end("FAILED")
    complete_record(record)
    assert (losses(run), stored(run).info.status) == ([(1, 1.0)], "FAILED")
    complete_record(record)
    complete_record(tmp_path / "none.json", status="KILLED")
    complete_record(record, status="KILLED", tags={"ended": "stopped early"})
    assert (stored(run).info.status, stored(run).data.tags["ended"]) == ("KILLED", "stopped early")


def test_an_outage_within_a_nested_run_makes_no_second(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, failures = Run.log_bytes, [MlflowException("away"), OSError("reset")]

    def fails_first(one: Run, data: bytes, artifact: str) -> None:
        if failures:
            raise failures.pop()
        sound(one, data, artifact)

    monkeypatch.setattr(Run, "log_bytes", fails_first)
    one = Recorder(tmp_path / "unsent", run.uri, lambda: run, pause=0.01)
    one.log_child("round", {"best": 0.5}, 3, {"gallery.png": b"picture"})
    one.begin()
    while failures:
        time.sleep(0.01)
    one.close()
    client = mlflow.MlflowClient(tracking_uri=run.uri)
    assert len(client.search_runs([run.experiment_id], f"tags.mlflow.parentRunId = '{run.run_id}'")) == 1


def test_what_mlflow_refuses_is_said_and_the_rest_is_recorded(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Recorded()
    monkeypatch.setattr(recorder, "MOST_UNSENT", 5)
    one = Recorder(tmp_path / "unsent", run.uri, lambda: run, said)
    one.log_params({"a": 1})
    one.log_params({"a": 2})
    one.log_file(tmp_path / "gone.txt")
    one.log_metrics({"loss": 1.0})
    one.log_metrics({"loss": 2.0}, step=1)
    one.log_metrics({"loss": 3.0}, step=2)
    (tmp_path / "unsent" / "00000004.json").write_text("{")  # damaged
    one.end()
    one.begin()
    one.close()
    assert losses(run) == [(1, 2.0)]
    assert ["refuses a part of the record" in text for text in said.texts] == [True, True, False]
    assert said.texts[-1] == "the record in MLflow lacks 1 entries: more than 5 waited"
    assert stored(run).info.status == "FINISHED"
