"""The denoiser's blocks, which have no norm layers."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from microdesign.model.networks.blocks import pad_periodic
from microdesign.model.networks.denoiser import LIMIT, FilmBlock


def unlimited(block: FilmBlock, x: Tensor, embedding: Tensor) -> Tensor:
    scale, shift = block.film(embedding)[:, :, None, None].chunk(2, dim=1)
    h = block.first(pad_periodic(F.silu(x), 2))
    moved: Tensor = x + block.second(F.silu(shift + h * (1 + scale)))
    return moved


@torch.no_grad()
@pytest.mark.parametrize("far", [False, True])
def test_blocks_hold_what_they_pass_on(far: bool) -> None:
    """Latents unlike those of images multiply what blocks pass on; ordinary ones pass unchanged."""
    torch.manual_seed(0)
    block = FilmBlock(8, 4, 2)
    torch.nn.init.normal_(block.second.weight, std=0.3)
    x, embedding = torch.randn(3, 8, 16, 16), torch.randn(3, 4) * (100 if far else 1)
    found, expected = block(x, embedding, pad_periodic), unlimited(block, x, embedding)
    size = expected.square().mean((1, 2, 3), keepdim=True).sqrt()
    assert bool((size > LIMIT).all()) == far
    torch.testing.assert_close(found, expected * (LIMIT / size).clamp_max(1), rtol=1e-4, atol=1e-4)
    assert found.square().mean((1, 2, 3)).sqrt().max() <= LIMIT * 1.001
