"""The Ray trainer of a run: workers that share gradients, checkpoints that the same command goes on from."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray.train
from ray.train.torch import TorchTrainer

from microdesign.learning.training.config.resources import ResourcesConfig
from microdesign.learning.training.workers.failures import NoSecondTry


def build_trainer(
    worker: Callable[[dict[str, Any]], None], settings: dict[str, Any], resources: ResourcesConfig, folder: Path
) -> TorchTrainer:
    """A trainer that goes on from the folder's last checkpoint, where there is one.

    Args:
        worker: What each worker runs with the settings.
        settings: What Ray can send to it.
        resources: How many workers, and what each takes.
        folder: Whole path of the run's folder, which takes the checkpoints.
    """
    # Ray Train takes up a worker's report when it polls, and the worker waits: no epoch would be shorter than 2 s.
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
    # Of several workers Ray's types know a number alone, and of callbacks those of the older Ray Train.
    workers: Any = resources.workers
    callbacks: list[Any] = [NoSecondTry()]
    return TorchTrainer(
        worker,
        train_loop_config=settings,
        scaling_config=ray.train.ScalingConfig(
            num_workers=workers, use_gpu=resources.gpu, resources_per_worker=resources.of_worker
        ),
        run_config=ray.train.RunConfig(
            name=folder.name,
            storage_path=str(folder.parent),
            failure_config=ray.train.FailureConfig(max_failures=resources.max_failures),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
            callbacks=callbacks,
        ),
    )
