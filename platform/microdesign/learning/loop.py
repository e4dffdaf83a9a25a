"""The training loop itself: plain PyTorch, the same under Ray Train, in a Ray Tune trial and in a notebook."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import nn

from microdesign.config import Config
from microdesign.errors import MicrodesignError
from microdesign.learning.feed import Feed
from microdesign.model.objective import Objective, ObjectiveConfig
from microdesign.model.vae import ModelConfig, VAERegression

State = dict[str, Any]
OnEpoch = Callable[[int, dict[str, float], Callable[[], State]], None]


class LoopConfig(Config):
    """Model, objective and optimiser: what a sweep varies."""

    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    epochs: int = Field(20, ge=1, description="passes over the training split")
    max_minutes: float | None = Field(None, gt=0, description="wall-time limit; the schedule then ends within it")
    batch_size: int = Field(64, ge=1, description="images per step and worker")
    learning_rate: float = Field(2e-3, gt=0, description="peak of the one-cycle cosine schedule")
    weight_decay: float = Field(1e-4, ge=0, description="decoupled weight decay (AdamW)")
    gradient_clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    warmup: float = Field(0.05, ge=0, lt=1, description="share of the run in which the learning rate rises")
    seed: int = Field(0, ge=0, description="seed of weights, order, augmentation and latent draws")


class DivergedError(MicrodesignError, RuntimeError):
    """The loss is no longer finite."""


def build_model(config: LoopConfig, properties: int) -> VAERegression:
    """Builds the model with seeded weights."""
    torch.manual_seed(config.seed)
    return VAERegression(config.model, properties)


def run_loop(model: nn.Module, feed: Feed, config: LoopConfig, on_epoch: OnEpoch, state: State | None = None) -> None:
    """Trains `model` in place, bf16 autocast, from the start or from a saved state.

    Args:
        model: A `VAERegression`, possibly wrapped for distributed training.
        feed: The worker's batches.
        config: Model, objective and optimiser.
        on_epoch: Called after each epoch with (epochs done, mean terms, function that takes the state to save).
        state: What that function returned: the run goes on after its epoch, bitwise as if never stopped.

    Raises:
        DivergedError: The loss is not finite; names epoch and step.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    objective = Objective(config.objective)
    first, spent = 0, 0.0
    if state is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first, spent = state["epoch"], state["seconds"]
    started = time.monotonic() - spent
    device = next(model.parameters()).device
    for epoch in range(first, config.epochs):
        if epoch and config.max_minutes is not None and _elapsed(started, device) >= 60 * config.max_minutes:
            break
        # Latent draws are seeded per epoch and worker: a state saved by one worker then resumes all, on any device.
        torch.manual_seed(int(np.random.SeedSequence([config.seed, epoch, feed.rank]).generate_state(1)[0]))
        model.train()
        sums: dict[str, torch.Tensor] = {}
        clock = time.monotonic()
        for step, (x, c) in enumerate(feed.epoch(epoch)):
            progress = (epoch + step / feed.steps) / config.epochs
            if config.max_minutes is not None:
                progress = max(progress, _elapsed(started, device) / (60 * config.max_minutes))
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * _schedule(progress, config.warmup)
            with torch.autocast(device.type, torch.bfloat16):
                outputs = model(x, c)
            terms = objective(outputs, x, c)
            if not torch.isfinite(terms["total"]):
                raise DivergedError(
                    f"The loss is {terms['total'].item()} in epoch {epoch}, step {step}; lower the learning rate."
                )
            optimizer.zero_grad(set_to_none=True)
            terms["total"].backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
            optimizer.step()
            for name, term in terms.items():
                sums[name] = sums.get(name, 0) + term.detach()
        seconds = time.monotonic() - clock
        means = {name: float(total) / feed.steps for name, total in sums.items()}
        means |= {"learning_rate": optimizer.param_groups[0]["lr"]}
        means |= {"samples_per_second": feed.steps * feed.batch_size * feed.world / seconds}

        def save(done: int = epoch + 1) -> State:
            return {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "epoch": done,
                "seconds": time.monotonic() - started,
            }

        on_epoch(epoch + 1, means, save)


def _elapsed(started: float, device: torch.device) -> float:
    """Seconds since `started` by the clock of worker 0: by their own, workers would drift apart and stop apart."""
    seconds = torch.tensor(time.monotonic() - started, dtype=torch.float64, device=device)
    if torch.distributed.is_initialized():
        torch.distributed.broadcast(seconds, src=0)
    return seconds.item()


def _schedule(progress: float, warmup: float) -> float:
    """Factor of the learning rate: a linear rise, then a half cosine to zero."""
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup))))


def describe_terms(terms: Mapping[str, float]) -> str:
    """One line for people: the loss terms of an epoch."""
    shown = [name for name in terms if name not in ("learning_rate", "samples_per_second", "total")]
    return ", ".join([f"loss {terms['total']:.4f}", *(f"{name} {terms[name]:.3g}" for name in shown)])
