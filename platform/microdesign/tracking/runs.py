"""Runs of MLflow.

Runs are named by explicit ids and written through `MlflowClient`, never through MLflow's global state, so that a
`Run` can be sent to a Ray worker. Default store: SQLite plus an artifact folder; `MLFLOW_TRACKING_URI` swaps it.
"""

import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from microdesign.core.config import flatten
from microdesign.core.files import read_json, write_json
from microdesign.tracking.connection import SQLITE, database_folder, default_uri, reachable

_LONGEST_PARAM, _MOST_PARAMS = 500, 100  # MLflow's limits of one value and of one request
_LONGEST_DIGEST = 36
_REFUSED = re.compile(r"[^\w\-. :/]", re.ASCII)  # in names of metrics and parameters


@dataclass(frozen=True)
class Run:
    """One MLflow run, by address; cheap to send to a worker."""

    uri: str
    experiment_id: str
    run_id: str

    def log_metrics(self, values: Mapping[str, float], step: int = 0, at: int | None = None) -> None:
        """Logs numbers at a step, in one request; as of `at`, milliseconds since 1970, or as of now."""
        now = int(time.time() * 1000) if at is None else at
        self.client.log_batch(
            self.run_id, metrics=[Metric(_allowed(k), float(v), now, step) for k, v in values.items()]
        )

    def last_step(self, name: str) -> int:
        """The largest step at which a number was logged; 0 if it never was."""
        return max((metric.step for metric in self.client.get_metric_history(self.run_id, _allowed(name))), default=0)

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Logs settings; nested mappings become `a.b` names, as in `--set`."""
        flat = [Param(_allowed(name), str(value)[:_LONGEST_PARAM]) for name, value in flatten(values).items()]
        for start in range(0, len(flat), _MOST_PARAMS):
            self.client.log_batch(self.run_id, params=flat[start : start + _MOST_PARAMS])

    def log_changes(self, values: Mapping[str, Any]) -> None:
        """Notes settings that are not as before as tags `changed.NAME`: MLflow keeps parameters as first given."""
        data = self.client.get_run(self.run_id).data
        tags = {f"changed.{_allowed(name)}": str(value)[:_LONGEST_PARAM] for name, value in flatten(values).items()}
        known = {f"changed.{name}": value for name, value in data.params.items()} | data.tags
        self.log_tags({name: value for name, value in tags.items() if known.get(name) != value})

    def log_tags(self, values: Mapping[str, str]) -> None:
        """Sets tags."""
        self.client.log_batch(self.run_id, tags=[RunTag(name, value) for name, value in values.items()])

    def log_dataset(self, folder: str | Path, digest: str, profile: Mapping[str, float]) -> None:
        """Notes what the run learns from: a data set's folder, its digest, numbers that describe it."""
        path = Path(folder).resolve()
        source, numbers = json.dumps({"uri": str(path)}), json.dumps(dict(profile))
        dataset = Dataset(path.name, digest[:_LONGEST_DIGEST], "local", source, profile=numbers)
        self.client.log_inputs(self.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def log_text(self, text: str, artifact: str) -> None:
        """Stores a text as an artifact."""
        self.client.log_text(self.run_id, text, artifact)

    def log_bytes(self, data: bytes, artifact: str) -> None:
        """Stores bytes as an artifact."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(artifact).name
            path.write_bytes(data)
            parent = str(Path(artifact).parent)
            self.client.log_artifact(self.run_id, str(path), None if parent == "." else parent)

    def log_file(self, path: str | Path, folder: str | None = None) -> None:
        """Stores one file as an artifact."""
        self.client.log_artifact(self.run_id, str(path), folder)

    def log_folder(self, path: str | Path, folder: str) -> None:
        """Stores the content of a folder as artifacts."""
        self.client.log_artifacts(self.run_id, str(path), folder)

    def child(self, name: str) -> "Run":
        """Starts a run nested below this one."""
        return _start(self.uri, self.experiment_id, name, {"mlflow.parentRunId": self.run_id})

    def reopen(self) -> bool:
        """Marks the run as running again; returns whether it (still) exists at its address."""
        try:
            self.client.update_run(self.run_id, status="RUNNING")
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE"):
                return False
            raise
        return True

    def end(self, status: str = "FINISHED") -> None:
        """Ends the run: `FINISHED`, `FAILED` or `KILLED`."""
        self.client.set_terminated(self.run_id, status)

    @property
    def client(self) -> mlflow.MlflowClient:
        """MLflow's client of the run's server."""
        return mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)


def start_run(experiment: str, name: str, uri: str | None = None) -> Run:
    """Starts a run; the experiment, and with SQLite the database, are made when they are missing.

    Call it in the driver before workers log: two processes must not initialise one database at once.

    Args:
        experiment: Experiment name.
        name: Run name.
        uri: Tracking address; `default_uri()` when None. With SQLite, artifacts go to `mlartifacts` beside the file.

    Raises:
        InputError: The tracking server cannot be reached, or the database cannot be written.
    """
    uri = uri or default_uri()
    artifacts = database_folder(uri) / "mlartifacts" if uri.startswith(SQLITE) else None
    with reachable(uri):
        client = mlflow.MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        if found is not None:
            experiment_id = found.experiment_id
        else:
            # An absolute location: a relative one means whatever folder a later reader stands in.
            experiment_id = client.create_experiment(experiment, artifacts.as_uri() if artifacts else None)
        return _start(uri, experiment_id, name, {})


def continued(record: str | Path, uri: str, start: Callable[[], Run]) -> Run:
    """The run that a file notes, open again: what was killed goes on in its own run; else a new one, and noted there.

    Args:
        record: The file, beside what the run makes.
        uri: Tracking address; a run noted at another one is not taken up.
        start: Starts the run if there is none to go on with.

    Raises:
        InputError: The tracking server cannot be reached.
    """
    record = Path(record)
    with reachable(uri):
        if record.is_file():
            run = Run(**read_json(record))
            if run.uri == uri and run.reopen():
                return run
        run = start()
    write_json(record, asdict(run))
    return run


def _start(uri: str, experiment_id: str, name: str, tags: Mapping[str, str]) -> Run:
    client = mlflow.MlflowClient(tracking_uri=uri)
    run = client.create_run(experiment_id, run_name=name, tags=dict(tags))
    return Run(uri, experiment_id, run.info.run_id)


def _allowed(name: str) -> str:
    """The name as MLflow takes it: `mse+cess` becomes `mse_cess`."""
    return _REFUSED.sub("_", name)
