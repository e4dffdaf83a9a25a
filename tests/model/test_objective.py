"""The training objective: its terms, their weights, what each of them is zero for."""

import math
from pathlib import Path

import pytest
import torch

from microdesign.core.config import load_config
from microdesign.core.errors import InputError
from microdesign.model.binarization import binarize_straight_through
from microdesign.model.losses.two_point import CessCrop
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.objective import (
    LARGE,
    Objective,
    ObjectiveConfig,
    concentration,
    consistency,
    imbalance,
    likeness,
    regression,
)
from microdesign.model.prior.mixture import Gaussian, Mixture, gaussian_kl
from microdesign.model.prior.priors import PriorConfig
from microdesign.model.standardization import Standardization
from microdesign.model.vae import ModelConfig, Outputs, VAERegression

NETWORK = NetworkConfig(size=32, widths=(8, 8, 16), latent=4, hidden=32)


def build(kind: str = "mixture") -> VAERegression:
    torch.manual_seed(0)
    return VAERegression(ModelConfig(network=NETWORK, prior=PriorConfig.model_validate({"kind": kind})), 2)


def batch(n: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Stripes of random width, with width and mean as standardised properties."""
    stream = torch.Generator().manual_seed(1)
    phi = torch.rand(n, generator=stream) * 0.6 + 0.2
    x = (torch.arange(32)[None, None, :, None] < 32 * phi[:, None, None, None]).float().expand(n, 1, 32, 32)
    return x.contiguous(), torch.stack([(phi - 0.5) / 0.17, (phi**2 - 0.28) / 0.17], dim=1)


def passed(kind: str = "mixture") -> tuple[VAERegression, Outputs]:
    model = build(kind)
    torch.manual_seed(2)
    return model, model(*batch())


@pytest.mark.parametrize("kl", ["monte_carlo", "bound"])
def test_terms_add_up(kl: str) -> None:
    config = ObjectiveConfig.model_validate(
        {"loss": "bce+cess", "weights": {"cess": 3.0, "mse": 9.0}, "kl": kl}
        | {"beta": 0.3, "gamma": 0.7, "consistency": 0.4, "balance": 0.2, "likeness": 0.5, "concentration": 0.6}
        | {"resemblance": 0.8}
    )
    _, outputs = passed()
    terms = Objective(config)(outputs, *batch())
    assert list(terms) == [
        "bce",
        "cess",
        "kl",
        "regression",
        "consistency",
        "imbalance",
        "concentration",
        "likeness",
        "resemblance",
        "total",
    ]
    assert all(term.shape == () and term.isfinite() for term in terms.values())
    expected = terms["bce"] + 3 * terms["cess"] + 0.3 * terms["kl"] + 0.7 * terms["regression"]
    expected = expected + 0.4 * terms["consistency"] + 0.2 * terms["imbalance"] + 0.5 * terms["likeness"]
    expected = expected + 0.6 * terms["concentration"] + 0.8 * terms["resemblance"]
    torch.testing.assert_close(terms["total"], expected)


def test_weights_of_zero_remove_their_terms() -> None:
    model, outputs = passed()
    none = {"beta": 0, "balance": 0, "consistency": 0, "likeness": 0, "concentration": 0, "resemblance": 0}
    total = Objective(ObjectiveConfig.model_validate(none))(outputs, *batch())["total"]
    gradients = torch.autograd.grad(total, list(model.prior.parameters()), allow_unused=True)
    assert all(gradient is None or not gradient.any() for gradient in gradients)
    without = ObjectiveConfig.model_validate(none | {"gamma": 0, "weights": {"cess": 0.0, "lineal_path": 0.0}})
    terms = Objective(without)(outputs, *batch())
    torch.testing.assert_close(terms["total"], terms["mse"])


def test_every_parameter_learns() -> None:
    model, outputs = passed()
    Objective(ObjectiveConfig())(outputs, *batch())["total"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_consistency_is_the_error_of_the_decoded_properties() -> None:
    _, outputs = passed()
    x, c = batch()
    asked = c[outputs.asked]
    error = (outputs.decoded_properties - asked) / LARGE
    expected = ((1 + error.square()).sqrt() - 1).mean()
    torch.testing.assert_close(Objective(ObjectiveConfig())(outputs, x, c)["consistency"], expected)
    exact = outputs._replace(decoded_properties=asked)
    assert Objective(ObjectiveConfig())(exact, x, c)["consistency"].item() == 0


def test_consistency_counts_relative_errors() -> None:
    """The same relative error of a stiffness and of a Poisson's ratio costs the same, whatever their spreads."""
    standardization = Standardization(names=("Ex", "vxy"), units=("", ""), offsets=(1.0, 0.3), scales=(2.0, 0.03))
    c = torch.zeros(1, 2)  # Ex = e, vxy = 0.3
    said = torch.tensor([[0.05 / 2.0, 0.05 * 0.3 / 0.03]])
    expected = (1 + (0.05 / LARGE) ** 2) ** 0.5 - 1
    assert consistency(said, c, standardization).item() == pytest.approx(expected, rel=1e-5)
    small = consistency(said[:, :1] * 1e-2, c[:, :1]).item()
    assert small == pytest.approx(0.5 * (0.05 / 2.0 * 1e-2 / LARGE) ** 2, rel=1e-2)


def test_a_lesson_trains_the_regressor_alone() -> None:
    model = build()
    x, c = batch()
    torch.manual_seed(2)
    outputs = model(x, c, x[:3].flip(2))
    assert outputs.taught.mean.shape == (3, 2)
    assert outputs.z.shape[0] == len(x)
    objective = Objective(ObjectiveConfig())
    terms = objective(outputs, x, c, c[:3] + 1)
    joined = Gaussian(*(torch.cat(parts) for parts in zip(outputs.properties, outputs.taught, strict=True)))
    torch.testing.assert_close(terms["regression"], regression(joined, torch.cat((c, c[:3] + 1))))
    assert touched(model, outputs.taught.mean.sum()) == {"trunk", "features", "property_head"}


def touched(model: VAERegression, loss: torch.Tensor) -> set[str]:
    """Parts of the model that a loss sends a gradient to."""
    model.zero_grad(set_to_none=True)
    loss.backward()
    return {
        name.split(".")[0]
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }


def test_consistency_teaches_the_generative_side_and_never_the_regressor() -> None:
    model, outputs = passed()
    x, c = batch()
    assert "property_head" not in touched(model, Objective(ObjectiveConfig())(outputs, x, c)["consistency"])
    model, outputs = passed()
    drawn = len(outputs.decodes) // 2
    draws = (outputs.decoded_properties - c[outputs.asked])[drawn:]
    assert touched(model, draws.square().mean()) == {"decoder", "prior"}


def test_consistency_reaches_the_trunk_through_the_latent_alone() -> None:
    model, outputs = passed()
    c = batch()[1]
    drawn = len(outputs.decodes) // 2
    reconstructions = (outputs.decoded_properties - c[outputs.asked])[:drawn].square().mean()
    at_z = torch.autograd.grad(reconstructions, outputs.z, retain_graph=True)[0]
    trunk = list(model.trunk.parameters())
    through_z = torch.autograd.grad(outputs.z, trunk, at_z, retain_graph=True)
    for gradient, expected in zip(torch.autograd.grad(reconstructions, trunk), through_z, strict=True):
        torch.testing.assert_close(gradient, expected)


def test_kl_forms_under_the_standard_prior() -> None:
    _, outputs = passed("standard")
    posterior = outputs.posterior
    closed = 0.5 * (posterior.mean**2 + (2 * posterior.log_std).exp() - 1 - 2 * posterior.log_std).sum(1).mean()
    bound = Objective(ObjectiveConfig(kl="bound"))(outputs, *batch())["kl"]
    torch.testing.assert_close(bound, closed)
    unit = Gaussian(torch.zeros(1, 4), torch.zeros(1, 4))
    torch.testing.assert_close(gaussian_kl(posterior, unit).mean(), closed)
    sampled = Objective(ObjectiveConfig(kl="monte_carlo"))(outputs, *batch())["kl"]
    expected = posterior.log_density(outputs.z) - unit.log_density(outputs.z)
    torch.testing.assert_close(sampled, expected.mean())


def test_one_component_is_never_imbalanced() -> None:
    for kind in ("standard", "conditional"):
        _, outputs = passed(kind)
        assert Objective(ObjectiveConfig())(outputs, *batch())["imbalance"].item() == pytest.approx(0, abs=1e-6)


def corners(n: int) -> Mixture:
    """Four far components at equal weight, the same for each of n samples."""
    mean = torch.tensor([[9.0, 9.0], [9.0, -9.0], [-9.0, 9.0], [-9.0, -9.0]]).expand(n, 4, 2)
    return Mixture(torch.full((n, 4), math.log(0.25)), mean, torch.zeros(n, 4, 2))


@pytest.mark.parametrize(
    ("used", "expected"),
    [((0, 1, 2, 3), 0.0), ((0, 0, 1, 1), math.log(2)), ((0, 0, 0, 0), math.log(4))],
)
def test_imbalance_counts_the_components_in_use(used: tuple[int, ...], expected: float) -> None:
    prior = corners(4)
    z = prior.mean[0, list(used)]
    assert imbalance(prior, z).item() == pytest.approx(expected, abs=1e-5)


def test_imbalance_is_zero_where_components_coincide() -> None:
    same = Mixture(torch.full((5, 3), math.log(1 / 3)), torch.zeros(5, 3, 2), torch.zeros(5, 3, 2))
    assert imbalance(same, torch.randn(5, 2)).item() == pytest.approx(0, abs=1e-6)


def test_regression_at_unit_deviation_is_the_gaussian_likelihood() -> None:
    c, mean = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))
    expected = -torch.distributions.Normal(mean, 1.0).log_prob(c).mean()
    torch.testing.assert_close(regression(Gaussian(mean, torch.zeros(6, 3)), c), expected)


