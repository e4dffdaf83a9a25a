"""Binarisation of soft decodes, which keeps the volume fractions."""

import torch

from microdesign.microstructure.data.indicators import probabilities as probabilities_of
from microdesign.model.binarization import binarize, binarize_straight_through, shifted_to_fractions, with_fractions


def probabilities(n: int = 8, size: int = 16) -> torch.Tensor:
    stream = torch.Generator().manual_seed(0)
    return (
        2 * torch.randn(n, 1, size, size, generator=stream) + torch.linspace(-4, 4, n)[:, None, None, None]
    ).sigmoid()


def test_volume_fraction_is_kept_to_a_pixel() -> None:
    soft = probabilities()
    labels = binarize(soft)
    assert labels.shape == (8, 16, 16)
    assert labels.dtype == torch.uint8
    expected = soft.double().sum((1, 2, 3)).round().long()
    assert labels.long().sum((1, 2)).tolist() == expected.tolist()


def test_the_most_probable_pixels_are_chosen() -> None:
    soft = probabilities()
    for image, label in zip(soft[:, 0], binarize(soft).bool(), strict=True):
        assert image[label].min() >= image[~label].max()


def test_a_hard_image_stays_as_it_is() -> None:
    hard = (probabilities() > 0.5).float()
    torch.testing.assert_close(binarize(hard), hard[:, 0].to(torch.uint8))


def test_ties_go_to_the_first_pixels_and_both_phases_stay() -> None:
    for value, count in ((0.0, 1), (1.0, 15), (1e-9, 1), (1 - 1e-9, 15), (0.25, 4), (0.5, 8)):
        expected = (torch.arange(16) < count).view(1, 4, 4).to(torch.uint8)
        soft = torch.full((1, 1, 4, 4), value, dtype=torch.float64)
        assert torch.equal(binarize(soft), expected), value


def test_images_do_not_see_their_batch() -> None:
    soft = probabilities()
    alone = torch.cat([binarize(soft[index : index + 1]) for index in range(len(soft))])
    torch.testing.assert_close(binarize(soft), alone)
    torch.testing.assert_close(binarize(soft.flip(0)).flip(0), alone)


def test_memory_layout_does_not_matter() -> None:
    soft = probabilities()
    transposed = soft.mT.contiguous().mT
    torch.testing.assert_close(binarize(transposed), binarize(soft))


def test_no_images() -> None:
    assert binarize(torch.zeros(0, 1, 8, 8)).shape == (0, 8, 8)


def test_straight_through_is_the_binarization_forward_and_the_identity_backward() -> None:
    soft = probabilities().requires_grad_()
    hard = binarize_straight_through(soft)
    assert hard.dtype == soft.dtype
    torch.testing.assert_close(hard.detach(), binarize(soft.detach())[:, None].float(), rtol=0, atol=1e-6)
    weights = torch.randn(soft.shape, generator=torch.Generator().manual_seed(1))
    (hard * weights).sum().backward()
    torch.testing.assert_close(soft.grad, weights, rtol=0, atol=0)


def test_straight_through_in_half_precision_keeps_its_type() -> None:
    hard = binarize_straight_through(probabilities().bfloat16())
    assert hard.dtype == torch.bfloat16
    assert ((hard - hard.round()).abs() < 1e-2).all()


def shares(phases: int, shape: tuple[int, ...] = (12, 12), n: int = 6, sharpness: float = 3.0) -> torch.Tensor:
    stream = torch.Generator().manual_seed(3)
    offsets = torch.randn(n, phases, *(1,) * len(shape), generator=stream)
    return (sharpness * torch.randn(n, phases, *shape, generator=stream) + offsets).softmax(1)


def test_every_phase_keeps_its_volume_fraction() -> None:
    for phases, shape, sharpness in ((3, (12, 12), 0.3), (5, (12, 12), 3.0), (3, (6, 6, 6), 3.0), (5, (6, 6, 6), 0.3)):
        soft = shares(phases, shape, sharpness=sharpness)
        labels = binarize(soft)
        assert labels.shape == (6, *shape)
        assert labels.dtype == torch.uint8
        counts = torch.stack([(labels == phase).flatten(1).sum(1) for phase in range(phases)], dim=1)
        assert ((counts - soft.double().flatten(2).sum(2)).abs() < 1).all(), (phases, shape, sharpness)
        alone = torch.cat([binarize(soft[index : index + 1]) for index in range(6)])
        assert torch.equal(labels, alone), (phases, shape, sharpness)


