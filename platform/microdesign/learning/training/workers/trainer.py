"""The Ray trainer of a run: workers that share gradients, checkpoints that the same command goes on from.

It starts as few processes as it can: each takes a processor seconds to start.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray.train
from ray.train.torch import TorchTrainer
from ray.util.queue import Queue

from microdesign.core.errors import MicrodesignError
from microdesign.learning.training.config.resources import ResourcesConfig
from microdesign.learning.training.loop import State
from microdesign.learning.training.workers.checkpoints import load_state
from microdesign.learning.training.workers.durable_storage import durable_storage
from microdesign.learning.training.workers.failures import NoSecondTry, driver_error
from microdesign.learning.training.workers.interrupts import interruptible
from microdesign.learning.training.workers.relay import relayed


class LeanTrainer(TorchTrainer):
    """A trainer without two processes that Ray Train starts beside every training's workers.

    One hands out Ray's own data sets, of which there are none: the workers read theirs. The other frees the processors
    of a training whose controller has died, by asking Ray's dashboard. A local Ray has no dashboard, and ends with the
    command that started it; where another Ray on the machine had one, that one would be asked, which knows nothing of
    this training. On a cluster it stays.
    """

    def _create_default_callbacks(self) -> list[Any]:
        unneeded = {"DatasetsCallback"}
        if os.environ.get("RAY_ADDRESS") is None:
            unneeded |= {"PlacementGroupCleanerCallback"}
        # Ray's types are those of the older Ray Train, which has none.
        current: Any = super()
        return [each for each in current._create_default_callbacks() if type(each).__name__ not in unneeded]


def run_workers(
    worker: Callable[[dict[str, Any]], None],
    settings: dict[str, Any],
    resources: ResourcesConfig,
    folder: Path,
    tell: Callable[..., None],
    what: str,
) -> State:
    """Trains to the end, or on from the folder's last checkpoint; returns the state of the last one.

    Args:
        worker: What each worker runs with the settings and, as `messages`, the queue of what it has to tell.
        settings: What Ray can send to it.
        resources: How many workers, and what each takes.
        folder: Whole path of the run's folder, which takes the checkpoints.
        tell: Called with each message, as the workers send it.
        what: Subject of an error's sentence, such as "Training NAME".

    Raises:
        MicrodesignError: Every try failed; the message carries the worker's error.
    """
    messages = Queue(actor_options={"num_cpus": 0})
    trainer = build_trainer(worker, settings | {"messages": messages}, resources, folder)
    try:
        with relayed(messages, tell), interruptible():
            result = trainer.fit()
    except ray.train.TrainingFailedError as error:
        raise driver_error(error, what) from error
    state = load_state(result.checkpoint)
    if state is None:
        raise MicrodesignError(f"{what} ended without a checkpoint.")
    return state


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
    return LeanTrainer(
        worker,
        train_loop_config=settings,
        scaling_config=ray.train.ScalingConfig(
            num_workers=workers, use_gpu=resources.gpu, resources_per_worker=resources.of_worker
        ),
        run_config=ray.train.RunConfig(
            name=folder.name,
            storage_path=str(folder.parent),
            storage_filesystem=durable_storage(),
            failure_config=ray.train.FailureConfig(max_failures=resources.max_failures),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
            callbacks=callbacks,
        ),
    )
