"""The way to MLflow: its address, whether it answers, and what its errors mean."""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from microdesign.core.errors import InputError

SQLITE = "sqlite:///"
_PROBES, _PROBE_SECONDS, _LOCKED_SECONDS = 2, 5.0, 10.0
_PASSING = ("TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED")
_NO_ANSWER = ("Max retries exceeded", "Connection", "timed out")

# MLflow's own seven retries of 120 s each take minutes to say that a server is away; the record is sent again anyway.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
# Standard output is for a command's own answer.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
# Notes on tables that are created and on requests that are repeated would stand between our lines of progress.
logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
# It logs the traceback of each error of the database, and then raises it.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)

MLFLOW_ERRORS = (MlflowException, SQLAlchemyError, OSError)
"""What a call of MLflow raises when its server or its database does not do what is asked."""


def default_uri(folder: str | Path = ".") -> str:
    """The tracking address: `MLFLOW_TRACKING_URI`, else SQLite in `folder`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{(Path(folder) / 'mlflow.db').resolve()}"


def check_reachable(uri: str) -> None:
    """Refuses an MLflow that does not answer, within some 10 s and before anything else is begun.

    Args:
        uri: Tracking address. Of a server, any answer to a request will do; of SQLite, that the database can be
            written now.

    Raises:
        InputError: The server does not answer, or the database cannot be written or is locked.
    """
    if uri.startswith(SQLITE):
        _check_database(uri)
    elif uri.startswith(("http://", "https://")):
        for probe in range(_PROBES):
            try:
                # Any answer shows that it is there; certificates and passwords are MLflow's to judge.
                address = httpx.URL(uri.rstrip("/") + "/health").copy_with(username="", password="")
                httpx.get(address, timeout=_PROBE_SECONDS, verify=False)
                return
            except httpx.InvalidURL as error:
                raise InputError(f"'{uri}' is no address of an MLflow server ({error}).") from None
            except httpx.TransportError:
                if probe + 1 == _PROBES:
                    raise _away(uri) from None


def database_folder(uri: str) -> Path:
    """The folder of an SQLite address. MLflow would try for minutes before it says that it cannot write there.

    Raises:
        InputError: It cannot be made or written.
    """
    folder = Path(uri.removeprefix(SQLITE)).resolve().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot hold MLflow's database ({error.strerror}).") from None
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder}: cannot hold MLflow's database (it is not writable).")
    return folder


@contextmanager
def reachable(uri: str) -> Iterator[None]:
    """Turns what MLflow raises in the block into an `InputError`; the server is asked first whether it is there."""
    check_reachable(uri)
    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        if any(sign in str(error) for sign in _NO_ANSWER):
            raise _away(uri) from None
        raise InputError(f"The MLflow server at {uri} refuses: {first_line(error)}") from None


def passes(error: Exception) -> bool:
    """Whether an error of MLflow may be over when the same is sent again: an outage, a lock, a limit."""
    if isinstance(error, MlflowException):
        return error.error_code in _PASSING
    return isinstance(error, MLFLOW_ERRORS) and not isinstance(error, FileNotFoundError)


def first_line(error: Exception) -> str:
    """The first line of an error's text, of at most 200 characters."""
    return (str(error).strip() or type(error).__name__).split("\n")[0][:200]


def _away(uri: str) -> InputError:
    return InputError(f"The MLflow server at {uri} does not answer; start it or set MLFLOW_TRACKING_URI.")


def _check_database(uri: str) -> None:
    file = database_folder(uri) / Path(uri.removeprefix(SQLITE)).name
    if not file.is_file():
        return
    try:
        database = sqlite3.connect(file, timeout=_LOCKED_SECONDS, isolation_level=None)
        try:
            database.execute("BEGIN IMMEDIATE")
            with suppress(sqlite3.Error):
                database.execute("ROLLBACK")
        finally:
            database.close()
    except sqlite3.Error as error:
        raise InputError(f"{file}: cannot be written as MLflow's database ({error}).") from None
