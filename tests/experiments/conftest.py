"""A small labelled data set, and a small model with initial weights, whose decodes are random images."""

from pathlib import Path

import pytest
import torch

from microdesign.learning.data.feed import fit_standardization
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.generators.dataset_generation import GenerateConfig, generate_dataset
from microdesign.model.bundle import Bundle, Description, save_bundle
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.vae import VAERegression
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.execution.labelling import label_dataset
from microdesign.physics.materials import Materials

NAMES = ("Ex", "kx")


@pytest.fixture(scope="session")
def materials() -> Materials:
    return Materials.model_validate({"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]})


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory, materials: Materials) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    images = generate_dataset(GenerateConfig(families=("GRF",), count_per_family=60, size=32), folder / "images")
    return label_dataset(images, folder / "labelled", materials, FFTEvaluator())


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset, materials: Materials) -> Bundle:
    torch.manual_seed(0)
    config = ModelConfig(network=NetworkConfig(size=32, widths=(8, 8, 16), latent=4, hidden=32))
    manifest, properties = dataset.manifest, dataset.load("train").properties
    description = Description(
        model=config,
        standardization=fit_standardization(properties, manifest.shape, NAMES, manifest.properties),
        materials=dataset.manifest.materials,
    )
    return save_bundle(tmp_path_factory.mktemp("model"), VAERegression(config, len(NAMES)), description)


@pytest.fixture(scope="session")
def bundle_folder(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    save_bundle(folder, bundle.model, bundle.description)
    return folder
