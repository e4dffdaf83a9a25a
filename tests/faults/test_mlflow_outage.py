"""MLflow that goes away within a campaign or a training: results first, and the record is completed at the next resume.

Minutes on a busy machine, so that it runs where it is asked for: `MICRODESIGN_OUTAGES=1 pytest tests/faults`.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import mlflow
import pytest

from microdesign.core.config import validate_config
from microdesign.core.errors import InputError, StorageError
from microdesign.core.progress import Recorded
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.workflow import run_design
from microdesign.learning.training.config.train_config import TrainConfig
from microdesign.learning.training.train import train
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.bundle import load_bundle, save_bundle
from microdesign.tracking import default_uri, start_run
from tests.design.small_model import small_surrogate
from tests.law_of_mixtures import law_of_mixtures
from tests.mlflow_database import database
from tests.system.settings import free_port, wait_until

pytestmark = [
    pytest.mark.ray,
    pytest.mark.usefixtures("local_ray"),
    pytest.mark.skipif(
        "MICRODESIGN_OUTAGES" not in os.environ, reason="a server killed for minutes; set MICRODESIGN_OUTAGES=1"
    ),
]


TRAINING = {
    "epochs": 6,
    "batch_size": 8,
    "model": {"network": {"size": 16, "widths": [8, 8], "latent": 4, "hidden": 16}, "prior": {"components": 2}},
}


class Server:
    """MLflow's server on a database in a folder, at one port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.uri, self.process = f"http://127.0.0.1:{self.port}", None
        start_run("none", "its tables", default_uri(folder))

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", default_uri(self.folder), "--artifacts-destination", str(self.folder / "a")]
        log = (self.folder / "server.log").open("w")
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, process_group=0)
        wait_until(self.answers, 240)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.uri}/health", timeout=1).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    server = Server(tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def test_results_first_and_the_record_is_completed(server: Server, tmp_path: Path) -> None:
    surrogate = small_surrogate()
    save_bundle(tmp_path / "bundle", surrogate.bundle.model, surrogate.bundle.description)
    values = {"target": {"properties": {"Ex": 2.0}, "tolerance": 0.5}, "model": str(tmp_path / "bundle")}
    values |= {"samples": 48, "screened": 6, "per_round": 4, "evaluations": 12, "candidates": 2}
    values |= {"robustness": {"draws": 0, "manufacturing": False}, "refinement": {"pool": 16}}
    settings = validate_config(CampaignConfig, values | {"folder": str(tmp_path / "campaign")}, "the settings")

    class Killing(Recorded):
        killed = 0.0

        def __call__(self, text: str, /) -> None:
            super().__call__(text)
            if "of at most" in text and not self.killed:
                server.kill()
                self.killed = time.monotonic()

    said = Killing()
    result = run_design(settings, said, server.uri)
    assert said.killed
    assert time.monotonic() - said.killed < 60
    assert (tmp_path / "campaign" / "result.json").is_file()
    assert (tmp_path / "campaign" / "report.html").is_file()
    assert sum("does not take the record" in text for text in said.texts) == 1
    assert "the same command sends them" in said.texts[-1]

    begun = time.monotonic()
    with pytest.raises(InputError, match="does not answer; start it or set MLFLOW_TRACKING_URI"):
        run_design(settings.model_copy(update={"folder": str(tmp_path / "other")}), said, server.uri)
    assert time.monotonic() - begun < 15
    assert not (tmp_path / "other").exists()

    server.start()
    again = run_design(settings, Recorded(), server.uri)
    assert [each.key for each in again.candidates] == [each.key for each in result.candidates]
    client = mlflow.MlflowClient(tracking_uri=server.uri)
    (experiment,) = client.search_experiments(filter_string=f"name = '{settings.experiment}'")
    runs = client.search_runs([experiment.experiment_id])
    (whole,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert whole.info.status == "FINISHED"
    steps = [metric.step for metric in client.get_metric_history(whole.info.run_id, "evaluations")]
    assert sorted(steps) == sorted(set(steps))
    assert max(steps) == 12
    assert {"report.html", "result.json"} <= {each.path for each in client.list_artifacts(whole.info.run_id)}
    assert not (tmp_path / "campaign" / "mlflow.unsent").exists()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return law_of_mixtures(tmp_path_factory.mktemp("train") / "data", ("Ex",))


class Locked:
    """An SQLite database that another program locks, and does not let go."""

    def __init__(self, folder: Path) -> None:
        self.uri, self.database = (
            database(folder),
            sqlite3.connect(folder / "mlflow.db", isolation_level=None, check_same_thread=False),
        )

    def kill(self) -> None:
        self.database.execute("BEGIN EXCLUSIVE")

    def start(self) -> None:
        self.database.execute("ROLLBACK")


@pytest.mark.parametrize("kind", ["server", "database"])
def test_a_training_ends_and_its_record_is_completed(
    kind: str, dataset: Dataset, tmp_path: Path, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    outage = request.getfixturevalue("server") if kind == "server" else Locked(tmp_path)
    values = {"dataset": str(dataset.folder), "properties": ["Ex"], "resources": {"cpus": 0.5}}
    values |= {"loop": TRAINING, "tracking": {"minimum_r2": None}, "storage": str(tmp_path / "runs")}
    config = validate_config(TrainConfig, values, "the settings")

    class Killing(Recorded):
        killed = 0.0

        def __call__(self, text: str, /) -> None:
            super().__call__(text)
            if text.startswith("epoch 2/"):
                outage.kill()
                self.killed = time.monotonic()

    said = Killing()
    with pytest.raises(StorageError, match=r"did not register .* the bundle is complete, and the same command"):
        train(config, said, outage.uri)
    took = time.monotonic() - said.killed
    epochs = [text for text in said.texts if text.startswith("epoch ")]
    with capfd.disabled():
        print(f"{kind}: ended {took:.0f} s after the outage began, {len(epochs)} epochs", *said.texts, sep="\n")
    assert len(epochs) == 6
    assert took < 90
    assert sum("does not take the record" in text for text in said.texts) == 1
    (folder,) = (tmp_path / "runs").iterdir()
    digest = load_bundle(folder / "bundle").digest
    # Work that trains as a part of it goes on with the bundle.
    part = Recorded()
    assert train(config, part, outage.uri, needs_mlflow=False) == folder / "bundle"
    assert any(text.startswith("the model is not registered: ") for text in part.texts)

    assert "Traceback" not in capfd.readouterr().err
    outage.start()
    again = Recorded()
    assert load_bundle(train(config, again, outage.uri)).digest == digest
    assert not any(text.startswith("epoch ") for text in again.texts)
    assert any(text.startswith("registered microdesign version 1") for text in again.texts)
    client = mlflow.MlflowClient(tracking_uri=outage.uri)
    (run,) = client.search_runs([each.experiment_id for each in client.search_experiments()], "tags.stage = 'train'")
    assert run.info.status == "FINISHED"
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "loss")] == [1, 2, 3, 4, 5, 6]
    assert not (folder / "mlflow.unsent").exists()
