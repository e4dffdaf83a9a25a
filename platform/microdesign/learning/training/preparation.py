"""What every training prepares, a sweep's trials too: checks, standardization, batches, physics feedback."""

import torch
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.learning.data.augmentation import Augmentation, augmentation_of
from microdesign.learning.data.feed import Feed, fit_standardization
from microdesign.learning.data.samples import (
    Samples,
    check_apart,
    check_held_out,
    check_images,
    check_varied,
    steps_per_epoch,
    usable,
)
from microdesign.learning.training.config.train_config import TrainConfig
from microdesign.learning.training.physics_feedback import PhysicsFeedback, obstacle
from microdesign.learning.training.starting_point import load_start, resolve_start
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.standardization import Standardization

_COMPARED = 32
"""Labelled images on which the evaluator of physics feedback has to agree with the labels."""


def check_training(config: TrainConfig, dataset: Dataset) -> None:
    """Refuses, before anything runs, what would fail later.

    Raises:
        InputError: The data set lacks a property, images that vary, images enough for a batch or to evaluate on, or has
            images that the model does not take or test windows that overlap training windows; or physics feedback is of
            another physics than the labels.
    """
    manifest, config = dataset.manifest, resolve_start(config)[0]
    check_images(manifest.shape, manifest.n_phases, config.loop.model.network)
    steps_per_epoch(len(_positions(config, dataset)), config.loop.batch_size, config.resources.workers_range[1])
    for split in ("validation", "test"):
        check_held_out(dataset, split, config.properties)
    check_varied(dataset)
    check_apart(dataset)
    if config.start is not None:
        load_start(config.start, config)
    feedback = PhysicsFeedback.of(config.physics_feedback, standardization_of(config, dataset), manifest)
    if feedback is None and config.physics_feedback is not None and config.loop.trainable == "regressor":
        raise InputError(
            f"{config.dataset}: loop.trainable regressor with physics feedback is not possible, for "
            f"{obstacle(manifest)}; set physics_feedback to null, or loop.trainable to all."
        )
    if feedback is not None:
        feedback.check(dataset.read_shard(0).select(slice(0, _COMPARED)))


def standardization_of(config: TrainConfig, dataset: Dataset) -> Standardization:
    """Fits the standardization to the labels of the images that train, also where training starts from a model.

    Raises:
        InputError: The data set lacks a property, or it does not vary.
    """
    positions, manifest = _positions(config, dataset), dataset.manifest
    properties = {name: column[positions] for name, column in dataset.property_columns().items()}
    augmentation = augmentation_for(config, dataset)
    return fit_standardization(properties, manifest.shape, config.properties, manifest.properties, augmentation)


def augmentation_for(config: TrainConfig, dataset: Dataset) -> Augmentation:
    """What is done to the training images: as the config asks, or as their material allows."""
    loop = config.loop
    return augmentation_of(loop.turns, loop.flips, loop.shifts, dataset)


def prepare(
    config: TrainConfig,
    dataset: Dataset,
    standardization: Standardization,
    device: torch.device,
    rank: int = 0,
    world: int = 1,
) -> tuple[Feed, PhysicsFeedback | None]:
    """Reads a worker's part of the training images; returns its batches and its physics feedback.

    Args:
        config: Of the training.
        dataset: What it learns from.
        standardization: The same for all workers.
        device: Where the worker trains.
        rank: This worker.
        world: Number of workers.
    """
    samples = Samples.read(dataset, _positions(config, dataset), rank, world)
    augmentation = augmentation_for(config, dataset)
    feed = Feed(samples, standardization, config.loop.batch_size, config.loop.seed, rank, world, device, augmentation)
    return feed, PhysicsFeedback.of(config.physics_feedback, standardization, dataset.manifest, augmentation)


def _positions(config: TrainConfig, dataset: Dataset) -> NDArray:
    return usable(dataset, "train", config.properties, config.unlabelled)
