"""The local-global decoder: its denoiser's symmetries, and what its draws keep of draft, latent and seed."""

import math

import pytest
import torch
from torch import nn

from microdesign.microstructure.data.indicators import probabilities
from microdesign.model.binarization import binarize
from microdesign.model.networks.config import DenoiserConfig, NetworkConfig
from microdesign.model.networks.denoiser import Denoiser
from microdesign.model.networks.local_global_decoder import LocalGlobalDecoder
from tests.cases import case


def config(**changes: object) -> NetworkConfig:
    values = {"size": 32, "widths": (8, 8, 16), "latent": 4, "hidden": 32, "decoder": "local_global"}
    return NetworkConfig.model_validate(values | {"denoiser": {"width": 8, "depth": 1}} | changes)


def decoder(**changes: object) -> LocalGlobalDecoder:
    """A decoder whose last layers are no longer zero, so that all its layers show."""
    torch.manual_seed(0)
    made = LocalGlobalDecoder(config(**changes))
    for layer in (made.draft.shaping.last, made.denoiser.last):
        nn.init.normal_(layer.weight, std=1.0)
    for module in made.denoiser.modules():
        if hasattr(module, "second"):
            nn.init.normal_(module.second.weight, std=0.1)
    return made.eval()


def latents(n: int = 3) -> torch.Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(1))


