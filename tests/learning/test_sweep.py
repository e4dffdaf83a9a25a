"""A sweep's trial in this process, and how MLflow has those that did not finish."""

from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest

from microdesign.config import validate_config
from microdesign.files import write_json
from microdesign.learning.sweep import _end_interrupted, _fit, _Watch
from microdesign.learning.sweep_config import SweepConfig
from microdesign.learning.trials import Trial, TrialStore
from microdesign.microstructure.dataset import Dataset
from microdesign.progress import silent
from microdesign.tracking import Run, start_run

MODEL = {
    "network": {"size": 32, "widths": [8, 8], "latent": 4, "hidden": 16},
    "prior": {"kind": "mixture", "components": 2, "hidden": 8},
}


@pytest.fixture
def config(dataset: Dataset) -> SweepConfig:
    loop = {"batch_size": 32, "model": MODEL, "epochs": 1}
    train = {"dataset": str(dataset.folder), "properties": ["Ex", "kx"], "loop": loop}
    settings = {"train": train, "space": {"learning_rate": [1e-3, 1e-2, 1e-1]}, "objectives": ["loss", "mape"]}
    return validate_config(SweepConfig, settings, "the settings")


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return start_run("sweeps", "parent", f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}")


def started(store: TrialStore, parent: Run, learning_rate: float) -> tuple[Trial, Run]:
    """A trial on record that runs, and its MLflow run."""
    trial, run = Trial(choice={"learning_rate": learning_rate}), parent.child("trial")
    store.write(trial)
    write_json(store.path(trial.choice, "mlflow"), vars(run))
    return trial, run


def test_a_trial_trains_and_is_judged(config: SweepConfig, parent: Run, tmp_path: Path) -> None:
    store = TrialStore(tmp_path)
    trial, run = started(store, parent, 1e-3)
    _fit(config, config.trial_loop(config.train.loop, trial.choice), store, trial, run)
    done = store.read(trial.choice)
    assert done is not None
    assert (done.status, done.epochs) == ("finished", 1)
    assert set(done.metrics) == {"loss", "mape"}


def test_no_trial_runs_for_ever_in_mlflow(config: SweepConfig, parent: Run, tmp_path: Path) -> None:
    store = TrialStore(tmp_path)
    (stopped, first), (_, second), (finished, third) = (started(store, parent, rate) for rate in (1e-3, 1e-2, 1e-1))
    store.write(finished.model_copy(update={"status": "finished"}))
    third.end()
    watch = _Watch(config, store, silent)
    watch.on_trial_complete(0, [], SimpleNamespace(config={"learning_rate": "0.001"}))
    watch.on_trial_complete(0, [], SimpleNamespace(config={"learning_rate": "0.1"}))
    _end_interrupted(store)
    client = mlflow.MlflowClient(tracking_uri=parent.uri)
    found = [client.get_run(run.run_id) for run in (first, second, third)]
    ends = [(run.info.status, run.data.tags.get("ended")) for run in found]
    assert ends == [("KILLED", "stopped early"), ("KILLED", None), ("FINISHED", None)]
    assert [(trial := store.read(each.choice)) and trial.status for each in (stopped, finished)] == [
        "stopped",
        "finished",
    ]
    assert second.reopen()
