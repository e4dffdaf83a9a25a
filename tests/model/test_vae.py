"""The training pass: what each output is made of."""

import pytest
import torch

from microdesign.core.errors import InputError
from microdesign.microstructure.data.indicators import indicators
from microdesign.model.binarization import binarize
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.outputs import JointOutputs
from microdesign.model.prior.config import PriorConfig
from microdesign.model.vae import VAERegression
from tests.cases import case

B, D, P = 8, 4, 2
QUARTER = max(1, B // 4)


def build(kind: str = "mixture", size: int = 32) -> VAERegression:
    torch.manual_seed(0)
    network = NetworkConfig(size=size, widths=(8, 8, 16), latent=D, hidden=32)
    return VAERegression(ModelConfig(network=network, prior=PriorConfig.model_validate({"kind": kind})), P)


def batch(n: int = B, size: int = 32, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(seed)
    return (torch.rand(n, 1, size, size, generator=stream) < 0.4).float(), torch.randn(n, P, generator=stream)


def passed(model: VAERegression, x: torch.Tensor, c: torch.Tensor) -> JointOutputs:
    torch.manual_seed(5)
    return model(x, c)


def test_shapes() -> None:
    for kind, size in (("standard", 32), ("conditional", 64), ("mixture", 32)):
        outputs = build(kind, size)(*batch(size=size))
        assert outputs.posterior.mean.shape == outputs.z.shape == (B, D), kind
        assert outputs.logits.shape == (B, 1, size, size), kind
        assert outputs.properties.mean.shape == (B, P), kind
        n = QUARTER if kind == "standard" else 2 * QUARTER
        assert outputs.decodes.properties.shape == (n, P), kind
        assert outputs.decodes.images.shape == (n, 1, size, size), kind
        assert outputs.decodes.drawn.tolist() == list(range(QUARTER, n)), kind
        assert outputs.replayed.mean.shape == (0, P), kind
        assert outputs.decodes.properties.dtype == torch.float32, kind


def test_a_batch_of_one_and_of_odd_length() -> None:
    for n in (1, 3):
        outputs = build()(*batch(n))
        assert outputs.decodes.properties.shape == (3, P)
        assert outputs.decodes.condition_index.tolist() == [0, n - 1, n - 1]
        assert outputs.decodes.pairs.tolist() == [[1, 2]]


def test_decodes_are_binarized_as_in_a_campaign_and_predicted_by_the_regressor() -> None:
    model, (x, c) = build(), batch()
    outputs = passed(model, x, c)
    labels = binarize(outputs.logits[:QUARTER].sigmoid()).float()[:, None]
    torch.testing.assert_close(outputs.decodes.images[:QUARTER], labels)
    expected = model.encode(outputs.decodes.images.detach())[1].mean
    torch.testing.assert_close(outputs.decodes.properties, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["conditional", "mixture"])
def test_the_second_half_is_drawn_from_the_prior_at_its_own_labels(kind: str) -> None:
    model, (x, c) = build(kind), batch()
    half = QUARTER
    before = passed(model, x, c).decodes.properties
    other_images = passed(model, batch(seed=9)[0], c).decodes.properties
    torch.testing.assert_close(other_images[half:], before[half:])
    assert not torch.allclose(other_images[:half], before[:half])
    asked = [B - 1, B - 1] if kind == "mixture" else [B - 2, B - 1]
    assert passed(model, x, c).decodes.condition_index.tolist() == [*range(half), *asked]
    other_labels = torch.cat((c[:-half], c[-half:] + 1))
    moved = passed(model, x, other_labels).decodes.properties
    torch.testing.assert_close(moved[:half], before[:half])
    assert not torch.allclose(moved[half:], before[half:])


def test_two_components_draw_for_the_same_properties() -> None:
    model, (x, c) = build(), batch(16)
    assert (
        passed(build("conditional"), x, c).decodes.pairs.shape
        == passed(build("standard"), x, c).decodes.pairs.shape
        == (0, 2)
    )
    # Components far apart and narrow: whose a draw is shows in the decodes of their means.
    with torch.no_grad():
        model.prior.offset.mul_(10)
        model.prior.heads.bias[4 + 4 * D :] = -20.0
    outputs = passed(model, x, c)
    assert outputs.decodes.pairs.tolist() == [[4, 5], [6, 7]]
    assert (outputs.decodes.condition_index[outputs.decodes.pairs] == torch.tensor([[14], [15]])).all()
    for (first, second), row in zip(outputs.decodes.pairs.tolist(), (14, 15), strict=True):
        means = binarize(model.decode(model.prior(c)[1][row])).float()
        of = [int((means - outputs.decodes.images[each]).abs().mean((1, 2)).argmin()) for each in (first, second)]
        assert of[0] != of[1]


def test_decodes_are_predicted_by_the_current_regressor() -> None:
    model, (x, c) = build(), batch()
    before = passed(model, x, c).decodes.properties
    with torch.no_grad():
        model.property_head.direct.weight += 0.1
    assert not torch.allclose(passed(model, x, c).decodes.properties, before)


def test_a_training_pass_under_autocast() -> None:
    model, (x, c) = build(), batch()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = model(x, c)
    assert outputs.logits.dtype == outputs.prior.mean.dtype == torch.float32
    outputs.decodes.properties.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_a_missing_label_is_drawn_from_the_regressor() -> None:
    model, (x, c) = build(), batch()
    c[1], c[4, 0] = torch.nan, torch.nan
    outputs = passed(model, x, c)
    missing = c.isnan()
    torch.testing.assert_close(outputs.c[~missing], c[~missing], rtol=0, atol=0)
    expected = model.prior(outputs.c)
    torch.testing.assert_close(outputs.prior.mean, expected.mean)
    standardized = (outputs.c - outputs.properties.mean) / outputs.properties.log_std.exp()
    assert standardized[missing].abs().max() < 5
    outputs.prior.log_density(outputs.z)[1].backward()
    for part in (model.property_head, model.prior):
        gradients = [p.grad for p in part.parameters() if p.grad is not None]
        assert gradients
        assert all(gradient.isfinite().all() for gradient in gradients)
    assert model.property_head.direct.weight.grad.any()


FAMILY = {
    "volumes": {"dimensions": 3, "size": 17},
    "three phases": {"phases": 3},
    "zero padding": {"padding": "zero", "decoder": "upsampling"},
    "odd size": {"size": 51, "decoder": "upsampling"},
}


@pytest.mark.parametrize("kind", FAMILY)
def test_the_family_trains(kind: str) -> None:
    torch.manual_seed(0)
    network = NetworkConfig(**({"size": 32, "widths": (8, 8, 16), "latent": D, "hidden": 32} | FAMILY[kind]))
    model = VAERegression(ModelConfig(network=network), P)
    x = indicators(torch.randint(network.phases, (B, *network.shape)), network.phases)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = model(x, torch.randn(B, P))
    assert outputs.logits.shape == x.shape
    assert outputs.decodes.images.shape[1:] == x.shape[1:]
    assert outputs.decodes.properties.shape == (2 * QUARTER, P)
    (outputs.decodes.properties.square().sum() + outputs.properties.log_std.sum() + outputs.logits.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.trunk.parameters())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.decoder.parameters())


def spatial(properties: int) -> VAERegression:
    torch.manual_seed(0)
    network = NetworkConfig(
        size=32, widths=(8, 8, 16), latent=2, hidden=32, latent_kind="spatial", decoder="upsampling"
    )
    return VAERegression(ModelConfig(network=network, prior=PriorConfig(kind="standard")), properties)


def test_spatial_latents() -> None:
    for properties in (0, P):
        with case(properties=properties):
            model, (x, _) = spatial(properties), batch()
            outputs = model(x, torch.randn(B, properties))
            assert outputs.z.shape == (B, 2 * 4 * 4)
            assert outputs.properties.mean.shape == (B, properties)
            assert outputs.decodes.properties.shape == ((QUARTER, P) if properties else (0, 0))
            assert outputs.prior.log_density(outputs.z).shape == (B,)
            assert model.decode(outputs.z).shape == x.shape


def test_without_properties_there_is_nothing_to_learn_them() -> None:
    model, (x, _) = spatial(0), batch()
    assert not any("property_head" in name or "features" in name for name, _ in model.named_parameters())
    outputs = model(x, torch.zeros(B, 0))
    (outputs.logits.sum() + outputs.posterior.log_std.sum()).backward()
    assert all(p.grad is not None for p in model.parameters())
    with pytest.raises(InputError, match="prior mixture is not supported without properties; set"):
        VAERegression(ModelConfig(), 0)


def test_of_a_prior_that_does_not_use_the_properties_there_are_no_draws() -> None:
    model, (x, c) = build("standard"), batch()
    outputs = passed(model, x, c)
    expected = model.encode(binarize(outputs.logits[:QUARTER].sigmoid()).float()[:, None])[1].mean
    torch.testing.assert_close(outputs.decodes.properties, expected, rtol=1e-3, atol=1e-3)


def moved_by(loss: torch.Tensor, model: VAERegression) -> set[str]:
    """The parts of a model that a loss has a gradient for."""
    model.zero_grad()
    loss.backward(retain_graph=True)
    named = model.named_parameters()
    return {name.split(".")[0] for name, each in named if each.grad is not None and each.grad.abs().sum() > 0}


def test_a_decoder_of_two_stages_learns_from_images_alone() -> None:
    """Properties choose latents, by encoder and prior; drafts do not move the latents that the denoiser draws from."""
    torch.manual_seed(0)
    network = {"size": 32, "widths": (8, 8, 16), "latent": D, "hidden": 32, "decoder": "local_global"}
    config = NetworkConfig.model_validate(network | {"denoiser": {"width": 8, "depth": 1}})
    model = VAERegression(ModelConfig(network=config), P)
    for parameter in model.decoder.parameters():  # what starts at zero passes nothing on
        torch.nn.init.normal_(parameter, std=0.1)
    outputs = model(*batch())
    encoder = {"trunk", "features", "latent_head"}
    assert outputs.fractions is not None
    assert outputs.denoising is not None
    assert moved_by(outputs.decodes.properties.square().mean(), model) == encoder | {"prior"}
    assert moved_by(outputs.logits.square().mean(), model) == {"decoder"}
    for loss in (outputs.fractions, outputs.denoising):
        assert moved_by(loss.square().mean(), model) == encoder | {"decoder"}