def test_regression_weights_by_a_detached_deviation() -> None:
    stream = torch.Generator().manual_seed(0)
    c, mean, log_std = torch.randn(3, 6, 3, generator=stream)
    mean.requires_grad_()
    log_std.requires_grad_()
    regression(Gaussian(mean, log_std), c).backward()
    std, error = log_std.detach().exp(), c - mean.detach()
    torch.testing.assert_close(mean.grad, -error / std / mean.numel())
    torch.testing.assert_close(log_std.grad, std * (1 - (error / std) ** 2) / mean.numel())


def test_a_short_training_improves_the_loss() -> None:
    model, (x, c) = build(), batch(16)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    objective, history = Objective(ObjectiveConfig()), []
    for _ in range(40):
        terms = objective(model(x, c), x, c)
        optimizer.zero_grad()
        terms["total"].backward()
        optimizer.step()
        history.append({name: term.item() for name, term in terms.items()})
    # Pixel by pixel a texture has no reason to come closer; its statistics do.
    for name in ("total", "cess", "regression"):
        assert history[-1][name] < history[0][name], name
    assert history[-1]["total"] < 0.6 * history[0]["total"]


def test_unknown_labels_leave_out_their_terms_alone() -> None:
    model, (x, c) = build(), batch()
    c[1, 0] = c[4] = math.nan
    torch.manual_seed(2)
    outputs = model(x, c)
    terms = Objective(ObjectiveConfig())(outputs, x, c)
    assert all(term.isfinite() for term in terms.values())
    asked = c[outputs.asked]
    error = ((outputs.decoded_properties - asked) / LARGE)[~asked.isnan()]
    torch.testing.assert_close(terms["consistency"], ((1 + error**2).sqrt() - 1).sum() / asked.numel())
    rows = [row for row in range(8) if row not in (1, 4)]
    part = regression(Gaussian(outputs.properties.mean[rows], outputs.properties.log_std[rows]), c[rows])
    single = regression(Gaussian(outputs.properties.mean[1:2, 1:], outputs.properties.log_std[1:2, 1:]), c[1:2, 1:])
    torch.testing.assert_close(terms["regression"], (part * 12 + single) / 16)
    terms["total"].backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in model.parameters())


