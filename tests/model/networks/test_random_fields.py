"""The random fields of the global stage."""

import numpy as np
import torch

from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.random_fields import LatentNoise, RandomFields
from microdesign.model.vae import VAERegression


def test_fields_built_without_memory_leave_none_behind() -> None:
    """Tables are cached: what a model of unknown sizes was sketched with must not be what the model is made of."""
    with torch.device("meta"):
        RandomFields((22, 22), 2)
    assert RandomFields((22, 22), 2).basis.device.type == "cpu"


def test_a_model_is_sketched_without_memory() -> None:
    with torch.device("meta"):
        VAERegression(ModelConfig(), 3)
    model = VAERegression(ModelConfig(), 3)
    assert {each.device.type for each in (*model.parameters(), *model.buffers())} == {"cpu"}


def test_near_latents_have_nearly_the_same_noise_and_seeds_of_their_own_independent_ones() -> None:
    torch.manual_seed(0)
    noise, z = LatentNoise(4, 1), torch.randn(1, 4) + 0.01 * torch.randn(6, 4)
    by_latent, own = noise(z, (64, 64)), noise(z, (64, 64), range(6))
    for each, least, most in ((by_latent, 0.99, 1.0), (own, -0.1, 0.1)):
        torch.testing.assert_close(each.std((2, 3)), torch.ones(6, 1), rtol=0.1, atol=0)
        correlations = np.corrcoef(each.flatten(1).numpy())[np.triu_indices(6, 1)]
        assert least < correlations.min() <= correlations.max() <= most + 1e-6
    torch.testing.assert_close(noise(z[3:], (64, 64), range(3, 6)), own[3:])
    for seed in (0, range(6)):
        again = noise(z, (64, 64), seed, number=1)
        first = noise(z, (64, 64), seed)
        assert abs(np.corrcoef(again.flatten().numpy(), first.flatten().numpy())[0, 1]) < 0.1


def test_a_narrow_population_has_noises_as_unlike_as_those_of_standard_normal_latents() -> None:
    torch.manual_seed(0)
    mean, std = torch.randn(4), torch.tensor([0.01, 0.02, 0.05, 0.001])
    z = torch.randn(40, 4)
    usual = LatentNoise(4, 1)
    spread = LatentNoise(4, 1)
    spread.load_state_dict(usual.state_dict())
    for _ in range(2):  # a second material starts from the first one's model
        spread.spread_over(torch.zeros(4), torch.ones(4))
        spread.spread_over(mean, std)

    def likeness(noise: LatentNoise, latents: torch.Tensor) -> float:
        fields = noise(latents, (32, 32)).flatten(1).numpy()
        return float(np.abs(np.corrcoef(fields)[np.triu_indices(len(z), 1)]).mean())

    assert likeness(usual, mean + std * z) > 0.95
    assert abs(likeness(spread, mean + std * z) - likeness(usual, z)) < 0.1
    # A search goes along its latents by small steps: those keep the arrangement.
    fields = spread(torch.cat((mean + std * z[:1], mean + std * (z[:1] + 0.03))), (32, 32)).flatten(1).numpy()
    assert np.corrcoef(fields)[0, 1] > 0.95
