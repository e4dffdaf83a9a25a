"""Which of Ray Train's helpers a training does without, by Ray's own names for them."""

import pytest
import ray.train
from ray.train.torch import TorchTrainer

from microdesign.learning.training.workers.trainer import LeanTrainer


def helpers(kind: type[TorchTrainer]) -> set[str]:
    trainer = kind(print, scaling_config=ray.train.ScalingConfig(num_workers=1))
    return {type(each).__name__ for each in trainer._create_default_callbacks()}


def test_a_training_starts_no_process_that_it_has_no_use_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert helpers(TorchTrainer) - helpers(LeanTrainer) == {"DatasetsCallback", "PlacementGroupCleanerCallback"}
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")  # nothing but the driver's death would free its processors
    assert helpers(TorchTrainer) - helpers(LeanTrainer) == {"DatasetsCallback"}
