"""Gaussian mixtures and their KL divergences against closed forms and torch.distributions."""

import pytest
import torch
from torch import Tensor
from torch import distributions as td

from microdesign.model.prior.mixture import Gaussian, Mixture, gaussian_kl, kl_bound, kl_monte_carlo
from tests.cases import case


def random_gaussian(*shape: int, seed: int = 0) -> Gaussian:
    stream = torch.Generator().manual_seed(seed)
    mean, log_std = torch.randn(2, *shape, generator=stream, dtype=torch.float64)
    return Gaussian(mean, 0.5 * log_std)


def random_mixture(B: int, K: int, D: int, seed: int = 1) -> Mixture:
    mean, log_std = random_gaussian(B, K, D, seed=seed)
    logits = torch.randn(B, K, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Mixture(logits.log_softmax(-1), 2 * mean, log_std)


def reference(gaussian: Gaussian) -> td.Independent:
    return td.Independent(td.Normal(gaussian.mean, gaussian.log_std.exp()), 1)


def weighted_sum(q: Gaussian, p: Mixture) -> Tensor:
    each = gaussian_kl(Gaussian(q.mean[:, None], q.log_std[:, None]), p.components)
    return (p.log_weights.exp() * each).sum(-1)


def test_gaussian_density_and_kl_agree_with_torch() -> None:
    q, p = random_gaussian(7, 3, seed=0), random_gaussian(7, 3, seed=1)
    torch.testing.assert_close(gaussian_kl(q, p), td.kl_divergence(reference(q), reference(p)))
    torch.testing.assert_close(q.log_density(p.mean), reference(q).log_prob(p.mean))


def test_gaussian_kl_closed_forms() -> None:
    zero = torch.zeros(1, 2, dtype=torch.float64)
    unit = Gaussian(zero, zero)
    shifted = Gaussian(zero + torch.tensor([3.0, 0.0]), zero)
    wide = Gaussian(zero, zero + torch.tensor([1.0, 0.0]))
    assert gaussian_kl(unit, unit).item() == 0
    assert gaussian_kl(shifted, unit).item() == pytest.approx(4.5)
    assert gaussian_kl(wide, unit).item() == pytest.approx(0.5 * (torch.e**2 - 1 - 2))


def test_gaussian_samples() -> None:
    gaussian = Gaussian(torch.full((100_000, 1), 2.0), torch.full((100_000, 1), -1.0))
    z = gaussian.sample(torch.Generator().manual_seed(3))
    assert z.mean().item() == pytest.approx(2, abs=0.01)
    assert z.std().item() == pytest.approx(torch.e**-1, rel=0.02)
    torch.testing.assert_close(z, gaussian.sample(torch.Generator().manual_seed(3)), rtol=0, atol=0)


def test_samples_carry_gradients() -> None:
    mean, log_std = torch.zeros(5, 2, requires_grad=True), torch.zeros(5, 2, requires_grad=True)
    z = Gaussian(mean, log_std).sample()
    z.sum().backward()
    torch.testing.assert_close(mean.grad, torch.ones(5, 2))
    torch.testing.assert_close(log_std.grad, z.detach())


def test_mixture_density_agrees_with_torch() -> None:
    p = random_mixture(6, 4, 3)
    expected = td.MixtureSameFamily(td.Categorical(logits=p.log_weights), reference(p.components))
    z = random_gaussian(6, 3, seed=5).mean
    torch.testing.assert_close(p.log_density(z), expected.log_prob(z))
    torch.testing.assert_close(p.joint_log_density(z).logsumexp(-1), p.log_density(z))


def test_mixture_samples_have_the_mixture_s_moments() -> None:
    n, weights = 200_000, torch.tensor([0.7, 0.2, 0.1])
    mean = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, -10.0]])
    std = torch.tensor([[1.0, 0.5], [0.2, 2.0], [0.3, 0.3]])
    torch.manual_seed(0)
    z = Mixture(weights.log().expand(n, 3), mean.expand(n, 3, 2), std.log().expand(n, 3, 2)).sample()[:, 0]
    assert z.shape == (n, 2)
    component = (z[:, None] - mean).square().sum(-1).argmin(1)
    torch.testing.assert_close(component.bincount() / n, weights, rtol=0, atol=0.005)
    for k in range(3):
        torch.testing.assert_close(z[component == k].mean(0), mean[k], rtol=0, atol=0.06)
        torch.testing.assert_close(z[component == k].std(0), std[k], rtol=0.05, atol=0)