def test_without_labels_the_generative_part_trains() -> None:
    model, (x, c) = build(), batch()
    c[:] = math.nan
    terms = Objective(ObjectiveConfig())(model(x, c), x, c)
    assert terms["regression"].item() == terms["consistency"].item() == 0
    assert touched(model, terms["total"]) >= {"trunk", "latent_head", "decoder", "prior"}


def test_without_properties_there_are_no_terms_on_them() -> None:
    _, outputs = passed("standard")
    x, c = batch()
    terms = Objective(ObjectiveConfig(loss="mse"))(outputs, x, c[:, :0])
    assert list(terms) == ["mse", "kl", "imbalance", "total"]
    torch.testing.assert_close(terms["total"], 0.1 * terms["mse"] + 2e-4 * terms["kl"] + 0.05 * terms["imbalance"])


def test_losses_take_their_settings_and_sources_are_named(vgg_file: Path) -> None:
    config = ObjectiveConfig.model_validate(
        {
            "loss": "cess_crop+style",
            "settings": {"cess_crop": {"size": 9}, "style": {"weights": str(vgg_file), "layers": [1]}},
        }
    )
    objective = Objective(config)
    assert objective.losses["cess_crop"] == (1.0, CessCrop(size=9))
    assert objective.sources["style_weights"].startswith("vgg19.safetensors sha256:")
    assert not Objective(ObjectiveConfig()).sources
    _, outputs = passed()
    terms = objective(outputs, *batch())
    torch.testing.assert_close(terms["cess_crop"], CessCrop(size=9)(outputs.logits, batch()[0]).mean())
    assert load_config(ObjectiveConfig, overrides=["settings.cess_crop.size=9"]).settings.cess_crop.size == 9


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loss=msee", "'loss' = 'msee' is not valid: Unknown loss 'msee' in 'msee'; expected one of bce, mse, msess"),
        ("loss=mse+mse", r"The loss 'mse\+mse' names a term twice"),
        ("weights.csse=2", "Unknown loss 'csse'"),
        ("weights.mse=-1", "the weight -1.0 of 'mse' is not supported; expected a number >= 0"),
        ("settings.cess.floor=1", "unknown key 'settings.cess.floor'; expected one of: eps"),
        ("settings.cess_crop.size=0", "'settings.cess_crop.size' = 0 is not valid"),
        ("kl=exact", "'kl' = 'exact' is not valid: Input should be 'monte_carlo' or 'bound'"),
        ("beta=-1", "'beta' = -1 is not valid: Input should be greater than or equal to 0"),
    ],
)
def test_config_errors(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_config(ObjectiveConfig, overrides=[override])


def test_concentration_of_even_weights_is_zero_and_of_a_sole_component_log_k() -> None:
    even = torch.full((3, 4), 0.25).log()
    sole = torch.tensor([[1.0, 0.0, 0.0, 0.0]]).clamp_min(1e-30).log()
    zeros = torch.zeros(3, 4, 2)
    assert concentration(Mixture(even, zeros, zeros)).item() == pytest.approx(0, abs=1e-6)
    assert concentration(Mixture(sole, zeros[:1], zeros[:1])).item() == pytest.approx(math.log(4))
    mixed = Mixture(torch.cat((even[:1], sole)), zeros[:2], zeros[:2])
    assert concentration(mixed).item() == pytest.approx(math.log(4) / 2)
    assert "concentration" not in Objective(ObjectiveConfig())(passed("conditional")[1], *batch())


def stripes(width: int, axis: int) -> torch.Tensor:
    """Stripes of period 16 across an axis, `(1, 32, 32)`."""
    x = (torch.arange(32) % 16 < width).float()
    return (x[:, None] if axis == 0 else x[None, :]).expand(1, 32, 32)


def test_likeness_of_equal_statistics_is_one_and_of_distinct_ones_zero() -> None:
    pair = torch.tensor([[0, 1]])
    shifted = stripes(8, 0).roll(5, 1)
    assert likeness(torch.stack((stripes(8, 0), shifted)), pair) == 1
    turned = torch.stack((stripes(8, 0), stripes(8, 1)))
    assert likeness(turned, pair) == 0
    near = torch.stack((stripes(8, 0), stripes(7, 0)))
    assert 0 < likeness(near, pair) < 1
    both = torch.cat((near, turned))
    expected = likeness(near, pair) / 2
    torch.testing.assert_close(likeness(both, torch.tensor([[0, 1], [2, 3]])), expected)


def test_likeness_drives_draws_apart() -> None:
    logits = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    pair = torch.tensor([[0, 1]])
    optimizer = torch.optim.Adam([logits], 0.1)
    before = likeness(binarize_straight_through(logits.sigmoid()), pair).item()
    for _ in range(60):
        optimizer.zero_grad()
        likeness(binarize_straight_through(logits.sigmoid()), pair).backward()
        optimizer.step()
    assert likeness(binarize_straight_through(logits.sigmoid()), pair).item() < before - 0.1
