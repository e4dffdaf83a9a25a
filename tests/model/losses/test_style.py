"""The style loss: its definition, what it sees and what not, slices of volumes, its settings."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from microdesign.core.config import load_config
from microdesign.core.errors import InputError
from microdesign.model.losses.style import Style
from microdesign.model.losses.vgg import VGG19
from microdesign.model.losses.vgg_weights import load_vgg
from tests.cases import case


def noise(*shape: int, seed: int = 0) -> Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < 0.4).float()


def saturated(x: Tensor) -> Tensor:
    return 60 * x - 30


@pytest.fixture(scope="module")
def vgg(vgg_file: Path) -> VGG19:
    return load_vgg(str(vgg_file), 3, torch.device("cpu"))


@pytest.fixture
def style(vgg_file: Path) -> Style:
    return Style(weights=str(vgg_file), layers=(1, 3))


def features_by_hand(vgg: VGG19, grey: Tensor, periodic: bool) -> list[Tensor]:
    """Maps after convolutions 1 and 3 of one image `(X, Y)`: torchvision's order of layers, average pooling."""

    def convolved(h: Tensor, index: int) -> Tensor:
        mode = {"mode": "circular"} if periodic else {}
        h = F.pad(h, (1, 1, 1, 1), **mode)
        kernels = vgg.weights[index]
        windows = F.unfold(h, 3).transpose(1, 2) @ kernels.flatten(1).T + vgg.biases[index]
        return windows.transpose(1, 2).view(1, len(kernels), h.shape[-2] - 2, -1).clamp_min(0)

    rgb = (grey.expand(1, 3, *grey.shape) - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor(
        [0.229, 0.224, 0.225]
    )[:, None, None]
    first = convolved(rgb, 0)
    return [first, convolved(F.avg_pool2d(convolved(first, 1), 2), 2)]


def test_style_by_its_definition(vgg: VGG19, style: Style) -> None:
    for periodic in (True, False):
        with case(periodic=periodic):
            target, image = noise(16, 18), 0.2 + 0.6 * noise(16, 18, seed=1)
            expected = 0.0
            for weight, a, b in zip(
                (0.25, 2.0), *(features_by_hand(vgg, x, periodic) for x in (target, image)), strict=True
            ):
                channels, positions = a.shape[1], a[0, 0].numel()
                grams = [f[0].flatten(1) @ f[0].flatten(1).T for f in (a, b)]
                expected += weight * (grams[0] - grams[1]).square().sum().item() / (4 * channels**2 * positions**2)
            loss = style.model_copy(update={"layer_weights": (0.25, 2.0), "periodic": periodic})
            assert loss(image.logit()[None, None], target[None, None]).item() == pytest.approx(expected, rel=1e-4)


def test_layers_weigh_alike_unless_told(style: Style) -> None:
    image, target = noise(2, 1, 16, 16), noise(2, 1, 16, 16, seed=1)
    told = style.model_copy(update={"layer_weights": (0.5, 0.5)})
    torch.testing.assert_close(style(saturated(image), target), told(saturated(image), target))


def test_style_does_not_see_a_shift_by_whole_poolings(style: Style) -> None:
    x = noise(2, 1, 16, 20)
    values = style(saturated(x.roll((6, -2), (2, 3))), x)
    assert (values < 1e-8).all()


def test_style_tells_textures_apart(style: Style) -> None:
    stripes = (torch.arange(32) % 8 < 4).float().expand(1, 1, 32, 32)
    same, other = stripes.roll(2, -1), stripes.mT
    assert style(saturated(other), stripes) > 1e3 * style(saturated(same), stripes) + 1e-3


def test_phases_are_grey_images_each(style: Style) -> None:
    target, logits = noise(2, 3, 16, 16), torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    p = logits.softmax(1)
    each = [style(p[:, h : h + 1].logit(), target[:, h : h + 1]) for h in range(3)]
    torch.testing.assert_close(style(logits, target), torch.stack(each).mean(0), rtol=1e-4, atol=1e-7)


def test_a_volume_of_equal_slices_is_its_slice(style: Style) -> None:
    """Along the axis of a fibre all slices are alike; the others are stripes, which are alike too in both images."""
    flat, other = noise(1, 1, 16, 16), noise(1, 1, 16, 16, seed=1)
    volume, expected = flat[..., None].expand(-1, -1, -1, -1, 16), other[..., None].expand(-1, -1, -1, -1, 16)
    along = style.model_copy(update={"slices": 16})
    torch.manual_seed(0)
    value = along(saturated(expected), volume)
    torch.manual_seed(0)
    positions = [torch.randint(16, (16,)) for _ in range(3)]
    slices = [
        style(saturated(expected).select(axis, int(at)), volume.select(axis, int(at)))
        for axis, places in zip((2, 3, 4), positions, strict=True)
        for at in places
    ]
    torch.testing.assert_close(value, torch.stack(slices).mean(0), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(slices[-1], style(saturated(other), flat), rtol=1e-4, atol=1e-7)


def test_slices_are_drawn_anew_and_by_the_seed(style: Style) -> None:
    one = style.model_copy(update={"slices": 1})
    image, target = saturated(noise(1, 1, 16, 16, 16)), noise(1, 1, 16, 16, 16, seed=1)
    torch.manual_seed(3)
    first, second = one(image, target), one(image, target)
    assert first != second
    torch.manual_seed(3)
    assert one(image, target) == first


def test_bfloat16_is_near(style: Style) -> None:
    image, target = noise(2, 1, 32, 32), noise(2, 1, 32, 32, seed=1)
    image[1] = 0
    coarse = style.model_copy(update={"precision": "bfloat16"})
    torch.testing.assert_close(coarse(saturated(image), target), style(saturated(image), target), rtol=0.2, atol=1e-4)


def test_narrow_images_are_refused(style: Style) -> None:
    x = noise(1, 1, 32, 12)
    with pytest.raises(
        InputError, match=r"got images of shape \(32, 12\); expected at least 16 pixels along each axis"
    ):
        style(x, x)


def test_settings_errors() -> None:
    for override, message in (
        ("layers=[1, 17]", r"layers \(1, 17\) are not supported; expected different numbers up to 16"),
        ("layers=[3, 3]", r"layers \(3, 3\) are not supported"),
        ("layer_weights=[1.0]", "1 layer_weights for 5 layers; expected as many"),
        (
            "slice=3",
            "unknown key 'slice'; did you mean 'slices'?",
        ),
    ):
        with case(override=override, message=message), pytest.raises(InputError, match=message):
            load_config(Style, overrides=[override])
