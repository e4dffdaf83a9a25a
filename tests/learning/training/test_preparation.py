"""What training and a sweep's trials prepare alike: which images train, and what is refused before."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from microdesign.core.errors import InputError
from microdesign.learning.training.config.train_config import TrainConfig
from microdesign.learning.training.preparation import check_training, prepare, standardization_of
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset, DatasetWriter
from microdesign.microstructure.generators.registry import generate
from microdesign.physics.labels import label
from microdesign.physics.materials import Materials
from tests.cases import case

LABELLED, ALL = 40, 120


@pytest.fixture(scope="module")
def half_labelled(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Of three images one has a property; its values start at 1, so those of the others must not be mistaken for 0."""
    stream = np.random.default_rng(0)
    labels = stream.integers(0, 2, (ALL, 16, 16), dtype=np.uint8)
    values = np.where(np.arange(ALL) % 3 == 0, np.exp(stream.uniform(0, 2, ALL)), np.nan)
    writer = DatasetWriter(tmp_path_factory.mktemp("half") / "data", settings={})
    writer.write_shard("part", Microstructures(labels=labels, n_phases=2, properties={"E": values}))
    return writer.finish()


def config(dataset: Dataset, **changes: object) -> TrainConfig:
    network = {"size": 16, "widths": [8, 8], "latent": 4, "hidden": 16}
    settings = {
        "dataset": str(dataset.folder),
        "properties": ["E"],
        "loop": {"batch_size": 8, "model": {"network": network}},
    }
    return TrainConfig.model_validate(settings | changes)


def test_images_without_properties_train_unless_left_out(half_labelled: Dataset) -> None:
    for unlabelled in [True, False]:
        with case(unlabelled=unlabelled):
            settings = config(half_labelled, unlabelled=unlabelled)
            standardization = standardization_of(settings, half_labelled)
            feed, feedback = prepare(settings, half_labelled, standardization, torch.device("cpu"))
            inside = half_labelled.split()["train"]
            known = np.isfinite(half_labelled.property_columns()["E"][inside])
            assert sorted(feed.samples.positions) == sorted(inside if unlabelled else inside[known])
            c = torch.cat([c for _, c in feed.epoch(0)])
            assert bool(c.isnan().any()) is unlabelled
            assert feedback is None  # materials are not known
            # Standardised: the labels that are known have mean 0 and variance 1.
            values = torch.from_numpy(
                standardization.forward(half_labelled.property_columns()["E"][inside][known][:, None])
            )
            assert (float(values.mean()), float(values.var(correction=0))) == pytest.approx((0, 1), abs=1e-6)


def test_what_would_fail_later_is_refused(half_labelled: Dataset) -> None:
    for changes, message in [
        ({"properties": ["kx"]}, "kx"),
        ({"loop": {"batch_size": 8}}, "set loop.model.network.size to 16"),
        ({"resources": {"workers": 100}}, "less than one batch of 8 for each of 100 workers"),
    ]:
        with case(changes=changes, message=message):
            check_training(config(half_labelled), half_labelled)
            with pytest.raises(InputError, match=message):
                check_training(config(half_labelled, **changes), half_labelled)


def test_physics_feedback_is_of_the_pixels_of_the_labels(tmp_path: Path) -> None:
    """Labels by bricks agree with the feedback of bricks; called squares, they are of another physics."""
    phases = Materials.model_validate({"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]})
    images = replace(generate("GRF", 80, (16, 16), seed=1), aspect=(1.0, 3.0))
    bricks = label(images, phases, tmp_path / "bricks")
    settings = config(bricks, properties=["Ex", "Ey"])
    check_training(settings, bricks)
    feed, feedback = prepare(settings, bricks, standardization_of(settings, bricks), torch.device("cpu"))
    assert feedback is not None
    assert {each.axes for each in feed.symmetries} == {(0, 1)}
    writer = DatasetWriter(tmp_path / "squares", settings={}, materials=bricks.manifest.materials)
    writer.write_shard("part", replace(bricks.load(), aspect=()))
    squares = writer.finish(["part"])
    with pytest.raises(InputError, match="differs from the data set's labels"):
        check_training(config(squares, properties=["Ex", "Ey"]), squares)
