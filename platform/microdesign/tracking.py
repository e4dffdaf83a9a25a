"""MLflow, and the only module that imports it: runs, metrics, figures, the registry of model bundles.

Runs are named by explicit ids and written through `MlflowClient`, never through MLflow's global state, so that a
`Run` can be sent to a Ray worker. Default store: SQLite plus an artifact folder; `MLFLOW_TRACKING_URI` swaps it.
"""

import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from microdesign.core.config import flatten
from microdesign.core.errors import InputError, StorageError
from microdesign.core.files import read_json, write_json
from microdesign.core.references import RegisteredModel, parse_registered

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHAMPION, CHALLENGER = "champion", "challenger"
"""Aliases of a registered model: the version that serving and campaigns take by default, and the latest other one."""
BUNDLE_ARTIFACT = "bundle"
_LONGEST_PARAM, _MOST_PARAMS = 500, 100  # MLflow's limits of one value and of one request
_LONGEST_DIGEST = 36
_FIRST_CONTACT_RETRIES = 2
_SQLITE = "sqlite:///"
_REFUSED = re.compile(r"[^\w\-. :/]", re.ASCII)  # in names of metrics and parameters

# Its notes on tables that it creates would stand between our lines of progress.
logging.getLogger("mlflow").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Run:
    """One MLflow run, by address; cheap to send to a worker."""

    uri: str
    experiment_id: str
    run_id: str

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Logs numbers at a step, in one request."""
        now = int(time.time() * 1000)
        self._client.log_batch(
            self.run_id, metrics=[Metric(_allowed(k), float(v), now, step) for k, v in values.items()]
        )

    def last_step(self, name: str) -> int:
        """The largest step at which a number was logged; 0 if it never was."""
        return max((metric.step for metric in self._client.get_metric_history(self.run_id, _allowed(name))), default=0)

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Logs settings; nested mappings become `a.b` names, as in `--set`."""
        flat = [Param(_allowed(name), str(value)[:_LONGEST_PARAM]) for name, value in flatten(values).items()]
        for start in range(0, len(flat), _MOST_PARAMS):
            self._client.log_batch(self.run_id, params=flat[start : start + _MOST_PARAMS])

    def log_changes(self, values: Mapping[str, Any]) -> None:
        """Notes settings that are not as before as tags `changed.NAME`: MLflow keeps parameters as first given."""
        data = self._client.get_run(self.run_id).data
        tags = {f"changed.{_allowed(name)}": str(value)[:_LONGEST_PARAM] for name, value in flatten(values).items()}
        known = {f"changed.{name}": value for name, value in data.params.items()} | data.tags
        self.log_tags({name: value for name, value in tags.items() if known.get(name) != value})

    def log_tags(self, values: Mapping[str, str]) -> None:
        """Sets tags."""
        self._client.log_batch(self.run_id, tags=[RunTag(name, value) for name, value in values.items()])

    def log_dataset(self, folder: str | Path, digest: str, profile: Mapping[str, float]) -> None:
        """Notes what the run learns from: a data set's folder, its digest, numbers that describe it."""
        path = Path(folder).resolve()
        source, numbers = json.dumps({"uri": str(path)}), json.dumps(dict(profile))
        dataset = Dataset(path.name, digest[:_LONGEST_DIGEST], "local", source, profile=numbers)
        self._client.log_inputs(self.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def log_text(self, text: str, artifact: str) -> None:
        """Stores a text as an artifact."""
        self._client.log_text(self.run_id, text, artifact)

    def log_figure(self, figure: "Figure", artifact: str) -> None:
        """Stores a matplotlib figure as an artifact, `.png` by its name."""
        self._client.log_figure(self.run_id, figure, artifact)

    def log_file(self, path: str | Path, folder: str | None = None) -> None:
        """Stores one file as an artifact."""
        self._client.log_artifact(self.run_id, str(path), folder)

    def log_folder(self, path: str | Path, folder: str) -> None:
        """Stores the content of a folder as artifacts."""
        self._client.log_artifacts(self.run_id, str(path), folder)

    def child(self, name: str) -> "Run":
        """Starts a run nested below this one."""
        return _start(self.uri, self.experiment_id, name, {"mlflow.parentRunId": self.run_id})

    def reopen(self) -> bool:
        """Marks the run as running again; returns whether it (still) exists at its address."""
        try:
            self._client.update_run(self.run_id, status="RUNNING")
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE"):
                return False
            raise
        return True

    def end(self, status: str = "FINISHED") -> None:
        """Ends the run: `FINISHED`, `FAILED` or `KILLED`."""
        self._client.set_terminated(self.run_id, status)

    @property
    def _client(self) -> mlflow.MlflowClient:
        return mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)


def default_uri(folder: str | Path = ".") -> str:
    """The tracking address: `MLFLOW_TRACKING_URI`, else SQLite in `folder`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(Path(folder) / 'mlflow.db').resolve()}"


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
    artifacts = _database_folder(uri) / "mlartifacts" if uri.startswith(_SQLITE) else None
    with _reachable(uri):
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
    """
    record = Path(record)
    if record.is_file():
        run = Run(**read_json(record))
        if run.uri == uri and run.reopen():
            return run
    run = start()
    write_json(record, asdict(run))
    return run


