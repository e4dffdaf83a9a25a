"""What is fitted to the latents of the data before training starts."""

import numpy as np
import torch

from microdesign.learning.data.feed import Feed
from microdesign.learning.data.samples import Samples
from microdesign.learning.training.latent_fit import fit_to_latents
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.indicators import indicators
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.heads import Head
from microdesign.model.networks.local_global_decoder import LocalGlobalDecoder
from microdesign.model.prior.mixture import kl_monte_carlo
from microdesign.model.standardization import Standardization
from microdesign.model.vae import VAERegression

NETWORK = {"decoder": "local_global", "size": 32, "widths": (8, 8, 16), "latent": 4, "hidden": 32}


@torch.no_grad()
def test_the_prior_comes_to_the_latents_and_each_latent_has_a_noise_of_its_own() -> None:
    torch.manual_seed(0)
    stripes = np.random.default_rng(0).integers(3, 28, 64)
    labels = (np.arange(32) < stripes[:, None])[..., None].repeat(32, 2).astype(np.uint8)
    stiffness = 1 + 9 * stripes[:, None] / 32
    standardization = Standardization.fit(stiffness, ("Ex",), ("1",))
    given = Microstructures(labels=labels, n_phases=2, properties={"Ex": stiffness[:, 0]})
    feed = Feed(Samples.of(given), standardization, 16, 0)
    model = VAERegression(ModelConfig.model_validate({"network": NETWORK}), 1)
    assert isinstance(model.latent_head, Head)
    model.latent_head.layers[-1].bias[4:] -= 4  # sure of its latents, as a trained encoder is
    q = model.infer(indicators(torch.from_numpy(labels), 2))
    c = torch.from_numpy(standardization.forward(stiffness)).float()

    def gap() -> float:
        return float(kl_monte_carlo(q, model.prior(c), q.sample()).mean())

    def likeness() -> float:
        assert isinstance(model.decoder, LocalGlobalDecoder)
        noise = model.decoder.noise(q.sample(), (32, 32)).flatten(1).numpy()
        return float(np.corrcoef(noise)[np.triu_indices(len(noise), 1)].mean())

    before, alike = gap(), likeness()
    with torch.enable_grad():
        left = fit_to_latents(model, feed, seed=0)
    assert abs(gap() - left) < 0.3 * max(1, left)
    assert gap() < before - 1
    assert likeness() < 0.3 < 0.6 < alike
