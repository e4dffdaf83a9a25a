"""A regressor with a trunk of its own, and the corrected draws that it is fine-tuned on."""

import pytest
import torch

from microdesign.core.errors import InputError
from microdesign.model.condition_correction import corrected_decodes
from microdesign.model.losses.properties import regression
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.objective import Objective
from microdesign.model.objective_config import ObjectiveConfig
from microdesign.model.prior.mixture import Gaussian, Mixture
from microdesign.model.vae import VAERegression

B, P = 8, 2
REGRESSOR = {"property_trunk", "property_features", "property_head"}


def build(regressor: str = "own", **changes: object) -> VAERegression:
    torch.manual_seed(0)
    network = {"size": 32, "widths": (8, 8, 16), "latent": 4, "hidden": 32, "regressor": regressor}
    return VAERegression(ModelConfig(network=NetworkConfig.model_validate(network | changes)), P)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(1)
    return (torch.rand(B, 1, 32, 32, generator=stream) < 0.4).float(), torch.randn(B, P, generator=stream)


def touched(model: VAERegression) -> set[str]:
    return {n.split(".")[0] for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}


def test_a_trunk_of_its_own_keeps_properties_and_latents_apart() -> None:
    model, (x, _) = build(), batch()
    model.regress(x).mean.sum().backward()
    assert touched(model) == REGRESSOR
    model.zero_grad()
    model.infer(x).mean.sum().backward()
    assert touched(model) == {"trunk", "features", "latent_head"}


def test_both_at_once_are_what_each_is_alone() -> None:
    for regressor in ("shared", "own"):
        model, (x, _) = build(regressor), batch()
        posterior, properties = model.encode(x)
        torch.testing.assert_close(model.infer(x), posterior)
        torch.testing.assert_close(model.regress(x), properties)


def test_every_parameter_learns_in_joint_training() -> None:
    model, (x, c) = build(), batch()
    Objective(ObjectiveConfig())(model(x, c), x, c)["total"].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_fine_tuning_trains_the_regressor_alone() -> None:
    model, (x, c) = build(), batch()
    model.train_regressor_only()
    outputs = model(x, c, x[:3].flip(2))
    terms = Objective(ObjectiveConfig(gamma=0.5))(outputs, x, c, c[:3])
    assert set(terms) == {"regression", "consistency", "total"}
    joined = Gaussian(*(torch.cat(p) for p in zip(outputs.properties, outputs.replayed, strict=True)))
    torch.testing.assert_close(terms["regression"], regression(joined, torch.cat((c, c[:3]))))
    terms["total"].backward()
    assert touched(model) == REGRESSOR
    assert outputs.decodes.condition_index.tolist() == [4, 5, 6, 7]
    assert outputs.decodes.images.shape == (4, 1, 32, 32)
    assert outputs.decodes.drawn.tolist() == [0, 1, 2, 3]
    torch.testing.assert_close(outputs.decodes.properties, model.regress(outputs.decodes.images).mean)


def test_small_batches_fine_tune_too() -> None:
    for decoder in ("random_field", "upsampling"):
        model, (x, c) = build(decoder=decoder), batch()
        model.train_regressor_only()
        for n in (1, 2, 3, 4):
            assert model(x[:n], c[:n]).decodes.images.shape == (n - n // 2, 1, 32, 32), (decoder, n)


def test_a_regressor_that_shares_its_trunk_is_not_trained_alone() -> None:
    with pytest.raises(InputError, match=r"trunk of its own is trainable alone; set network.regressor to own"):
        build("shared").train_regressor_only()


class Shaded:
    """A model of one property that can be followed by hand: images have a fraction of latent + 0.1, read off again."""

    def prior(self, c: torch.Tensor) -> Mixture:
        return Mixture(c.new_zeros(len(c), 1), c[:, None], torch.full_like(c[:, None], -20.0))

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return (z[:, :, None, None] + 0.1).expand(-1, 1, 32, 32)

    def regress(self, x: torch.Tensor) -> Gaussian:
        fraction = x.mean((2, 3))
        return Gaussian(fraction, fraction)


def test_each_round_takes_back_a_share_of_the_miss() -> None:
    wanted = torch.full((6, 1), 0.4)
    found = corrected_decodes(Shaded(), wanted, rounds=2).mean((1, 2, 3))
    # A miss of 0.1, then a fifth of it, then a fifth of that; to a pixel of 1024.
    expected = 0.4 + torch.tensor([0.1, 0.02, 0.004, 0.1, 0.02, 0.004])
    torch.testing.assert_close(found, expected, rtol=0, atol=1 / 1024)
