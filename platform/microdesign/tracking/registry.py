"""The registry of model bundles in MLflow: versions, and the aliases `champion` and `challenger`."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from microdesign.core.errors import InputError, StorageError
from microdesign.core.files import make_folder, sync_all
from microdesign.core.references import RegisteredModel, parse_registered
from microdesign.tracking.connection import MLFLOW_ERRORS, default_uri, first_line, reachable
from microdesign.tracking.runs import Run

CHAMPION, CHALLENGER = "champion", "challenger"
"""Aliases of a registered model: the version that serving and campaigns take by default, and the latest other one."""
BUNDLE_ARTIFACT = "bundle"


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

    Raises:
        StorageError: MLflow does not take it.
    """
    try:
        return _register(run, bundle, model)
    except MLFLOW_ERRORS as error:
        raise StorageError(
            f"MLflow at {run.uri} did not register {bundle} as {model} ({first_line(error)}); the bundle is complete, "
            "and the same command registers it."
        ) from error


def _register(run: Run, bundle: str | Path, model: str) -> tuple[Version, str]:
    client = run.client
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
    with reachable(uri):
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
    with reachable(uri):
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
            make_folder(destination)
        except OSError as error:
            raise StorageError(f"{destination}: cannot be made ({error.strerror}).") from None
        with reachable(uri), tempfile.TemporaryDirectory(dir=destination) as temporary:
            client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
            local = client.download_artifacts(found.run_id, BUNDLE_ARTIFACT, temporary)
            try:
                sync_all(local)
                Path(local).rename(target)
            except OSError:
                if not target.is_dir():  # else another process was faster
                    raise
    return target
