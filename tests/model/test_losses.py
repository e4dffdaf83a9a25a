"""What every reconstruction loss must do; the identities of the loss on two-point statistics."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from microdesign.errors import InputError
from microdesign.model.losses import LOSSES, parse_loss
from microdesign.model.losses.two_point import cess, excess_cess

SATURATED = 30.0


def noise(n: int = 3, size: int = 32, fraction: float = 0.4, seed: int = 0) -> Tensor:
    """Independent pixels, `(n, 1, size, size)`."""
    return (torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(seed)) < fraction).float()


def saturated(indicator: Tensor) -> Tensor:
    return SATURATED * (2 * indicator - 1)


def random_logits(n: int = 3, size: int = 32) -> Tensor:
    return 2 * torch.randn(n, 1, size, size, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("name", LOSSES)
def test_contract_one_value_per_image(name: str) -> None:
    logits, target = random_logits(), noise()
    values = LOSSES[name](logits, target)
    assert values.shape == (3,)
    assert values.dtype == torch.float32
    for index in range(3):
        alone = LOSSES[name](logits[index : index + 1], target[index : index + 1])
        torch.testing.assert_close(alone, values[index : index + 1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_contract_least_at_the_target(name: str) -> None:
    target = noise()
    at_target = LOSSES[name](saturated(target), target)
    assert (at_target >= 0).all()
    assert (at_target < 1e-5).all()
    assert (LOSSES[name](random_logits(), target) > 1e-3).all()


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.01, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("name", LOSSES)
def test_contract_never_negative(name: str, fraction: float) -> None:
    target = noise(fraction=fraction, seed=1)
    for other in (noise(fraction=fraction, seed=2), noise(fraction=0.001, seed=3), 0 * target, 0 * target + 1):
        assert (LOSSES[name](saturated(other), target) >= 0).all()


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("scale", [1.0, 60.0])
@pytest.mark.parametrize("name", LOSSES)
def test_contract_finite_gradients(name: str, scale: float, autocast: bool) -> None:
    # At scale 60 the logits saturate, on the wrong side too, and the first target is of one phase alone.
    target = noise()
    target[0] = 0
    logits = (scale * random_logits()).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        values = LOSSES[name](logits, target)
    values.sum().backward()
    assert values.isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    if scale == 1:
        assert (logits.grad.flatten(1).abs().sum(1) > 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_contract_gradient_descent_lowers_it(name: str) -> None:
    target, logits = noise(), random_logits().requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.1)
    first = LOSSES[name](logits, target).mean().item()
    for _ in range(20):
        optimizer.zero_grad()
        LOSSES[name](logits, target).mean().backward()
        optimizer.step()
    assert LOSSES[name](logits, target).mean().item() < 0.8 * first


def test_pixel_losses_at_even_odds() -> None:
    zeros, target = torch.zeros(3, 1, 32, 32), noise()
    torch.testing.assert_close(LOSSES["bce"](zeros, target), torch.full((3,), math.log(2)))
    torch.testing.assert_close(LOSSES["mse"](zeros, target), torch.full((3,), 0.25))


def test_mse_of_hard_images_is_the_share_of_wrong_pixels() -> None:
    target, other = noise(seed=0), noise(seed=1)
    expected = (target != other).float().mean((1, 2, 3))
    torch.testing.assert_close(LOSSES["mse"](saturated(other), target), expected)


def test_bce_agrees_with_its_definition() -> None:
    logits, target = random_logits().double(), noise().double()
    p = logits.sigmoid()
    expected = -(target * p.log() + (1 - target) * (1 - p).log()).mean((1, 2, 3))
    torch.testing.assert_close(LOSSES["bce"](logits, target), expected)


def direct_statistics(image: np.ndarray) -> np.ndarray:
    """All f_hh'(r) of `(X, Y)` by their definition, `(2, 2, X, Y)`."""
    phases = (1 - image, image)
    result = np.empty((2, 2, *image.shape))
    for h, first in enumerate(phases):
        for k, second in enumerate(phases):
            for x, y in np.ndindex(image.shape):
                result[h, k, x, y] = (first * np.roll(second, (-x, -y), (0, 1))).mean()
    return result


