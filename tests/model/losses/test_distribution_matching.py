import numpy as np
import pytest
import torch

from microdesign.microstructure.generators.registry import generate
from microdesign.microstructure.statistics.surface import specific_surface
from microdesign.model.losses.distribution_matching import descriptors, distribution_matching
from tests.cases import case


def stripes(width: int, size: int = 24) -> torch.Tensor:
    return (torch.arange(size) // width % 2).float()[None, None, :, None].expand(1, 1, size, size)


def images(n: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(generate("GRF", n, (32, 32), seed=seed).labels).float()[:, None]


def test_descriptors_of_stripes_are_known() -> None:
    found = descriptors(stripes(3))[0]
    fractions, ends = found[:2], found[2:].view(2, 2, 6)
    torch.testing.assert_close(fractions, torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(ends[:, 1], torch.zeros(2, 6))  # along the stripes no run ends
    torch.testing.assert_close(ends[:, 0, :3], torch.tensor([[1 / 3, 1 / 2, 1.0]] * 2))  # a run of three ends at three


def test_the_first_end_is_the_specific_surface() -> None:
    x = images(5)
    fractions, ends = descriptors(x)[:, :2, None], descriptors(x)[:, 2:].unflatten(1, (2, 2, 6))
    # Each face is the end of one run of either phase, in one of two directions.
    torch.testing.assert_close((2 * fractions * ends[..., 0]).sum((1, 2)) / 2, specific_surface(x[:, 0]))


def test_it_is_the_energy_distance_of_all_pairs_of_other_rows() -> None:
    x, decodes = images(6), images(4, seed=1)
    asked, c = torch.tensor([0, 1, 3, 3]), torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    given, drawn = descriptors(x), descriptors(decodes)
    scale = given.std(0).clamp_min(0.01) * given.shape[1] ** 0.5
    a, b = (
        torch.cat((found / scale, of / 2**0.5), 1).double().numpy() for found, of in ((drawn, c[asked]), (given, c))
    )

    def mean(one: np.ndarray, other: np.ndarray, rows: list[int], columns: list[int]) -> float:
        pairs = [(i, j) for i, row in enumerate(rows) for j, column in enumerate(columns) if row != column]
        return float(np.mean([np.linalg.norm(one[i] - other[j]) for i, j in pairs]))

    of, every = asked.tolist(), list(range(6))
    expected = 2 * mean(a, b, of, every) - mean(a, a, of, of) - mean(b, b, every, every)
    assert float(distribution_matching(decodes, asked, x, c)) == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_it_is_zero_in_the_mean_for_images_of_the_same_kind_and_not_for_others() -> None:
    """Of batches of 32 decodes and 64 images; specks are what other losses let through."""
    pool, c, stream = images(400), torch.zeros(64, 0), torch.Generator().manual_seed(0)
    same, specked = [], []
    for _ in range(60):
        rows = torch.randperm(400, generator=stream)
        x, decodes, asked = pool[rows[:64]], pool[rows[64:96]], torch.arange(32) + 64  # of rows of no image
        noise = (torch.rand(decodes.shape, generator=stream) < 0.03).float()
        same.append(float(distribution_matching(decodes, asked % 64, x, c)))
        specked.append(float(distribution_matching((decodes - noise).abs(), asked % 64, x, c)))
    assert abs(np.mean(same)) < 3 * np.std(same) / len(same) ** 0.5
    assert np.mean(specked) > 10 * np.std(same) / len(same) ** 0.5


def test_its_gradient_takes_the_specks_away() -> None:
    x, c = images(32), torch.zeros(32, 0)
    noise = torch.rand(16, 1, 32, 32, generator=torch.Generator().manual_seed(0)) < 0.03
    decodes = (images(16, seed=1) - noise.float()).abs().requires_grad_()
    distribution_matching(decodes, torch.arange(16), x, c).backward()
    assert decodes.grad is not None
    assert decodes.grad.isfinite().all()
    towards_phase_1 = -decodes.grad
    specks_of_1 = noise & (decodes.detach() == 1)
    assert towards_phase_1[specks_of_1].mean() < towards_phase_1[~noise].mean()


def test_other_shapes() -> None:
    for shape in ((4, 2, 16, 16), (4, 1, 8, 8, 8), (4, 1, 5, 5)):
        with case(shape=shape):
            stream = torch.Generator().manual_seed(0)
            x = (torch.rand(shape, generator=stream) < 0.3).float()
            if shape[1] == 2:
                x[:, 1] *= 1 - x[:, 0]
            c = torch.tensor([[float("nan")], [0.0], [1.0], [float("nan")]])
            assert distribution_matching(x[:3], torch.arange(3), x, c).isfinite()
