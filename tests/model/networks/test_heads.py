"""Heads: bounded spreads, float32, and spatial latents that stay where they are."""

import torch
from torch import nn

from microdesign.model.networks.heads import Head, SpatialHead


def test_standard_deviations_are_bounded() -> None:
    head = Head(4, 4, 2)
    last = head.layers[-1]
    assert isinstance(last, nn.Linear)
    for bias, expected in ((100.0, 3.0), (-100.0, -6.0)):
        with torch.no_grad():
            last.bias.fill_(bias)
        assert head(torch.zeros(1, 4))[1].eq(expected).all()


def test_float32_under_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        for part in (*Head(32, 32, 3)(torch.zeros(1, 32)), *SpatialHead(8, 3, 2)(torch.zeros(1, 8, 4, 4))):
            assert part.dtype == torch.float32


def test_a_spatial_latent_sees_its_own_position_alone() -> None:
    for dimensions in (2, 3):
        head = SpatialHead(8, 3, dimensions)
        coarse = torch.randn(2, 8, *(4,) * dimensions)
        moved = coarse.roll(1, -1)
        for part, other in zip(head(coarse), head(moved), strict=True):
            assert part.shape == (2, 3 * 4**dimensions)
            shaped = part.unflatten(1, (3, *(4,) * dimensions))
            torch.testing.assert_close(other, shaped.roll(1, -1).flatten(1))
