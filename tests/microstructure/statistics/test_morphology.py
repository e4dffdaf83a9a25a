import math

import pytest
import torch
from torch import Tensor

from microdesign.core.errors import InputError
from microdesign.microstructure.generators.registry import generate
from microdesign.microstructure.statistics.morphology import (
    chord_counts,
    chord_length_distribution,
    corner_contacts,
    lineal_path,
    mean_chord_length,
)
from tests.microstructure.statistics.patterns import board, stripes


def test_lineal_path_of_stripes_and_board() -> None:
    path = lineal_path(stripes(4, 12, 24))
    across = torch.tensor([max(4 - r, 0) / 12 for r in range(13)], dtype=torch.float64)
    torch.testing.assert_close(path[0], across)
    torch.testing.assert_close(path[1], torch.full((13,), 1 / 3, dtype=torch.float64))
    cells = torch.tensor([max(3 - r, 0) / 6 for r in range(7)], dtype=torch.float64)
    torch.testing.assert_close(lineal_path(board(3, 12)), cells.expand(2, -1))


def test_lineal_path_is_the_two_point_statistic_up_to_one_pixel_and_counts_the_chords() -> None:
    m = generate("GRF", 3, (32, 32), seed=1).indicator().double()
    # A line without an end has segments but no chord.
    m[..., 0, :] = m[..., :, 0] = 0
    path = lineal_path(m, longest=31)
    assert path.shape == (3, 1, 2, 32)
    for i in range(2):
        torch.testing.assert_close(path[..., i, 1], (m * torch.roll(m, -1, 2 + i)).mean(dim=(2, 3)))
    # Segments of k pixels start in a chord of l pixels at l - k + 1 places (Torquato 2002, section 2.5).
    counts = chord_counts(m)
    assert counts.dtype == torch.int64
    length = torch.arange(33)
    for k in (1, 2, 5, 31):
        from_chords = (counts * (length - k + 1).clamp_min(0)).sum(-1) / 32**2
        torch.testing.assert_close(path[..., k - 1], from_chords.double())


def test_chords_of_stripes_and_board() -> None:
    counts = chord_counts(stripes(4, 12, 24))
    assert counts.shape == (2, 25)
    assert counts[0].nonzero().tolist() == [[4]]
    assert counts[0, 4] == 2 * 24
    assert not counts[1].any()
    assert mean_chord_length(stripes(4, 12, 24)).tolist() == [4, math.inf]
    assert mean_chord_length(board(3, 12)).tolist() == [3, 3]
    assert mean_chord_length(torch.zeros(4, 4)).isnan().all()
    assert mean_chord_length(torch.ones(4, 4)).isinf().all()
    # A shift across the periodic edge breaks no chord.
    assert torch.equal(chord_counts(torch.roll(stripes(4, 12, 24), 2, 0)), counts)
    shares = chord_length_distribution(torch.stack((board(3, 12), torch.zeros(12, 12, dtype=torch.float64))))
    assert shares[0, :, 3].tolist() == [1, 1]
    assert not shares[1].any()


def test_chords_of_boxes_in_three_dimensions() -> None:
    m = torch.zeros(2, 8, 9, 10)
    m[0, 7, 1:4, 2:7] = 1
    m[0, :2, 1:4, 2:7] = 1
    counts = chord_counts(m, dims=3)
    assert counts.shape == (2, 3, 11)
    assert [(int(n.nonzero()), int(n.sum())) for n in counts[0]] == [(3, 15), (3, 15), (5, 9)]
    assert not counts[1].any()
    path = lineal_path(m.double(), dims=3)
    assert path.shape == (2, 3, 5)
    torch.testing.assert_close(path[0, 2] * 720, torch.tensor([45, 36, 27, 18, 9], dtype=torch.float64))


def test_overlapping_discs_have_exponential_chords_between_them(boolean_model: tuple[Tensor, float, float]) -> None:
    # Between overlapping discs of radius R and number density rho, a segment of length r is free with probability
    # exp(-rho (pi R^2 + 2 R r)): chords between discs are exponential with mean 1 / (2 rho R) (Torquato 2002, 5.2).
    free, radius, rho = boolean_model
    r = torch.arange(41, dtype=torch.float64)
    expected = torch.exp(-rho * (math.pi * radius**2 + 2 * radius * r))
    measured = lineal_path(free[:16], longest=40).mean(dim=(0, 1))
    assert (measured - expected).abs().max() < 0.015
    counts = chord_counts(free[:48]).sum(dim=(0, 1)).double()
    length = torch.arange(len(counts), dtype=torch.float64)
    mean = float((counts * length).sum() / counts.sum())
    assert mean == pytest.approx(1 / (2 * rho * radius), rel=0.05)
    # Memoryless: beyond any length there is as much again. (Below a few pixels the grid loses chords.)
    for least in (10, 20, 40):
        longer = counts * (length >= least)
        assert float((longer * (length - least)).sum() / longer.sum()) == pytest.approx(mean, rel=0.1)


def test_corner_contacts() -> None:
    assert corner_contacts(board(1, 8)).item() == 64
    assert corner_contacts(board(4, 16)).item() == 16
    assert corner_contacts(1 - board(4, 16)).item() == 16
    assert corner_contacts(stripes(3, 6, 12)).item() == 0
    m = torch.zeros(2, 6, 6)
    m[0, 0, 0] = m[0, 5, 5] = 1
    m[1, 0, 5] = m[1, 5, 0] = 1
    assert corner_contacts(m).tolist() == [1, 1]
    m[:, 0, 0] = m[:, 0, 5] = 1
    assert corner_contacts(m).tolist() == [0, 0]
    # Three phases about one corner: only the one on the diagonal touches itself there.
    labels = torch.full((6, 6), 2)
    labels[1, 1] = labels[2, 2] = 0
    labels[1, 2] = 1
    assert [corner_contacts(labels == phase).item() for phase in range(3)] == [1, 0, 0]
    edge = torch.zeros(4, 4, 4)
    edge[1, 1, :2] = edge[2, 2, :2] = 1
    assert corner_contacts(edge, dims=3).item() == 2


def test_gradients() -> None:
    m = torch.rand(2, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: lineal_path(x, longest=3), m)
    assert torch.autograd.gradcheck(corner_contacts, m)
    volume = torch.rand(3, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: lineal_path(x, dims=3), volume)
    assert torch.autograd.gradcheck(lambda x: corner_contacts(x, dims=3), volume)


def test_refuses() -> None:
    with pytest.raises(InputError, match="expected 3 spatial axes"):
        lineal_path(torch.zeros(4, 4), dims=3)
    with pytest.raises(InputError, match="longest = 4 is out of range; expected 0 to 3"):
        lineal_path(torch.zeros(4, 6), longest=4)
    for function in (chord_counts, mean_chord_length):
        with pytest.raises(InputError, match="other than 0 and 1"):
            function(torch.full((4, 4), 0.5))