def test_cess_is_the_mean_divergence_of_the_statistics() -> None:
    # Soft images of 10 x 8 pixels: no statistic comes near the floor.
    a, b = np.random.default_rng(0).uniform(0.1, 0.9, (2, 10, 8))
    f1, f2 = direct_statistics(a), direct_statistics(b)
    np.testing.assert_allclose(f1.sum((0, 1)), 1)
    cross_entropy = -(f1 * np.log(f2)).sum((0, 1)).mean()
    entropy = -(f1 * np.log(f1)).sum((0, 1)).mean()
    images = torch.from_numpy(np.stack([a, b]))[:, None]
    excess = excess_cess(images[:1], images[1:]).item()
    assert excess == pytest.approx(cross_entropy - entropy, rel=1e-9)
    logits = images[1:].logit().float()
    assert cess(logits, images[:1].float()).item() == pytest.approx(excess, rel=1e-3)


def test_cess_does_not_see_shift_and_inversion() -> None:
    target, other = noise(seed=0), noise(seed=1, fraction=0.5)
    reference = excess_cess(target, other)
    inverted = other.flip(-2, -1)
    for image in (other.roll((5, -9), (-2, -1)), inverted, inverted.roll(3, -1)):
        torch.testing.assert_close(excess_cess(target, image), reference, rtol=1e-4, atol=1e-7)
        torch.testing.assert_close(excess_cess(other, image), torch.zeros(3), rtol=0, atol=1e-6)


def test_cess_sees_what_is_not_an_inversion() -> None:
    stripes = torch.zeros(1, 1, 32, 32)
    stripes[..., :10] = 1
    assert excess_cess(stripes, stripes.mT).item() > 0.05


def test_cess_sees_a_phase_swap() -> None:
    image = noise(fraction=0.3, size=64)
    # Independent pixels: f11 = phi^2, f00 = (1 - phi)^2 and f01 equal in both, at every offset but 0.
    phi = image.mean((1, 2, 3))
    expected = 2 * (1 - 2 * phi) * ((1 - phi) / phi).log()
    torch.testing.assert_close(excess_cess(image, 1 - image), expected, rtol=0.02, atol=0)
    half = noise(fraction=0.5, size=64)
    assert (excess_cess(half, 1 - half) < 1e-2).all()


def test_cess_grows_with_the_volume_fraction_missed() -> None:
    target = torch.full((1, 1, 16, 16), 0.3)
    values = [excess_cess(target, torch.full_like(target, phi)).item() for phi in (0.3, 0.35, 0.5, 0.8)]
    assert values == sorted(values)
    # Uniform soft images: two independent draws of one phase, so twice the divergence of one.
    expected = 2 * (0.3 * math.log(0.3 / 0.5) + 0.7 * math.log(0.7 / 0.5))
    assert values[2] == pytest.approx(expected, rel=1e-4)


def test_parse_loss() -> None:
    terms = parse_loss("mse + cess", {"cess": 2.0})
    assert terms == {"mse": (1.0, LOSSES["mse"]), "cess": (2.0, LOSSES["cess"])}
    assert list(parse_loss("bce")) == ["bce"]


@pytest.mark.parametrize(
    ("expression", "weights", "message"),
    [
        ("mse+ssim", {}, r"Unknown loss 'ssim' in 'mse\+ssim'; expected one of bce, mse, cess.*joined by '\+'"),
        ("", {}, "Unknown loss '' in ''"),
        ("mse+", {}, r"Unknown loss '' in 'mse\+'"),
        ("mse+mse", {}, r"The loss 'mse\+mse' names a term twice"),
        ("mse", {"csse": 2.0}, "Unknown loss 'csse'"),
    ],
)
def test_parse_loss_errors(expression: str, weights: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_loss(expression, weights)
