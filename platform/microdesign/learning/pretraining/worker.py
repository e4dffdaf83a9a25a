"""What each worker of a pretraining runs; like those of a training it imports no more than it needs."""

from collections.abc import Callable, Mapping
from typing import Any

import ray.train
import torch
from ray.train.torch import get_device, prepare_model
from torch import nn

from microdesign.core.config import validate_config
from microdesign.learning.pretraining.config import PretrainConfig
from microdesign.learning.pretraining.loop import Pretraining, initial_model
from microdesign.learning.training.loop import State
from microdesign.learning.training.workers.checkpoints import load_state, state_checkpoint


def run_worker(settings: dict[str, Any]) -> None:
    """Learns for the time that the settings give; reports means and checkpoints."""
    config = validate_config(PretrainConfig, settings["config"], "the settings of pretraining")
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    torch.set_num_threads(max(1, round(config.resources.cpus)))
    model = initial_model(config).to(get_device())

    def wrap(objective: nn.Module) -> nn.Module:
        wrapped: nn.Module = prepare_model(objective, parallel_strategy="ddp" if world > 1 else None)
        return wrapped

    run = Pretraining(config, model, wrap, rank, world)
    state = load_state(ray.train.get_checkpoint(), rank)
    if state is not None:
        run.load(state)

    def on_checkpoint(save: Callable[[], State]) -> None:
        with state_checkpoint(save, rank) as checkpoint:
            ray.train.report({}, checkpoint=checkpoint)

    def on_report(seconds: float, means: Mapping[str, float]) -> None:
        if rank == 0:
            settings["messages"].put((seconds, means))

    run.run(on_checkpoint, on_report)
