"""What every reconstruction loss must do, in two and three dimensions, for two and more phases; sums of losses."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from microdesign.core.errors import InputError
from microdesign.microstructure.data.indicators import indicators, probabilities
from microdesign.model.losses.clamp import Clamp
from microdesign.model.losses.config import LOSSES, LossSettings
from microdesign.model.losses.pixel import bce, mse
from microdesign.model.losses.reconstruction import Loss, build_losses
from microdesign.model.losses.style import Style
from microdesign.model.losses.two_point import CessCrop

SATURATED = 30.0
GRIDS = [(2, (32, 32)), (3, (24, 20)), (2, (16, 18, 17)), (3, (16, 16, 16))]
"""Numbers of phases, and shapes; a test image holds all phases unless it says otherwise."""


def images(n_phases: int, shape: tuple[int, ...], n: int = 3, seed: int = 0) -> Tensor:
    """Independent pixels of unequal fractions, `(n, C, *N)`."""
    stream = torch.Generator().manual_seed(seed)
    fractions = torch.arange(1.0, n_phases + 1)
    labels = torch.multinomial(fractions, n * math.prod(shape), replacement=True, generator=stream)
    return indicators(labels.view(n, *shape), n_phases)


def saturated(x: Tensor) -> Tensor:
    return SATURATED * (2 * x - 1)


def random_logits(like: Tensor) -> Tensor:
    return 2 * torch.randn(like.shape, generator=torch.Generator().manual_seed(9))


def squares(logits: Tensor, target: Tensor) -> Tensor:
    """A loss of one's own: the mean square error of two phases' probabilities, half its sum over more phases."""
    error = (probabilities(logits.float()) - target).square().sum(1).flatten(1).mean(1)
    return error if logits.shape[1] == 1 else error / 2


def distance(logits: Tensor, target: Tensor) -> Tensor:
    return (logits - target).abs().flatten(1).amax(1)


NAMES = (*LOSSES, f"{__name__}:squares")
"""The contract's tests cover what is listed here."""
PIXELWISE = ("bce", "mse", NAMES[-1])
"""Those that see a periodic shift."""


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def loss(name: str, vgg_file: Path) -> Loss:
    """The loss by its name; slices of volumes are drawn alike at each call."""
    settings = LossSettings(style=Style(weights=str(vgg_file), layers=(1, 3), slices=1), cess_crop=CessCrop(size=9))
    built = Clamp() if name == "clamp" else build_losses(name, settings=settings)[name][1]

    def seeded(logits: Tensor, target: Tensor) -> Tensor:
        torch.manual_seed(0)
        return built(logits, target)

    return seeded


def test_contract_values(loss: Loss) -> None:
    """One value per image, whatever its neighbours; least at the target; never negative, on empty images neither."""
    for n_phases, shape in GRIDS:
        case, target = f"{n_phases} phases, {shape}", images(n_phases, shape)
        logits = random_logits(target)
        values = loss(logits, target)
        assert values.shape == (3,), case
        assert values.dtype == torch.float32, case
        assert (values > 1e-4).all(), case
        alone = loss(logits[1:2], target[1:2])
        torch.testing.assert_close(alone, values[1:2], rtol=1e-4, atol=1e-6)
        at_target = loss(saturated(target), target)
        assert ((at_target >= 0) & (at_target < 1e-6)).all(), case
        empty = torch.zeros(1, *shape, dtype=torch.long)
        sparse = empty.clone()
        sparse.view(-1)[5] = 1
        kinds = torch.cat((*(indicators(each, n_phases) for each in (empty, sparse, empty + 1)), target[:1]))
        for shift in range(4):
            values = loss(saturated(kinds.roll(shift, 0)), kinds)
            assert values.isfinite().all(), case
            assert (values >= -1e-9).all(), case


def test_contract_gradients(loss: Loss) -> None:
    """Finite under autocast and where logits saturate on the wrong side; they are nowhere zero for an image."""
    for (n_phases, shape), scale, autocast in zip(
        GRIDS, (1.0, 60.0, 1.0, 60.0), (True, True, False, False), strict=True
    ):
        case, target = f"{n_phases} phases, {shape}, logits times {scale}, autocast {autocast}", images(n_phases, shape)
        target[0] = indicators(torch.zeros(1, *shape, dtype=torch.long), n_phases)[0]
        logits = (scale * random_logits(target)).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            values = loss(logits, target)
        assert values.dtype == torch.float32, case
        torch.testing.assert_close(values, loss(logits, target), rtol=1e-5, atol=1e-7)
        values.sum().backward()
        assert values.isfinite().all(), case
        assert logits.grad is not None
        assert logits.grad.isfinite().all(), case
        if scale == 1:
            assert (logits.grad.flatten(1).abs().sum(1) > 0).all(), case


