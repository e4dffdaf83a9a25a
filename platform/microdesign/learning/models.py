"""Where a campaign's model comes from: a bundle folder, the MLflow registry, or a Serve endpoint."""

from pathlib import Path

from microdesign.model.bundle import Bundle, load_bundle
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import Surrogate
from microdesign.surrogate.remote import RemoteSurrogate
from microdesign.tracking import download_bundle


def open_surrogate(
    model: str, cache: str | Path, tracking_uri: str | None = None, token: str | None = None
) -> Surrogate:
    """Opens a bundle folder, `models:/NAME@ALIAS` (fetched into `cache`), or `http://HOST:PORT`.

    Raises:
        InputError: There is no such bundle or model, or the endpoint does not answer.
    """
    if model.startswith(("http://", "https://")):
        return RemoteSurrogate(model, token=token)
    return LocalSurrogate(load_model(model, cache, tracking_uri))


def load_model(model: str, cache: str | Path, tracking_uri: str | None = None) -> Bundle:
    """Loads a bundle folder or `models:/NAME@ALIAS` (fetched into `cache`).

    Raises:
        InputError: There is no such bundle or model.
    """
    return load_bundle(download_bundle(model, cache, tracking_uri) if model.startswith("models:/") else model)
