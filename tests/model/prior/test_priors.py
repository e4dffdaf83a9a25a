"""What every prior must do, and what makes each of them itself."""

from typing import get_args

import pytest
import torch

from microdesign.core.config import load_config
from microdesign.core.errors import InputError
from microdesign.model.prior.mixture import Mixture
from microdesign.model.prior.priors import PriorConfig, build_prior

KINDS = get_args(PriorConfig.model_fields["kind"].annotation)
B, D, P = 6, 5, 3


def build(kind: str, latent: int = D, **settings: float) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_prior(PriorConfig.model_validate({"kind": kind, **settings}), latent, P)


def labels(n: int = B) -> torch.Tensor:
    return torch.randn(n, P, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
def test_contract_shapes_and_weights(kind: str) -> None:
    mixture = build(kind, components=4)(labels())
    K = 4 if kind == "mixture" else 1
    assert isinstance(mixture, Mixture)
    assert mixture.log_weights.shape == (B, K)
    assert mixture.mean.shape == mixture.log_std.shape == (B, K, D)
    torch.testing.assert_close(mixture.log_weights.exp().sum(-1), torch.ones(B))
    assert mixture.log_density(torch.zeros(B, D)).isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_contract_gradients_reach_all_parameters(kind: str) -> None:
    prior = build(kind)
    z = torch.randn(B, D, generator=torch.Generator().manual_seed(2))
    density = prior(labels()).log_density(z).mean()
    for name, parameter in prior.named_parameters():
        (gradient,) = torch.autograd.grad(density, parameter, retain_graph=True)
        assert gradient.isfinite().all(), name
        assert gradient.abs().sum() > 0, name


@pytest.mark.parametrize("kind", KINDS)
def test_contract_samples_do_not_depend_on_the_batch(kind: str) -> None:
    prior, c = build(kind), labels()
    for whole, single in zip(prior(c), prior(c[2:3]), strict=True):
        torch.testing.assert_close(whole[2:3], single)


@pytest.mark.parametrize("kind", KINDS)
def test_contract_one_property_and_one_latent(kind: str) -> None:
    mixture = build_prior(PriorConfig.model_validate({"kind": kind}), 1, 1)(torch.zeros(2, 1))
    assert mixture.mean.shape[-1] == 1


def test_standard_is_the_unit_gaussian_whatever_the_properties() -> None:
    z = torch.randn(B, D)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
    torch.testing.assert_close(build("standard")(10 * labels()).log_density(z), expected)


@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_conditional_mean_moves_by_unit_norm_directions(scale: float) -> None:
    prior = build("conditional")
    with torch.no_grad():
        prior.direction.mul_(scale)
        prior.offset.fill_(0.3)
    jacobian = torch.autograd.functional.jacobian(lambda c: prior(c[None]).mean[0, 0], torch.zeros(P))
    torch.testing.assert_close(jacobian.norm(dim=0), torch.ones(P))
    torch.testing.assert_close(prior(torch.zeros(1, P)).mean[0, 0], torch.full((D,), 0.3))


def test_conditional_has_one_standard_deviation() -> None:
    prior = build("conditional")
    with torch.no_grad():
        prior.log_std.fill_(-0.7)
    assert prior(labels()).log_std.eq(-0.7).all()


@pytest.mark.parametrize("spread", [0.5, 1.5])
def test_mixture_components_start_apart(spread: float) -> None:
    mixture = build("mixture", latent=24, components=6, spread=spread)(labels())
    distances = torch.cdist(mixture.mean, mixture.mean) + 1e9 * torch.eye(6)
    # Two random points in D dimensions are about spread * sqrt(2 D) apart.
    assert distances.min() > 0.5 * spread * (2 * 24) ** 0.5
    torch.testing.assert_close(mixture.log_weights.exp(), torch.full((B, 6), 1 / 6), atol=0.1, rtol=0)
    torch.testing.assert_close(mixture.log_std.exp(), torch.ones(B, 6, 24), atol=0.5, rtol=0)


def test_mixture_depends_on_the_properties() -> None:
    mixture = build("mixture")(labels())
    for part in mixture:
        assert part.std(0).max() > 1e-4


def test_mixture_standard_deviation_is_bounded() -> None:
    prior = build("mixture")
    for bias, expected in ((100.0, 2.0), (-100.0, -5.0)):
        with torch.no_grad():
            prior.heads.bias.fill_(bias)
        assert prior(labels()).log_std.eq(expected).all()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("kind=flow", "'kind' = 'flow' is not valid: Input should be 'standard', 'conditional' or 'mixture'"),
        ("components=0", "'components' = 0 is not valid"),
        ("spread=0", "'spread' = 0 is not valid: Input should be greater than 0"),
    ],
)
def test_config_errors(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_config(PriorConfig, overrides=[override])
