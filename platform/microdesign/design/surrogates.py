"""Where a campaign's model comes from: a bundle folder, the MLflow registry, or a Serve endpoint."""

from pathlib import Path

from microdesign.design.remote import RemoteSurrogate
from microdesign.model.bundle import load_bundle
from microdesign.model.surrogate import LocalSurrogate, Surrogate
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
    if model.startswith("models:/"):
        return LocalSurrogate(load_bundle(download_bundle(model, cache, tracking_uri)))
    return LocalSurrogate(load_bundle(model))
