"""Where a campaign's model comes from: a bundle folder, the MLflow registry, or a Serve endpoint."""

from pathlib import Path

from microdesign.core.progress import Progress, silent
from microdesign.model.bundle import Bundle, load_bundle
from microdesign.surrogate.endpoint import PATIENCE
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import Surrogate
from microdesign.surrogate.remote import RemoteSurrogate
from microdesign.tracking import download_bundle


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
    if model.startswith(("http://", "https://")):
        return RemoteSurrogate(model, token, patience=patience, progress=progress)
    return LocalSurrogate(load_model(model, cache, tracking_uri))


def load_model(model: str, cache: str | Path, tracking_uri: str | None = None) -> Bundle:
    """Loads a bundle folder or `models:/NAME@ALIAS` (fetched into `cache`).

    Raises:
        InputError: There is no such bundle or model.
    """
    return load_bundle(download_bundle(model, cache, tracking_uri) if model.startswith("models:/") else model)
