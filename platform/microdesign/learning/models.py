"""Where a campaign's model comes from: a bundle folder, the MLflow registry, or a Serve endpoint."""

import tempfile
from pathlib import Path

from microdesign.core.errors import InputError
from microdesign.core.progress import Progress, silent
from microdesign.core.references import Endpoint, RegisteredModel, parse_model
from microdesign.model.bundle import Bundle, load_bundle
from microdesign.model.pretrained import FOLDERS
from microdesign.surrogate.endpoint import PATIENCE
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import Surrogate
from microdesign.surrogate.remote import RemoteSurrogate


def load(model: str | Path, *, token: str | None = None, tracking_uri: str | None = None) -> Surrogate:
    """Loads a trained model.

    Example:
        >>> model = load("runs/train-0123456789/bundle")  # doctest: +SKIP
        >>> mean, std = model.predict(images.labels)  # doctest: +SKIP
        >>> latents = model.sample({"Ex": 2.4}, 16, seed=0)  # doctest: +SKIP

    Args:
        model: The folder of a bundle, `models:/NAME@ALIAS` of the MLflow registry, `http://HOST:PORT` of a Serve
            endpoint, or `pretrained` or `pretrained-volumes`, the models of two-phase images and volumes that the
            package brings.
        token: Bearer token of a Serve endpoint that asks for one.
        tracking_uri: MLflow's address; MLFLOW_TRACKING_URI or SQLite in the working folder when None.

    Returns:
        The model: `predict(labels)` gives properties `(n, P)` as mean and standard deviation, `sample` and `decode`
        images `(n, *N)` for properties, `encode` the latents of images.

    Raises:
        InputError: There is no such bundle or model, or the endpoint does not answer.
    """
    with tempfile.TemporaryDirectory() as cache:  # A registered model is in memory before its files go.
        return open_surrogate(str(model), cache, tracking_uri, token)


def open_surrogate(
    model: str,
    cache: str | Path,
    tracking_uri: str | None = None,
    token: str | None = None,
    patience: float = PATIENCE,
    progress: Progress = silent,
) -> Surrogate:
    """Opens a bundle folder, `models:/NAME@ALIAS` (fetched into `cache`), or `http://HOST:PORT`.

    Args:
        model: Which model.
        cache: Folder for bundles from the registry.
        tracking_uri: MLflow address; the environment's or the embedded default when None.
        token: Bearer token of a Serve endpoint.
        patience: Seconds to wait for a Serve endpoint that stops answering.
        progress: Reports when such a wait begins and ends.

    Raises:
        InputError: There is no such bundle or model, or the endpoint does not answer.
    """
    if isinstance(parse_model(model), Endpoint):
        return RemoteSurrogate(model, token, patience=patience, progress=progress)
    return LocalSurrogate(load_model(model, cache, tracking_uri))


def load_model(model: str, cache: str | Path, tracking_uri: str | None = None) -> Bundle:
    """Loads a bundle folder or `models:/NAME@ALIAS` (fetched into `cache`).

    Raises:
        InputError: There is no such bundle or model.
    """
    return load_bundle(bundle_folder(model, cache, tracking_uri))


def bundle_folder(model: str, cache: str | Path, tracking_uri: str | None = None) -> Path:
    """Returns the folder of a bundle; a registered one, `models:/NAME@ALIAS`, is fetched into `cache`.

    `pretrained` and `pretrained-volumes` are the models that the package brings.

    Raises:
        InputError: There is no such model, or it is an endpoint.
    """
    if model in FOLDERS:
        return FOLDERS[model]
    reference = parse_model(model)
    if isinstance(reference, Endpoint):
        raise InputError(f"{model}: is an endpoint; expected a bundle folder or models:/NAME@ALIAS.")
    if isinstance(reference, RegisteredModel):
        from microdesign.tracking import download_bundle  # MLflow takes seconds to import

        return download_bundle(reference, cache, tracking_uri)
    return Path(reference.path)