def test_contract_gradient_descent_lowers_it(loss: Loss) -> None:
    for n_phases, shape in (GRIDS[0], GRIDS[3]):
        target = images(n_phases, shape, n=2)
        logits = random_logits(target).requires_grad_()
        optimizer = torch.optim.Adam([logits], lr=0.1)
        first = loss(logits, target).mean().item()
        for _ in range(20):
            optimizer.zero_grad()
            loss(logits, target).mean().backward()
            optimizer.step()
        assert loss(logits, target).mean().item() < 0.8 * first, (n_phases, shape)


@pytest.mark.parametrize("name", [each for each in NAMES if each != "style"])  # there, by multiples of the poolings
def test_contract_symmetries(name: str, loss: Loss) -> None:
    """Two phases may be two channels; the losses on pixels alone see a shift, and none an inversion of both images."""
    for n_phases, shape in GRIDS:
        target = images(n_phases, shape)
        logits = random_logits(target)
        axes, value = tuple(range(2, target.ndim)), loss(logits, target)
        moved = [logits.roll((5, -7, 3)[: len(axes)], axes)]
        if n_phases == 2:
            # A sigmoid of one logit is a softmax over that logit and zero.
            two = torch.cat((torch.zeros_like(logits), logits), 1), torch.cat((1 - target, target), 1)
            torch.testing.assert_close(loss(*two), value, rtol=1e-4, atol=1e-7)
            # Of more than two phases, f_hh' and f_h'h change places under an inversion of one image alone.
            moved.append(logits.flip(axes))
        for each in moved:
            if name in PIXELWISE:
                assert ((loss(each, target) - value).abs() > 1e-6).all(), (n_phases, shape)
            else:
                torch.testing.assert_close(loss(each, target), value, rtol=1e-4, atol=1e-7)
        torch.testing.assert_close(loss(logits.flip(axes), target.flip(axes)), value, rtol=1e-4, atol=1e-7)


def test_pixels_are_classified() -> None:
    target = images(3, (16, 12, 10))
    logits = random_logits(target)
    expected = F.cross_entropy(logits, target.argmax(1), reduction="none").mean((1, 2, 3))
    torch.testing.assert_close(bce(logits, target), expected)


def test_wrong_pixels_of_hard_images_are_counted() -> None:
    for n_phases in (2, 4):
        target, other = images(n_phases, (32, 32), seed=0), images(n_phases, (32, 32), seed=1)
        expected = (target != other).any(1).float().mean((1, 2))
        torch.testing.assert_close(mse(saturated(other), target), expected)


def test_clamp_is_the_likelihood_of_two_gaussians() -> None:
    x = torch.linspace(0.01, 0.99, 64).view(1, 1, 8, 8)
    sigma = 0.2
    gaussians = torch.exp(-(x**2) / (2 * sigma**2)) + torch.exp(-((x - 1) ** 2) / (2 * sigma**2))
    values = Clamp(sigma=sigma)(x.logit(), torch.zeros_like(x))
    at_zero = torch.tensor(1 + 2.718281828 ** (-1 / (2 * sigma**2))).log()
    torch.testing.assert_close(values, (at_zero - gaussians.log()).mean((1, 2, 3)))


def test_build_losses() -> None:
    settings = LossSettings.model_validate({"cess_crop": {"size": 7}})
    losses = build_losses("mse + cess_crop", {"cess_crop": 2.0, "bce": 5.0}, settings)
    assert losses == {"mse": (1.0, mse), "cess_crop": (2.0, CessCrop(size=7))}
    assert list(build_losses("bce")) == ["bce"]


def test_a_loss_of_ones_own() -> None:
    own = f"{__name__}:distance"
    losses = build_losses(f"mse+{own}", {own: 3.0})
    weight, loss = losses[own]
    assert weight == 3
    torch.testing.assert_close(loss(torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)), torch.ones(2))


def test_build_losses_errors() -> None:
    for expression, message in (
        (
            "mse+ssim",
            r"Unknown loss 'ssim' in 'mse\+ssim'; expected one of bce, mse, .*style or module:name, joined by",
        ),
        ("", "Unknown loss '' in ''"),
        ("mse+", r"Unknown loss '' in 'mse\+'"),
        ("mse+mse", r"The loss 'mse\+mse' names a term twice"),
        ("clamp", "The loss 'clamp' ignores the target; add it to another one"),
        ("nowhere:loss", r"'nowhere:loss' cannot be loaded \(ModuleNotFoundError: No module named 'nowhere'\)"),
        ("math:pi", "The loss 'math:pi' is a float; expected a function of logits and target"),
    ):
        with pytest.raises(InputError, match=message):
            build_losses(expression)
