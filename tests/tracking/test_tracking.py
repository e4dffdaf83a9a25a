"""MLflow for real, on SQLite: runs, metrics, artifacts, and the registry of model bundles."""

import os
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
from matplotlib.figure import Figure

from microdesign.core.errors import InputError
from microdesign.tracking import (
    Run,
    check_reachable,
    connection,
    continued,
    default_uri,
    download_bundle,
    find_version,
    make_champion,
    recorded,
    register_bundle,
    start_run,
)
from microdesign.tracking.recorder import as_png
from tests.tracking.conftest import EXPERIMENT, stored


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "made"
    path.mkdir()
    (path / "model.json").write_text("{}")
    (path / "weights.safetensors").write_bytes(os.urandom(100))
    return path


def artifacts(run: Run, path: str | None = None) -> list[str]:
    return [info.path for info in mlflow.MlflowClient(tracking_uri=run.uri).list_artifacts(run.run_id, path)]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_database_and_artifacts_stay_in_the_folder(run: Run, folder: Path) -> None:
    assert run.uri == default_uri(folder) == f"sqlite:///{folder}/mlflow.db"
    assert (folder / "mlflow.db").is_file()
    assert stored(run).info.artifact_uri.startswith((folder / "mlartifacts").as_uri())
    assert stored(run).info.run_name == "a run"


def test_one_experiment_for_all_runs_of_its_name(run: Run, folder: Path) -> None:
    again, other = start_run(EXPERIMENT, "again", run.uri), start_run("other", "elsewhere", run.uri)
    assert again.experiment_id == run.experiment_id != other.experiment_id
    assert again.run_id != run.run_id


def test_metrics_params_and_tags(run: Run) -> None:
    run.log_metrics({"loss": 2, "r2": 0.5}, step=0)
    run.log_metrics({"loss": 1.0}, step=1)
    run.log_params({"model": {"latent": 8, "prior": {"kind": "mixture"}}, "note": "x" * 2000})
    run.log_tags({"dataset": "abc"})
    data = stored(run).data
    assert data.metrics == {"loss": 1.0, "r2": 0.5}
    assert data.params == {"model.latent": "8", "model.prior.kind": "mixture", "note": "x" * 500}
    assert data.tags["dataset"] == "abc"
    history = mlflow.MlflowClient(tracking_uri=run.uri).get_metric_history(run.run_id, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(0, 2.0), (1, 1.0)]


def test_names_that_mlflow_would_refuse(run: Run) -> None:
    run.log_metrics({"mse+cess_best_loss": 0.5})
    run.log_params({"models": {"mse+cess": {"kx/ky": 1}}})
    data = stored(run).data
    assert data.metrics == {"mse_cess_best_loss": 0.5}
    assert data.params == {"models.mse_cess.kx/ky": "1"}


def test_more_params_than_one_request_holds(run: Run) -> None:
    run.log_params({f"p{index}": index for index in range(130)})
    assert len(stored(run).data.params) == 130


def test_artifacts(run: Run, bundle: Path) -> None:
    figure = Figure()
    figure.add_subplot().plot([0, 1])
    run.log_bytes(as_png(figure), "figures/line.png")
    run.log_text("hello", "note.txt")
    run.log_file(bundle / "model.json", "files")
    run.log_folder(bundle, "all")
    assert artifacts(run) == ["all", "figures", "files", "note.txt"]
    assert artifacts(run, "figures") == ["figures/line.png"]
    assert artifacts(run, "all") == ["all/model.json", "all/weights.safetensors"]


def test_nested_runs(run: Run, folder: Path) -> None:
    for child in (run.child("trial"),):
        assert stored(child).data.tags["mlflow.parentRunId"] == run.run_id
        assert child.experiment_id == run.experiment_id
        assert stored(child).info.run_name == "trial"


