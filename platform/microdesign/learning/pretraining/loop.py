"""The pretraining loop, in pure torch, in one process or in several that share their gradients.

The denoiser and the encoder learn from the denoiser's loss, with a light KL divergence to a standard normal prior. The
draft learns from the reconstruction losses of training, on the same latents, through which no gradient flows: the
latent holds what the images are, and the draft takes of it what it can. Volume fractions alone are asked of encoder and
draft together, since properties depend on them most.
"""

import math
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, distributed, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from microdesign.core.errors import InputError
from microdesign.learning.pretraining.config import PretrainConfig
from microdesign.learning.pretraining.more_phases import for_more_phases
from microdesign.learning.pretraining.sources import Batches
from microdesign.learning.pretraining.volumes import for_volumes
from microdesign.learning.training.loop import State
from microdesign.model.losses.reconstruction import build_losses
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.local_global_decoder import LocalGlobalDecoder
from microdesign.model.networks.precision import mixed_precision
from microdesign.model.objective_config import ObjectiveConfig
from microdesign.model.pretrained import start_bundle
from microdesign.model.prior.config import STANDARD, PriorConfig
from microdesign.model.prior.mixture import Gaussian, gaussian_kl
from microdesign.model.vae import VAERegression

SAVED_EVERY = 60.0
"""Seconds between checkpoints."""
REPORTED_EVERY = 30.0
"""Seconds between reports."""
GRADIENT, OUTLIER = "gradient", 20.0
"""Name of the mean norm of the gradient of encoder and denoiser, and how many times as large a batch's may be."""
FRACTIONS = 1.0
"""Weight of the squared error of volume fractions: one of 0.02 costs 4e-4, half of what the latent's KL costs."""


def model_config(config: PretrainConfig) -> ModelConfig:
    """The architecture: the networks, with a standard normal prior.

    There is no regressor yet; that of a training which starts here begins with a copy of the encoder's feature maps.
    """
    network = config.network.model_copy(update={"regressor": "shared"})
    return ModelConfig(network=network, prior=PriorConfig(kind=STANDARD))


def initial_model(config: PretrainConfig) -> VAERegression:
    """The model before the first step, with seeded weights or those of `start`, which may be of two phases.

    Raises:
        InputError: The decoder has no denoiser, or `start` is no bundle or one of another architecture.
    """
    torch.manual_seed(config.seed)
    model = VAERegression(model_config(config), 0)
    if not isinstance(model.decoder, LocalGlobalDecoder):
        raise InputError(f"The decoder {config.network.decoder} has no denoiser; expected local_global.")
    if config.start is not None:
        try:
            given = start_bundle(config.start)
            weights = given.model.state_dict()
            network = given.description.model.network
            if network.dimensions == 2 < config.network.dimensions:
                weights = for_volumes(weights, model)
            elif network.phases == 2 < config.network.phases:
                weights = for_more_phases(weights, model)
            model.load_state_dict(weights)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise InputError(f"start: {config.start} is of another architecture ({reason}).") from None
    return model


