"""What belongs to the latents of the data, before the first step of a training that starts from a model of images.

Such a model knows latents and no properties, so its conditional prior is as initialised, while its latents are ready.
Fitting the one to the others takes seconds. Joint training from there keeps the two together; without it the posterior
moves towards a prior that holds nothing yet. And it knows more images than these, whose latents are near each other
beside those of all: they would select nearly one noise, and draws of different latents would be arranged alike.
"""

import torch
from torch import Tensor

from microdesign.learning.data.feed import Feed
from microdesign.model.networks.local_global_decoder import LocalGlobalDecoder
from microdesign.model.networks.precision import mixed_precision
from microdesign.model.prior.mixture import Gaussian, kl_monte_carlo
from microdesign.model.vae import VAERegression

STEPS, BATCH, LEARNING_RATE = 1200, 128, 3e-3
"""Of the fit: more steps gain little on the test split of a few thousand images."""
MOST_IMAGES = 8192
"""Images whose latents the fit sees."""


def fit_to_latents(model: VAERegression, feed: Feed, seed: int) -> float:
    """Fits p(z|c) to the posteriors of training images, and spreads the decoder's noise over them; the rest stays.

    Args:
        model: With properties and a trained encoder; changed in place.
        feed: Of the training; its first batches are taken.
        seed: Of the batches and of the draws from the posteriors.

    Returns:
        Mean KL(q(z|x) || p(z|c)) over the last tenth of the steps, in nats; 0 where the prior has no weights.
    """
    if not feed.standardization.names:
        return 0.0
    posterior, c = _posteriors(model, feed)
    if isinstance(model.decoder, LocalGlobalDecoder):
        spread = (posterior.mean.var(0, correction=0) + (2 * posterior.log_std).exp().mean(0)).sqrt()
        model.decoder.spread_noise(posterior.mean.mean(0), spread)
    return _fit_prior(model, posterior, c, seed)


def _fit_prior(model: VAERegression, posterior: Gaussian, c: Tensor, seed: int) -> float:
    parameters = list(model.prior.parameters())
    if not parameters:
        return 0.0
    frozen = [not parameter.requires_grad for parameter in parameters]  # where the regressor alone is trained
    model.prior.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, LEARNING_RATE, weight_decay=1e-3)
    stream = torch.Generator().manual_seed(seed)
    total = 0.0
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 - step / STEPS)
        rows = torch.randint(len(c), (BATCH,), generator=stream).to(c.device)
        q = Gaussian(*(part[rows] for part in posterior))
        z = q.sample()
        loss = kl_monte_carlo(q, model.prior(c[rows]), z).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += float(loss.detach()) if step >= 0.9 * STEPS else 0.0
    for parameter, was in zip(parameters, frozen, strict=True):
        parameter.requires_grad_(not was)
    return total / (0.1 * STEPS)


@torch.no_grad()
def _posteriors(model: VAERegression, feed: Feed) -> tuple[Gaussian, Tensor]:
    """Posteriors, each part `(n, D)`, and standardised properties `(n, P)` of the images whose properties are known."""
    means, log_stds, conditions = [], [], []
    for x, c in feed.epoch(0):
        with mixed_precision(x.device):
            posterior = model.infer(x)
        known = ~c.isnan().any(1)
        means.append(posterior.mean[known])
        log_stds.append(posterior.log_std[known])
        conditions.append(c[known])
        if sum(map(len, conditions)) >= MOST_IMAGES:
            break
    return Gaussian(torch.cat(means), torch.cat(log_stds)), torch.cat(conditions)
