"""Volumes by a denoiser of images: sections across every axis look like the image, with its volume fraction."""

import numpy as np
import torch
from torch import Tensor

import microdesign as md
from microdesign.model.networks.volume_from_sections import SHARPNESS, STEPS, volume_from_sections


def mean_chord(labels: np.ndarray, axis: int) -> float:
    """Mean length of the rarer phase along an axis, around the edges: two interfaces a chord."""
    return float(2 * labels.mean() / (np.roll(labels, 1, axis) != labels).mean())


def specks(sections: np.ndarray) -> float:
    """Share of the pixels of phase 1 of sections `(n, *N)` that have no neighbour of their phase."""
    neighbours = sum(np.roll(sections, step, axis) for axis in (1, 2) for step in (1, -1))
    return float(((neighbours == 0) & (sections == 1)).sum() / sections.sum())


def test_sections_look_like_the_image() -> None:
    """By the weights that the package brings; chords of images of the same kind differ by as much."""
    image = md.generate("VoidSmall", 1, (64, 64), seed=3).labels[0]
    volumes = md.draw("pretrained", like=image, dims=3, n=2, size=32).labels
    assert volumes.shape == (2, 32, 32, 32)
    assert 0.2 < (volumes[0] != volumes[1]).mean() / (2 * image.mean() * (1 - image.mean())) < 2
    again = md.draw("pretrained", like=image, dims=3, n=2, size=32).labels
    np.testing.assert_array_equal(volumes, again)
    for volume in volumes:
        assert abs(volume.mean() - image.mean()) < 1e-4
        for axis in range(3):
            assert specks(np.moveaxis(volume, axis, 0)) < 0.004  # with the same noise in each step it is twice this
            assert abs(mean_chord(volume, axis) / mean_chord(image, 0) - 1) < 0.35, axis
            changes = (np.roll(volume, -1, axis) != volume).mean(tuple({0, 1, 2} - {axis}))
            assert changes[-1] < 2 * changes[:-1].mean(), axis  # the seam is no other place


def test_each_axis_has_its_own_latent_and_fractions_are_kept() -> None:
    """A denoiser that smooths in the plane, and pulls fractions to those of its latent."""
    seen: list[float] = []

    def denoise(x: Tensor, t: Tensor, z: Tensor) -> Tensor:
        assert x.shape[1:] == (1, 8, 8)
        assert t.shape == z[:, 0].shape
        seen.append(float(z[0, 0]))
        smooth = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(x, (1, 1, 1, 1), mode="circular"), 3, 1)
        return 6 * (smooth - 0.1)

    z = torch.tensor([[0.0], [1.0], [2.0]])
    for wanted in (0.2, 0.5, 0.7):
        volume = volume_from_sections(denoise, z, torch.tensor([wanted]), (8, 8, 8), seed=1)
        assert volume.shape == (1, 8, 8, 8)
        assert seen == [step % 3 for step in range(STEPS)]
        assert abs(float(volume.mean()) - wanted) < 0.02
        seen.clear()


def test_the_last_estimates_are_sharper_than_learned() -> None:
    """By a denoiser that is sure to e^1 of every second row: half the voxels, so that fractions shift nothing."""
    rows = torch.tensor([1.0, -1.0]).repeat(8)[:, None].expand(16, 16)

    def denoise(x: Tensor, t: Tensor, z: Tensor) -> Tensor:
        return rows.expand(len(x), 1, 16, 16)

    drawn = volume_from_sections(denoise, torch.zeros(3, 2), torch.tensor([0.5]), (16, 16, 16))
    expected = (SHARPNESS * torch.tensor([1.0, -1.0])).sigmoid()
    torch.testing.assert_close(drawn[0, :2, 0, 0], expected, atol=1e-3, rtol=0)
