"""A sweep's trial in this process, and how MLflow has those that did not finish."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pytest
import torch

from microdesign.core.config import changed, validate_config
from microdesign.core.errors import InputError
from microdesign.core.files import write_json
from microdesign.core.progress import silent
from microdesign.learning.evaluation.held_out import HeldOut
from microdesign.learning.sweep.sweep import _complete_records, _fit, _Watch, sweep
from microdesign.learning.sweep.sweep_config import SweepConfig
from microdesign.learning.sweep.sweep_trials import SweepTrial, SweepTrialStore
from microdesign.learning.training.loop import build_model
from microdesign.learning.training.preparation import standardization_of
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.objective import Objective
from microdesign.tracking import Run, start_run
from tests.mlflow_database import database

MODEL = {
    "network": {"size": 32, "widths": [8, 8], "latent": 4, "hidden": 16},
    "prior": {"kind": "mixture", "components": 2, "hidden": 8},
}


@pytest.fixture
def config(dataset: Dataset) -> SweepConfig:
    loop = {"batch_size": 32, "model": MODEL, "epochs": 1}
    train = {"dataset": str(dataset.folder), "properties": ["Ex", "kx"], "loop": loop}
    settings = {
        "train": train,
        "space": {"optimizer.learning_rate": [1e-3, 1e-2, 1e-1]},
        "metrics": ["loss", "mape"],
    }
    return validate_config(SweepConfig, settings, "the settings")


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return start_run("sweeps", "parent", database(tmp_path_factory.mktemp("mlflow")))


def started(store: SweepTrialStore, parent: Run, learning_rate: float) -> tuple[SweepTrial, Run]:
    """A trial on record that runs, and its MLflow run."""
    trial, run = SweepTrial(choice={"optimizer.learning_rate": learning_rate}), parent.child("trial")
    store.write(trial)
    write_json(store.path(trial.choice, "mlflow"), vars(run))
    return trial, run


def test_what_cannot_run_is_refused_before_anything_runs(local_ray: None, config: SweepConfig) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"resources.cpus": 64}, "A trial asks for 64 CPU; this machine's Ray has 2: change resources"),
        ({"resources.gpus": 1}, "A trial asks for 1 GPU; this machine's Ray has 0"),
        ({"train.resources.cpus": 64}, "Training asks for 64 CPU"),
        ({"space": {"objective.loss": ["mse", "nowhere:loss"]}}, "nowhere"),
    ]
    for changes, message in cases:
        with pytest.raises(InputError, match=message):
            sweep(changed(config, changes, "the sweep"))


def test_a_trial_s_loss_is_what_training_minimises(dataset: Dataset, config: SweepConfig) -> None:
    """With errors of decodes relative to the values, as in training, not in standard deviations."""
    data, loop = dataset.load("validation").with_known(("Ex", "kx")), config.train.loop
    standardization = standardization_of(config.train, dataset)
    held_out = HeldOut(data, standardization, 4, 2, None, None, 0)
    model = build_model(loop, 2)
    x = data.indicator()
    c = torch.from_numpy(standardization.forward(data.property_table(("Ex", "kx")))).float()
    torch.manual_seed(0)
    with torch.inference_mode():
        batches = list(zip(x.split(loop.batch_size), c.split(loop.batch_size), strict=True))
        objective = Objective(loop.objective, standardization)
        totals = [len(images) * float(objective(model(images, c), images, c)["total"]) for images, c in batches]
    assert held_out.metrics(model, ("loss",), loop.objective, loop.batch_size)["loss"] == pytest.approx(
        sum(totals) / len(x), rel=1e-5
    )


def test_a_trial_trains_and_is_measured(config: SweepConfig, parent: Run, tmp_path: Path) -> None:
    store = SweepTrialStore(tmp_path)
    trial, run = started(store, parent, 1e-3)
    _fit(config, config.trial_loop(config.train.loop, trial.choice), store, trial, run)
    done = store.read(trial.choice)
    assert done is not None
    assert (done.status, done.epochs) == ("finished", 1)
    assert set(done.metrics) == {"loss", "mape"}


def test_no_trial_runs_for_ever_in_mlflow(config: SweepConfig, parent: Run, tmp_path: Path) -> None:
    store = SweepTrialStore(tmp_path)
    (stopped, first), (_, second), (finished, third) = (started(store, parent, rate) for rate in (1e-3, 1e-2, 1e-1))
    store.write(finished.model_copy(update={"status": "finished"}))
    third.end()
    watch = _Watch(config, store, silent, 0, 1)
    watch.on_trial_complete(0, [], SimpleNamespace(config={"optimizer.learning_rate": "0.001"}))
    watch.on_trial_complete(0, [], SimpleNamespace(config={"optimizer.learning_rate": "0.1"}))
    _complete_records(store, silent)
    client = mlflow.MlflowClient(tracking_uri=parent.uri)
    found = [client.get_run(run.run_id) for run in (first, second, third)]
    ends = [(run.info.status, run.data.tags.get("ended")) for run in found]
    assert ends == [("KILLED", "stopped early"), ("KILLED", None), ("FINISHED", None)]
    assert [(trial := store.read(each.choice)) and trial.status for each in (stopped, finished)] == [
        "stopped",
        "finished",
    ]
    assert second.reopen()
