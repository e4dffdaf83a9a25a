"""What each worker of a training runs.

A worker imports this module and no more than it needs: neither MLflow nor what draws figures, which take seconds.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray.train
import torch
from ray.train.torch import get_device, prepare_model

from microdesign.core.config import validate_config
from microdesign.learning.evaluation.monitoring import Monitor, monitored_images
from microdesign.learning.training.config.train_config import TrainConfig
from microdesign.learning.training.latent_fit import fit_to_latents
from microdesign.learning.training.loop import State, run_loop
from microdesign.learning.training.preparation import prepare
from microdesign.learning.training.starting_point import initial_model, knows_images_alone
from microdesign.learning.training.workers.checkpoints import load_state, state_checkpoint
from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.standardization import Standardization


def run_worker(settings: dict[str, Any]) -> None:
    """Trains as the settings that `run_workers` gives say; reports each epoch and its checkpoint."""
    config = validate_config(TrainConfig, settings["config"], "the train config")
    standardization = validate_config(Standardization, settings["standardization"], "the standardization")
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    torch.set_num_threads(max(1, round(config.resources.cpus)))
    device = get_device()
    dataset = Dataset.open(config.dataset)
    feed, feedback = prepare(config, dataset, standardization, device, rank, world)
    monitor = Monitor(
        monitored_images(dataset, config.properties),
        standardization,
        config.loop.batch_size,
        device,
        config.loop.bf16,
    )
    core = initial_model(config, standardization, dataset.manifest.materials).to(device)
    state = load_state(ray.train.get_checkpoint(), rank, wrapped=world > 1)
    if state is None and knows_images_alone(config):
        fit_to_latents(core, feed, config.loop.seed)
    model = prepare_model(core, parallel_strategy="ddp" if world > 1 else None)

    def on_checkpoint(save: Callable[[], State]) -> None:
        with state_checkpoint(save, rank) as checkpoint:
            ray.train.report({}, checkpoint=checkpoint)

    def on_epoch(done: int, metrics: dict[str, float], save: Callable[[], State]) -> None:
        on_checkpoint(save)
        if rank == 0:
            settings["messages"].put((done, metrics))

    folder = Path(config.storage).resolve() / context.get_experiment_name()
    run_loop(model, feed, config.loop, on_epoch, state, on_checkpoint, folder, feedback, monitor)
