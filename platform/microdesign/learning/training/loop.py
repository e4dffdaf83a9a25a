"""The training loop itself: plain PyTorch, the same under Ray Train, in a Ray Tune trial and in a notebook."""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from microdesign.core.errors import MicrodesignError
from microdesign.core.files import digest, write_json
from microdesign.learning.data.feed import Feed
from microdesign.learning.training.config.loop_config import LoopConfig
from microdesign.learning.training.config.stages import Stage
from microdesign.learning.training.physics_feedback import PhysicsFeedback
from microdesign.model.networks.precision import mixed_precision
from microdesign.model.objective import Objective
from microdesign.model.vae import VAERegression

State = dict[str, Any]
Save = Callable[[], State]
OnEpoch = Callable[[int, dict[str, float], Save], None]
Validate = Callable[[nn.Module, Objective], Mapping[str, float]]


WARMUP_STEPS, LONGEST_WARMUP = 50, 0.2
"""Steps over which the learning rate of seeded weights rises at least, and the largest share of a stage for that.

Adam's first steps change every weight by the learning rate: ten of them at its peak blow deep networks up."""


class DivergedError(MicrodesignError, RuntimeError):
    """The loss or its gradient is no longer finite.

    Attributes:
        record: Epoch, step, worker, the batch's digest and the places of its images in the data set.
    """

    def __init__(self, message: str, record: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.record = dict(record or {})


def build_model(config: LoopConfig, properties: int) -> VAERegression:
    """Builds the model with seeded weights, those that are not to be trained frozen."""
    torch.manual_seed(config.seed)
    model = VAERegression(config.model, properties)
    if config.trainable == "regressor":
        model.train_regressor_only()
    return model


def run_loop(
    model: nn.Module,
    feed: Feed,
    config: LoopConfig,
    on_epoch: OnEpoch,
    state: State | None = None,
    on_checkpoint: Callable[[Save], None] | None = None,
    folder: Path | None = None,
    feedback: PhysicsFeedback | None = None,
    validate: Validate | None = None,
) -> None:
    """Trains `model` in place, stage by stage, from the start or from a saved state.

    Args:
        model: A `VAERegression`, possibly wrapped for distributed training.
        feed: The worker's batches.
        config: Model, stages and optimizer.
        on_epoch: Called after each epoch with (epochs done, metrics, function that returns the state to save). The
            metrics are `loss` and its terms, means over the epoch, what `validate` returns, `learning_rate`,
            `samples_per_second`, `physics_answered` (share of the decodes that the evaluator had an answer for) and
            `progress` (share of the run that is over, by epochs or by `max_minutes`).
        state: What that function returned: the run goes on after its last step, bitwise as if never stopped.
        on_checkpoint: Called with that function within an epoch, every `checkpoint_minutes`, by all workers at once.
        folder: Where `diverged-worker-RANK.json` records the batch whose loss was not finite.
        feedback: Evaluates decodes of every step; the regressor alone predicts their properties when None.
        validate: Measures the model after each epoch, with the stage's objective; called by all workers at once.

    Raises:
        DivergedError: The loss or its gradient is not finite; names epoch, step and the batch's digest.
    """
    _Run(model, feed, config, on_epoch, on_checkpoint, folder, state, feedback, validate).all_stages()


class _Run:
    """A run and its position: epochs done, steps done of the next one, the sums of these steps' terms."""

    def __init__(
        self,
        model: nn.Module,
        feed: Feed,
        config: LoopConfig,
        on_epoch: OnEpoch,
        on_checkpoint: Callable[[Save], None] | None,
        folder: Path | None,
        state: State | None,
        feedback: PhysicsFeedback | None,
        validate: Validate | None,
    ) -> None:
        self.model, self.feed, self.config, self.folder = model, feed, config, folder
        self.feedback, self.validate = feedback, validate
        self.forward = torch.compile(model) if config.compile else model
        self.on_epoch, self.on_checkpoint = on_epoch, on_checkpoint
        self.device = next(model.parameters()).device
        self.state = state or {"epoch": 0, "step": 0, "steps": feed.steps, "summed": 0, "sums": {}, "seconds": 0.0}
        # With another number of workers an epoch has another number of steps.
        self.epoch, self.step = self.state["epoch"], self.state["step"] * feed.steps // self.state["steps"]
        self.summed = self.state["summed"]
        self.sums: dict[str, Tensor] = {name: each.to(self.device) for name, each in self.state["sums"].items()}
        if state is not None:
            model.load_state_dict(state["model"])
            if feedback is not None:
                feedback.buffer.load_state(state["own"])
        self.started = self.saved = time.monotonic() - self.state["seconds"]

    def all_stages(self) -> None:
        stages = self.config.resolved_stages
        for stage in stages:
            if self.epoch < stage.end:
                self._begin(stage)
                while self.epoch < stage.end and not (self.epoch and self._time_used(stage, stages[-1].end) >= 1):
                    self._run_epoch(stage, stages[-1].end)
                self.epoch = max(self.epoch, stage.end)

    @property
    def _core(self) -> VAERegression:
        core = self.model.module if isinstance(self.model, DistributedDataParallel) else self.model
        assert isinstance(core, VAERegression)
        return core

    def _begin(self, stage: Stage) -> None:
        self.objective = Objective(stage.objective, self.feed.standardization)
        groups: dict[float, list[nn.Parameter]] = {factor: [] for factor in (1.0, self.config.optimizer.pretrained)}
        for name, parameter in self._core.named_parameters():
            known = name.split(".")[0] in self._core.pretrained
            groups[self.config.optimizer.pretrained if known else 1.0].append(parameter)
        self.optimizer = self.config.optimizer.build(
            [{"params": group, "factor": factor} for factor, group in groups.items() if group]
        )
        resumed = "optimizer" in self.state and stage.start <= self.state["epoch"] < stage.end
        if resumed and (self.state["epoch"], self.state["step"]) != (stage.start, 0):
            self.optimizer.load_state_dict(self.state["optimizer"])

    def _run_epoch(self, stage: Stage, total: int) -> None:
        self.model.train()
        self.saved = self._elapsed() if self.config.checkpoint_minutes else 0.0
        first, clock = self.step, time.monotonic()
        for x, c in self.feed.epoch(self.epoch, first):
            progress = (self.epoch - stage.start + self.step / self.feed.steps) / stage.epochs
            used = self._time_used(stage, total)
            if used >= 1 and self.step:
                break  # the learning rate is at its end: further steps of the epoch would change nothing
            factor = self.config.optimizer.schedule.factor(max(progress, used), progress * stage.epochs)
            if self.config.optimizer.schedule.warmup and not self._core.pretrained:
                steps = stage.epochs * self.feed.steps
                factor = min(factor, (progress * steps + 1) / min(WARMUP_STEPS, LONGEST_WARMUP * steps))
            for group in self.optimizer.param_groups:
                group["lr"] = stage.learning_rate * factor * group["factor"]
            self._take_step(x, c)
            self._checkpoint_when_due()
        samples = (self.step - first) * self.feed.batch_size * self.feed.world
        seconds = time.monotonic() - clock
        means = {name: float(sum_) / self.summed for name, sum_ in self.sums.items()}
        metrics = {"loss": means.pop("total"), **means}
        if self.validate is not None:
            metrics |= self.validate(self._core, self.objective)
        metrics |= {
            "learning_rate": max(group["lr"] for group in self.optimizer.param_groups),
            "samples_per_second": samples / seconds,
        }
        answered = None if self.feedback is None else self.feedback.share_answered()
        metrics |= {} if answered is None else {"physics_answered": answered}
        self.epoch, self.step, self.summed, self.sums = self.epoch + 1, 0, 0, {}
        metrics["progress"] = min(1.0, self._progress())
        self.on_epoch(self.epoch, metrics, self._save)

    def _take_step(self, x: Tensor, c: Tensor) -> None:
        # Latent draws are seeded by step and worker: a state saved by one worker then resumes all, on any device.
        entropy = [self.config.seed, self.epoch, self.step, self.feed.rank]
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        replay = None if self.feedback is None else self.feedback.replay_batch(self.device)
        with mixed_precision(self.device, self.config.bf16):
            outputs = self.forward(x, c) if replay is None else self.forward(x, c, replay.x)
        if self.feedback is not None:
            outputs = self.feedback.correct(outputs, self._progress())
        terms = self.objective(outputs, x, c, None if replay is None else replay.c)
        self.optimizer.zero_grad(set_to_none=True)
        terms["total"].backward()
        norm = self.config.optimizer.clip(self.model.parameters())
        # One check of both: on a GPU each waits for the device.
        if not torch.isfinite(terms["total"].detach() + norm):
            raise self._diverged(x, c, terms["total"].item(), norm.item())
        self.optimizer.step()
        for name, term in terms.items():
            self.sums[name] = self.sums.get(name, 0) + term.detach()
        self.step, self.summed = self.step + 1, self.summed + 1

    def _diverged(self, x: Tensor, c: Tensor, loss: float, norm: float) -> DivergedError:
        batch = digest(x.cpu().contiguous().numpy().tobytes(), c.cpu().numpy().tobytes())
        places = self.feed.positions(self.epoch, self.step).tolist()
        record = {"epoch": self.epoch, "step": self.step, "worker": self.feed.rank, "loss": str(loss)}
        record |= {"gradient_norm": str(norm), "batch": batch, "images": places}
        if self.folder is not None:
            write_json(self.folder / f"diverged-worker-{self.feed.rank}.json", record)
        what = f"gradient's norm is {norm}" if math.isfinite(loss) else f"loss is {loss}"
        where = f"epoch {self.epoch}, step {self.step}, batch {batch[:12]}"
        return DivergedError(f"The {what} in {where}; lower the learning rate.", record)

    def _checkpoint_when_due(self) -> None:
        minutes = self.config.checkpoint_minutes
        if minutes is None or self.on_checkpoint is None or self.step == self.feed.steps:
            return
        now = self._elapsed()
        if now - self.saved >= 60 * minutes:
            self.saved = now
            self.on_checkpoint(self._save)

    def _save(self) -> State:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "steps": self.feed.steps,
            "summed": self.summed,
            "sums": self.sums,
            "seconds": time.monotonic() - self.started,
            "own": {} if self.feedback is None else self.feedback.buffer.state(),
        }

    def _progress(self) -> float:
        """Share of the run that is over, by steps or by time."""
        steps = (self.epoch + self.step / self.feed.steps) / self.config.total_epochs
        limit = self.config.max_minutes
        return steps if limit is None else max(steps, self._elapsed() / (60 * limit))

    def _time_used(self, stage: Stage, total: int) -> float:
        """Share of the stage's time that is over: of the limit, what its epochs are of all epochs."""
        if self.config.max_minutes is None:
            return 0.0
        return (self._elapsed() / (60 * self.config.max_minutes) * total - stage.start) / stage.epochs

    def _elapsed(self) -> float:
        """Seconds since the start by the clock of worker 0: by their own, workers would drift apart and stop apart."""
        seconds = torch.tensor(time.monotonic() - self.started, dtype=torch.float64, device=self.device)
        if torch.distributed.is_initialized():
            torch.distributed.broadcast(seconds, src=0)
        return seconds.item()
