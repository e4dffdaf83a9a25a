"""Databases for MLflow that are ready at once: to create the tables takes more than a second of a processor."""

import functools
import shutil
import tempfile
from pathlib import Path

import mlflow


@functools.cache
def _template() -> Path:
    path = Path(tempfile.mkdtemp(prefix="mlflow-")) / "mlflow.db"
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


def database(folder: Path, name: str = "mlflow.db") -> str:
    """The address of an empty database in the folder, or of the one that is there."""
    path = folder / name
    if not path.exists():
        shutil.copyfile(_template(), path)
    return f"sqlite:///{path}"
