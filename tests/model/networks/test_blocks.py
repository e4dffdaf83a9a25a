"""Building blocks in two and three dimensions: padding, halving, what commutes with shifts."""

from itertools import product

import torch
from torch.nn import functional as F

from microdesign.model.networks.blocks import (
    ResidualBlock,
    Stem,
    channels_last,
    halve,
    pad_periodic,
    pool_to,
    with_channels_last_weights,
)

DIMENSIONS = [2, 3]


def maps(dimensions: int = 2, channels: int = 3, size: int = 8) -> torch.Tensor:
    return torch.randn(2, channels, *(size,) * dimensions, generator=torch.Generator().manual_seed(0))


def moved(x: torch.Tensor, *shift: int) -> torch.Tensor:
    return x.roll(shift[: x.ndim - 2], tuple(range(2, x.ndim)))


def test_pad_periodic_is_circular_padding() -> None:
    for dimensions, (low, high) in product(DIMENSIONS, ((1, 1), (3, 3), (1, 2))):
        x = maps(dimensions)
        expected = F.pad(x, (low, high) * dimensions, mode="circular")
        assert torch.equal(pad_periodic(x, low, high), expected), (dimensions, low, high)
        kept = pad_periodic(channels_last(x), low, high)
        assert kept.is_contiguous(memory_format=torch.channels_last if dimensions == 2 else torch.channels_last_3d)


def test_gradient_of_pad_periodic() -> None:
    for dimensions in DIMENSIONS:
        x = maps(dimensions, channels=1, size=4).double().requires_grad_()
        assert torch.autograd.gradcheck(lambda x: pad_periodic(x, 1, 2), x)


def test_residual_block_commutes_with_periodic_shifts() -> None:
    for dimensions, channels in product(DIMENSIONS, ((3, 3), (3, 5))):
        block, x = ResidualBlock(*channels, dimensions), maps(dimensions)
        assert block(x).shape == (2, channels[1], *x.shape[2:])
        torch.testing.assert_close(block(moved(x, 3, 1, 2)), moved(block(x), 3, 1, 2))


def test_zero_padding_differs_at_the_edges_alone() -> None:
    for dimensions in DIMENSIONS:
        periodic, zero = ResidualBlock(3, 3, dimensions), ResidualBlock(3, 3, dimensions, "zero")
        zero.load_state_dict(periodic.state_dict())
        x = maps(dimensions)
        inside = (..., *(slice(2, -2),) * dimensions)
        torch.testing.assert_close(zero(x)[inside], periodic(x)[inside])
        assert not torch.allclose(zero(x), periodic(x))


def test_stem_and_halve_give_half_the_size_rounded_up() -> None:
    for dimensions, padding, (size, expected) in product(DIMENSIONS, ("periodic", "zero"), ((8, 4), (9, 5), (7, 4))):
        x, shape = maps(dimensions, size=size), (expected,) * dimensions
        assert Stem(3, 4, dimensions, padding)(x).shape == (2, 4, *shape), (dimensions, padding, size)
        assert halve(x).shape == (2, 3, *shape), (dimensions, size)


def test_stem_of_an_even_image_commutes_with_shifts_by_its_stride() -> None:
    stem, x = Stem(3, 4, 2, "periodic"), maps()
    torch.testing.assert_close(stem(moved(x, 4, -2)), moved(stem(x), 2, -1))


def test_pooling_keeps_the_mean_where_windows_do_not_overlap() -> None:
    for dimensions in DIMENSIONS:
        x = maps(dimensions)
        axes = tuple(range(2, x.ndim))
        for pooled in (halve(x), pool_to(x, 2)):
            torch.testing.assert_close(pooled.mean(axes), x.mean(axes))
        torch.testing.assert_close(halve(torch.ones(1, 1, *(7,) * dimensions)), torch.ones(1, 1, *(4,) * dimensions))


def test_channels_last_weights_change_the_layout_alone() -> None:
    for dimensions in DIMENSIONS:
        torch.manual_seed(0)
        block, x = ResidualBlock(3, 5, dimensions), maps(dimensions)
        before = block(x)
        assert with_channels_last_weights(block) is block
        layout = torch.channels_last if dimensions == 2 else torch.channels_last_3d
        assert block.first.weight.is_contiguous(memory_format=layout)
        torch.testing.assert_close(block(x), before)