def test_ending(run: Run, tmp_path: Path) -> None:
    def work(one: Run, failure: type[BaseException] | None) -> None:
        with recorded(tmp_path / f"{one.run_id}.json", one.uri, lambda: one):
            assert stored(one).info.status == "RUNNING"
            if failure is not None:
                raise failure

    work(run, None)
    assert stored(run).info.status == "FINISHED"
    for failure, status in ((ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED")):
        one = run.child("ends")
        with pytest.raises(failure):
            work(one, failure)
        assert stored(one).info.status == status


def test_a_killed_run_goes_on_in_its_own_record(run: Run, tmp_path: Path) -> None:
    def start() -> Run:
        return start_run(EXPERIMENT, "long", run.uri)

    with recorded(tmp_path / "run.json", run.uri, start) as recorder:
        recorder.log_metrics({"loss": 2.0}, step=0)
    first = recorder.run
    assert stored(first).info.status == "FINISHED"
    again = continued(tmp_path / "run.json", run.uri, start)
    assert again == first
    assert stored(first).info.status == "RUNNING"

    mlflow.MlflowClient(tracking_uri=run.uri).delete_run(first.run_id)
    replaced = continued(tmp_path / "run.json", run.uri, start)
    assert replaced.run_id != first.run_id
    assert continued(tmp_path / "run.json", run.uri, start) == replaced
    elsewhere = Run(f"{run.uri}-other", "0", "x")
    assert continued(tmp_path / "run.json", elsewhere.uri, lambda: elsewhere) == elsewhere


def again(run: Run) -> Run:
    """Another run of the same experiment."""
    return Run(run.uri, run.experiment_id, run.child("another").run_id)


def test_a_run_registers_its_model_once(run: Run, bundle: Path) -> None:
    """A training that was killed before it had noted the version registers again."""
    first = register_bundle(run, bundle, "killed")
    assert register_bundle(run, bundle, "killed") == first
    with pytest.raises(InputError, match="models:/killed@challenger: is not registered"):
        find_version("models:/killed@challenger", run.uri)


def test_registered_bundles_come_back(run: Run, bundle: Path, tmp_path: Path) -> None:
    first, alias = register_bundle(run, bundle, "round-trip")
    before = content(bundle)
    assert (first.number, alias) == (1, "champion")
    got = download_bundle("models:/round-trip@champion", tmp_path / "cache", run.uri)
    assert content(got) == before

    (bundle / "weights.safetensors").write_bytes(b"better")
    second, alias = register_bundle(again(run), bundle, "round-trip")
    assert (second.number, alias) == (2, "challenger")
    assert find_version("models:/round-trip@champion", run.uri) == first
    newer = download_bundle("models:/round-trip@challenger", tmp_path / "cache", run.uri)
    assert content(newer) == content(bundle)
    assert content(download_bundle("models:/round-trip/1", tmp_path / "cache", run.uri)) == before
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == sorted([got.name, newer.name])


def test_a_challenger_becomes_champion(run: Run, bundle: Path) -> None:
    first, _ = register_bundle(run, bundle, "contest")
    second, _ = register_bundle(again(run), bundle, "contest")
    make_champion(second, run.uri)
    assert find_version("models:/contest@champion", run.uri) == second
    with pytest.raises(InputError, match="models:/contest@challenger: is not registered"):
        find_version("models:/contest@challenger", run.uri)
    third, alias = register_bundle(again(run), bundle, "contest")
    assert alias == "challenger"
    make_champion(first, run.uri)
    assert find_version("models:/contest@challenger", run.uri) == third


def test_a_bundle_is_fetched_once(run: Run, bundle: Path, tmp_path: Path) -> None:
    register_bundle(run, bundle, "once")
    got = download_bundle("models:/once@champion", tmp_path, run.uri)
    (got / "mark").write_text("")
    assert download_bundle(find_version("models:/once@champion", run.uri).reference, tmp_path, run.uri) == got
    assert (got / "mark").is_file()


def test_no_such_model_alias_or_version(run: Run, bundle: Path, tmp_path: Path) -> None:
    register_bundle(run, bundle, "known")
    for reference in ("models:/nothing@champion", "models:/nothing/3", "models:/known@second-best", "models:/known/9"):
        with pytest.raises(InputError, match=f"{reference}: is not registered at sqlite:.*; train a model first"):
            download_bundle(reference, tmp_path, run.uri)
    with pytest.raises(InputError, match="'champion' is no model reference; expected models:/NAME@ALIAS"):
        download_bundle("champion", tmp_path, run.uri)


def test_what_does_not_answer_is_said_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port where nobody listens, a server that takes connections and never answers, a locked or damaged database."""
    monkeypatch.setattr(connection, "_PROBE_SECONDS", 0.3)
    monkeypatch.setattr(connection, "_LOCKED_SECONDS", 0.3)
    started = time.monotonic()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for _ in range(2):
            for ask in (
                lambda: start_run(EXPERIMENT, "a run", uri),
                lambda: continued(tmp_path / "run.json", uri, lambda: Run(uri, "0", "x")),
                lambda: download_bundle("models:/a@b", tmp_path, uri),
            ):
                with pytest.raises(InputError, match=f"The MLflow server at {uri} does not answer; start it or set ML"):
                    ask()
            listener.listen()
    locked, damaged = tmp_path / "locked.db", tmp_path / "damaged.db"
    damaged.write_bytes(b"no database " * 100)
    with closing(sqlite3.connect(locked, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (a)")
        other.execute("BEGIN EXCLUSIVE")
        for path, reason in ((locked, "database is locked"), (damaged, "file is not a database")):
            with pytest.raises(InputError, match=f"{path.name}: cannot be written as MLflow's database \\({reason}"):
                check_reachable(f"sqlite:///{path}")
    assert time.monotonic() - started < 10


def test_the_environment_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert default_uri("anywhere") == "http://tracking:5000"
