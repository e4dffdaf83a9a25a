"""The pretraining loop: a state on disk every few minutes, from which the same command goes on; a bundle in the end.

The denoiser and the encoder learn from the denoiser's loss, with a light KL divergence to a standard normal prior. The
draft learns from the reconstruction losses of training, on the same latents, through which no gradient flows: the
latent holds what the images are, and the draft takes of it what it can. Volume fractions alone are asked of encoder and
draft together, since properties depend on them most.
"""

import math
import pickle
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from microdesign.core.config import dump_yaml
from microdesign.core.errors import InputError
from microdesign.core.files import digest, replacing
from microdesign.core.progress import Progress, silent
from microdesign.learning.pretraining.config import PretrainConfig
from microdesign.learning.pretraining.sources import Batches
from microdesign.model.bundle import Description, save_bundle
from microdesign.model.losses.reconstruction import build_losses
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.local_global_decoder import LocalGlobalDecoder
from microdesign.model.objective_config import ObjectiveConfig
from microdesign.model.pretrained import start_bundle
from microdesign.model.prior.config import STANDARD, PriorConfig
from microdesign.model.prior.mixture import Gaussian, gaussian_kl
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression

SAVED_EVERY = 60.0
"""Seconds between states on disk."""
GRADIENT, OUTLIER = "gradient", 20.0
"""Name of the mean norm of the gradient of encoder and denoiser, and how many times as large a batch's may be."""
FRACTIONS = 1.0
"""Weight of the squared error of volume fractions: one of 0.02 costs 4e-4, half of what the latent's KL costs."""
REPORTED_EVERY = 30.0
"""Seconds between lines of progress."""


def pretrain(config: PretrainConfig, progress: Progress = silent) -> Path:
    """Pretrains, or goes on with it; returns the bundle's folder.

    Raises:
        InputError: A data set does not fit, the decoder is not local_global, or there is no bundle to start from.
    """
    torch.set_num_threads(config.threads)
    run = _Pretraining(config, progress)
    run.train()
    return run.finish()