def test_a_hard_image_of_phases_stays_as_it_is() -> None:
    expected = shares(4).argmax(1)
    hard = torch.nn.functional.one_hot(expected, 4).movedim(-1, 1).float()
    torch.testing.assert_close(binarize(hard), expected.to(torch.uint8))


def test_an_empty_third_phase_leaves_the_binarization_of_two() -> None:
    soft = probabilities()
    three = torch.cat((1 - soft, soft, torch.zeros_like(soft)), dim=1)
    torch.testing.assert_close(binarize(three), binarize(soft))


def test_a_rare_blurred_phase_gets_its_likeliest_pixels() -> None:
    """The most probable phase would lose it everywhere."""
    blurred = torch.full((1, 3, 4, 4), 0.0)
    blurred[:, 2, 0] = 0.4
    blurred[:, 2, 1] = 0.1
    blurred[:, 0] = (1 - blurred[:, 2]) * 0.7
    blurred[:, 1] = (1 - blurred[:, 2]) * 0.3
    assert not (blurred.argmax(1) == 2).any()
    labels = binarize(blurred)
    assert ((labels == 2).nonzero()[:, 1] == 0).all()
    assert (labels == 2).sum() == 2


def test_straight_through_of_phases() -> None:
    soft = shares(3).requires_grad_()
    hard = binarize_straight_through(soft)
    torch.testing.assert_close(hard.detach().argmax(1), binarize(soft.detach()).long())
    torch.testing.assert_close(hard.detach().sum(1), torch.ones(6, 12, 12))
    weights = torch.randn(soft.shape, generator=torch.Generator().manual_seed(1))
    (hard * weights).sum().backward()
    torch.testing.assert_close(soft.grad, weights, rtol=0, atol=0)


def test_wanted_fractions_are_met_and_the_order_of_pixels_stays() -> None:
    soft = probabilities()
    for wanted in (0.05, 0.5, 0.9):
        changed = with_fractions(soft, torch.full((8, 1), wanted))
        torch.testing.assert_close(changed.mean((1, 2, 3)), torch.full((8,), wanted), rtol=0, atol=1e-5)
        assert changed.min() >= 0
        assert changed.max() <= 1
        before, after = soft.flatten(1), changed.flatten(1)
        assert (after.gather(1, before.argsort(1)).diff(dim=1) >= -1e-6).all()


def test_wanted_fractions_of_three_phases() -> None:
    soft = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)).softmax(1)
    wanted = torch.tensor([[0.2, 0.5, 0.3]]).expand(4, -1)
    changed = with_fractions(soft, wanted)
    torch.testing.assert_close(changed.flatten(2).mean(2), wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(changed.sum(1), torch.ones(4, 8, 8))
    torch.testing.assert_close(with_fractions(soft, soft.flatten(2).mean(2)), soft)


def test_shifted_logits_have_the_fractions_by_one_shift_an_image() -> None:
    logits = 6 * torch.randn(5, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    fractions = torch.tensor([0.03, 0.2, 0.5, 0.8, 0.99])[:, None]
    shifted = shifted_to_fractions(logits + torch.linspace(-15, 15, 5)[:, None, None, None], fractions)
    torch.testing.assert_close(shifted.sigmoid().mean((2, 3)), fractions, rtol=0, atol=1e-4)
    moved = (shifted - logits).flatten(1)
    torch.testing.assert_close(moved, moved[:, :1].expand_as(moved), rtol=0, atol=1e-4)


def test_shifted_logits_of_three_phases_come_near_their_fractions() -> None:
    logits = 4 * torch.randn(4, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    fractions = torch.tensor([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8], [0.05, 0.6, 0.35], [1 / 3, 1 / 3, 1 / 3]])
    found = probabilities_of(shifted_to_fractions(logits, fractions)).mean((2, 3))
    torch.testing.assert_close(found, fractions, rtol=0, atol=0.01)


def test_the_gradient_of_shifted_logits_is_that_of_the_solution() -> None:
    """The mean of the probabilities is the fraction: it follows the fraction, and does not move with the logits."""
    logits = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    fractions = torch.tensor([[0.3], [0.6]], dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda a, b: (weights * shifted_to_fractions(a, b).sigmoid()).sum(), (logits, fractions), atol=1e-5
    )
    mean = shifted_to_fractions(logits, fractions).sigmoid().mean((1, 2, 3)).sum()
    to_logits, to_fractions = torch.autograd.grad(mean, (logits, fractions))
    torch.testing.assert_close(to_fractions, torch.ones_like(to_fractions))
    torch.testing.assert_close(to_logits, torch.zeros_like(to_logits), rtol=0, atol=1e-9)