@contextmanager
def ending(run: Run) -> Iterator[Run]:
    """Ends the run when the block ends: as FAILED after an error, as KILLED after an interrupt or an exit.

    Raises:
        StorageError: MLflow stopped taking what the block logged.
    """
    try:
        yield run
        run.end()
    except BaseException as error:
        # The error is what matters, also when MLflow is the one that fails.
        with suppress(MlflowException):
            run.end("FAILED" if isinstance(error, Exception) else "KILLED")
        if isinstance(error, MlflowException):
            raise StorageError(f"MLflow at {run.uri} took no more of the record: {_first_line(error)}") from error
        raise


@dataclass(frozen=True)
class Version:
    """A version of a registered model."""

    model: str
    number: int
    run_id: str

    @property
    def reference(self) -> RegisteredModel:
        """Where it is found again, `models:/MODEL/NUMBER`."""
        return RegisteredModel(self.model, version=self.number)

    def __str__(self) -> str:
        return f"{self.model} version {self.number}"


def register_bundle(run: Run, bundle: str | Path, model: str) -> tuple[Version, str]:
    """Stores a bundle folder with its run and registers it as a new version of `model`, once.

    Returns:
        The version, and the alias that now points at it: `champion` for the first of its name, else `challenger`. Where
        the run has registered a version before, that one: a training that was killed then is not its own challenger.
    """
    client = run._client
    run.log_folder(bundle, BUNDLE_ARTIFACT)
    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{client.get_run(run.run_id).info.artifact_uri}/{BUNDLE_ARTIFACT}"
    of_run = client.search_model_versions(f"run_id = '{run.run_id}'")
    before = next((version for version in of_run if version.name == model), None)
    made = before or client.create_model_version(model, source, run_id=run.run_id)
    champion = client.get_registered_model(model).aliases.get(CHAMPION)
    alias = CHAMPION if champion is None or str(champion) == str(made.version) else CHALLENGER
    client.set_registered_model_alias(model, alias, made.version)
    return Version(model, int(made.version), run.run_id), alias


def find_version(reference: str | RegisteredModel, uri: str | None = None) -> Version:
    """Looks up a registered bundle, such as `models:/microdesign@champion` or `models:/microdesign/3`.

    Raises:
        InputError: There is no such model, version or alias, or the tracking server cannot be reached.
    """
    uri = uri or default_uri()
    model = parse_registered(reference) if isinstance(reference, str) else reference
    with _reachable(uri):
        client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        try:
            if model.alias is None:
                found = client.get_model_version(model.name, str(model.version))
            else:
                found = client.get_model_version_by_alias(model.name, model.alias)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise InputError(f"{reference}: is not registered at {uri}; train a model first.") from None
            raise
    return Version(model.name, int(found.version), str(found.run_id))


def make_champion(version: Version, uri: str | None = None) -> None:
    """Points the alias `champion` at a version; where that was the challenger, there is none any more."""
    uri = uri or default_uri()
    with _reachable(uri):
        client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.set_registered_model_alias(version.model, CHAMPION, str(version.number))
        if str(client.get_registered_model(version.model).aliases.get(CHALLENGER)) == str(version.number):
            client.delete_registered_model_alias(version.model, CHALLENGER)


def download_bundle(reference: str | RegisteredModel, destination: str | Path, uri: str | None = None) -> Path:
    """Fetches a registered bundle, such as `models:/microdesign@champion`, into a folder of its own.

    Raises:
        InputError: There is no such model, version or alias, or the tracking server cannot be reached.
    """
    uri = uri or default_uri()
    found = find_version(reference, uri)
    target = Path(destination) / f"{found.model}-{found.number}-{found.run_id}"
    if not target.is_dir():
        try:
            Path(destination).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{destination}: cannot be made ({error.strerror}).") from None
        with _reachable(uri), tempfile.TemporaryDirectory(dir=destination) as temporary:
            client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
            local = client.download_artifacts(found.run_id, BUNDLE_ARTIFACT, temporary)
            try:
                Path(local).rename(target)
            except OSError:
                if not target.is_dir():  # else another process was faster
                    raise
    return target


def _database_folder(uri: str) -> Path:
    """The folder of an SQLite address. MLflow would try for minutes before it says that it cannot write there."""
    folder = Path(uri.removeprefix(_SQLITE)).resolve().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot hold MLflow's database ({error.strerror}).") from None
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder}: cannot hold MLflow's database (it is not writable).")
    return folder


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200]


def _start(uri: str, experiment_id: str, name: str, tags: Mapping[str, str]) -> Run:
    client = mlflow.MlflowClient(tracking_uri=uri)
    run = client.create_run(experiment_id, run_name=name, tags=dict(tags))
    return Run(uri, experiment_id, run.info.run_id)


@contextmanager
def _reachable(uri: str) -> Iterator[None]:
    # A server that is away at first contact is a wrong address: MLflow's own seven retries take minutes to say so.
    with _setting("MLFLOW_HTTP_REQUEST_MAX_RETRIES", _FIRST_CONTACT_RETRIES):
        try:
            yield
        except MlflowException as error:
            if "Max retries exceeded" in str(error) or "Connection" in str(error):
                raise InputError(
                    f"The MLflow server at {uri} does not answer; start it or set MLFLOW_TRACKING_URI."
                ) from None
            raise InputError(f"The MLflow server at {uri} refuses: {_first_line(error)}") from None


@contextmanager
def _setting(variable: str, value: object) -> Iterator[None]:
    given = os.environ.get(variable)
    os.environ.setdefault(variable, str(value))
    try:
        yield
    finally:
        if given is None:
            os.environ.pop(variable, None)


def _allowed(name: str) -> str:
    """The name as MLflow takes it: `mse+cess` becomes `mse_cess`."""
    return _REFUSED.sub("_", name)
