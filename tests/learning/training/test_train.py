"""Training on a real local Ray: workers that die, a loss that is not finite, one record of a run that was resumed."""

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import mlflow
import numpy as np
import psutil
import pytest
import torch
from pydantic import ValidationError

from microdesign.core.config import changed, load_config
from microdesign.core.errors import InputError, MicrodesignError
from microdesign.core.files import lock_folder
from microdesign.core.progress import Lines, Recorded
from microdesign.learning.training.config.train_config import TrainConfig
from microdesign.learning.training.registration import NotRegisteredError
from microdesign.learning.training.starting_point import resolve_padding, resolve_start
from microdesign.learning.training.train import train
from microdesign.learning.training.train_model import train_model
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset, DatasetWriter
from microdesign.microstructure.generators.registry import generate
from microdesign.model.bundle import load_bundle
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.materials import Materials
from tests.law_of_mixtures import law_of_mixtures
from tests.mlflow_database import database

LOOP = {
    "epochs": 6,
    "batch_size": 8,
    "model": {"network": {"size": 16, "widths": [8, 8], "latent": 4, "hidden": 16}, "prior": {"components": 2}},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return law_of_mixtures(tmp_path_factory.mktemp("train") / "data", ("Ex", "Ey"))


@pytest.fixture
def config(dataset: Dataset, tmp_path: Path) -> Callable[..., TrainConfig]:
    def make(**changes: object) -> TrainConfig:
        settings = {
            "dataset": str(dataset.folder),
            "properties": ["Ex", "Ey"],
            "loop": LOOP,
            "resources": {"cpus": 0.5},
        }
        return TrainConfig.model_validate(settings | {"storage": str(tmp_path / "runs")} | changes)

    return make


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return database(tmp_path_factory.mktemp("mlflow"))


def workers() -> list[psutil.Process]:
    """The training workers among this process's descendants."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "RayTrainWorker" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def on_mlflow(bundle: Path, uri: str) -> mlflow.entities.Run:
    """The run of a training, by what its folder notes."""
    record = json.loads((bundle.parent / "mlflow.json").read_text())
    return mlflow.MlflowClient(tracking_uri=uri).get_run(record["run_id"])


@pytest.fixture(scope="module")
def homogenized(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return labelled(tmp_path_factory.mktemp("homogenized") / "data", 10)


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory, homogenized: Dataset) -> TrainConfig:
    """A training by two workers with physics feedback, whose model is too poor to be registered."""
    settings = {
        "name": "whole",
        "dataset": str(homogenized.folder),
        "properties": ["Ex", "Ey"],
        "loop": LOOP,
        "resources": {"cpus": 0.5, "workers": 2},
        "physics_feedback": {"begin": 0, "replay_batch": 4},
        "tracking": {"register_as": "start", "minimum_r2": 1.0},
        "storage": str(tmp_path_factory.mktemp("whole") / "runs"),
    }
    return TrainConfig.model_validate(settings)


@pytest.fixture(scope="module")
def refused(local_ray: None, two_workers: TrainConfig, uri: str) -> NotRegisteredError:
    """What that training ends with; its bundle stays."""
    with pytest.raises(NotRegisteredError, match=r"R2 on the test split is Ex \S+, Ey \S+, where") as caught:
        train(two_workers, tracking_uri=uri)
    return caught.value


@pytest.mark.ray
@pytest.mark.slow
def test_two_workers_killed_and_resumed_end_as_two_that_were_not(
    tmp_path: Path, two_workers: TrainConfig, refused: NotRegisteredError, homogenized: Dataset, uri: str
) -> None:
    """One dies after epoch 2, both start again, each with its own replay buffer, and the weights are bitwise the same.

    Workers also save within epochs, which costs and repeats nothing.
    """
    lines: list[str] = []

    def noted_epochs() -> int:
        """Epochs of the checkpoint that training would go on from: Ray notes one up to seconds after it is saved."""
        for path in tmp_path.glob("killed-*/checkpoint_manager_snapshot.json"):
            latest = json.loads(path.read_text())["latest_checkpoint_result"]
            return torch.load(path.parent / latest["checkpoint_dir_name"] / "state.pt", weights_only=True)["epoch"]
        return 0

    def progress(line: str) -> None:
        lines.append(line)
        if line.startswith("epoch 2/") and sum(each.startswith("epoch 2/") for each in lines) == 1:
            limit = time.monotonic() + 100
            while not noted_epochs() and time.monotonic() < limit:
                time.sleep(0.05)
            os.kill(workers()[-1].pid, signal.SIGKILL)

    changes = {"name": "killed", "storage": str(tmp_path), "loop.checkpoint_minutes": 0.01, "tracking.minimum_r2": None}
    bundle = train(changed(two_workers, changes, "the config"), Lines(progress, clock=False), uri)
    epochs = [int(line.split()[1].split("/")[0]) for line in lines if line.startswith("epoch")]
    assert sorted(set(epochs)) == [1, 2, 3, 4, 5, 6]
    assert epochs.count(1) == 1
    weights = load_bundle(bundle).model.state_dict()
    for name, weight in load_bundle(refused.bundle).model.state_dict().items():
        assert torch.equal(weight, weights[name]), name
    run = on_mlflow(bundle, uri)
    assert run.info.status == "FINISHED"
    assert {"loss", "validation_loss", "validation_r2_Ex", "samples_per_second", "r2_Ex"} <= set(run.data.metrics)
    (used,) = run.inputs.dataset_inputs
    assert homogenized.manifest.digest.startswith(used.dataset.digest)


@pytest.mark.ray
@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_training_at_once(
    local_ray: None, config: Callable[..., TrainConfig], uri: str
) -> None:
    optimizer = {"learning_rate": 1e30, "gradient_clip": 1e30, "schedule": {"warmup": 0.0}}
    loop = LOOP | {"optimizer": optimizer, "epochs": 3}
    with pytest.raises(MicrodesignError, match=r"^Training train-\w+ failed: The (loss|gradient's norm) is") as caught:
        train(config(loop=loop), tracking_uri=uri)
    assert "\n" not in str(caught.value)
    runs = list(Path(config().storage).glob("train-*/*"))
    assert len([path for path in runs if path.name.startswith("checkpoint")]) <= 1
    (record,) = (json.loads(path.read_text()) for path in runs if path.name == "diverged-worker-0.json")
    assert record["batch"][:12] in str(caught.value)
    assert len(set(record["images"])) == 8


def test_impossible_numbers_of_workers(config: Callable[..., TrainConfig]) -> None:
    for workers in (0, [0, 2], [3, 2], [1, 2, 3]):
        with pytest.raises(ValidationError, match="workers"):
            config(resources={"workers": workers})


def test_more_workers_than_the_machine_holds(local_ray: None, config: Callable[..., TrainConfig], uri: str) -> None:
    with pytest.raises(
        InputError, match="Training asks for 4 CPU in 4 workers; this machine's Ray has 2: change resources"
    ):
        train(config(resources={"workers": [4, 5]}, loop=LOOP | {"batch_size": 4}), tracking_uri=uri)
    assert not Path(config().storage).exists()


@pytest.mark.ray
def test_two_processes_are_not_at_one_training(
    local_ray: None, dataset: Dataset, config: Callable[..., TrainConfig], uri: str, tmp_path: Path
) -> None:
    resolved, _ = resolve_start(resolve_padding(config(), dataset.manifest))
    folder = tmp_path / "runs" / resolved.run_name(dataset.manifest.digest)
    locked = lock_folder(str(folder)) or nullcontext()
    with locked, pytest.raises(InputError, match=f"{folder.name}: is in use by another"):
        train(config(), tracking_uri=uri)
    assert [path.name for path in folder.iterdir()] == [".lock"]


def labelled(folder: Path, stiff: float) -> Dataset:
    """Images whose properties are those that the solver computes."""
    materials = {"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": stiff, "nu": 0.3, "k": 10}]}
    labels = generate("GRF", 120, (16, 16)).labels
    values = FFTEvaluator().evaluate(labels, Materials.model_validate(materials))
    writer = DatasetWriter(folder, settings={}, materials=materials)
    properties = {name: values[name] for name in ("Ex", "Ey")}
    writer.write_shard("part", Microstructures(labels=labels, n_phases=2, properties=properties))
    return writer.finish()


@pytest.fixture(scope="module")
def stiffer(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return labelled(tmp_path_factory.mktemp("stiffer") / "data", 100)


FINE_TUNING = {"trainable": "regressor", "epochs": 10, "optimizer": {"learning_rate": 1e-2}}


@pytest.mark.ray
@pytest.mark.slow
def test_training_starts_from_a_registered_model(
    two_workers: TrainConfig,
    refused: NotRegisteredError,
    config: Callable[..., TrainConfig],
    homogenized: Dataset,
    stiffer: Dataset,
    uri: str,
) -> None:
    """A poor one is not registered; its regressor alone is fine-tuned; and all of it is trained on other materials."""
    run = on_mlflow(refused.bundle, uri)
    assert (run.info.status, run.data.tags["not_registered"]) == ("FAILED", str(refused))
    progress = Recorded()
    anyhow = changed(two_workers, {"tracking.minimum_r2": None}, "the config")
    first = load_bundle(train(anyhow, progress, uri))
    assert not progress.counts
    data = {"dataset": str(homogenized.folder)}
    changes = {
        "name": "fine-tuned",
        "start": "models:/start@champion",
        "loop": LOOP | FINE_TUNING,
        "physics_feedback": {"begin": 0, "replay_batch": 4},
        "tracking": {"register_as": "fine-tuned"},
    }
    folder = train(config(**data, **changes), tracking_uri=uri)
    second = load_bundle(folder)
    before, after = first.model.state_dict(), second.model.state_dict()
    for name, weight in before.items():
        if not name.startswith("property_"):
            np.testing.assert_array_equal(weight, after[name], err_msg=name)
    assert not np.allclose(*(each["property_trunk.stem.convolution.weight"] for each in (before, after)))
    assert second.description.metrics["r2_Ex"] > first.description.metrics["r2_Ex"]
    # The solver has evaluated draws of every step, half as many as a batch has images.
    (last,) = sorted(folder.parent.glob("checkpoint_*/worker-0.pt"))[-1:]
    evaluated = torch.load(last, weights_only=True)["labels"]
    assert len(evaluated) == 10 * (96 // 8) * 4
    with pytest.raises(InputError, match="nothing-of-the-kind"):
        train(config(**data, start="models:/nothing-of-the-kind@champion"), tracking_uri=uri)
    other = {
        "resources": {"cpus": 0.5},
        "tracking": {"register_as": "stiffer", "minimum_r2": None},
        "physics_feedback": None,
    }
    third = train_model(
        stiffer,
        properties=["Ex", "Ey"],
        folder=folder.parent,
        progress=progress,
        tracking_uri=uri,
        start="models:/start@champion",
        loop=LOOP,
        **other,
    ).bundle.description
    assert third.standardization.offsets[0] > first.description.standardization.offsets[0] + 0.3
    assert third.metrics["r2_Ex"] > 0.2


def test_what_fine_tuning_needs(config: Callable[..., TrainConfig]) -> None:
    network = LOOP["model"]["network"] | {"regressor": "own"}
    loop = LOOP | FINE_TUNING | {"model": {"network": network, "prior": {"kind": "standard"}}}
    whole = {"start": "bundle", "properties": ["Ex"], "physics_feedback": {}, "loop": loop}
    config(**whole)
    for missing, value in (("start", None), ("properties", [])):
        with pytest.raises(ValidationError, match=f"trainable regressor is not supported without {missing}"):
            config(**whole | {missing: value})


def test_keys_of_earlier_versions_name_their_new_place(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("dataset: data\n")
    for old, new in (
        ("use_gpu", "resources.gpu"),
        ("register_as", "tracking.register_as"),
        ("loop.learns", "trainable"),
        ("loop.learning_rate", "optimizer.learning_rate"),
        ("loop.optimizer.course", "schedule.kind"),
    ):
        with pytest.raises(InputError, match=f"'{old}' is now called '{new}'"):
            load_config(TrainConfig, path, [f"{old}=1"])
