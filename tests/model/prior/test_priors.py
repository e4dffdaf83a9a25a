"""What every prior does, a user's own too, and what makes each of them itself."""

import pytest
import torch

from microdesign.core.config import load_config
from microdesign.core.errors import InputError
from microdesign.model.prior.config import PriorConfig
from microdesign.model.prior.mixture import Mixture
from microdesign.model.prior.priors import PRIORS, LatentPrior, build_prior
from tests.cases import case

B, D, P = 6, 5, 3


class Shifted(LatentPrior):
    """A prior of one's own: the unit Gaussian, moved along a learned direction by the sum of the properties."""

    def __init__(self, latent: int, properties: int, config: PriorConfig) -> None:
        super().__init__(latent, properties, config)
        self.direction = torch.nn.Parameter(torch.ones(latent))

    def forward(self, c: torch.Tensor) -> Mixture:
        mean = (c.sum(1, keepdim=True) * self.direction).unsqueeze(1)
        return Mixture(c.new_zeros(len(c), 1), mean, torch.zeros_like(mean))


KINDS = (*PRIORS, f"{__name__}:Shifted")
"""The contract's tests cover what is listed here."""


def build(kind: str, latent: int = D, properties: int = P, **settings: float) -> LatentPrior:
    torch.manual_seed(0)
    return build_prior(PriorConfig.model_validate({"kind": kind, **settings}), latent, properties)


def labels(n: int = B) -> torch.Tensor:
    return torch.randn(n, P, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
def test_contract(kind: str) -> None:
    """Shapes, weights that sum to one, a gradient for every parameter, rows that do not depend on the batch."""
    prior, c = build(kind, components=4), labels()
    mixture, K = prior(c), 4 if kind == "mixture" else 1
    assert isinstance(mixture, Mixture)
    assert mixture.log_weights.shape == (B, K)
    assert mixture.mean.shape == mixture.log_std.shape == (B, K, D)
    torch.testing.assert_close(mixture.log_weights.exp().sum(-1), torch.ones(B))
    density = mixture.log_density(torch.randn(B, D, generator=torch.Generator().manual_seed(2)))
    assert density.isfinite().all()
    for name, parameter in prior.named_parameters():
        (gradient,) = torch.autograd.grad(density.mean(), parameter, retain_graph=True)
        assert gradient.isfinite().all(), name
        assert gradient.abs().sum() > 0, name
    for whole, single in zip(mixture, prior(c[2:3]), strict=True):
        torch.testing.assert_close(whole[2:3], single)
    moved = any((part[0] != other[0]).any() for part, other in zip(mixture, prior(c + 1), strict=True))
    assert moved == prior.uses_properties
    assert build(kind, 1, 1)(torch.zeros(2, 1)).mean.shape[-1] == 1


def test_priors_that_cannot_be_had() -> None:
    for kind, message in (
        (
            "nowhere:Prior",
            r"The prior 'nowhere:Prior' cannot be loaded \(ModuleNotFoundError.*expected module:name of a",
        ),
        (
            "math:pi",
            "The prior 'math:pi' is a float; expected a subclass of microdesign.model.prior.priors.LatentPrior",
        ),
        ("builtins:dict", "The prior 'builtins:dict' is the class dict; expected a subclass of microdesign"),
    ):
        with pytest.raises(InputError, match=message):
            build(kind)
    with pytest.raises(InputError, match=r"prior .*:Shifted is not supported without properties; set prior.kind to"):
        build(KINDS[-1], properties=0)


def test_standard_is_the_unit_gaussian_whatever_the_properties() -> None:
    z = torch.randn(B, D)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
    torch.testing.assert_close(build("standard")(10 * labels()).log_density(z), expected)


def test_conditional_mean_moves_by_unit_norm_directions() -> None:
    prior = build("conditional")
    with torch.no_grad():
        prior.direction.mul_(7.0)
        prior.offset.fill_(0.3)
    jacobian = torch.autograd.functional.jacobian(lambda c: prior(c[None]).mean[0, 0], torch.zeros(P))
    torch.testing.assert_close(jacobian.norm(dim=0), torch.ones(P))
    torch.testing.assert_close(prior(torch.zeros(1, P)).mean[0, 0], torch.full((D,), 0.3))


def test_conditional_has_one_standard_deviation() -> None:
    prior = build("conditional")
    with torch.no_grad():
        prior.log_std.fill_(-0.7)
    assert prior(labels()).log_std.eq(-0.7).all()


def test_mixture_components_start_apart() -> None:
    for spread in (0.5, 1.5):
        with case(spread=spread):
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


def test_config_errors() -> None:
    for override, message in (
        (
            "kind=flow",
            "'kind' = 'flow' is not valid: unknown prior 'flow'; expected one of standard, conditional, mixture or",
        ),
        ("components=0", "'components' = 0 is not valid"),
        ("spread=0", "'spread' = 0 is not valid: Input should be greater than 0"),
    ):
        with case(override=override, message=message), pytest.raises(InputError, match=message):
            load_config(PriorConfig, overrides=[override])
