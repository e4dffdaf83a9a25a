"""A model that learns from a campaign's values: what it learns from, where it starts, what cannot be asked."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from microdesign.core.errors import InputError
from microdesign.core.progress import Recorded
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.retraining import CLASS, joined, retrainer
from microdesign.design.campaign.trials import Trial, TrialState
from microdesign.learning.data.feed import Feed
from microdesign.learning.training.config.train_config import TrainConfig
from microdesign.learning.training.preparation import check_training, prepare, standardization_of
from microdesign.learning.training.starting_point import initial_model
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset, DatasetWriter
from microdesign.microstructure.data.indicators import indicators
from microdesign.model.bundle import Description, load_bundle, save_bundle
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.prior.config import PriorConfig
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression
from microdesign.physics.materials import Materials
from microdesign.surrogate.local import LocalSurrogate
from tests.mlflow_database import database

PHASES = {"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]}
SCALES = Standardization(names=("Ex",), units=("1",), offsets=(1.3,), scales=(0.5,))
STREAM = np.random.default_rng(0)


def images(n: int) -> np.ndarray:
    return (STREAM.random((n, 16, 16)) < STREAM.uniform(0.2, 0.8, (n, 1, 1))).astype(np.uint8)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    writer = DatasetWriter(tmp_path_factory.mktemp("data"), settings={}, materials=PHASES)
    labels = images(100)
    values = 1 + 9 * labels.mean((1, 2))
    writer.write_shard("part", Microstructures(labels=labels, n_phases=2, properties={"Ex": values, "kx": values}))
    return writer.finish()


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    network = NetworkConfig(size=16, widths=(8, 8), latent=4, hidden=16, regressor="shared")
    config = ModelConfig(network=network, prior=PriorConfig(components=2))
    description = Description(model=config, standardization=SCALES, materials=PHASES)
    folder = tmp_path_factory.mktemp("model") / "bundle"
    save_bundle(folder, VAERegression(config, 1).eval(), description)
    return folder


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    def trial(number: int, labels: np.ndarray) -> Trial:
        value = {"Ex": 2.0 + number}
        return Trial(
            number, f"key {number}", labels, np.zeros(4), 0, 0, "initial", "", "", {}, TrialState.SUCCEEDED, value
        )

    return [trial(number, labels) for number, labels in enumerate(images(10))]


def asked(data: Dataset, folder: Path, **changes: Any) -> CampaignConfig:
    settings = {"target": {"properties": {"Ex": 3}}, "retrain_every": 5, "dataset": str(data.folder)}
    return CampaignConfig.model_validate(settings | {"folder": str(folder)} | changes)


def test_nothing_is_trained_unless_asked(dataset: Dataset, tmp_path: Path) -> None:
    assert retrainer(asked(dataset, tmp_path, retrain_every=0)) is None


def test_new_values_join_the_data_set(dataset: Dataset, trials: list[Trial], tmp_path: Path) -> None:
    both = joined(dataset, trials, tmp_path / "joined")
    assert len(both) == 110
    assert both.classes[100:] == (CLASS,) * 10
    columns = both.property_columns()
    assert columns["Ex"][100:].tolist() == [2.0 + number for number in range(10)]
    assert np.isnan(columns["kx"][100:]).all()  # nothing is known of it
    assert np.array_equal(both.read_shard(1).labels[4], trials[4].labels)
    for split, before in dataset.split().items():
        assert set(before) == {i for i in both.split()[split] if i < 100}


def test_labels_and_designs_that_pores_cut_are_left_out_of_retraining(start: Path, tmp_path: Path) -> None:
    """Moduli of 0 are legitimate labels, of the data set and of the campaign; the model learns from the others."""
    porous = {"phases": [{"E": 0, "k": 0}, {"E": 10, "nu": 0.3, "k": 10}]}
    labels = images(80)
    values = np.where(np.arange(80) % 2, 0.0, 1 + 9 * labels.mean((1, 2)))
    writer = DatasetWriter(tmp_path / "data", settings={}, materials=porous)
    writer.write_shard("part", Microstructures(labels=labels, n_phases=2, properties={"Ex": values}))
    known = writer.finish()
    cut = Trial(0, "cut", labels[0], np.zeros(4), 0, 0, "initial", "", "", {}, TrialState.SUCCEEDED, {"Ex": 0.0})
    whole = replace(cut, key="whole", verified={"Ex": 3.0})
    both = joined(known, [cut, whole], tmp_path / "joined")
    config = TrainConfig.model_validate(
        {
            "dataset": str(both.folder),
            "properties": ["Ex"],
            "start": str(start),
            "physics_feedback": None,
            "loop": {
                "batch_size": 8,
                "turns": False,
                "flips": False,
                "model": load_bundle(start).description.model.model_dump(),
            },
        }
    )
    check_training(config, both)
    standardization = standardization_of(config, both)
    feed, _ = prepare(config, both, standardization, torch.device("cpu"))
    learned = dict(zip(_places(feed), torch.cat([c for _, c in feed.epoch(0)]), strict=True))
    assert {place for place, c in learned.items() if torch.isfinite(c).all()} == set(learned) & {*range(0, 80, 2), 81}
    assert all(c.isnan().all() for place, c in learned.items() if place % 2 and place != 81)


def _places(feed: Feed) -> list[int]:
    return [int(place) for step in range(feed.steps) for place in feed.positions(0, step)]


def test_what_cannot_be_asked(dataset: Dataset, tmp_path: Path) -> None:
    for changes, message in [
        ({"dataset": None}, "retrain_every = 5: expected `dataset`"),
        ({"model": "http://host:8000"}, "the model at http://host:8000 cannot be trained"),
        ({"materials": {"phases": [{"E": 1, "nu": 0.3}, {"E": 2, "nu": 0.3}]}}, "is labelled for other materials"),
    ]:
        with pytest.raises(InputError, match=message):
            retrainer(asked(dataset, tmp_path, **changes))


class Mixture:
    """What the labels of the data set are by."""

    fingerprint = "mixture"

    def __init__(self, sizes: tuple[int, ...] = (16,), names: tuple[str, ...] = ("Ex", "kx")) -> None:
        self.sizes, self.names = sizes, names

    def evaluate(self, images: np.ndarray, materials: Materials) -> dict[str, np.ndarray]:
        if images.shape[1] not in self.sizes:
            raise ValueError("no mesh")
        return dict.fromkeys(self.names, 1 + 9 * images.mean((1, 2)))


def test_an_evaluator_that_training_cannot_use_is_refused_at_start(
    dataset: Dataset, start: Path, tmp_path: Path
) -> None:
    """Hours before the first retraining; one that it can use becomes the physics feedback."""
    for settings, message in (
        ({"evaluator": "fft"}, "differs from the data set's labels"),
        ({"evaluator_settings": {"sizes": [32]}}, "answers for none of 32 images of 16 x 16 pixels; .*no mesh"),
        ({"evaluator_settings": {"names": ["kx"]}}, "gives no 'Ex'; it gives kx"),
    ):
        changes = {"evaluator": f"{__name__}:Mixture", "model": str(start)} | settings
        with pytest.raises(InputError, match=message):
            retrainer(asked(dataset, tmp_path, **changes))
    assert retrainer(asked(dataset, tmp_path, evaluator=f"{__name__}:Mixture", model=str(start))) is not None


def test_another_model_is_no_start(dataset: Dataset, start: Path) -> None:
    asked = TrainConfig(dataset=str(dataset.folder), properties=("Ex", "kx"), start=str(start))
    with pytest.raises(InputError, match="is a model of Ex; expected Ex, kx"):
        initial_model(asked, SCALES, PHASES)
    with pytest.raises(InputError, match="is of another architecture"):
        initial_model(asked.model_copy(update={"properties": ("Ex",)}), SCALES, PHASES)


@pytest.mark.parametrize("regressor", ["shared", "own"])
def test_a_shared_trunk_may_become_the_regressors_own(dataset: Dataset, start: Path, regressor: str) -> None:
    before = load_bundle(start)
    model = before.description.model.model_dump()
    model["network"]["regressor"] = regressor
    loop = {"model": model, "trainable": "regressor" if regressor == "own" else "all"}
    config = TrainConfig.model_validate(
        {"dataset": str(dataset.folder), "properties": ["Ex"], "start": str(start), "loop": loop}
    )
    after = initial_model(config, SCALES, PHASES)
    images = indicators(torch.from_numpy(dataset.read_shard(0).labels[:4].copy()), 2)
    with torch.no_grad():
        for part in ("infer", "regress"):
            torch.testing.assert_close(getattr(after, part)(images), getattr(before.model, part)(images))
    learning = {name.split(".")[0] for name, p in after.named_parameters() if p.requires_grad}
    assert ("trunk" in learning) is (regressor == "shared")


@pytest.mark.ray
@pytest.mark.slow
def test_training_goes_on_from_the_campaigns_model(
    local_ray: None, dataset: Dataset, start: Path, trials: list[Trial], tmp_path: Path
) -> None:
    """With a tiny rate it predicts what it did, whatever the new scaling; asked again, nothing is trained.

    The first model is untrained, and so poor that the campaign goes on without what was trained from it.
    """
    settings = {"epochs": 1, "learning_rate": 1e-7, "cpus": 0.5, "physics_feedback": False}
    config = asked(dataset, tmp_path, model=str(start), retraining=settings)
    progress = Recorded()
    retrain = retrainer(config, progress, database(tmp_path))
    assert retrain is not None
    before = load_bundle(start)
    assert retrain(trials).digest == before.digest
    assert any("The campaign goes on with the model that it began with" in text for text in progress.texts)
    (folder,) = tmp_path.glob("retraining/train-*/bundle")
    taught = LocalSurrogate(load_bundle(folder))
    assert taught.digest != before.digest
    assert taught.bundle.description.standardization != before.description.standardization
    labels = dataset.read_shard(0).labels[:8]
    for predicted, expected in zip(taught.predict(labels), LocalSurrogate(before).predict(labels), strict=True):
        np.testing.assert_allclose(predicted, expected, rtol=1e-3)
    for predicted, expected in zip(taught.encode(labels), LocalSurrogate(before).encode(labels), strict=True):
        np.testing.assert_allclose(predicted, expected, atol=1e-3)
    assert sum(line.startswith("epoch") for line in progress.texts) == 1
    assert retrain(trials).digest == before.digest
    assert sum(line.startswith("epoch") for line in progress.texts) == 1