def test_the_denoiser_of_a_periodic_image_moves_with_it() -> None:
    """By whole patches of the coarsest level; with zeros around, the image has edges and does not."""
    denoiser = decoder().denoiser
    x, t, z = torch.randn(2, 1, 32, 32), torch.rand(2), latents(2)
    moved = denoiser(x.roll((16, -16), (2, 3)), t, z)
    torch.testing.assert_close(moved, denoiser(x, t, z).roll((16, -16), (2, 3)), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(denoiser(x, t, z, periodic=False), denoiser(x, t, z), atol=1e-3)


def test_the_denoiser_takes_any_multiple_and_both_dimensions() -> None:
    for dimensions, channels, size in ((2, 1, 32), (2, 3, 48), (3, 1, 32)):
        with case(dimensions=dimensions, channels=channels, size=size):
            denoiser = Denoiser(channels, 4, width=8, depth=1, dimensions=dimensions)
            assert size % denoiser.multiple == 0
            x = torch.randn(2, channels, *(size,) * dimensions)
            with torch.autocast("cpu", torch.bfloat16):
                logits = denoiser(x, torch.rand(2), latents(2))
            assert logits.shape == x.shape
            assert logits.dtype == torch.float32
            flat = logits.flatten(2)
            assert torch.equal(flat, flat[..., :1].expand_as(flat))  # it starts undecided everywhere


def test_draws_keep_the_volume_fractions_of_their_drafts() -> None:
    for phases in (2, 3):
        with case(phases=phases), torch.no_grad():
            one, z = decoder(phases=phases), latents()
            drawn, draft = one.draw(z), probabilities(one(z))
            torch.testing.assert_close(drawn.flatten(2).mean(2), draft.flatten(2).mean(2), rtol=0, atol=1e-5)
            assert drawn.min() >= 0
            assert drawn.max() <= 1


@torch.no_grad()
def test_a_draw_follows_from_latent_seed_and_size() -> None:
    one, z = decoder(), latents()
    first, other = one.draw(z), one.draw(z, seed=1)
    assert torch.equal(one.draw(z), first)
    torch.testing.assert_close(one.draw(z[1:2]), first[1:2], rtol=0, atol=0.05)  # the batch changes rounding alone
    assert (binarize(other) != binarize(first)).float().mean() > 0.1
    assert one.draw(z, (48, 80)).shape == (3, 1, 48, 80)
    same, own = z[:1].expand(3, -1), binarize(one.draw(z[:1].expand(3, -1), seed=(5, 6, 7)))
    assert (binarize(one.draw(same)) == binarize(one.draw(same))[0]).all()
    assert (own[0] != own[1]).float().mean() > 0.1
    torch.testing.assert_close(one.draw(z[:1], seed=(6,)), one.draw(same, seed=(5, 6, 7))[1:2], rtol=0, atol=0.05)


@torch.no_grad()
def test_a_small_step_of_the_latent_changes_few_pixels() -> None:
    """The noise is the latent's: a search in the latent space finds a smooth landscape."""
    one, z = decoder(), latents(8)
    first = binarize(one.draw(z))
    near, far = (binarize(one.draw(z + step * torch.ones(4))) for step in (0.01, 3.0))
    assert (near != first).float().mean() < 0.1
    assert (far != first).float().mean() > 2 * (near != first).float().mean()


def test_the_loss_of_an_undecided_denoiser_is_log_2_weighted_by_the_time() -> None:
    torch.manual_seed(0)
    one = LocalGlobalDecoder(config())
    nn.init.zeros_(one.denoiser.last.bias)
    loss = one.denoising_loss((torch.rand(400, 1, 32, 32) < 0.5).float(), torch.zeros(400, 4))
    assert loss.min() >= math.log(2) - 1e-4  # 1 / (1 - t) is at least 1
    assert loss.max() <= 10 * math.log(2) + 1e-4


@pytest.mark.slow
def test_it_learns_to_draw_what_it_was_shown() -> None:
    """Stripes of one width along x or along y, as the latent says: draws have them, at other places."""
    torch.manual_seed(0)
    one = LocalGlobalDecoder(config(denoiser={"width": 16, "depth": 1, "start": 0.0, "steps": 8}))
    optimizer = torch.optim.AdamW(one.denoiser.parameters(), 3e-3)
    stripes = (torch.arange(32) // 4 % 2).float()
    for _ in range(150):
        along = torch.rand(32) < 0.5
        moved = torch.stack([stripes.roll(int(shift)) for shift in torch.randint(8, (32,))])
        x = moved[:, :, None].expand(-1, -1, 32)
        x = torch.where(along[:, None, None], x, x.mT)[:, None].contiguous()
        z = torch.zeros(32, 4)
        z[:, 0] = torch.where(along, 1.0, -1.0)
        with torch.autocast("cpu", torch.bfloat16):
            loss = one.denoising_loss(x, z).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    z = torch.zeros(8, 4)
    z[:, 0] = torch.tensor([1.0, -1.0] * 4)
    with torch.no_grad():
        drawn = one.draw(z).round()[:, 0]
    steps = torch.stack([(drawn != drawn.roll(1, axis)).float().mean((1, 2)) for axis in (1, 2)], 1)
    # A change of phase every four pixels across the stripes, next to none along them.
    assert (steps[::2, 0] > 4 * steps[::2, 1]).all()
    assert (steps[1::2, 1] > 4 * steps[1::2, 0]).all()


def test_settings_that_cannot_be() -> None:
    for changes, message in (
        ({"size": 40}, "set size to a multiple of 16, 32 or more"),
        ({"size": 16, "widths": (8,)}, "set size to a multiple of 16, 32 or more"),
        ({"latent_kind": "spatial"}, "latent_kind spatial is not supported with decoder local_global"),
    ):
        with case(changes=changes), pytest.raises(ValueError, match=message):
            config(**changes)
    assert DenoiserConfig().steps >= 1


def test_the_default_decoder_is_the_pretrained_one_where_its_weights_fit() -> None:
    for changes, expected in (
        ({}, "local_global"),
        ({"size": 128}, "local_global"),
        ({"size": 100}, "random_field"),
        ({"phases": 3}, "random_field"),
        ({"dimensions": 3, "size": 32}, "local_global"),
        ({"dimensions": 3, "size": 51}, "random_field"),
        ({"dimensions": 3, "phases": 3, "size": 32}, "random_field"),
        ({"latent": 8}, "random_field"),
        ({"widths": [32, 32, 64, 96]}, "local_global"),
        ({"decoder": "upsampling"}, "upsampling"),
    ):
        with case(changes=changes):
            assert NetworkConfig.model_validate(changes).decoder == expected


@torch.no_grad()
def test_sharper_logits_leave_less_in_doubt_at_the_same_fractions() -> None:
    settings = ({"width": 8, "depth": 1, "sharpness": sharpness} for sharpness in (1, 10))
    blunt, sharp = (decoder(denoiser=each).draw(latents()) for each in settings)
    torch.testing.assert_close(blunt.mean((1, 2, 3)), sharp.mean((1, 2, 3)))
    assert (sharp * (1 - sharp)).mean() < 0.5 * (blunt * (1 - blunt)).mean()
