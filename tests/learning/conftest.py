"""A small data set whose properties are functions of the volume fraction, and untrained models of it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from microdesign.learning.evaluation.evaluation import complete
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset, DatasetWriter
from microdesign.microstructure.generators.registry import generate
from microdesign.model.bundle import Bundle, Description
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.prior.config import PriorConfig
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a library warns of in training, such as a legend without an entry, is an error in these tests."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error::UserWarning"))


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two families with two made-up properties: functions of the volume fraction."""
    writer = DatasetWriter(tmp_path_factory.mktemp("data"), settings={}, units={"Ex": "GPa", "kx": ""})
    for family in ("GRF", "VoidSmall"):
        images = generate(family, 100, (32, 32))
        fraction = images.labels.mean((1, 2))
        properties = {"Ex": 1 + 9 * fraction, "kx": np.exp(fraction)}
        batch = Microstructures(
            labels=images.labels, n_phases=2, classes=(family,) * len(images), properties=properties
        )
        writer.write_shard(family, batch)
    return writer.finish()


@pytest.fixture(scope="session")
def bundle(dataset: Dataset) -> Bundle:
    """A model as initialised, made complete."""
    return made(dataset, seed=0)


@pytest.fixture(scope="session")
def other_bundle(dataset: Dataset) -> Bundle:
    """Another one."""
    return made(dataset, seed=1)


def made(dataset: Dataset, seed: int) -> Bundle:
    torch.manual_seed(seed)
    network = NetworkConfig(size=32, widths=(8, 8, 16), latent=4, hidden=32)
    config = ModelConfig(network=network, prior=PriorConfig(components=3, hidden=16))
    standardization = Standardization(names=("Ex", "kx"), units=("GPa", ""), offsets=(1.3, 0.4), scales=(0.5, 0.2))
    description = Description(model=config, standardization=standardization, dataset=dataset.manifest.digest)
    return complete(Bundle(VAERegression(config, 2).eval(), description), dataset)
