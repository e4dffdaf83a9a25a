import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.statistics.phase_pairs import pair_multiplicities, two_point_pairs, two_point_set


def test_two_phase_set_sums_to_one_and_equals_the_general_one(images: Tensor) -> None:
    for m in (images.double(), 0.1 + 0.7 * images.double()):
        derived = two_point_set(m)
        assert derived.shape == (9, 2, 2, 32, 32)
        torch.testing.assert_close(derived.sum(dim=(1, 2)), torch.ones(9, 32, 32, dtype=torch.float64))
        torch.testing.assert_close(derived, two_point_set(torch.cat((1 - m, m), dim=1)))


def test_three_phases_sum_to_one_and_swap_with_the_offset() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (2, 8, 6))
    f = two_point_set(Microstructures(labels=labels, n_phases=3).indicator())
    torch.testing.assert_close(f.sum(dim=(1, 2)), torch.ones(2, 8, 6))
    reversed_offsets = torch.roll(f.flip(-2, -1), (1, 1), (-2, -1))
    torch.testing.assert_close(f.transpose(1, 2), reversed_offsets)
    first = torch.from_numpy(labels == 0).float()
    second = torch.from_numpy(labels == 1).float()
    direct = (first * torch.roll(second, (-2, -3), (1, 2))).mean(dim=(1, 2))
    torch.testing.assert_close(f[:, 0, 1, 2, 3], direct)


def test_each_pair_once_stands_for_the_whole_set() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (2, 6, 5))
    for phases in (2, 3):
        m = Microstructures(labels=np.minimum(labels, phases - 1), n_phases=phases).indicator()
        pairs, whole = two_point_pairs(m), two_point_set(m)
        for row, (h, g) in enumerate(itertools.combinations_with_replacement(range(phases), 2)):
            torch.testing.assert_close(pairs[:, row], whole[:, h, g])
        # A sum over all offsets takes f_hh' and its inversion alike.
        total = torch.einsum("q,bqxy->b", pair_multiplicities(pairs), pairs**2)
        torch.testing.assert_close(total, (whole**2).sum(dim=(1, 2, 3, 4)))


def test_gradients() -> None:
    m = torch.rand(1, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: two_point_set(x[:, None]), m)
    assert torch.autograd.gradgradcheck(lambda x: two_point_set(x[:, None]), m)
    volume = torch.rand(2, 3, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: two_point_set(x, dims=3), volume)


def test_under_function_transforms() -> None:
    m = torch.rand(3, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(torch.func.vmap(two_point_set)(m[:, None, None])[:, 0], two_point_set(m[:, None]))


def test_refuses_images_without_a_channel_axis() -> None:
    with pytest.raises(InputError, match=r"expected \(B, P, \*N\)"):
        two_point_set(torch.zeros(4, 4))
