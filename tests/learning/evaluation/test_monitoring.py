"""What a training shows of itself: measured on the same images each time, and without a trace."""

import numpy as np
import pytest
import torch

from microdesign.core.metrics import mape, r2
from microdesign.learning.evaluation.monitoring import Monitor, monitored_images
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.bundle import Bundle
from microdesign.model.objective import Objective
from microdesign.model.objective_config import ObjectiveConfig
from microdesign.surrogate.local import LocalSurrogate


def test_the_model_and_the_random_draws_stay_and_the_numbers_are_those_of_its_predictions(
    bundle: Bundle, dataset: Dataset
) -> None:
    data = monitored_images(dataset, bundle.properties, most=12)
    assert len(data) == 12
    standardization = bundle.description.standardization
    monitor = Monitor(data, standardization, 8, torch.device("cpu"))
    objective, state = Objective(ObjectiveConfig(), standardization), torch.get_rng_state()
    first, second = monitor(bundle.model.train(), objective), monitor(bundle.model, objective)
    assert bundle.model.training
    bundle.model.eval()
    assert torch.equal(state, torch.get_rng_state())
    assert first == second
    true, predicted = data.property_table(bundle.properties), LocalSurrogate(bundle).predict(data.labels)[0]
    assert first["validation_r2"] == pytest.approx(float(r2(true, predicted).mean()), rel=1e-4)
    assert first["validation_mape"] == pytest.approx(float(mape(true, predicted).mean()), rel=1e-4)
    assert np.isfinite(first["validation_loss"])
    assert {"validation_r2_Ex", "validation_r2_kx"} <= set(first)


def test_images_are_of_the_validation_split(dataset: Dataset) -> None:
    inside = {image.tobytes() for image in dataset.load("validation").labels}
    assert {image.tobytes() for image in monitored_images(dataset, ["Ex"]).labels} <= inside
