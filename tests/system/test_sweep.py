"""Sweeps by their command: a grid, and a search that is killed on a Ray of its own and goes on on another."""

import json
import os
import signal
import subprocess
from pathlib import Path

import mlflow
import pytest
import yaml

from tests.system.settings import BIN, SMALL_LOOP, Command, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def settings_of(labelled: Path, folder: Path, **changes: object) -> dict:
    train = {"dataset": str(labelled), "loop": SMALL_LOOP | {"epochs": 2}, "storage": str(folder / "runs")}
    train |= {"tracking": {"register_as": "swept", "minimum_r2": None}}
    return {"train": train, "resources": {"concurrent": 1}, **changes}


def children(uri: str, parent: str) -> list:
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_run(parent).info.experiment_id
    return client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent}'")


def test_a_grid_tries_every_combination_and_stops_the_hopeless(
    command: Command, environment: dict[str, str], labelled: Path, folder: Path
) -> None:
    hopeless = 1e-9
    space = {"objective.loss": ["mse+cess"], "optimizer.learning_rate": [2e-3, hopeless]}
    search = {"method": "grid", "epochs": 2, "early_stopping": True}
    settings = settings_of(labelled, folder, search=search, metrics=["excess_cess"], space=space, retrain=False)
    (folder / "grid.yaml").write_text(yaml.safe_dump(settings))
    document = json.loads(command("sweep", "grid.yaml", "--json").stdout)
    rows = document["trials"]
    assert [(row["objective.loss"], row["optimizer.learning_rate"], row["status"], row["winner"]) for row in rows] == [
        ("mse+cess", 2e-3, "finished", True),
        ("mse+cess", hopeless, "stopped", False),
    ]
    assert rows[0]["excess_cess"] < rows[1]["excess_cess"]
    (parent,) = folder.glob("runs/sweep-*/mlflow.json")
    nested = children(environment["MLFLOW_TRACKING_URI"], json.loads(parent.read_text())["run_id"])
    ends = [(run.info.status, run.data.tags.get("ended")) for run in nested]
    assert sorted(ends, key=str) == [("FINISHED", None), ("KILLED", "stopped early")]


def test_a_killed_search_goes_on(command: Command, environment: dict[str, str], labelled: Path, folder: Path) -> None:
    space = {"optimizer.learning_rate": {"loguniform": [1e-4, 1e-2]}, "model.prior.components": {"integers": [1, 4]}}
    settings = settings_of(
        labelled,
        folder,
        search={"trials": 2, "epochs": 4},
        metrics=["mape", "excess_cess", "inverse_error"],
        inverse_error={"evaluator": "fft", "targets": 2, "draws": 2},
        space=space,
    )
    (folder / "search.yaml").write_text(yaml.safe_dump(settings))
    line = ["sweep", "search.yaml", "--json"]

    def trials() -> dict[Path, dict]:
        return {path: json.loads(path.read_text()) for path in folder.glob("runs/sweep-*/trials/????????????.json")}

    def in_the_middle() -> bool:
        found = list(trials().values())
        finished = sum(trial["status"] == "finished" for trial in found)
        return finished >= 1 and any(trial["status"] == "running" and trial["epochs"] >= 1 for trial in found)

    before_grid = set(trials())
    with (folder / "search.log").open("w") as stream:
        first = subprocess.Popen(
            [BIN / "microdesign", *line],
            cwd=folder,
            env=environment,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )

    def mine() -> dict[Path, dict]:
        return {path: trial for path, trial in trials().items() if path not in before_grid}

    wait_until(lambda: (in_the_middle() and len(mine()) >= 2) or first.poll() is not None, 400)
    assert first.poll() is None, f"the sweep ended before it could be killed: {(folder / 'search.log').read_text()}"
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    finished = {path: path.stat().st_mtime_ns for path, trial in mine().items() if trial["status"] == "finished"}
    (running,) = (path for path, trial in mine().items() if trial["status"] == "running")
    place = running.parent
    begun = json.loads((place / f"{running.stem}.mlflow").read_text())["run_id"]

    document = json.loads(command(*line).stdout)
    assert [row["status"] for row in document["trials"]] == ["finished"] * 2
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert json.loads((place / f"{running.stem}.mlflow").read_text())["run_id"] == begun

    uri = environment["MLFLOW_TRACKING_URI"]
    parent = json.loads((place.parent / "mlflow.json").read_text())["run_id"]
    nested = children(uri, parent)
    assert len(nested) == 2
    assert {run.info.status for run in nested} == {"FINISHED"}
    client = mlflow.MlflowClient(tracking_uri=uri)
    for run in nested:
        assert {metric.step for metric in client.get_metric_history(run.info.run_id, "loss")} == set(range(1, 5))
    # The epochs that a killed trial had saved were not trained again.
    assert len(client.get_metric_history(begun, "loss")) <= 5
    assert {file.path for file in client.list_artifacts(parent)} >= {"trials.md", "pareto_mape_excess_cess.png"}

    (winner,) = document["winners"]
    assert Path(winner["bundle"], "model.json").is_file()
    assert {"mape", "r2", "excess_cess", "inverse_error"} == set(winner["test"])
    assert client.get_model_version_by_alias("swept", "champion").version == 1