class Objective(nn.Module):
    """A model's terms of the pretraining loss; a module of its own, so that several processes can share gradients."""

    def __init__(self, model: VAERegression, config: PretrainConfig) -> None:
        super().__init__()
        assert isinstance(model.decoder, LocalGlobalDecoder)
        self.model, self.share, self.kl = model, config.draft, config.kl
        self.decoder: LocalGlobalDecoder = model.decoder
        settings = ObjectiveConfig()
        self.losses = build_losses(settings.loss, settings.weights, settings.settings)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its terms, for indicators `(B, C, *N)`."""
        with mixed_precision(x.device):
            posterior = self.model.infer(x)
            z = posterior.sample()
            terms = {"denoising": self.decoder.denoising_loss(x, z).mean()}
            fractions = self.decoder.draft.fractions(z)
            known = x[: math.ceil(self.share * len(x))]
            logits = self.decoder.draft(z[: len(known)].detach(), tuple(x.shape[2:])) if len(known) else None
        standard = Gaussian(torch.zeros_like(posterior.mean), torch.zeros_like(posterior.mean))
        terms["kl"] = gaussian_kl(posterior, standard).mean()
        terms["fractions"] = (fractions - x.flatten(2).mean(2)).square().mean()
        total = terms["denoising"] + self.kl * terms["kl"] + FRACTIONS * terms["fractions"]
        if logits is not None:
            parts = [weight * loss(logits, known).mean() for weight, loss in self.losses.values()]
            terms["draft"] = torch.stack(parts).sum()
            total = total + terms["draft"]
        return total, {name: term.detach() for name, term in terms.items()}


class Pretraining:
    """A run and its position.

    Args:
        config: What to learn from what.
        model: The model before the first step, see `initial_model`, on its device.
        wrap: Wraps the objective for several processes.
        rank: This process.
        world: How many processes share their gradients.
    """

    def __init__(
        self,
        config: PretrainConfig,
        model: VAERegression,
        wrap: Callable[[nn.Module], nn.Module] = lambda objective: objective,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.config, self.model, self.rank, self.world = config, model, rank, world
        self.device = next(model.parameters()).device
        network = config.network
        self.batches = Batches(
            config.sources,
            config.pixels,
            config.inverted,
            config.seed,
            config.turns,
            network.phases,
            network.dimensions,
        )
        objective = Objective(model, config)
        draft = objective.decoder.draft.requires_grad_(config.draft > 0)
        of_draft = {id(each) for each in draft.parameters()}
        self.parts = list(draft.parameters()), [each for each in model.parameters() if id(each) not in of_draft]
        self.optimizer = config.optimizer.build([each for each in model.parameters() if each.requires_grad])
        self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.average))
        self.objective = wrap(objective)
        self.step, self.seconds = 0, 0.0
        self.means: dict[str, float] = {}

    def run(
        self,
        on_checkpoint: Callable[[Callable[[], State]], None],
        on_report: Callable[[float, Mapping[str, float]], None] = lambda seconds, means: None,
    ) -> None:
        """Takes steps until the time is over.

        Args:
            on_checkpoint: Called every minute and in the end, in all processes at the same step, with a function that
                returns the state.
            on_report: Called every half minute and in the end, with the seconds that are over and the moving means of
                the terms.
        """
        began, saved, reported = time.monotonic() - self.seconds, self.seconds, self.seconds
        limit, decay = 60 * self.config.minutes, 60 * self.config.decay_minutes
        while self.seconds < limit:
            rate = min(1.0, (self.step + 1) / self.config.warmup) * min(1.0, (limit - self.seconds) / max(decay, 1e-9))
            for group in self.optimizer.param_groups:
                group["lr"] = self.config.optimizer.learning_rate * rate
            self._take_step()
            if self.seconds - reported >= REPORTED_EVERY:
                reported = self.seconds
                on_report(self.seconds, self._reported())
            if self.seconds - saved >= SAVED_EVERY:
                on_checkpoint(self.state)
                saved = self.seconds
            self.seconds = self._agreed(time.monotonic() - began)
        on_report(self.seconds, self._reported())
        on_checkpoint(self.state)

    def _reported(self) -> dict[str, float]:
        return self.means | {"learning_rate": self.optimizer.param_groups[0]["lr"], "step": self.step}

    def state(self) -> State:
        """What `load` goes on from: tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.module.state_dict(),
            "averaged": int(self.average.n_averaged),
            "step": self.step,
            "seconds": self.seconds,
            "means": self.means,
        }

    def load(self, state: State) -> None:
        """Goes on from a state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.module.load_state_dict(state["average"])
        self.average.n_averaged.fill_(state["averaged"])
        self.step, self.seconds, self.means = state["step"], state["seconds"], state["means"]

    def _take_step(self) -> None:
        number = self.step * self.world + self.rank
        torch.manual_seed((self.config.seed << 32) + number)
        x, periodic = self.batches.batch(number)
        self.model.set_periodic(periodic)
        total, terms = self.objective(x.to(self.device))
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        # Apart, since they share no gradient but that of the fractions: what the draft has too much the other keeps.
        norms = torch.stack([self.config.optimizer.clip(part) for part in self.parts])
        norm, usual = float(norms[1]), self.means.get(GRADIENT, math.inf)
        # One image in a hundred thousand makes the denoiser, which has no norm layers, overshoot: it is left out. The
        # norms are of the gradients' means, so that all processes leave it out.
        if norms.isfinite().all() and norm < OUTLIER * usual:
            self.optimizer.step()
            self.average.update_parameters(self.model)
            for name, value in ({name: float(term) for name, term in terms.items()} | {GRADIENT: norm}).items():
                self.means[name] = value if name not in self.means else 0.98 * self.means[name] + 0.02 * value
        else:
            self.means[GRADIENT] = 1.1 * usual  # if it were not one batch but all of them, they would be taken soon
        self.step += 1

    def _agreed(self, seconds: float) -> float:
        """The clock of the first process: all end, report and save at the same step."""
        if self.world == 1:
            return seconds
        clock = torch.tensor([seconds], dtype=torch.float64, device=self.device)
        distributed.broadcast(clock, src=0)
        return float(clock)
