"""The training objective: its terms, their weights, what each of them is zero for."""

import math
from pathlib import Path

import pytest
import torch

from microdesign.core.config import load_config
from microdesign.core.errors import InputError
from microdesign.model.losses.properties import LARGE, regression
from microdesign.model.losses.two_point import CessCrop
from microdesign.model.model_config import ModelConfig
from microdesign.model.networks.config import NetworkConfig
from microdesign.model.objective import Objective
from microdesign.model.objective_config import ObjectiveConfig
from microdesign.model.outputs import JointOutputs
from microdesign.model.prior.config import PriorConfig
from microdesign.model.prior.mixture import Gaussian, gaussian_kl
from microdesign.model.vae import VAERegression
from tests.cases import case

NETWORK = NetworkConfig(size=32, widths=(8, 8, 16), latent=4, hidden=32)


def build(kind: str = "mixture", **changes: str) -> VAERegression:
    torch.manual_seed(0)
    prior = PriorConfig.model_validate({"kind": kind})
    return VAERegression(ModelConfig(network=NETWORK.model_copy(update=changes), prior=prior), 2)


def batch(n: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Stripes of random width, with width and mean as standardised properties."""
    stream = torch.Generator().manual_seed(1)
    phi = torch.rand(n, generator=stream) * 0.6 + 0.2
    x = (torch.arange(32)[None, None, :, None] < 32 * phi[:, None, None, None]).float().expand(n, 1, 32, 32)
    return x.contiguous(), torch.stack([(phi - 0.5) / 0.17, (phi**2 - 0.28) / 0.17], dim=1)


def passed(kind: str = "mixture") -> tuple[VAERegression, JointOutputs]:
    model = build(kind)
    torch.manual_seed(2)
    return model, model(*batch())


def test_terms_add_up() -> None:
    for kl in ("monte_carlo", "bound"):
        terms_add_up(kl)


def terms_add_up(kl: str) -> None:
    config = ObjectiveConfig.model_validate(
        {"loss": "bce+cess", "weights": {"cess": 3.0, "mse": 9.0}, "kl": kl}
        | {
            "beta": 0.3,
            "gamma": 0.7,
            "consistency": 0.4,
            "balance": 0.2,
            "component_diversity": 0.5,
            "component_usage": 0.6,
        }
        | {"distribution_matching": 0.8}
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
        "component_usage",
        "component_diversity",
        "distribution_matching",
        "total",
    ]
    assert all(term.shape == () and term.isfinite() for term in terms.values())
    expected = terms["bce"] + 3 * terms["cess"] + 0.3 * terms["kl"] + 0.7 * terms["regression"]
    expected = expected + 0.4 * terms["consistency"] + 0.2 * terms["imbalance"] + 0.5 * terms["component_diversity"]
    expected = expected + 0.6 * terms["component_usage"] + 0.8 * terms["distribution_matching"]
    torch.testing.assert_close(terms["total"], expected)


def test_weights_of_zero_remove_their_terms() -> None:
    model, outputs = passed()
    none = {
        "beta": 0,
        "balance": 0,
        "consistency": 0,
        "component_diversity": 0,
        "component_usage": 0,
        "distribution_matching": 0,
    }
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


def test_consistency_is_the_error_of_the_decodes() -> None:
    _, outputs = passed()
    x, c = batch()
    wanted = c[outputs.decodes.condition_index]
    error = (outputs.decodes.properties - wanted) / LARGE
    expected = ((1 + error.square()).sqrt() - 1).mean()
    torch.testing.assert_close(Objective(ObjectiveConfig())(outputs, x, c)["consistency"], expected)
    exact = outputs._replace(decodes=outputs.decodes._replace(properties=wanted))
    assert Objective(ObjectiveConfig())(exact, x, c)["consistency"].item() == 0


def test_a_replay_batch_trains_the_regressor_alone() -> None:
    model = build()
    x, c = batch()
    torch.manual_seed(2)
    outputs = model(x, c, x[:3].flip(2))
    assert outputs.replayed.mean.shape == (3, 2)
    assert outputs.z.shape[0] == len(x)
    objective = Objective(ObjectiveConfig())
    terms = objective(outputs, x, c, c[:3] + 1)
    joined = Gaussian(*(torch.cat(parts) for parts in zip(outputs.properties, outputs.replayed, strict=True)))
    torch.testing.assert_close(terms["regression"], regression(joined, torch.cat((c, c[:3] + 1))))
    assert touched(model, outputs.replayed.mean.sum()) == {"property_trunk", "property_features", "property_head"}
    shared = build(regressor="shared")
    assert touched(shared, shared(x, c, x[:3]).replayed.mean.sum()) == {"trunk", "features", "property_head"}


def touched(model: VAERegression, loss: torch.Tensor) -> set[str]:
    """Parts of the model that a loss sends a gradient to."""
    model.zero_grad(set_to_none=True)
    loss.backward()
    return {
        name.split(".")[0]
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }


def test_consistency_trains_the_generative_side_and_never_the_regressor() -> None:
    model, outputs = passed()
    x, c = batch()
    assert "property_head" not in touched(model, Objective(ObjectiveConfig())(outputs, x, c)["consistency"])
    model, outputs = passed()
    drawn = len(outputs.decodes.images) // 2
    draws = (outputs.decodes.properties - c[outputs.decodes.condition_index])[drawn:]
    assert touched(model, draws.square().mean()) == {"decoder", "prior"}


def test_consistency_reaches_the_trunk_through_the_latent_alone() -> None:
    """Also where the regressor shares it."""
    model = build(regressor="shared")
    x, c = batch()
    outputs = model(x, c)
    drawn = len(outputs.decodes.images) // 2
    reconstructions = (outputs.decodes.properties - c[outputs.decodes.condition_index])[:drawn].square().mean()
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
        terms = Objective(ObjectiveConfig())(outputs, *batch())
        assert terms["imbalance"].item() == pytest.approx(0, abs=1e-6), kind
        assert "component_usage" not in terms, kind


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
    # Pixel by pixel a stationary decode has no reason to come closer; its statistics do.
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
    wanted = c[outputs.decodes.condition_index]
    error = ((outputs.decodes.properties - wanted) / LARGE)[~wanted.isnan()]
    torch.testing.assert_close(terms["consistency"], ((1 + error**2).sqrt() - 1).sum() / wanted.numel())
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


def test_config_errors() -> None:
    for override, message in (
        ("loss=msee", "'loss' = 'msee' is not valid: Unknown loss 'msee' in 'msee'; expected one of bce, mse, msess"),
        ("loss=mse+mse", r"The loss 'mse\+mse' names a term twice"),
        ("weights.csse=2", "Unknown loss 'csse'"),
        ("weights.mse=-1", "the weight -1.0 of 'mse' is not supported; expected a number >= 0"),
        ("settings.cess.floor=1", "unknown key 'settings.cess.floor'; expected one of: eps"),
        ("settings.cess_crop.size=0", "'settings.cess_crop.size' = 0 is not valid"),
        ("kl=exact", "'kl' = 'exact' is not valid: Input should be 'monte_carlo' or 'bound'"),
        ("likeness=0.1", "'likeness' is now called 'component_diversity'"),
        ("resemblance=0.1", "'resemblance' is now called 'distribution_matching'"),
        ("concentration=0.1", "'concentration' is now called 'component_usage'"),
        ("beta=-1", "'beta' = -1 is not valid: Input should be greater than or equal to 0"),
    ):
        with case(override=override, message=message), pytest.raises(InputError, match=message):
            load_config(ObjectiveConfig, overrides=[override])