class _Pretraining:
    """A run and its position."""

    def __init__(self, config: PretrainConfig, progress: Progress) -> None:
        self.config, self.progress = config, progress
        self.folder = Path(config.out)
        self.batches = Batches(config.sources, config.pixels, config.inverted, config.seed, config.turns)
        torch.manual_seed(config.seed)
        self.description = Description(
            model=ModelConfig(network=config.network, prior=PriorConfig(kind=STANDARD)),
            standardization=Standardization(names=(), units=(), offsets=(), scales=()),
        )
        self.model = VAERegression(self.description.model, 0)
        if not isinstance(self.model.decoder, LocalGlobalDecoder):
            raise InputError(f"The decoder {config.network.decoder} has no denoiser; expected local_global.")
        self.decoder = self.model.decoder
        if config.start is not None:
            try:
                self.model.load_state_dict(start_bundle(config.start).model.state_dict())
            except RuntimeError as error:
                reason = str(error).strip().splitlines()[-1].strip()
                raise InputError(f"start: {config.start} is of another architecture ({reason}).") from None
        objective = ObjectiveConfig()
        self.losses = build_losses(objective.loss + "+lineal_path", objective.weights, objective.settings)
        self.decoder.draft.requires_grad_(config.draft > 0)
        draft = list(self.decoder.draft.parameters())
        of_draft = {id(each) for each in draft}
        self.parts = draft, [each for each in self.model.parameters() if id(each) not in of_draft]
        self.optimizer = config.optimizer.build([each for each in self.model.parameters() if each.requires_grad])
        self.average = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(config.average))
        self.step, self.seconds = 0, 0.0
        self.means: dict[str, float] = {}
        self.state = self.folder.with_name(self.folder.name + ".state")
        self.identity = digest(dump_yaml(config.model_copy(update={"minutes": 1, "decay_minutes": 0})).encode())
        if self.state.is_file():
            try:
                state = torch.load(self.state, map_location="cpu", weights_only=True)
            except (RuntimeError, EOFError, pickle.UnpicklingError):
                raise InputError(f"{self.state}: is no training state, or damaged; remove it to start anew.") from None
            self._load(state)

    def train(self) -> None:
        """Takes steps until the time is over."""
        began, saved, reported = time.monotonic() - self.seconds, time.monotonic(), self.seconds
        limit, decay = 60 * self.config.minutes, 60 * self.config.decay_minutes
        while self.seconds < limit:
            rate = min(1.0, (self.step + 1) / self.config.warmup) * min(1.0, (limit - self.seconds) / max(decay, 1e-9))
            for group in self.optimizer.param_groups:
                group["lr"] = self.config.optimizer.learning_rate * rate
            self._take_step()
            if self.seconds - reported >= REPORTED_EVERY:
                reported = self.seconds
                terms = ", ".join(f"{name} {value:.4g}" for name, value in self.means.items())
                self.progress(f"{self.seconds / 60:.1f} of {self.config.minutes:g} min, step {self.step}: {terms}")
            if time.monotonic() - saved >= SAVED_EVERY:
                self._save()
                saved = time.monotonic()
            self.seconds = time.monotonic() - began
        self._save()

    def finish(self) -> Path:
        """Writes the bundle of the averaged weights."""
        self.model.load_state_dict(self.average.module.state_dict())
        save_bundle(self.folder, self.model.half(), self.description)  # half the size; loaded, they are float32 again
        return self.folder

    def _take_step(self) -> None:
        torch.manual_seed((self.config.seed << 32) + self.step)
        x, periodic = self.batches.step(self.step)
        self.model.set_periodic(periodic)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = self.model.infer(x)
            z = posterior.sample()
            terms = {"denoising": self.decoder.denoising_loss(x, z).mean()}
            fractions = self.decoder.draft.fractions(z)
            known = x[: math.ceil(self.config.draft * len(x))]
            logits = self.decoder.draft(z[: len(known)].detach(), tuple(x.shape[2:])) if len(known) else None
        standard = Gaussian(torch.zeros_like(posterior.mean), torch.zeros_like(posterior.mean))
        terms["kl"] = gaussian_kl(posterior, standard).mean()
        terms["fractions"] = (fractions - x.flatten(2).mean(2)).square().mean()
        total = terms["denoising"] + self.config.kl * terms["kl"] + FRACTIONS * terms["fractions"]
        if logits is not None:
            parts = [weight * loss(logits, known).mean() for weight, loss in self.losses.values()]
            terms["draft"] = torch.stack(parts).sum()
            total = total + terms["draft"]
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self._update(total, terms)

    def _update(self, total: Tensor, terms: dict[str, Tensor]) -> None:
        # Apart, since they share no gradient but that of the fractions: what the draft has too much the other keeps.
        norms = torch.stack([self.config.optimizer.clip(part) for part in self.parts])
        norm, usual = float(norms[1]), self.means.get(GRADIENT, math.inf)
        # One image in a hundred thousand makes the denoiser, which has no norm layers, overshoot: it is left out.
        if torch.isfinite(total.detach() + norms.sum()) and norm < OUTLIER * usual:
            self.optimizer.step()
            self.average.update_parameters(self.model)
            self.means[GRADIENT] = norm if math.isinf(usual) else 0.98 * usual + 0.02 * norm
        else:
            self.means[GRADIENT] = 1.1 * usual  # if it were not one batch but all of them, they would be taken soon
        self.step += 1
        for name, term in terms.items():
            value = float(term.detach())
            self.means[name] = value if name not in self.means else 0.98 * self.means[name] + 0.02 * value

    def _save(self) -> None:
        state: dict[str, Any] = {
            "identity": self.identity,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "means": self.means,
        }
        with replacing(self.state) as temporary:
            torch.save(state, temporary)

    def _load(self, state: dict[str, Any]) -> None:
        if state["identity"] != self.identity:
            raise InputError(f"{self.state}: is the state of other settings; remove it, or choose another `out`.")
        for part in ("model", "optimizer", "average"):
            getattr(self, part).load_state_dict(state[part])
        self.step, self.seconds, self.means = state["step"], state["seconds"], state["means"]