def test_each_row_draws_from_its_own_mixture() -> None:
    """Rows that each have one component of all the weight: the draw is that component's, the others get no gradient."""
    p = random_mixture(6, 4, 3)
    chosen = torch.tensor([0, 1, 2, 3, 1, 2])
    mean = p.mean.clone().requires_grad_()
    certain = Mixture((torch.nn.functional.one_hot(chosen, 4).double()).log(), mean, torch.full_like(mean, -6.0))
    z = certain.sample()[:, 0]
    torch.testing.assert_close(z, mean[torch.arange(6), chosen], rtol=0, atol=0.02)
    z.sum().backward()
    torch.testing.assert_close(mean.grad.sum(-1), 3 * torch.nn.functional.one_hot(chosen, 4).double())


def test_several_draws_of_a_mixture_are_of_different_components() -> None:
    p = random_mixture(50, 4, 3)
    narrow = Mixture(p.log_weights, p.mean, torch.full_like(p.mean, -8.0))
    z = narrow.sample(3)
    assert z.shape == (50, 3, 3)
    of = (z[:, :, None] - p.mean[:, None]).square().sum(-1).argmin(-1)
    assert all(len(set(row)) == 3 for row in of.tolist())
    # The first is by weight; the second by the weights that are left.
    weights = torch.tensor([[0.7, 0.2, 0.1]]).expand(100_000, 3)
    mean = torch.arange(3.0)[:, None].expand(100_000, 3, 1)
    first, second = (
        Mixture(weights.log(), mean, torch.full_like(mean, -9.0)).sample(2)[:, :, 0].round().long().unbind(1)
    )
    torch.testing.assert_close(first.bincount() / len(first), weights[0], rtol=0, atol=0.006)
    after_zero = second[first == 0].bincount(minlength=3) / (first == 0).sum()
    torch.testing.assert_close(after_zero, torch.tensor([0.0, 2 / 3, 1 / 3]), rtol=0, atol=0.006)


def test_samples_of_a_mixture_that_is_not_finite_are_not_either() -> None:
    nan = torch.full((2, 3, 4), torch.nan)
    assert Mixture(nan[..., 0], nan, nan).sample().isnan().all()


def test_density_integrates_to_one() -> None:
    z = torch.linspace(-40, 40, 20_001, dtype=torch.float64)
    density = random_mixture(1, 4, 1).log_density(z[:, None]).exp()
    assert torch.trapezoid(density, z).item() == pytest.approx(1, abs=1e-9)


def test_bound_is_exact_for_one_component() -> None:
    q, p = random_gaussian(9, 3), random_mixture(9, 1, 3)
    torch.testing.assert_close(kl_bound(q, p), gaussian_kl(q, Gaussian(p.mean[:, 0], p.log_std[:, 0])))


def test_bound_does_not_see_copies_of_a_component() -> None:
    q, p = random_gaussian(9, 3), random_mixture(9, 1, 3)
    log_half = torch.full((9, 2), 0.5, dtype=torch.float64).log()
    twice = Mixture(log_half, p.mean.expand(-1, 2, -1), p.log_std.expand(-1, 2, -1))
    torch.testing.assert_close(kl_bound(q, twice), kl_bound(q, p))


def test_bound_is_the_best_explicit_component_posterior() -> None:
    q, p = random_gaussian(1, 5), random_mixture(1, 4, 5)
    each = gaussian_kl(Gaussian(q.mean[:, None], q.log_std[:, None]), p.components)

    def explicit(r: Tensor) -> Tensor:
        return (r * (r.log() - p.log_weights + each)).sum(-1)

    best = (p.log_weights - each).softmax(-1)
    torch.testing.assert_close(explicit(best), kl_bound(q, p))
    others = td.Dirichlet(torch.ones(4, dtype=torch.float64)).sample((200,))
    assert (explicit(others) >= kl_bound(q, p)).all()


def test_order_of_the_kl_forms() -> None:
    for seed in range(4):
        with case(seed=seed):
            q, p = random_gaussian(1, 5, seed=seed), random_mixture(1, 4, 5, seed=seed + 10)
            n = 200_000
            many = Gaussian(q.mean.expand(n, -1), q.log_std.expand(n, -1))
            draws = kl_monte_carlo(many, p, many.sample(torch.Generator().manual_seed(seed)))
            error = draws.std().item() / n**0.5
            assert draws.mean().item() > -4 * error
            assert draws.mean().item() <= kl_bound(q, p).item() + 4 * error
            assert kl_bound(q, p).item() < weighted_sum(q, p).item()


def test_monte_carlo_is_unbiased() -> None:
    q, p = random_gaussian(1, 3), random_mixture(1, 1, 3)
    n = 200_000
    many = Gaussian(q.mean.expand(n, -1), q.log_std.expand(n, -1))
    draws = kl_monte_carlo(many, p, many.sample(torch.Generator().manual_seed(0)))
    assert draws.mean().item() == pytest.approx(kl_bound(q, p).item(), abs=4 * draws.std().item() / n**0.5)
