"""What stands before any training, of `train` and of a sweep's trials alike: checks, standardisation, feed, teacher."""

import torch
from numpy.typing import NDArray
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.learning.data.feed import Feed, fit_standardization
from microdesign.learning.data.samples import (
    Samples,
    check_held_out,
    check_images,
    check_varied,
    steps_per_epoch,
    usable,
)
from microdesign.learning.training.loop import build_model
from microdesign.learning.training.physics_feedback import Teacher
from microdesign.learning.training.train_config import TrainConfig
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.bundle import Bundle, load_bundle
from microdesign.model.standardization import Standardization
from microdesign.model.vae import ModelConfig, VAERegression

_COMPARED = 32
"""Labelled images on which the teacher's physics has to agree with the data set's."""


def check_training(config: TrainConfig, dataset: Dataset) -> None:
    """Refuses, before anything runs, what would fail later.

    Raises:
        InputError: The data set lacks a property, images that vary, images enough for a batch or to evaluate on, or has
            images that the model does not take; or the teacher knows other physics than the labels.
    """
    manifest = dataset.manifest
    check_images(manifest.shape, manifest.n_phases, config.loop.model.network)
    steps_per_epoch(len(_positions(config, dataset)), config.loop.batch_size, config.workers_range[1])
    for split in ("validation", "test"):
        check_held_out(dataset, split, config.properties)
    check_varied(dataset)
    teacher = Teacher.of(config.teacher, standardization_of(config, dataset), manifest)
    if teacher is None and config.loop.learns == "regressor":
        raise InputError(
            f"{config.dataset}: a regressor rehearses on images of known materials, which physics judges; these are "
            f"{'volumes' if len(manifest.shape) > 2 else 'of no materials'}. Set loop.learns to all."
        )
    if teacher is not None:
        teacher.check(dataset.read_shard(0).select(slice(0, _COMPARED)))


def standardization_of(config: TrainConfig, dataset: Dataset) -> Standardization:
    """Fits the standardisation to the labels of the images that train; that of the bundle to start from stays.

    Raises:
        InputError: The data set lacks a property, or it does not vary; or there is no such bundle.
    """
    if config.start is not None:
        return _start(config.start, config).description.standardization
    positions, manifest = _positions(config, dataset), dataset.manifest
    properties = {name: column[positions] for name, column in dataset.property_columns().items()}
    return fit_standardization(properties, manifest.shape, config.properties, manifest.properties)


def prepare(
    config: TrainConfig,
    dataset: Dataset,
    standardization: Standardization,
    device: torch.device,
    rank: int = 0,
    world: int = 1,
) -> tuple[Feed, Teacher | None]:
    """Reads a worker's part of the training images; returns its batches, and the physics that judges its decodes.

    Args:
        config: Of the training.
        dataset: What it learns from.
        standardization: The same for all workers.
        device: Where the worker trains.
        rank: This worker.
        world: Number of workers.
    """
    samples = Samples.read(dataset, _positions(config, dataset), rank, world)
    feed = Feed(samples, standardization, config.loop.batch_size, config.loop.seed, rank, world, device)
    return feed, Teacher.of(config.teacher, standardization, dataset.manifest)


def initial_model(config: TrainConfig) -> VAERegression:
    """The model before its first step: seeded weights, or those of the bundle to start from.

    Raises:
        InputError: There is no such bundle, or it is of another architecture or of other properties than asked.
    """
    model = build_model(config.loop, len(config.properties))
    if config.start is not None:
        model.load_state_dict(_weights(_start(config.start, config), config.loop.model))
    return model


def _weights(bundle: Bundle, asked: ModelConfig) -> dict[str, Tensor]:
    """The weights of a bundle, as a model has them whose regressor may get a trunk of its own."""
    state = bundle.model.state_dict()
    if asked.network.regressor == bundle.description.model.network.regressor:
        return state
    for part in ("trunk.", "features."):
        state |= {f"property_{name}": value for name, value in state.items() if name.startswith(part)}
    # The features of a model of latent maps are the regressor's alone.
    spatial = asked.network.latent_kind == "spatial"
    return {name: value for name, value in state.items() if not (spatial and name.startswith("features."))}


def _start(folder: str, config: TrainConfig) -> Bundle:
    bundle = load_bundle(folder)
    if bundle.properties != config.properties:
        raise InputError(
            f"start: {folder} is a model of {', '.join(bundle.properties)}; expected {', '.join(config.properties)}."
        )
    found, asked = bundle.description.model, config.loop.model
    if found.network.regressor == "shared":  # it may get a trunk of its own
        network = found.network.model_copy(update={"regressor": asked.network.regressor})
        found = found.model_copy(update={"network": network})
    if found != asked:
        raise InputError(f"start: {folder} is of another architecture; give `loop.model` as its model.json does.")
    return bundle


def _positions(config: TrainConfig, dataset: Dataset) -> NDArray:
    return usable(dataset, "train", config.properties, config.unlabelled)
