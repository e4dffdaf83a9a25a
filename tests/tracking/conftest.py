from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run as StoredRun

from microdesign.tracking import Run, start_run
from tests.mlflow_database import database

EXPERIMENT = "tests"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the one database of these tests lives: its tables take seconds to make."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield tmp_path_factory.mktemp("tracking")


@pytest.fixture
def run(folder: Path) -> Run:
    return start_run(EXPERIMENT, "a run", database(folder))


def stored(run: Run) -> StoredRun:
    return mlflow.MlflowClient(tracking_uri=run.uri).get_run(run.run_id)
